//! Certificate look-up over HTTP, in the form that clients of DCC Boxed use: search by EUI-64, retrieve by serial number.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use domain::Eui64;
use duis::signature::Certificate;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::pki::{Pki, base64_of};

/// Octets of a question at most.
const QUESTION_MAX: usize = 16 << 10;
/// What clients take as "nothing found".
const NONE_FOUND: StatusCode = StatusCode::PAYMENT_REQUIRED;
/// What clients take as "not a search".
const BAD_SEARCH: StatusCode = StatusCode::UNAUTHORIZED;

/// The bound listener of the look-up.
pub struct LookupHttp {
    listener: TcpListener,
    app: Router,
}

struct Book {
    entries: Vec<Entry>,
    revoked: Vec<String>,
    key: Option<String>,
}

/// One certificate.
struct Entry {
    eui: Eui64,
    serial: String,
    role: Option<u8>,
    usage: &'static str,
    /// Base64 of its DER.
    body: String,
}

impl LookupHttp {
    /// Binds the listener; it shows every certificate of users and parties of the lab.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(config: &Config, pki: &Pki) -> io::Result<Self> {
        let book = Book {
            entries: entries(pki),
            revoked: config.access.revoked.clone(),
            key: config.lookup.key.clone(),
        };
        let app = Router::new()
            .route("/services/certificatesearch", post(search))
            .route("/services/retrievecertificate", post(retrieve))
            .layer(axum::extract::DefaultBodyLimit::max(QUESTION_MAX))
            .with_state(Arc::new(book));
        let listener = TcpListener::bind(config.lookup.listen).await?;
        Ok(Self { listener, app })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        axum::serve(self.listener, self.app)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    }
}

fn entries(pki: &Pki) -> Vec<Entry> {
    let parties = [&pki.dcc.certificate_pem, &pki.s1sp.certificate_pem];
    let users = pki.users.iter().flat_map(|user| {
        let organisation = user.organisation.as_ref();
        let more = organisation.into_iter().flat_map(|of| [&of.signing, &of.agreement]);
        std::iter::once(&user.certificate_pem).chain(more)
    });
    let entry = |pem: &String| {
        let certificate = Certificate::from_pem(pem).ok()?;
        let agreement = certificate.is_for_key_agreement();
        Some(Entry {
            eui: certificate.eui(),
            serial: certificate.serial().to_owned(),
            role: certificate.role(),
            usage: if agreement { "KA" } else { "DS" },
            body: base64_of(pem),
        })
    };
    parties.into_iter().chain(users).filter_map(entry).collect()
}

impl Book {
    fn may_ask(&self, query: Option<&str>) -> bool {
        let Some(key) = &self.key else { return true };
        let given = query
            .unwrap_or_default()
            .split('&')
            .find_map(|part| part.strip_prefix("apikey="));
        given.is_some_and(|given| given.as_bytes() == key.as_bytes())
    }
}

async fn search(State(book): State<Arc<Book>>, RawQuery(query): RawQuery, question: Bytes) -> Response {
    if !book.may_ask(query.as_deref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let named = ["CertificateSubjectName", "CertificateSubjectAltName"]
        .into_iter()
        .find_map(|name| text_of(&question, name));
    let Some(eui) = named.and_then(|text| text.parse::<Eui64>().ok()) else {
        return BAD_SEARCH.into_response();
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CertificateSearchResponse>");
    let mut found = 0;
    for entry in book.entries.iter().filter(|entry| entry.eui == eui) {
        found += 1;
        let status = if book.revoked.contains(&entry.serial) { "R" } else { "I" };
        let role = entry.role.map(|role| role.to_string()).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "<Result><CertificateSubjectName>{eui}</CertificateSubjectName><CertificateUsage>{}</CertificateUsage>\
             <CertificateStatus>{status}</CertificateStatus><CertificateSerial>{}</CertificateSerial>\
             <CertificateRole>{role}</CertificateRole></Result>",
            entry.usage, entry.serial
        );
    }
    if found == 0 {
        return NONE_FOUND.into_response();
    }
    out.push_str("</CertificateSearchResponse>");
    xml(out)
}

async fn retrieve(State(book): State<Arc<Book>>, RawQuery(query): RawQuery, question: Bytes) -> Response {
    if !book.may_ask(query.as_deref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(serial) = text_of(&question, "CertificateSerial") else {
        return BAD_SEARCH.into_response();
    };
    let Some(entry) = book.entries.iter().find(|entry| entry.serial == serial) else {
        return NONE_FOUND.into_response();
    };
    xml(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CertificateDataResponse><CertificateResponse>\
         <CertificateSerial>{}</CertificateSerial><CertificateSubjectName>{}</CertificateSubjectName>\
         <CertificateBody>{}</CertificateBody></CertificateResponse></CertificateDataResponse>",
        entry.serial, entry.eui, entry.body
    ))
}

fn xml(text: String) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/xml")], text).into_response()
}

/// The text of the first element of this name. The questions are three lines long and of our own look-up alone: nothing is
/// believed of what stands around it, and what is no XML has no such element.
fn text_of(question: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(question).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = !inner.contains(['<', '&']);
    plain.then(|| inner.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_not() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text_of(text.as_bytes(), "A").as_deref(), expected, "{text}");
        };
        check("<?xml version=\"1.0\"?><Q><A> 12 </A></Q>", Some("12"));
        check("<Q><A>1<b/></A></Q>", None);
        check("<Q><A>&e;</A></Q>", None);
        check("<Q><B>1</B></Q>", None);
        check("", None);
    }
}
