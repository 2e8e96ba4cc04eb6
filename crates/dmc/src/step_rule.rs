//! Rules of the S1SP's side as files state them: `step = { request = "4.1.1", do = "skip", item = "reactive-import" }`.

use domain::operation::{OperationKind, PaymentMode, Quantity, Unit};
use domain::{DataItem, LogKind, SimDuration, Srv, SupplyState, Value};
use toml::de::DeTable;

use crate::error::{FileError, Place};
use crate::names::{act_by_name, act_names, item_by_name, log_by_name};
use crate::profile::{Derivation, Holder, S1spEffect, SUPPORTING_READS, StepPlace, Subject};
use crate::section::{Scalar, Section, SourceText};

/// One kind of step rule, as files and the reference have it.
#[derive(Clone, Copy, Debug)]
pub struct StepKind {
    /// The word after `do`.
    pub word: &'static str,
    /// The keys it takes beside `request` and `do`.
    pub keys: &'static [&'static str],
    /// One line: what it does.
    pub about: &'static str,
    /// A whole step rule, as TOML.
    pub example: &'static str,
}

/// All kinds of step rules.
pub const STEP_KINDS: [StepKind; 14] = [
    StepKind {
        word: "accept",
        keys: &["state"],
        about: "A supply found in this state after the act counts as success too",
        example: "{ request = \"7.1\", do = \"accept\", state = \"armed\" }",
    },
    StepKind {
        word: "answer",
        keys: &["item", "value"],
        about: "The S1SP answers this item itself, without asking the device",
        example: "{ request = \"4.13\", do = \"answer\", item = \"debt-recovery-rate-cap\", value = 0 }",
    },
    StepKind {
        word: "cache",
        keys: &["item", "log", "max_age_s"],
        about: "An answer that is not older than this is given from the S1SP's cache, without asking the device",
        example: "{ request = \"4.8.1\", do = \"cache\", log = \"active-import\", max_age_s = 86400 }",
    },
    StepKind {
        word: "clip",
        keys: &["item", "log", "min", "max"],
        about: "Values outside these bounds are answered as the bound",
        example: "{ request = \"4.3\", do = \"clip\", item = \"meter-balance\", min = 0, max = 100000000 }",
    },
    StepKind {
        word: "continue",
        keys: &[],
        about: "After a refused act the remaining steps are tried all the same, so that a part of the request can be done",
        example: "{ request = \"7.1\", do = \"continue\" }",
    },
    StepKind {
        word: "derive",
        keys: &["item", "how", "from"],
        about: "An item is computed from others, which are read in its place",
        example: "{ request = \"4.1.1\", do = \"derive\", item = \"active-import\", how = \"sum\", from = [\"tou-register-1\", \"tou-register-2\"] }",
    },
    StepKind {
        word: "hold",
        keys: &["by"],
        about: "Who holds a future-dated request until its time: the DCC, or the S1SP",
        example: "{ request = \"6.11\", do = \"hold\", by = \"s1sp\" }",
    },
    StepKind {
        word: "insert",
        keys: &["item", "place"],
        about: "One more supporting read, whose failure does not fail the request",
        example: "{ request = \"4.8.1\", do = \"insert\", item = \"clock\", place = \"first\" }",
    },
    StepKind {
        word: "map",
        keys: &["item", "log", "numerator", "denominator", "unit"],
        about: "Values are multiplied by a fraction, rounded towards zero, and may get another unit",
        example: "{ request = \"4.8.1\", do = \"map\", log = \"active-import\", numerator = 1, denominator = 2 }",
    },
    StepKind {
        word: "partial",
        keys: &["item", "log", "act"],
        about: "The request succeeds also when this step does not; the step's failure stands in the debug entries",
        example: "{ request = \"4.1.1\", do = \"partial\", item = \"reactive-import\" }",
    },
    StepKind {
        word: "refuse",
        keys: &["item", "log", "act", "reason"],
        about: "The S1SP refuses the whole request, or one step of it, without asking the device",
        example: "{ request = \"7.2\", do = \"refuse\", reason = \"not on this firmware\" }",
    },
    StepKind {
        word: "reorder",
        keys: &["item", "log", "act", "place"],
        about: "A step is done before or after all others",
        example: "{ request = \"7.4\", do = \"reorder\", item = \"battery-remaining\", place = \"first\" }",
    },
    StepKind {
        word: "replace",
        keys: &["item", "log", "act", "by"],
        about: "A read is replaced by another read of the same request, or enabling the supply by arming it",
        example: "{ request = \"7.1\", do = \"replace\", act = \"enable-supply\", by = \"arm-supply\" }",
    },
    StepKind {
        word: "skip",
        keys: &["item", "log"],
        about: "A read is left out",
        example: "{ request = \"4.1.1\", do = \"skip\", item = \"reactive-import\" }",
    },
];

/// Reads one step rule.
pub(crate) fn read(source: &SourceText<'_>, table: &DeTable<'_>, place: Place) -> Result<(Srv, S1spEffect), FileError> {
    let mut all: Vec<&str> = STEP_KINDS.iter().flat_map(|kind| kind.keys).copied().collect();
    all.extend(["request", "do"]);
    let section = Section::new(source, table, place.clone(), "step", &all)?;
    let word = section.text("do", 30)?;
    let kind = STEP_KINDS.iter().find(|kind| kind.word == word).ok_or_else(|| {
        section
            .place_of("do")
            .unknown("kind of step rule", &word, STEP_KINDS.iter().map(|kind| kind.word))
    })?;
    let known = [&["request", "do"], kind.keys].concat();
    let section = Section::new(source, table, place, format!("a {word} step"), &known)?;
    let effect = effect(&section, kind.word)?;
    Ok((section.parse("request")?, effect))
}

fn effect(section: &Section<'_, '_>, word: &str) -> Result<S1spEffect, FileError> {
    Ok(match word {
        "accept" => S1spEffect::Accept {
            state: chosen(section, "state", &STATES)?,
        },
        "answer" => {
            let item = item(section)?;
            S1spEffect::Answer {
                item,
                value: value(section, item)?,
            }
        }
        "cache" => S1spEffect::Cache {
            subject: subject(section)?,
            max_age: SimDuration::from_secs(within(section, "max_age_s", 1, 31_536_000)?),
        },
        "clip" => clip(section)?,
        "continue" => S1spEffect::Continue,
        "derive" => derive(section)?,
        "hold" => S1spEffect::Hold {
            by: chosen(section, "by", &[("dcc", Holder::Dcc), ("s1sp", Holder::S1sp)])?,
        },
        "insert" => insert(section)?,
        "map" => map(section)?,
        "partial" => S1spEffect::Partial {
            subject: subject(section)?,
        },
        "refuse" => S1spEffect::Refuse {
            subject: optional_subject(section)?,
            reason: section.text("reason", 250)?,
        },
        "reorder" => S1spEffect::Reorder {
            subject: subject(section)?,
            place: place_in_plan(section)?,
        },
        "replace" => replace(section)?,
        _ => S1spEffect::Skip {
            subject: subject(section)?,
        },
    })
}

fn insert(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let item = item(section)?;
    if !SUPPORTING_READS.contains(&item) {
        let known: Vec<_> = SUPPORTING_READS.iter().map(|item| item.key()).collect();
        return Err(section
            .place_of("item")
            .error(format!("only a supporting read can be inserted: {}", known.join(", "))));
    }
    Ok(S1spEffect::Insert {
        item,
        place: place_in_plan(section)?,
    })
}

fn place_in_plan(section: &Section<'_, '_>) -> Result<StepPlace, FileError> {
    chosen(
        section,
        "place",
        &[("first", StepPlace::First), ("last", StepPlace::Last)],
    )
}

fn clip(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let bound = |key: &str| match section.scalar(key)? {
        None => Ok(None),
        Some(_) => section.number(key).map(Some),
    };
    let (min, max) = (bound("min")?, bound("max")?);
    if min.is_none() && max.is_none() {
        return Err(section.place.error("a clip step has \"min\", \"max\" or both"));
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(section.place_of("min").error(format!("min {min} is above max {max}")));
    }
    Ok(S1spEffect::Clip {
        subject: subject(section)?,
        min,
        max,
    })
}

fn derive(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let mut from = Vec::new();
    for name in section.texts("from")? {
        from.push(item_of(section, "from", &name)?);
    }
    if !(1..=48).contains(&from.len()) {
        return Err(section.place_of("from").error("\"from\" takes 1 to 48 items"));
    }
    let item = item(section)?;
    if from.contains(&item) {
        return Err(section
            .place_of("from")
            .error(format!("{} cannot be derived from itself", item.key())));
    }
    Ok(S1spEffect::Derive {
        item,
        how: chosen(
            section,
            "how",
            &[("difference", Derivation::Difference), ("sum", Derivation::Sum)],
        )?,
        from,
    })
}

fn map(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let (numerator, denominator) = (section.number("numerator")?, section.number("denominator")?);
    let range = 1..=1_000_000;
    if !range.contains(&numerator.abs()) || !range.contains(&denominator) {
        return Err(section
            .place
            .error("numerator and denominator are 1 to 1000000, the numerator may be negative"));
    }
    let unit = match section.scalar("unit")? {
        None => None,
        Some(_) => Some(chosen(section, "unit", &UNITS)?),
    };
    Ok(S1spEffect::Map {
        subject: subject(section)?,
        numerator,
        denominator,
        unit,
    })
}

fn replace(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let subject = subject(section)?;
    let name = section.text("by", 40)?;
    let by = match subject {
        Subject::Item(_) => Subject::Item(item_of(section, "by", &name)?),
        Subject::Log(_) => Subject::Log(log_of(section, "by", &name)?),
        Subject::Act(_) => Subject::Act(act_of(section, "by", &name)?),
    };
    // An act may only become a weaker one: a rule must never be the reason for doing more than was asked.
    let weaker = match (subject, by) {
        (Subject::Act(act), Subject::Act(by)) => (act, by) == (OperationKind::EnableSupply, OperationKind::ArmSupply),
        _ => subject != by,
    };
    if !weaker {
        return Err(section.place_of("by").error(
            "a read is replaced by another read, and of the acts only enable-supply by arm-supply: never by more than was asked",
        ));
    }
    Ok(S1spEffect::Replace { subject, by })
}

/// One of a few words under a key.
fn chosen<T: Copy>(section: &Section<'_, '_>, key: &str, words: &[(&str, T)]) -> Result<T, FileError> {
    let text = section.text(key, 40)?;
    let known = words.iter().map(|(word, _)| *word);
    let found = words.iter().find(|(word, _)| *word == text);
    found
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| section.place_of(key).unknown(key, &text, known))
}

/// A whole number within a range.
fn within(section: &Section<'_, '_>, key: &str, low: i64, high: i64) -> Result<u64, FileError> {
    let number = section.number(key)?;
    u64::try_from(number)
        .ok()
        .filter(|_| (low..=high).contains(&number))
        .ok_or_else(|| {
            section
                .place_of(key)
                .error(format!("{key:?} takes {low} to {high}, not {number}"))
        })
}

fn subject(section: &Section<'_, '_>) -> Result<Subject, FileError> {
    optional_subject(section)?.ok_or_else(|| {
        section
            .place
            .error("a step rule is about one \"item\", one \"log\" or one \"act\"")
    })
}

fn optional_subject(section: &Section<'_, '_>) -> Result<Option<Subject>, FileError> {
    match (section.scalar("item")?, section.scalar("log")?, section.scalar("act")?) {
        (None, None, None) => Ok(None),
        (Some(_), None, None) => Ok(Some(Subject::Item(item(section)?))),
        (None, Some(_), None) => {
            let name = section.text("log", 40)?;
            Ok(Some(Subject::Log(log_of(section, "log", &name)?)))
        }
        (None, None, Some(_)) => {
            let name = section.text("act", 40)?;
            Ok(Some(Subject::Act(act_of(section, "act", &name)?)))
        }
        _ => Err(section
            .place
            .error("a step rule is about one \"item\", one \"log\" or one \"act\", not about several")),
    }
}

fn item(section: &Section<'_, '_>) -> Result<DataItem, FileError> {
    let name = section.text("item", 40)?;
    item_of(section, "item", &name)
}

fn item_of(section: &Section<'_, '_>, key: &str, name: &str) -> Result<DataItem, FileError> {
    let known = || DataItem::every().map(DataItem::key);
    item_by_name(name).ok_or_else(|| unknown(section, key, "item", name, known()))
}

fn log_of(section: &Section<'_, '_>, key: &str, name: &str) -> Result<LogKind, FileError> {
    let known = || LogKind::ALL.iter().map(|log| log.key());
    log_by_name(name).ok_or_else(|| unknown(section, key, "log", name, known()))
}

fn act_of(section: &Section<'_, '_>, key: &str, name: &str) -> Result<OperationKind, FileError> {
    act_by_name(name).ok_or_else(|| unknown(section, key, "act", name, act_names()))
}

fn unknown(
    section: &Section<'_, '_>,
    key: &str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = String>,
) -> FileError {
    let known: Vec<String> = known.collect();
    section
        .place_of(key)
        .unknown(what, name, known.iter().map(String::as_str))
}

/// The value of an item as a file writes it: a number in the item's unit, a flag, a state or a text.
fn value(section: &Section<'_, '_>, item: DataItem) -> Result<Value, FileError> {
    let wrong = |what: &str| {
        section
            .place_of("value")
            .error(format!("the value of {} is {what}", item.key()))
    };
    let scalar = section.scalar("value")?.ok_or_else(|| section.missing("value"))?;
    match (item, scalar) {
        (DataItem::Clock | DataItem::DeviceLog, _) => Err(section
            .place
            .error(format!("{} cannot be answered by a rule", item.key()))),
        (DataItem::SuspendDebtDisabled | DataItem::SuspendDebtEmergency, Scalar::Flag(flag)) => Ok(Value::Flag(flag)),
        (DataItem::SuspendDebtDisabled | DataItem::SuspendDebtEmergency, _) => Err(wrong("true or false")),
        (DataItem::SupplyState, Scalar::Text(text)) => STATES
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, state)| Value::Supply(*state))
            .ok_or_else(|| wrong("\"armed\", \"disabled\" or \"enabled\"")),
        (DataItem::PaymentMode, Scalar::Text(text)) => match text.as_str() {
            "credit" => Ok(Value::PaymentMode(PaymentMode::Credit)),
            "prepayment" => Ok(Value::PaymentMode(PaymentMode::Prepayment)),
            _ => Err(wrong("\"credit\" or \"prepayment\"")),
        },
        (DataItem::SupplyState | DataItem::PaymentMode, _) => Err(wrong("a text")),
        (DataItem::FirmwareVersion, Scalar::Text(text)) if text.chars().count() <= 8 => Ok(Value::Text(text)),
        (DataItem::FirmwareVersion, _) => Err(wrong("a text of at most 8 characters")),
        (_, Scalar::Number(number)) => unit_of(item)
            .map(|unit| Value::Quantity(Quantity::new(number, unit)))
            .ok_or_else(|| wrong("not a number")),
        _ => Err(wrong("a whole number in its unit")),
    }
}

/// The unit in which an item is stated; `None` for items that are no quantities, and for those whose unit depends on
/// the device.
#[must_use]
pub(crate) fn unit_of(item: DataItem) -> Option<Unit> {
    use DataItem as I;
    match item {
        I::ActiveExport | I::ActiveImport | I::SecondaryActiveImport => Some(Unit::WattHour),
        I::ReactiveExport | I::ReactiveImport => Some(Unit::VarHour),
        I::GasConsumption => Some(Unit::Litre),
        I::BatteryRemaining => Some(Unit::Count),
        I::DebtRecoveryPerPayment => Some(Unit::HundredthPercent),
        I::BlockRegister(_) | I::TouRegister(_) => None,
        I::Clock | I::DeviceLog | I::FirmwareVersion | I::PaymentMode | I::SupplyState => None,
        I::SuspendDebtDisabled | I::SuspendDebtEmergency => None,
        _ => Some(Unit::MilliPence),
    }
}

const STATES: [(&str, SupplyState); 3] = [
    ("armed", SupplyState::Armed),
    ("disabled", SupplyState::Disabled),
    ("enabled", SupplyState::Enabled),
];

const UNITS: [(&str, Unit); 6] = [
    ("count", Unit::Count),
    ("litre", Unit::Litre),
    ("milli-pence", Unit::MilliPence),
    ("var-hour", Unit::VarHour),
    ("watt", Unit::Watt),
    ("watt-hour", Unit::WattHour),
];

/// Whether two step rules are about the same thing, so that only one can hold.
pub(crate) fn collide(a: &S1spEffect, b: &S1spEffect) -> bool {
    use S1spEffect as E;
    if std::mem::discriminant(a) == std::mem::discriminant(b) {
        return match (a, b) {
            (E::Accept { state: a }, E::Accept { state: b }) => a == b,
            (E::Insert { item: a, .. }, E::Insert { item: b, .. }) => a == b,
            (E::Refuse { subject: a, .. }, E::Refuse { subject: b, .. }) => a == b,
            _ => a.subject() == b.subject(),
        };
    }
    // These say what becomes of a step as a whole: two of them leave open which one does.
    let decides = |effect: &E| match effect {
        E::Answer { .. }
        | E::Derive { .. }
        | E::Replace { .. }
        | E::Skip { .. }
        | E::Refuse { subject: Some(_), .. } => effect.subject(),
        // What is left out has nothing left to be mapped, clipped or kept.
        E::Cache { .. } | E::Clip { .. } | E::Map { .. } => None,
        _ => None,
    };
    let both = decides(a).is_some() && decides(a) == decides(b);
    let left_out = |gone: &E, other: &E| {
        matches!(
            gone,
            E::Answer { .. } | E::Skip { .. } | E::Refuse { subject: Some(_), .. }
        ) && matches!(
            other,
            E::Cache { .. } | E::Clip { .. } | E::Map { .. } | E::Partial { .. } | E::Reorder { .. }
        ) && gone.subject() == other.subject()
    };
    both || left_out(a, b) || left_out(b, a)
}
