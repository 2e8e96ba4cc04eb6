//! What a word of the lab means: a code, a class of failure, a service request.

use std::path::PathBuf;

use domain::{Confidence, Srv};
use duis::{DccAlertCode, ResponseCode};
use steps::Failure;
use steps::codes::AlertTrigger;
use steps::table::{Applicability, DatedBy, Mode, State};

use crate::Config;
use crate::files::read_text;
use crate::parts::BuildError;

/// Puts the rows of the configuration's own tables of codes over those of this program, for the whole process.
///
/// # Errors
/// When a file cannot be read, or has rows that do not fit; or the tables are in use with others already.
pub fn use_codes(config: &Config) -> Result<(), BuildError> {
    if config.dcc.codes.is_empty() {
        return Ok(());
    }
    let read = |path: &PathBuf| Ok::<_, BuildError>((path.display().to_string(), read_text(path)?));
    let files: Vec<(String, String)> = config.dcc.codes.iter().map(read).collect::<Result<_, _>>()?;
    let tables: Vec<_> = files.iter().map(|(name, text)| steps::Overlay { name, text }).collect();
    Ok(steps::overlay(&tables)?)
}

/// What is known of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// What kind of word it is, for example `response code`.
    pub what: &'static str,
    /// The word itself.
    pub word: String,
    /// What it means, one sentence.
    pub text: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// Everything else, as names and values.
    pub facts: Vec<(&'static str, String)>,
}

/// Everything that a word is in this lab: response code, DCC alert code, class of failure, alert code of ours, service
/// request. Empty for a word that is nothing.
#[must_use]
pub fn explain(word: &str) -> Vec<Explained> {
    let word = word.trim();
    let mut found = Vec::new();
    found.extend(ResponseCode::new(word).map(response));
    found.extend(DccAlertCode::new(word).map(alert));
    found.extend(word.parse().ok().map(failure));
    let of_ours = Failure::ALL.iter().copied().filter(|class| {
        let entry = class.entry();
        entry.lab_alert == Some(word) || entry.debug.is_some_and(|debug| debug.to_string() == word)
    });
    found.extend(of_ours.map(failure));
    found.extend((word == s1sp::TOP_UP_CODE).then(top_up_code));
    found.extend(word.parse::<Srv>().ok().and_then(service));
    found
}

fn response(code: ResponseCode) -> Explained {
    let facts = steps::codes::response(code);
    let classes: Vec<String> = facts.classes().map(|class| class.to_string()).collect();
    let since = if code.facts().is_some_and(|facts| facts.since_5_4) {
        "5.4"
    } else {
        "5.1"
    };
    let mut more = vec![("group", facts.group.to_owned()), ("since schema", since.to_owned())];
    if !classes.is_empty() {
        more.push(("raised here by", classes.join(", ")));
    }
    more.push(("said by", facts.file.to_owned()));
    Explained {
        what: "response code",
        word: code.to_string(),
        text: facts.text.to_owned(),
        confidence: facts.confidence,
        facts: more,
    }
}

fn alert(code: DccAlertCode) -> Explained {
    let facts = steps::codes::alert(code);
    let mut more = Vec::new();
    if let Some(trigger) = facts.trigger {
        more.push(("raised here by", trigger.to_string()));
    }
    if let Some(why) = steps::codes::unraised(code) {
        more.push(("not raised here", format!("{} ({})", why.reason, why.confidence)));
    }
    if let Some(payload) = facts.payload {
        let part = facts.part.map(|part| format!("/{part}")).unwrap_or_default();
        more.push(("payload", format!("{payload}{part}")));
    }
    more.push(("said by", facts.file.to_owned()));
    if !facts.to.is_empty() {
        let to: Vec<String> = facts.to.iter().map(|to| format!("{to:?}").to_lowercase()).collect();
        more.push(("goes to", to.join(", ")));
    }
    Explained {
        what: "DCC alert code",
        word: code.to_string(),
        text: facts.text.to_owned(),
        confidence: facts.confidence,
        facts: more,
    }
}

/// The one alert of the S1SP that tells of no failure.
fn top_up_code() -> Explained {
    Explained {
        what: "S1SP alert code",
        word: s1sp::TOP_UP_CODE.to_owned(),
        text: "The code that the meter takes for a top-up, which the customer can key in".to_owned(),
        confidence: Confidence::Invented,
        facts: vec![
            (
                "raised here by",
                "a top-up (2.2) or a vend, as [vending] has it".to_owned(),
            ),
            ("DCC alert", AlertTrigger::S1spAlert.alert().code.to_string()),
            ("goes to", "the supplier that asked".to_owned()),
        ],
    }
}

fn failure(class: Failure) -> Explained {
    let entry = class.entry();
    let mut more = vec![
        ("to blame", entry.blame.as_str().to_owned()),
        ("shows at", entry.hop.as_str().to_owned()),
        ("response code", entry.code.to_owned()),
        ("HTTP status", entry.http.to_string()),
    ];
    more.extend(entry.alert.map(|alert| ("DCC alert", alert.to_owned())));
    more.extend(entry.lab_alert.map(|alert| ("S1SP alert code", alert.to_owned())));
    more.extend(entry.debug.map(|debug| ("debug code", debug.to_string())));
    more.push(("said by", entry.file.to_owned()));
    Explained {
        what: "class of failure",
        word: class.to_string(),
        text: entry.text.to_owned(),
        confidence: entry.confidence,
        facts: more,
    }
}

fn service(srv: Srv) -> Option<Explained> {
    let row = steps::table().row(srv)?;
    let words = |list: Vec<String>| {
        if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(", ")
        }
    };
    let text = match (row.mode, row.smets1) {
        (_, Applicability::No) => "does not apply to SMETS1 devices",
        (_, Applicability::Unknown) => "whether it applies to SMETS1 devices is not established; refused",
        (Mode::DccOnly, _) => "answered by the DCC itself",
        (Mode::Device, Applicability::ByModel) => "applies to SMETS1 devices of some models",
        (Mode::Device, Applicability::Yes) => "applies to SMETS1 devices",
    };
    let mut more = vec![
        ("critical", if row.critical { "yes" } else { "no" }.to_owned()),
        (
            "roles",
            words(row.roles.iter().map(|role| role.as_str().to_owned()).collect()),
        ),
        ("devices", words(row.kinds.iter().map(ToString::to_string).collect())),
        (
            "future dated",
            match row.dated_by {
                DatedBy::Dcc => "held by the DCC",
                DatedBy::DccAndDevice => "held by the DCC, then the device",
                DatedBy::Device => "held by the device; for SMETS1 by the DCC or the S1SP in its place",
                DatedBy::Nobody => "no",
            }
            .to_owned(),
        ),
        ("schedulable", if row.schedulable { "yes" } else { "no" }.to_owned()),
        (
            "in this lab",
            match row.state {
                State::Dcc => "answered by the mock DCC",
                State::EndToEnd => "runs to the device and back",
                State::Refused => "refused by the table",
            }
            .to_owned(),
        ),
        ("body", row.body.to_owned()),
    ];
    more.extend(row.payload.map(|payload| ("answer", payload.to_owned())));
    Some(Explained {
        what: "service request",
        word: format!("{} {}", row.srv, row.name),
        text: text.to_owned(),
        confidence: row.confidence,
        facts: more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_kind_are_known() {
        let kinds = |word: &str| explain(word).into_iter().map(|one| one.what).collect::<Vec<_>>();
        assert_eq!(kinds("E4"), ["response code"]);
        assert_eq!(kinds("N55"), ["DCC alert code"]);
        assert_eq!(kinds("hub-unreachable"), ["class of failure"]);
        assert_eq!(kinds("LAB-HUB-UNREACHABLE"), ["class of failure"]);
        assert_eq!(kinds("201"), ["class of failure"]);
        assert_eq!(kinds("6.23"), ["service request"]);
        assert_eq!(kinds("LAB-UTRN"), ["S1SP alert code"]);
        let unraised = explain("N39");
        assert!(
            unraised[0]
                .facts
                .iter()
                .any(|(name, why)| *name == "not raised here" && why.contains("(inferred)"))
        );
        assert_eq!(kinds("E6"), [""; 0]);
        let access = explain("E4");
        assert!(
            access[0]
                .facts
                .iter()
                .any(|(name, value)| *name == "raised here by" && value.contains("no-authority"))
        );
    }
}
