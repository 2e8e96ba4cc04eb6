//! Codes that do more than add credit: forty digits, or sixty for a tariff.
//!
//! That such codes exist is sourced for one manufacturer (Secure), their digits are not public: these are ours. The first
//! twenty digits say what is to be done, the last twenty are a seal over what stands before; each twenty end in the check
//! digit of a UTRN.

use super::{NotNative, checked, mark, with_check_digit};
use crate::Eui64;
use crate::keys::DeviceKey;
use crate::keys::hmac;

/// What a long code is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CodeUse {
    /// Leaves the closing of the supply to the consumer.
    Arm,
    /// Empties the event logs.
    ClearLogs,
    /// Takes so many pence from the balance.
    Deduct(u32),
    /// Puts the meter back into the mode it had before it was configured.
    DefaultMode,
    /// Cuts the supply.
    Disable,
    /// Makes the balance so many pence.
    Overwrite(u32),
    /// Gives the balance back to the supplier: what is left is nothing.
    RetainCredit,
    /// Brings prices: standing charge (milli-pence a day), and of the first two registers (milli-pence per kWh).
    Tariff {
        /// Milli-pence a day.
        standing_charge_mp: u32,
        /// Milli-pence per kWh.
        tou_mp: [u32; 2],
    },
}

/// A code of forty or sixty digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LongCode {
    /// What it is for.
    pub what: CodeUse,
    /// Makes each code for a device another one; the lowest 14 bits count.
    pub counter: u16,
}

impl LongCode {
    /// The digits of this code for a device. Amounts and prices are cut to 20 bits.
    #[must_use]
    pub fn digits(&self, key: &DeviceKey, device: Eui64) -> String {
        let (kind, value) = self.tag();
        let head = kind << 59 | value << 39 | u64::from(self.counter & COUNTER_MAX) << 25 | mark(device) << 17;
        let mut blocks = vec![head];
        if let CodeUse::Tariff {
            standing_charge_mp,
            tou_mp: [first, second],
        } = self.what
        {
            blocks.push(twenty(first) << 40 | twenty(second) << 20 | twenty(standing_charge_mp));
        }
        blocks.push(seal(key, device, &blocks));
        blocks.into_iter().map(with_check_digit).collect()
    }

    /// The code that these digits are, made for this device with this key.
    ///
    /// # Errors
    /// [`NotNative`].
    pub fn read(digits: &str, key: &DeviceKey, device: Eui64) -> Result<Self, NotNative> {
        let blocks: Option<Vec<u64>> = (0..digits.len().div_ceil(20))
            .map(|place| digits.get(place * 20..place * 20 + 20).and_then(checked))
            .collect();
        let blocks = blocks.ok_or(NotNative::Format)?;
        let Some(([head, prices @ ..], last)) = blocks.split_last().map(|(last, blocks)| (blocks, *last)) else {
            return Err(NotNative::Format);
        };
        if head >> 17 & 0xFF != mark(device) {
            return Err(NotNative::OtherDevice);
        }
        if last != seal(key, device, blocks.split_last().map_or(&[], |(_, blocks)| blocks)) {
            return Err(NotNative::NotAuthentic);
        }
        let value = cut(head >> 39);
        let what = match (head >> 59, prices) {
            (1, []) => CodeUse::Arm,
            (2, []) => CodeUse::ClearLogs,
            (3, []) => CodeUse::Deduct(value),
            (4, []) => CodeUse::DefaultMode,
            (5, []) => CodeUse::Disable,
            (6, []) => CodeUse::Overwrite(value),
            (7, []) => CodeUse::RetainCredit,
            (8, [prices]) => CodeUse::Tariff {
                standing_charge_mp: cut(*prices),
                tou_mp: [cut(prices >> 40), cut(prices >> 20)],
            },
            _ => return Err(NotNative::Format),
        };
        Ok(Self {
            what,
            counter: u16::try_from(head >> 25 & u64::from(COUNTER_MAX)).unwrap_or_default(),
        })
    }

    /// Number of its kind and its amount: what tells it, with the counter, from other codes.
    #[must_use]
    pub fn tag(&self) -> (u64, u64) {
        match self.what {
            CodeUse::Arm => (1, 0),
            CodeUse::ClearLogs => (2, 0),
            CodeUse::Deduct(pence) => (3, twenty(pence)),
            CodeUse::DefaultMode => (4, 0),
            CodeUse::Disable => (5, 0),
            CodeUse::Overwrite(pence) => (6, twenty(pence)),
            CodeUse::RetainCredit => (7, 0),
            CodeUse::Tariff { .. } => (8, 0),
        }
    }
}

const COUNTER_MAX: u16 = 0x3FFF;

fn twenty(value: u32) -> u64 {
    u64::from(value & 0xF_FFFF)
}

fn cut(bits: u64) -> u32 {
    u32::try_from(bits & 0xF_FFFF).unwrap_or_default()
}

/// 63 bits of a MAC over all blocks before it.
fn seal(key: &DeviceKey, device: Eui64, blocks: &[u64]) -> u64 {
    let octets: Vec<u8> = blocks.iter().flat_map(|block| block.to_be_bytes()).collect();
    let mac = hmac(key.expose(), &[b"s1lab long code", &device.to_bytes(), &octets]);
    let first = mac
        .iter()
        .take(8)
        .fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
    first >> 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 16] = [7; 16];

    fn what() -> impl Strategy<Value = CodeUse> {
        let amount = 0u32..1 << 20;
        prop_oneof![
            Just(CodeUse::Arm),
            Just(CodeUse::ClearLogs),
            amount.clone().prop_map(CodeUse::Deduct),
            Just(CodeUse::DefaultMode),
            Just(CodeUse::Disable),
            amount.clone().prop_map(CodeUse::Overwrite),
            Just(CodeUse::RetainCredit),
            (amount.clone(), amount.clone(), amount).prop_map(|(standing_charge_mp, first, second)| CodeUse::Tariff {
                standing_charge_mp,
                tou_mp: [first, second],
            }),
        ]
    }

    proptest! {
        #[test]
        fn long_codes_are_for_one_device_and_one_key(what in what(), counter in 0u16..1 << 14, device: u64) {
            let (key, device) = (DeviceKey::new(KEY), Eui64(device));
            let code = LongCode { what, counter };
            let digits = code.digits(&key, device);
            prop_assert_eq!(digits.len(), if matches!(what, CodeUse::Tariff { .. }) { 60 } else { 40 });
            prop_assert_eq!(LongCode::read(&digits, &key, device), Ok(code));
            let other = DeviceKey::new([8; 16]);
            prop_assert_eq!(LongCode::read(&digits, &other, device), Err(NotNative::NotAuthentic));
            let neighbour = Eui64(device.0 ^ 1);
            prop_assert_eq!(LongCode::read(&digits, &key, neighbour), Err(NotNative::OtherDevice));
        }

        #[test]
        fn any_text_is_read_calmly(text in "\\PC{0,70}", digits in "[0-9]{20,60}") {
            let key = DeviceKey::new(KEY);
            let _ = LongCode::read(&text, &key, Eui64(1));
            prop_assert!(LongCode::read(&digits, &key, Eui64(1)).is_err());
        }
    }
}
