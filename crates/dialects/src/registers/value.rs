//! Typed values of registers, and date-times.

use cosem::codec::Reader;
use domain::operation::{ClockStatus, PaymentMode};
use domain::time::london;
use domain::{Quantity, SimDuration, SimInstant, SupplyState, Unit, Value};

use crate::{FaceProfile, TimeForm};

const HOUR: SimDuration = SimDuration::from_hours(1);

/// How a value stands in its register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Form {
    /// `C`: clock status: 0 reliable, 1 unreliable, 2 invalid.
    ClockStatus,
    /// `T`.
    DateTime,
    /// `D`: a whole number of the unit.
    Double(Unit),
    /// `B`.
    Flag,
    /// `F`: a whole number of the unit.
    Float(Unit),
    /// `L`: of the unit.
    Long(Unit),
    /// `V`: of the unit.
    LongLong(Unit),
    /// `C`: 1 credit, 2 prepayment.
    Payment,
    /// `C`: 0 disabled, 1 armed, 2 enabled.
    Supply,
    /// `A`.
    Text,
}

impl Form {
    /// The letter of its type.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::ClockStatus | Self::Payment | Self::Supply => 'C',
            Self::DateTime => 'T',
            Self::Double(_) => 'D',
            Self::Flag => 'B',
            Self::Float(_) => 'F',
            Self::Long(_) => 'L',
            Self::LongLong(_) => 'V',
            Self::Text => 'A',
        }
    }

    /// The unit of a number.
    #[must_use]
    pub fn unit(self) -> Option<Unit> {
        match self {
            Self::Double(unit) | Self::Float(unit) | Self::Long(unit) | Self::LongLong(unit) => Some(unit),
            _ => None,
        }
    }
}

/// The octets of a value; `None` when it does not have this form.
pub(super) fn put(value: &Value, form: Form, face: &FaceProfile) -> Option<Vec<u8>> {
    Some(match (form, value) {
        (Form::ClockStatus, Value::Clock(_, status)) => vec![match status {
            ClockStatus::Reliable => 0,
            ClockStatus::Unreliable => 1,
            ClockStatus::Invalid => 2,
        }],
        (Form::DateTime, Value::Clock(at, _)) => put_time(*at, face).to_vec(),
        (Form::Double(_), Value::Quantity(quantity)) => double(quantity.value).to_be_bytes().to_vec(),
        (Form::Flag, Value::Flag(flag)) => vec![u8::from(*flag)],
        (Form::Float(_), Value::Quantity(quantity)) => {
            #[expect(clippy::cast_possible_truncation, reason = "powers of a house are exact in a float")]
            let float = double(quantity.value) as f32;
            float.to_be_bytes().to_vec()
        }
        (Form::Long(_), Value::Quantity(quantity)) => i32::try_from(quantity.value).ok()?.to_be_bytes().to_vec(),
        (Form::LongLong(_), Value::Quantity(quantity)) => quantity.value.to_be_bytes().to_vec(),
        (Form::Payment, Value::PaymentMode(mode)) => vec![if *mode == PaymentMode::Credit { 1 } else { 2 }],
        (Form::Supply, Value::Supply(state)) => vec![supply_code(*state)],
        (Form::Text, Value::Text(text)) => {
            let mut octets = text.as_bytes().to_vec();
            octets.retain(|octet| *octet != 0);
            octets.push(0);
            octets
        }
        _ => return None,
    })
}

/// The value at the reader. A clock's status is read with [`clock_status`].
pub(super) fn take(reader: &mut Reader<'_>, form: Form, face: &FaceProfile) -> Option<Value> {
    let quantity = |value| Some(Value::Quantity(Quantity::new(value, form.unit()?)));
    match form {
        Form::ClockStatus => Some(Value::Clock(SimInstant(0), clock_status(reader.u8().ok()?)?)),
        Form::DateTime => Some(Value::Clock(
            take_time(&reader.array().ok()?, face)?,
            ClockStatus::Reliable,
        )),
        Form::Double(_) => quantity(whole(f64::from_be_bytes(reader.array().ok()?))?),
        Form::Flag => Some(Value::Flag(reader.u8().ok()? != 0)),
        Form::Float(_) => quantity(whole(f32::from_be_bytes(reader.array().ok()?).into())?),
        Form::Long(_) => quantity(i32::from_be_bytes(reader.array().ok()?).into()),
        Form::LongLong(_) => quantity(i64::from_be_bytes(reader.array().ok()?)),
        Form::Payment => Some(Value::PaymentMode(match reader.u8().ok()? {
            1 => PaymentMode::Credit,
            2 => PaymentMode::Prepayment,
            _ => return None,
        })),
        Form::Supply => supply(reader.u8().ok()?).map(Value::Supply),
        Form::Text => {
            let end = reader.rest().iter().position(|octet| *octet == 0)?;
            let text = String::from_utf8_lossy(reader.take(end).ok()?)
                .chars()
                .take(250)
                .collect();
            reader.u8().ok()?;
            Some(Value::Text(text))
        }
    }
}

pub(super) fn clock_status(code: u8) -> Option<ClockStatus> {
    Some(match code {
        0 => ClockStatus::Reliable,
        1 => ClockStatus::Unreliable,
        2 => ClockStatus::Invalid,
        _ => return None,
    })
}

pub(super) fn supply_code(state: SupplyState) -> u8 {
    match state {
        SupplyState::Disabled => 0,
        SupplyState::Armed => 1,
        SupplyState::Enabled => 2,
    }
}

pub(super) fn supply(code: u8) -> Option<SupplyState> {
    Some(match code {
        0 => SupplyState::Disabled,
        1 => SupplyState::Armed,
        2 => SupplyState::Enabled,
        _ => return None,
    })
}

/// A whole number as a double.
pub(super) fn double(value: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "registers stay far below 2^53")]
    let double = value as f64;
    double
}

/// The whole number nearest to a double; `None` for what is none, such as a value that is missing.
pub(super) fn whole(value: f64) -> Option<i64> {
    const LIMIT: f64 = 9.0e15;
    #[expect(clippy::cast_possible_truncation, reason = "within the limit it is exact")]
    let whole = value.round() as i64;
    (value.abs() <= LIMIT).then_some(whole)
}

/// Day, month, year of the century, hour, minute, second, as the profile writes times. Finer than a second is cut.
pub(super) fn put_time(at: SimInstant, face: &FaceProfile) -> [u8; 6] {
    let civil = match face.time_form {
        TimeForm::London => london(at).civil,
        TimeForm::UnspecifiedUtc | TimeForm::Utc => at.utc(),
    };
    let part = |value: i8| u8::try_from(value).unwrap_or(0);
    [
        part(civil.day()),
        part(civil.month()),
        u8::try_from(civil.year().rem_euclid(100)).unwrap_or(0),
        part(civil.hour()),
        part(civil.minute()),
        part(civil.second()),
    ]
}

/// The instant of six octets; years from 96 are of the last century. Of the doubled hour the first is meant.
pub(super) fn take_time(octets: &[u8; 6], face: &FaceProfile) -> Option<SimInstant> {
    let [day, month, year, hour, minute, second] = octets.map(|octet| i8::try_from(octet).ok());
    let year = i16::from(year?);
    let century = if year >= 96 { 1900 } else { 2000 };
    let local = SimInstant::from_utc(century + year, month?, day?, hour?, minute?, second?)?;
    Some(match face.time_form {
        TimeForm::London if london(local - HOUR).summer => local - HOUR,
        _ => local,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_round_trip_in_seconds(seconds in 820_454_400i64..4_000_000_000, utc: bool) {
            let at = SimInstant(seconds * 1000);
            let face = FaceProfile {
                time_form: if utc { TimeForm::Utc } else { TimeForm::London },
                ..FaceProfile::default()
            };
            let back = take_time(&put_time(at, &face), &face);
            // 2096 and later would be read as 1996.
            if at < SimInstant::from_utc(2096, 1, 1, 0, 0, 0).expect("an instant") {
                let doubled = !utc && back == Some(at - HOUR);
                prop_assert!(doubled || back == Some(at), "{at} {back:?}");
            }
        }

        #[test]
        fn whole_numbers_survive_doubles(value in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            prop_assert_eq!(whole(double(value)), Some(value));
        }

        #[test]
        fn any_octets_are_taken_calmly(octets: Vec<u8>) {
            for form in [Form::DateTime, Form::Double(Unit::Watt), Form::Text, Form::Supply, Form::Long(Unit::Count)] {
                let _ = take(&mut Reader::closed(&octets), form, &FaceProfile::default());
            }
        }
    }
}
