//! Rules of the S1SP's side as files state them: `step = { request = "4.1.1", do = "skip", item = "reactive-import" }`.

use domain::operation::{PaymentMode, Quantity, Unit};
use domain::{DataItem, LogKind, Srv, SupplyState, Value};
use toml::de::DeTable;

use crate::error::{FileError, Place};
use crate::profile::{S1spEffect, SUPPORTING_READS, StepPlace, Subject};
use crate::section::{Scalar, Section, SourceText};

const KINDS: [(&str, &[&str]); 5] = [
    ("answer", &["item", "value"]),
    ("insert", &["item", "place"]),
    ("map", &["item", "log", "numerator", "denominator"]),
    ("refuse", &["reason"]),
    ("skip", &["item", "log"]),
];

/// Reads one step rule.
pub(crate) fn read(source: &SourceText<'_>, table: &DeTable<'_>, place: Place) -> Result<(Srv, S1spEffect), FileError> {
    let all = [
        "request",
        "do",
        "item",
        "log",
        "value",
        "place",
        "numerator",
        "denominator",
        "reason",
    ];
    let section = Section::new(source, table, place.clone(), "step", &all)?;
    let kind = section.text("do", 30)?;
    let (_, own) = KINDS.iter().find(|(word, _)| *word == kind).ok_or_else(|| {
        section
            .place_of("do")
            .unknown("kind of step rule", &kind, KINDS.iter().map(|(word, _)| *word))
    })?;
    let section = Section::new(
        source,
        table,
        place,
        format!("a {kind} step"),
        &[&["request", "do"], *own].concat(),
    )?;
    let effect = match kind.as_str() {
        "answer" => {
            let item = item(&section)?;
            S1spEffect::Answer {
                item,
                value: value(&section, item)?,
            }
        }
        "insert" => insert(&section)?,
        "map" => map(&section)?,
        "refuse" => S1spEffect::Refuse {
            reason: section.text("reason", 250)?,
        },
        _ => S1spEffect::Skip {
            subject: subject(&section)?,
        },
    };
    Ok((section.parse("request")?, effect))
}

fn insert(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let item = item(section)?;
    if !SUPPORTING_READS.contains(&item) {
        let known: Vec<_> = SUPPORTING_READS.iter().map(|item| item_name(*item)).collect();
        return Err(section
            .place_of("item")
            .error(format!("only a supporting read can be inserted: {}", known.join(", "))));
    }
    let place = match section.text("place", 10)?.as_str() {
        "first" => StepPlace::First,
        "last" => StepPlace::Last,
        other => return Err(section.place_of("place").unknown("place", other, ["first", "last"])),
    };
    Ok(S1spEffect::Insert { item, place })
}

fn map(section: &Section<'_, '_>) -> Result<S1spEffect, FileError> {
    let (numerator, denominator) = (section.number("numerator")?, section.number("denominator")?);
    let range = 1..=1_000_000;
    if !range.contains(&numerator.abs()) || !range.contains(&denominator) {
        return Err(section
            .place
            .error("numerator and denominator are 1 to 1000000, the numerator may be negative"));
    }
    Ok(S1spEffect::Map {
        subject: subject(section)?,
        numerator,
        denominator,
    })
}

fn subject(section: &Section<'_, '_>) -> Result<Subject, FileError> {
    match (section.scalar("item")?, section.scalar("log")?) {
        (Some(_), None) => Ok(Subject::Item(item(section)?)),
        (None, Some(_)) => log(section).map(Subject::Log),
        _ => Err(section.place.error("a step rule is about one \"item\" or one \"log\"")),
    }
}

fn item(section: &Section<'_, '_>) -> Result<DataItem, FileError> {
    let name = section.text("item", 40)?;
    item_by_name(&name).ok_or_else(|| {
        let names: Vec<String> = DataItem::every().map(item_name).collect();
        section
            .place_of("item")
            .unknown("item", &name, names.iter().map(String::as_str))
    })
}

fn log(section: &Section<'_, '_>) -> Result<LogKind, FileError> {
    let name = section.text("log", 40)?;
    let known: Vec<String> = LogKind::ALL.iter().map(|log| log.key()).collect();
    log_by_name(&name).ok_or_else(|| {
        section
            .place_of("log")
            .unknown("log", &name, known.iter().map(String::as_str))
    })
}

/// The value of an item as a file writes it: a number in the item's unit, a flag, a state or a text.
fn value(section: &Section<'_, '_>, item: DataItem) -> Result<Value, FileError> {
    let wrong = |what: &str| {
        section
            .place_of("value")
            .error(format!("the value of {} is {what}", item_name(item)))
    };
    let scalar = section.scalar("value")?.ok_or_else(|| section.missing("value"))?;
    match (item, scalar) {
        (DataItem::Clock | DataItem::DeviceLog, _) => Err(section
            .place
            .error(format!("{} cannot be answered by a rule", item_name(item)))),
        (DataItem::SuspendDebtDisabled | DataItem::SuspendDebtEmergency, Scalar::Flag(flag)) => Ok(Value::Flag(flag)),
        (DataItem::SuspendDebtDisabled | DataItem::SuspendDebtEmergency, _) => Err(wrong("true or false")),
        (DataItem::SupplyState, Scalar::Text(text)) => {
            let states = [SupplyState::Armed, SupplyState::Disabled, SupplyState::Enabled];
            let found = states
                .into_iter()
                .find(|state| format!("{state:?}").eq_ignore_ascii_case(&text));
            found
                .map(Value::Supply)
                .ok_or_else(|| wrong("\"armed\", \"disabled\" or \"enabled\""))
        }
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

/// The log of this name: `active-import`.
#[must_use]
pub fn log_by_name(name: &str) -> Option<LogKind> {
    LogKind::ALL.iter().copied().find(|log| log.key() == name)
}

/// The name files use: `reactive-import`, `time-debt-1`.
#[must_use]
pub fn item_name(item: DataItem) -> String {
    item.key()
}

/// The item of this name, the inverse of [`item_name`].
#[must_use]
pub fn item_by_name(name: &str) -> Option<DataItem> {
    DataItem::every().find(|item| item.key() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_in_words_with_hyphens() {
        assert_eq!(item_name(DataItem::ReactiveImport), "reactive-import");
        assert_eq!(item_name(DataItem::TimeDebt(2)), "time-debt-2");
        assert!(DataItem::every().all(|item| item_by_name(&item_name(item)) == Some(item)));
        assert_eq!(item_by_name("tou-register-49"), None);
    }
}
