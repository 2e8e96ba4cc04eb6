//! What became of a request, in one word: from the answer the user got, and for refusals the class in the audit trail.

use domain::RequestId;
use duis::{Element, ResponseBody, SignedBody};
use lab::Lab;
use users::{Client, ClientError, Exchange, Order, Signed};

use super::LIMIT;

/// I0, and from a device with success.
pub(super) const WORKED: &str = "worked";
/// I0 without success.
const DEVICE_REFUSED: &str = "device-refused";
/// Acknowledged, and nothing came.
const NO_OUTCOME: &str = "no-outcome";

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// One word.
    pub word: String,
    /// Code and more words.
    pub detail: String,
}

pub(super) async fn of_order(lab: &Lab, client: &Client, order: &Order) -> Outcome {
    match client.sign(order) {
        Ok(signed) => of_signed(lab, client, signed).await,
        Err(error) => Outcome {
            word: "not-sent".to_owned(),
            detail: words(&error),
        },
    }
}

/// A document under a signature of the client's, on the path of its command variant.
pub(super) async fn of_document(lab: &Lab, client: &Client, id: RequestId, path: &str, xml: &[u8]) -> Outcome {
    let signed = client.sign_document(id, path, xml);
    match signed {
        Ok(signed) => of_signed(lab, client, signed).await,
        Err(error) => Outcome {
            word: "not-sent".to_owned(),
            detail: words(&error),
        },
    }
}

async fn of_signed(lab: &Lab, client: &Client, signed: Signed) -> Outcome {
    let id = signed.id;
    match client.send(signed, LIMIT).await {
        Ok(exchange) => judge(lab, &exchange).await,
        Err(error @ ClientError::NoOutcome { .. }) => Outcome {
            word: NO_OUTCOME.to_owned(),
            detail: words(&error),
        },
        Err(error) => Outcome {
            word: "failed".to_owned(),
            detail: format!("{id}: {}", words(&error)),
        },
    }
}

async fn judge(lab: &Lab, exchange: &Exchange) -> Outcome {
    let code = exchange.code();
    if code == "I0" || code.starts_with('W') {
        let payload = payload(exchange);
        let success = payload.and_then(|payload| payload.attribute("MessageSuccess"));
        let refused = success == Some("false");
        return Outcome {
            word: if refused { DEVICE_REFUSED } else { WORKED }.to_owned(),
            detail: if refused {
                format!("{code}{}", debug(exchange))
            } else {
                code.to_owned()
            },
        };
    }
    let trail = match lab.dcc() {
        Some(dcc) => dcc.audit_of_request(exchange.id).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let last = trail.iter().rev().find(|record| record.code.as_deref() == Some(code));
    let class = trail.iter().rev().find_map(|record| record.failure);
    let detail = last.map_or("", |record| record.detail.as_str());
    Outcome {
        word: class.map_or_else(|| code.to_owned(), |class| class.to_string()),
        detail: format!("{code} {detail}"),
    }
}

fn payload(exchange: &Exchange) -> Option<&Element> {
    let ResponseBody::Smets1 { content, .. } = &exchange.response().body else {
        return None;
    };
    match &content.body {
        SignedBody::Response { payload, .. } => payload.as_ref(),
        SignedBody::Alert(_) => None,
    }
}

/// The errors in the debug entries.
fn debug(exchange: &Exchange) -> String {
    let ResponseBody::Smets1 { content, .. } = &exchange.response().body else {
        return String::new();
    };
    let SignedBody::Response { debug: Some(debug), .. } = &content.body else {
        return String::new();
    };
    let mut out = String::new();
    gather(debug, &mut out);
    out
}

fn gather(element: &Element, out: &mut String) {
    if element.name == "Error" {
        out.push_str("; ");
        out.push_str(&element.text);
    }
    element.children.iter().for_each(|child| gather(child, out));
}

fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
