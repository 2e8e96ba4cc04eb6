//! Outcomes in words, as scripts, differences and goldens have them.

use domain::operation::{Answer, ClockStatus, Outcome, PaymentMode, Quantity, SupplyState, Unit, Value};

/// A number with its unit.
#[must_use]
pub fn quantity_words(quantity: Quantity) -> String {
    let unit = match quantity.unit {
        Unit::Count => "",
        Unit::Litre => " l",
        Unit::MilliPence => " mp",
        Unit::Minute => " min",
        Unit::HundredthPercent => " %%",
        Unit::VarHour => " varh",
        Unit::Watt => " W",
        Unit::WattHour => " Wh",
    };
    format!("{}{unit}", quantity.value)
}

/// A value of a device.
#[must_use]
pub fn value_words(value: &Value) -> String {
    match value {
        Value::Clock(at, status) => {
            let status = match status {
                ClockStatus::Reliable => "reliable",
                ClockStatus::Unreliable => "unreliable",
                ClockStatus::Invalid => "invalid",
            };
            format!("{at} {status}")
        }
        Value::Devices(devices) => {
            let kinds: Vec<&str> = devices.iter().map(|known| known.kind.as_str()).collect();
            format!("{} devices: {}", kinds.len(), kinds.join(", "))
        }
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::PaymentMode(PaymentMode::Credit) => "credit".to_owned(),
        Value::PaymentMode(PaymentMode::Prepayment) => "prepayment".to_owned(),
        Value::Quantity(quantity) => quantity_words(*quantity),
        Value::Stamped(quantity, at) => format!("{} at {at}", quantity_words(*quantity)),
        Value::Supply(SupplyState::Armed) => "armed".to_owned(),
        Value::Supply(SupplyState::Disabled) => "disabled".to_owned(),
        Value::Supply(SupplyState::Enabled) => "enabled".to_owned(),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// What became of an operation.
#[must_use]
pub fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Ok(Answer::Done) => "done".to_owned(),
        Ok(Answer::Value(value)) => value_words(value),
        Ok(Answer::Log(rows)) => format!("{} rows", rows.len()),
        Err(refusal) => format!("refused: {refusal}"),
    }
}
