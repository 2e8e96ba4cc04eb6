//! Signing and judging single DUIS messages from files, for the command line and for tests: no running lab is needed.

use domain::Eui64;
use duis::signature::{self, Certificate, CertificateBook, SigningKey};
use duis::{ResponseBody, Root};

/// A message, key or certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A certificate that is none.
    #[error("read the certificate {file}: {problem}")]
    Certificate {
        /// Which file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Structure or types do not fit.
    #[error("check the message")]
    Message(#[from] duis::ReadError),
    /// The key does not fit, or is none.
    #[error("use the signing key")]
    Key(#[from] signature::KeyError),
    /// It could not be signed.
    #[error("sign the message")]
    Sign(#[from] signature::SignError),
    /// The signature proves nothing.
    #[error("verify the {which} signature")]
    Signature {
        /// Outer (the whole message) or inner (the S1SP's part).
        which: &'static str,
        /// Why.
        #[source]
        source: signature::SignatureError,
    },
}

/// Who signed what in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Root element of the message.
    pub root: Root,
    /// RequestID or ResponseID, service and code in words, as far as the message has them.
    pub about: String,
    /// Outer signature first, then the inner one of an S1SP where there is one.
    pub signers: Vec<(&'static str, Eui64, String)>,
}

/// Signs a message with a key and its certificate, both PEM. A signature that is there already is replaced.
///
/// # Errors
/// When the message is not well-formed, or key and certificate do not fit each other.
pub fn sign(xml: &[u8], key_pem: &str, certificate_pem: &str) -> Result<Vec<u8>, Error> {
    let key = SigningKey::from_pem(key_pem, certificate_pem)?;
    Ok(signature::sign(xml, &key)?)
}

/// Checks structure, outer signature and, where there is one, the inner signature of the S1SP.
///
/// `certificates` are pairs of file name and PEM text.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(xml: &[u8], certificates: &[(String, String)]) -> Result<Judged, Error> {
    let mut book = CertificateBook::new();
    for (file, pem) in certificates {
        let fault = |problem: String| Error::Certificate {
            file: file.clone(),
            problem,
        };
        let certificate = Certificate::from_pem(pem).map_err(|e| fault(e.to_string()))?;
        book.add(certificate).map_err(|e| fault(e.to_string()))?;
    }
    let judge = |which: &'static str, xml: &[u8]| {
        signature::verify(xml, &book)
            .map(|signer| (which, signer.eui, signer.serial))
            .map_err(|source| Error::Signature { which, source })
    };
    let root = duis::check(xml)?;
    let mut judged = Judged {
        root,
        about: String::new(),
        signers: vec![judge("outer", xml)?],
    };
    match root {
        Root::Request => {
            let request = duis::read_request(xml)?;
            judged.about = format!("{} {}", request.id, request.srv);
        }
        Root::Response => {
            let response = duis::read_response(xml)?;
            let header = &response.header;
            let ids = [header.request_id, header.response_id]
                .into_iter()
                .flatten()
                .map(|id| id.to_string());
            judged.about = format!("{} {}", ids.collect::<Vec<_>>().join(" "), header.code.as_str());
            if let Some(inner) = inner(&response.body) {
                judged.signers.push(judge("inner", inner)?);
            }
        }
        _ => {}
    }
    Ok(judged)
}

/// The S1SP's own document inside a response, where there is one.
fn inner(body: &ResponseBody) -> Option<&[u8]> {
    match body {
        ResponseBody::Smets1 { signed, .. } => Some(signed),
        ResponseBody::DccAlert {
            alert: duis::DccAlert::S1sp { signed, .. },
            ..
        } => Some(signed),
        _ => None,
    }
}
