//! `s1lab audit`.

use control::messages::AuditEntry;
use serde_json::{Value, json};

use crate::args::{Audit, Global};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: &Audit) -> Result<(), Failure> {
    super::runtime()?.block_on(async {
        let mut client = super::client(global).await?;
        let entries = client.audit(&args.subject).await.map_err(Failure::input)?;
        if entries.is_empty() {
            let problem = anyhow::anyhow!("the lab has no record of {}", args.subject);
            return Err(Failure::Input(problem));
        }
        if args.request {
            return request(&entries);
        }
        if global.json {
            output::json(&entries.iter().map(value).collect());
        } else {
            output::line(format!(
                "{:24}  {:14} {:24} {:7} {:10} what",
                "time", "hop", "event", "code", "confidence"
            ));
            entries.iter().map(line).for_each(output::line);
        }
        Ok(())
    })
}

fn request(entries: &[AuditEntry]) -> Result<(), Failure> {
    let kept = entries.iter().find(|entry| !entry.xml.is_empty());
    match kept {
        Some(entry) => output::octets(&entry.xml),
        None => Err(Failure::Input(anyhow::anyhow!("the trail keeps no request"))),
    }
}

fn line(entry: &AuditEntry) -> String {
    // Where it was written down, and where it happened when that is another place.
    let hop = match (entry.role.as_str(), entry.hop.as_str()) {
        ("link", link) => link.to_owned(),
        (role, hop) if hop.is_empty() || hop == role => role.to_owned(),
        (role, hop) => format!("{role}, at {hop}"),
    };
    let failure = if entry.failure.is_empty() {
        String::new()
    } else {
        format!("{}: ", entry.failure)
    };
    let srv = if entry.srv.is_empty() {
        String::new()
    } else {
        format!("{} ", entry.srv)
    };
    let rules = if entry.rules.is_empty() {
        String::new()
    } else {
        format!(" [{}]", entry.rules.join(", "))
    };
    format!(
        "{:24}  {hop:14} {:24} {:7} {:10} {srv}{failure}{}{rules}",
        lab::time_text(entry.at_ms),
        entry.event,
        entry.code,
        entry.confidence,
        entry.words
    )
    .trim_end()
    .to_owned()
}

fn value(entry: &AuditEntry) -> Value {
    json!({
        "at": lab::time_text(entry.at_ms), "role": entry.role, "event": entry.event, "detail": entry.detail,
        "request_id": entry.request_id, "srv": entry.srv, "user": entry.user, "device": entry.device, "hop": entry.hop,
        "code": entry.code, "failure": entry.failure, "confidence": entry.confidence, "rules": entry.rules,
        "words": entry.words, "request": String::from_utf8_lossy(&entry.xml),
    })
}
