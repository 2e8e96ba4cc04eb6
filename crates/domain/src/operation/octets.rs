//! The one compact form of operations, outcomes and their parts where the octets are ours: what a sleeping device's queue
//! carries, what families without a public protocol carry, what journals keep.
//!
//! Numbers are of variable length, enumerations numbered in their order. Reading takes exactly one value and nothing
//! after it, allocates no more than the octets at hand can fill, and refuses what is too deep or too long by itself.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ImageHash, Octets, Operation, Outcome};
use crate::Eui64;

/// Most octets that are read as one value.
pub const OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Octets that are not exactly one value of the kind expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these {len} octets are not one {what}")]
pub struct NotOne {
    /// What was expected.
    pub what: &'static str,
    /// How many octets there were.
    pub len: usize,
}

/// The octets of an operation.
#[must_use]
pub fn of_operation(operation: &Operation) -> Vec<u8> {
    write(operation)
}

/// The operation of octets that are exactly one.
///
/// # Errors
/// [`NotOne`].
pub fn operation(octets: &[u8]) -> Result<Operation, NotOne> {
    read(octets, "operation")
}

/// The octets of an outcome.
#[must_use]
pub fn of_outcome(outcome: &Outcome) -> Vec<u8> {
    write(outcome)
}

/// The outcome of octets that are exactly one.
///
/// # Errors
/// [`NotOne`].
pub fn outcome(octets: &[u8]) -> Result<Outcome, NotOne> {
    read(octets, "outcome")
}

/// The octets of any part of the operation model.
///
/// # Panics
/// Never for types of this module: writing into memory cannot fail, and no map of theirs has an unknown length.
#[must_use]
pub fn write<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a value of the operation model has a form in octets")
}

/// The value of octets that are exactly one.
///
/// # Errors
/// [`NotOne`].
pub fn read<T: DeserializeOwned>(octets: &[u8], what: &'static str) -> Result<T, NotOne> {
    let wrong = || NotOne {
        what,
        len: octets.len(),
    };
    if octets.len() > OCTETS_MAX {
        return Err(wrong());
    }
    match postcard::take_from_bytes(octets) {
        Ok((value, [])) => Ok(value),
        _ => Err(wrong()),
    }
}

/// Text with the names of everything, which does not change with the order of a list.
pub(super) fn canonical(operation: &Operation) -> Vec<u8> {
    serde_json::to_vec(operation).expect("an operation has a form in names")
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            of_hex(&text)
                .map(Self)
                .ok_or_else(|| D::Error::custom("expected pairs of hexadecimal digits"))
        } else {
            // A sequence of single octets has the same form as a string of octets.
            Vec::<u8>::deserialize(deserializer).map(Self)
        }
    }
}

impl Serialize for ImageHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex(&self.0))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ImageHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if !deserializer.is_human_readable() {
            return <[u8; 32]>::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let octets = of_hex(&text).and_then(|octets| octets.try_into().ok());
        octets
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl Serialize for Eui64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Eui64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets
        .iter()
        .fold(String::with_capacity(2 * octets.len()), |mut text, octet| {
            let _ = write!(text, "{octet:02X}");
            text
        })
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{
        Answer, ApprovalFault, DataItem, HanEntry, ImageHash, LoadLimit, LogKind, LogRow, OperationKind, Prices,
        Quantity, Refusal, Setting, Token, Unit, Value,
    };
    use crate::{DeviceKind, SimInstant};
    use proptest::prelude::*;

    fn operations() -> Vec<Operation> {
        vec![
            Operation::ArmSupply,
            Operation::Read(DataItem::TimeDebt(2)),
            Operation::ReadLog {
                log: LogKind::Network,
                from: SimInstant(-5),
                to: SimInstant(i64::MAX),
            },
            Operation::SynchroniseClock {
                time: SimInstant(1),
                tolerance_s: 10,
            },
            Operation::Write(Box::new(Setting::LoadLimit(LoadLimit {
                threshold_w: 9000,
                ..LoadLimit::default()
            }))),
            Operation::Write(Box::new(Setting::Prices(Prices {
                tou_mp: vec![Some(12_345), None],
                ..Prices::default()
            }))),
            Operation::EnterToken(Token("73946144332040217315".into())),
            Operation::ImageBlock {
                number: 3,
                octets: Octets(vec![0, 255, 7]),
            },
            Operation::ActivateImage {
                hash: ImageHash([9; 32]),
            },
            Operation::AddToHan(Box::new(HanEntry {
                device: Eui64(7),
                kind: Some(DeviceKind::Ppmid),
                install_code: Octets(vec![1; 8]),
                join_within_s: 60,
            })),
        ]
    }

    #[test]
    fn operations_read_as_they_write_in_octets_and_in_names() {
        for operation in operations() {
            let octets = of_operation(&operation);
            assert_eq!(super::operation(&octets), Ok(operation.clone()));
            let text = String::from_utf8(operation.canonical_bytes()).expect("text");
            assert_eq!(
                serde_json::from_str::<Operation>(&text).expect("reads"),
                operation,
                "{text}"
            );
            assert_eq!(
                operation.kind().to_string().parse::<OperationKind>(),
                Ok(operation.kind())
            );
            for end in 0..octets.len() {
                assert!(super::operation(&octets[..end]).is_err(), "{operation} cut at {end}");
            }
            assert!(
                super::operation(&[octets.as_slice(), &[0]].concat()).is_err(),
                "a surplus octet"
            );
        }
    }

    #[test]
    fn rows_stay_small() {
        let row = LogRow {
            at: SimInstant(1_600_000_000_000),
            values: vec![(DataItem::ActiveImport, Quantity::new(250, Unit::WattHour))],
            code: None,
        };
        let rows = of_outcome(&Ok(Answer::Log(vec![row; 1000])));
        assert!(rows.len() < 14_000, "{}", rows.len());
    }

    #[test]
    fn refusals_keep_their_detail() {
        for refusal in [Refusal::Busy, Refusal::Approval(ApprovalFault::Stale)] {
            let outcome: Outcome = Err(refusal);
            assert_eq!(super::outcome(&of_outcome(&outcome)), Ok(outcome));
        }
        let outcome: Outcome = Ok(Answer::Value(Value::Text("x".into())));
        assert_eq!(super::outcome(&of_outcome(&outcome)), Ok(outcome));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_calmly(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = operation(&octets);
            if let Ok(outcome) = outcome(&octets) {
                let again = of_outcome(&outcome);
                prop_assert_eq!(super::outcome(&again), Ok(outcome));
            }
        }
    }
}
