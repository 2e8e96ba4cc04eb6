//! Values and refusals as COSEM data and result codes, both ways.

use cosem::{AccessResult, Data, DateTime, write};
use domain::operation::{ClockStatus, ImageFault, KnownDevice, PaymentMode};
use domain::{Eui64, Quantity, Refusal, SimInstant, SupplyState, Value};

use super::objects::Shape;
use super::time::{from_wire, to_wire};
use crate::compact::{kind_code, kind_of};
use crate::{FaceError, FaceProfile};

/// Control states of a disconnect control.
const DISCONNECTED: u8 = 0;
const CONNECTED: u8 = 1;
const READY: u8 = 2;

/// Appends a value in the shape of its attribute.
///
/// # Errors
/// Another kind of value than the shape takes: the device gave back something it should not.
pub(crate) fn encode(value: &Value, shape: Shape, face: &FaceProfile, out: &mut Vec<u8>) -> Result<(), AccessResult> {
    match (shape, value) {
        (Shape::Clock, Value::Clock(at, status)) => {
            write::octet_string(out, &to_wire(*at, clock_bits(*status), face));
        }
        (Shape::Devices, Value::Devices(devices)) => {
            write::array(out, devices.len());
            for known in devices {
                write::structure(out, 3);
                write::octet_string(out, &known.device.to_bytes());
                write::enumerated(out, kind_code(known.kind));
                match known.last_heard {
                    Some(at) => write::octet_string(out, &to_wire(at, 0, face)),
                    None => write::null(out),
                }
            }
        }
        (Shape::Flag, Value::Flag(flag)) => write::boolean(out, *flag),
        (Shape::Number(_), Value::Quantity(quantity)) => write::i64(out, quantity.value),
        (Shape::Payment, Value::PaymentMode(mode)) => {
            write::structure(out, 2);
            write::enumerated(out, if *mode == PaymentMode::Credit { 1 } else { 2 });
            // Account status: active.
            write::enumerated(out, 2);
        }
        (Shape::Register(..), Value::Quantity(quantity)) => register(out, quantity.value),
        (Shape::Supply, Value::Supply(state)) => write::enumerated(out, supply_code(*state)),
        (Shape::Text, Value::Text(text)) => write::octet_string(out, text.as_bytes()),
        _ => return Err(AccessResult::OTHER_REASON),
    }
    Ok(())
}

/// The value of an attribute's data.
///
/// # Errors
/// [`FaceError::Malformed`] for data of another shape.
pub(crate) fn decode(data: &Data, shape: Shape, face: &FaceProfile) -> Result<Value, FaceError> {
    let wrong = || FaceError::Malformed(format!("a value that is no {shape:?}"));
    Ok(match shape {
        Shape::Clock => {
            let (at, status) = data
                .as_octets()
                .and_then(|octets| from_wire(octets, face))
                .ok_or_else(wrong)?;
            Value::Clock(at, clock_status(status))
        }
        Shape::Devices => {
            let list = data.as_list().ok_or_else(wrong)?;
            Value::Devices(
                list.iter()
                    .map(|each| known(each, face))
                    .collect::<Option<_>>()
                    .ok_or_else(wrong)?,
            )
        }
        Shape::Flag => match data {
            Data::Boolean(flag) => Value::Flag(*flag),
            _ => return Err(wrong()),
        },
        Shape::Number(unit) | Shape::Register(unit, ..) => {
            Value::Quantity(Quantity::new(data.as_i64().ok_or_else(wrong)?, unit))
        }
        Shape::Payment => match data.as_list() {
            Some([Data::Enum(1), _]) => Value::PaymentMode(PaymentMode::Credit),
            Some([Data::Enum(2), _]) => Value::PaymentMode(PaymentMode::Prepayment),
            _ => return Err(wrong()),
        },
        Shape::Supply => Value::Supply(match data {
            Data::Enum(DISCONNECTED) => SupplyState::Disabled,
            Data::Enum(CONNECTED) => SupplyState::Enabled,
            Data::Enum(READY) => SupplyState::Armed,
            _ => return Err(wrong()),
        }),
        Shape::Text => Value::Text(
            String::from_utf8_lossy(data.as_octets().ok_or_else(wrong)?)
                .chars()
                .take(250)
                .collect(),
        ),
    })
}

/// A register's value: double-long-unsigned, and a longer type only where that cannot hold it.
pub(crate) fn register(out: &mut Vec<u8>, value: i64) {
    match (u32::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => write::u32(out, value),
        (_, Ok(value)) => write::u64(out, value),
        _ => write::i64(out, value),
    }
}

fn known(data: &Data, face: &FaceProfile) -> Option<KnownDevice> {
    let Data::Structure(parts) = data else { return None };
    let [Data::OctetString(device), Data::Enum(kind), heard] = parts.as_slice() else {
        return None;
    };
    let last_heard: Option<SimInstant> = match heard {
        Data::Null => None,
        heard => Some(from_wire(heard.as_octets()?, face)?.0),
    };
    Some(KnownDevice {
        device: Eui64::from_bytes(device.as_slice().try_into().ok()?),
        kind: kind_of(*kind)?,
        last_heard,
    })
}

fn clock_bits(status: ClockStatus) -> u8 {
    match status {
        ClockStatus::Reliable => 0,
        ClockStatus::Unreliable => DateTime::DOUBTFUL,
        ClockStatus::Invalid => DateTime::INVALID,
    }
}

fn clock_status(bits: u8) -> ClockStatus {
    if bits & DateTime::INVALID != 0 {
        ClockStatus::Invalid
    } else if bits & DateTime::DOUBTFUL != 0 {
        ClockStatus::Unreliable
    } else {
        ClockStatus::Reliable
    }
}

fn supply_code(state: SupplyState) -> u8 {
    match state {
        SupplyState::Disabled => DISCONNECTED,
        SupplyState::Armed => READY,
        SupplyState::Enabled => CONNECTED,
    }
}

/// The code that stands for a refusal. What was wrong with an approval is told by the approval object.
pub(crate) fn refusal_code(refusal: &Refusal) -> AccessResult {
    match refusal {
        Refusal::Approval(_) | Refusal::NotPermitted => AccessResult::ReadWriteDenied,
        Refusal::Busy => AccessResult::TemporaryFailure,
        Refusal::HardwareFault => AccessResult::HardwareFault,
        Refusal::NotSupported => AccessResult::ObjectUndefined,
        // What no repetition would change.
        Refusal::OutOfRange | Refusal::Image(ImageFault::Block | ImageFault::NotForThisDevice) => {
            AccessResult::ScopeViolated
        }
        Refusal::Unreachable => AccessResult::ObjectUnavailable,
        _ => AccessResult::OTHER_REASON,
    }
}

/// The refusal that a code stands for.
pub(crate) fn refusal(code: AccessResult) -> Refusal {
    match code {
        AccessResult::HardwareFault => Refusal::HardwareFault,
        AccessResult::ReadWriteDenied => Refusal::NotPermitted,
        AccessResult::ObjectUndefined | AccessResult::ClassInconsistent => Refusal::NotSupported,
        AccessResult::ObjectUnavailable => Refusal::Unreachable,
        AccessResult::ScopeViolated | AccessResult::TypeUnmatched => Refusal::OutOfRange,
        AccessResult::Other(_) => Refusal::WrongState,
        _ => Refusal::Busy,
    }
}
