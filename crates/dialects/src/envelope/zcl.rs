//! Gas data as attributes of the ZigBee Smart Energy clusters, read with the general commands of the ZigBee Cluster
//! Library. Clusters and attribute numbers are those that GB gas data is known by; what a data item is rounded to here is
//! ours.

use cosem::codec::Reader;
use domain::operation::PaymentMode;
use domain::{DataItem, Quantity, Refusal, SupplyState, Unit, Value};

const METERING: u16 = 0x0702;
const PREPAYMENT: u16 = 0x0705;

/// Frame control of a profile-wide command without a default response.
const CONTROL: u8 = 0x10;
/// The same from a server.
const CONTROL_FROM_SERVER: u8 = 0x18;
const READ_ATTRIBUTES: u8 = 0x00;
const READ_ATTRIBUTES_RESPONSE: u8 = 0x01;

/// Status of an attribute that was read.
const SUCCESS: u8 = 0x00;

/// Types of attribute values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// 8-bit enumeration: supply status 0 off, 1 on, 2 off and armed.
    Supply = 0x30,
    /// 16-bit bitmap: bit 1 prepayment.
    PaymentControl = 0x19,
    /// Signed, 32 bits: milli-pence.
    Money = 0x2B,
    /// Unsigned, 32 bits: milli-pence.
    Limit = 0x23,
    /// Unsigned, 16 bits.
    Count = 0x21,
    /// Unsigned, 48 bits: litres.
    Summation = 0x25,
}

/// Cluster, attribute and form of an item of the gas proxy; `None` where there is no attribute.
pub(super) fn attribute(item: DataItem) -> Option<(u16, u16, Form)> {
    let after = |base: u16, step: u16, n: u8| base + step * (u16::from(n).saturating_sub(1));
    Some(match item {
        DataItem::GasConsumption => (METERING, 0x0000, Form::Summation),
        DataItem::SupplyState => (METERING, 0x0014, Form::Supply),
        DataItem::TouRegister(n) => (METERING, after(0x0100, 2, n), Form::Summation),
        DataItem::BatteryRemaining => (METERING, 0x0205, Form::Count),
        DataItem::BlockRegister(n) => (METERING, after(0x0700, 1, n), Form::Summation),
        DataItem::PaymentMode => (PREPAYMENT, 0x0000, Form::PaymentControl),
        DataItem::MeterBalance => (PREPAYMENT, 0x0001, Form::Money),
        DataItem::EmergencyCreditBalance => (PREPAYMENT, 0x0002, Form::Money),
        DataItem::AccumulatedDebt => (PREPAYMENT, 0x0005, Form::Money),
        DataItem::EmergencyCreditLimit => (PREPAYMENT, 0x0010, Form::Limit),
        DataItem::EmergencyCreditThreshold => (PREPAYMENT, 0x0011, Form::Limit),
        DataItem::MaximumMeterBalance => (PREPAYMENT, 0x0021, Form::Limit),
        DataItem::MaximumCredit => (PREPAYMENT, 0x0022, Form::Limit),
        DataItem::LowCreditThreshold => (PREPAYMENT, 0x0031, Form::Limit),
        DataItem::DisablementThreshold => (PREPAYMENT, 0x0040, Form::Money),
        DataItem::TimeDebt(1) => (PREPAYMENT, 0x0211, Form::Money),
        DataItem::TimeDebt(2) => (PREPAYMENT, 0x0221, Form::Money),
        DataItem::PaymentDebt => (PREPAYMENT, 0x0231, Form::Money),
        DataItem::DebtRecoveryPerPayment => (PREPAYMENT, 0x0239, Form::Count),
        _ => return None,
    })
}

fn item(cluster: u16, number: u16) -> Option<(DataItem, Form)> {
    DataItem::every().find_map(|item| {
        let (c, n, form) = attribute(item)?;
        ((c, n) == (cluster, number)).then_some((item, form))
    })
}

/// Cluster and frame that ask for an item; `None` where it has no attribute.
pub(super) fn ask(item: DataItem, sequence: u8) -> Option<(u16, Vec<u8>)> {
    let (cluster, number, _) = attribute(item)?;
    let [low, high] = number.to_le_bytes();
    Some((cluster, vec![CONTROL, sequence, READ_ATTRIBUTES, low, high]))
}

/// Answers a read-attributes frame; `None` when it is none. `read` gives the value of an item.
pub(super) fn answer(
    cluster: u16,
    frame: &[u8],
    mut read: impl FnMut(DataItem) -> Result<Value, Refusal>,
) -> Option<Vec<u8>> {
    let [CONTROL, sequence, READ_ATTRIBUTES, numbers @ ..] = frame else {
        return None;
    };
    if numbers.is_empty() || numbers.len() % 2 != 0 {
        return None;
    }
    let mut out = vec![CONTROL_FROM_SERVER, *sequence, READ_ATTRIBUTES_RESPONSE];
    for pair in numbers.chunks_exact(2) {
        out.extend_from_slice(pair);
        let number = u16::from_le_bytes([pair[0], pair[1]]);
        let value = match constant(cluster, number) {
            Some(octets) => Ok(octets),
            None => match item(cluster, number) {
                None => Err(Refusal::NotSupported),
                Some((item, form)) => read(item).and_then(|value| put(&value, form).ok_or(Refusal::OutOfRange)),
            },
        };
        match value {
            Ok(octets) => {
                out.push(SUCCESS);
                out.extend_from_slice(&octets);
            }
            Err(refusal) => out.push(status(&refusal)),
        }
    }
    Some(out)
}

/// The value in the answer to [`ask`]; `None` when the octets are no such answer.
pub(super) fn answered(item: DataItem, frame: &[u8]) -> Option<Result<Value, Refusal>> {
    let (_, number, form) = attribute(item)?;
    let mut reader = Reader::closed(frame);
    let [control, _, command] = reader.array().ok()?;
    let found = u16::from_le_bytes(reader.array().ok()?);
    if (control, command, found) != (CONTROL_FROM_SERVER, READ_ATTRIBUTES_RESPONSE, number) {
        return None;
    }
    let outcome = match reader.u8().ok()? {
        SUCCESS => {
            reader.expect(form as u8, "type").ok()?;
            Ok(take(&mut reader, item, form)?)
        }
        code => Err(refusal(code)),
    };
    reader.is_empty().then_some(outcome)
}

/// Attributes that say how the others are to be read: cubic metres, in thousandths.
fn constant(cluster: u16, number: u16) -> Option<Vec<u8>> {
    Some(match (cluster, number) {
        (METERING, 0x0300) => vec![0x30, 0x01],
        (METERING, 0x0301) => vec![0x22, 1, 0, 0],
        (METERING, 0x0302) => vec![0x22, 0xE8, 0x03, 0],
        _ => return None,
    })
}

fn put(value: &Value, form: Form) -> Option<Vec<u8>> {
    let mut out = vec![form as u8];
    match (form, value) {
        (Form::Supply, Value::Supply(state)) => out.push(match state {
            SupplyState::Disabled => 0,
            SupplyState::Enabled => 1,
            SupplyState::Armed => 2,
        }),
        (Form::PaymentControl, Value::PaymentMode(mode)) => {
            let bits: u16 = if *mode == PaymentMode::Prepayment { 2 } else { 0 };
            out.extend_from_slice(&bits.to_le_bytes());
        }
        (Form::Money, Value::Quantity(quantity)) => {
            out.extend_from_slice(&i32::try_from(quantity.value).ok()?.to_le_bytes());
        }
        (Form::Limit, Value::Quantity(quantity)) => {
            out.extend_from_slice(&u32::try_from(quantity.value).ok()?.to_le_bytes());
        }
        (Form::Count, Value::Quantity(quantity)) => {
            out.extend_from_slice(&u16::try_from(quantity.value).ok()?.to_le_bytes());
        }
        (Form::Summation, Value::Quantity(quantity)) => {
            let [a, b, c, d, e, f, 0, 0] = u64::try_from(quantity.value).ok()?.to_le_bytes() else {
                return None;
            };
            out.extend_from_slice(&[a, b, c, d, e, f]);
        }
        _ => return None,
    }
    Some(out)
}

fn take(reader: &mut Reader<'_>, item: DataItem, form: Form) -> Option<Value> {
    let quantity = |value, unit| Some(Value::Quantity(Quantity::new(value, unit)));
    match form {
        Form::Supply => Some(Value::Supply(match reader.u8().ok()? {
            0 => SupplyState::Disabled,
            1 => SupplyState::Enabled,
            2 => SupplyState::Armed,
            _ => return None,
        })),
        Form::PaymentControl => {
            let prepayment = u16::from_le_bytes(reader.array().ok()?) & 2 != 0;
            Some(Value::PaymentMode(if prepayment {
                PaymentMode::Prepayment
            } else {
                PaymentMode::Credit
            }))
        }
        Form::Money => quantity(i32::from_le_bytes(reader.array().ok()?).into(), Unit::MilliPence),
        Form::Limit => quantity(u32::from_le_bytes(reader.array().ok()?).into(), Unit::MilliPence),
        Form::Count => {
            let unit = match item {
                DataItem::DebtRecoveryPerPayment => Unit::HundredthPercent,
                _ => Unit::Count,
            };
            quantity(u16::from_le_bytes(reader.array().ok()?).into(), unit)
        }
        Form::Summation => {
            let [a, b, c, d, e, f] = reader.array().ok()?;
            let value = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
            quantity(i64::try_from(value).ok()?, Unit::Litre)
        }
    }
}

/// Statuses of the library, and what they stand for here.
const STATUSES: [(u8, Refusal); 7] = [
    (0x7E, Refusal::NotPermitted),
    (0x86, Refusal::NotSupported),
    (0x87, Refusal::OutOfRange),
    (0x94, Refusal::Unreachable),
    (0x8B, Refusal::WrongState),
    (0xC0, Refusal::HardwareFault),
    (0x01, Refusal::Busy),
];

fn status(refusal: &Refusal) -> u8 {
    let found = STATUSES.iter().find(|(_, known)| known == refusal);
    found.map_or(0x01, |(status, _)| *status)
}

fn refusal(code: u8) -> Refusal {
    let found = STATUSES.iter().find(|(status, _)| *status == code);
    found.map_or(Refusal::Busy, |(_, refusal)| refusal.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn items_have_one_attribute_each() {
        let mut seen = std::collections::BTreeSet::new();
        for known in DataItem::every() {
            if let Some((cluster, number, form)) = attribute(known) {
                assert!(seen.insert((cluster, number)), "{known}");
                assert_eq!(item(cluster, number), Some((known, form)));
            }
        }
        assert!(seen.len() > 60);
    }

    #[test]
    fn the_octets_of_a_reading() {
        let (cluster, frame) = ask(DataItem::GasConsumption, 9).expect("an attribute");
        assert_eq!((cluster, frame.as_slice()), (0x0702, &[0x10, 9, 0, 0, 0][..]));
        let litres = Value::Quantity(Quantity::new(98_765, Unit::Litre));
        let answer = answer(cluster, &frame, |_| Ok(litres.clone())).expect("an answer");
        assert_eq!(answer, [0x18, 9, 1, 0, 0, 0, 0x25, 0xCD, 0x81, 1, 0, 0, 0]);
        assert_eq!(answered(DataItem::GasConsumption, &answer), Some(Ok(litres)));
        for end in 0..answer.len() {
            assert_eq!(answered(DataItem::GasConsumption, &answer[..end]), None);
        }
        assert_eq!(answered(DataItem::MeterBalance, &answer), None);
    }

    #[test]
    fn several_attributes_answer_each_for_itself() {
        let frame = [CONTROL, 1, READ_ATTRIBUTES, 0x02, 0x03, 0x99, 0x99, 0x14, 0x00];
        let answer = answer(METERING, &frame, |_| Err(Refusal::NotPermitted)).expect("an answer");
        assert_eq!(
            answer,
            [
                0x18, 1, 1, 0x02, 0x03, 0, 0x22, 0xE8, 3, 0, 0x99, 0x99, 0x86, 0x14, 0, 0x7E
            ]
        );
        assert_eq!(super::answer(METERING, &frame[..8], |_| Err(Refusal::Busy)), None);
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_went(value in 0i64..1 << 31, negative: bool) {
            for item in DataItem::every() {
                let Some((_, _, form)) = attribute(item) else { continue };
                let value = match form {
                    Form::Money if negative => -value,
                    Form::Count => value % 65_536,
                    _ => value,
                };
                let unit = match (form, item) {
                    (Form::Summation, _) => Unit::Litre,
                    (Form::Count, DataItem::DebtRecoveryPerPayment) => Unit::HundredthPercent,
                    (Form::Count, _) => Unit::Count,
                    _ => Unit::MilliPence,
                };
                let given = match form {
                    Form::Supply => Value::Supply(SupplyState::Armed),
                    Form::PaymentControl => Value::PaymentMode(PaymentMode::Prepayment),
                    _ => Value::Quantity(Quantity::new(value, unit)),
                };
                let (cluster, frame) = ask(item, 1).expect("an attribute");
                let answer = answer(cluster, &frame, |_| Ok(given.clone())).expect("an answer");
                prop_assert_eq!(answered(item, &answer), Some(Ok(given)));
            }
        }

        #[test]
        fn any_octets_are_taken_calmly(cluster: u16, octets: Vec<u8>) {
            let _ = answer(cluster, &octets, |_| Err(Refusal::Busy));
            let _ = answered(DataItem::GasConsumption, &octets);
        }
    }
}
