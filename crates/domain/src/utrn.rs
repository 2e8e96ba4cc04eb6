//! Prepayment codes: the twenty digits a supplier's system works with (UTRN), and the codes the meters of this lab take.
//!
//! A UTRN has the form that GBCS gives it, as a public parser has it (sourced); its published vectors are in the tests.
//! Nobody but the supplier's meter can check its authenticity, so only its form is checked here. What SMETS1 meters take
//! is not public: [`NativeToken`] is a construction of our own, made with a key that the meter and its operator share.

use std::fmt;
use std::str::FromStr;

use crate::keys::{DeviceKey, hmac};
use crate::{Eui64, ParseError};

mod long;

pub use long::{CodeUse, LongCode};

/// A code of twenty digits in the form of GBCS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Utrn {
    /// What it is worth, milli-pence.
    pub milli_pence: u32,
    /// Bits 32 to 41 of the supplier's counter.
    pub counter: u16,
    /// The truncated authentication code.
    pub mac: u32,
    pounds: bool,
}

/// Added to the token, so that every code begins with 73, 74 or 75.
const OFFSET: u64 = 7_394_156_990_786_306_048;
const VALUE_MAX: u32 = 8_191;

impl Utrn {
    /// A code worth so many pence, in whole pounds where that is needed.
    ///
    /// # Errors
    /// More than 8191 pounds, or more than 8191 pence that are no whole pounds.
    pub fn of_pence(pence: u32, counter: u16, mac: u32) -> Result<Self, ParseError> {
        let pounds = pence > VALUE_MAX;
        if pounds && !(pence.is_multiple_of(100) && pence / 100 <= VALUE_MAX) {
            let what = "an amount of up to 8191 pence or of up to 8191 whole pounds";
            return Err(ParseError::new(what, &pence.to_string()));
        }
        Ok(Self {
            milli_pence: pence * 1_000,
            counter: counter & 0x3FF,
            mac,
            pounds,
        })
    }

    fn number(&self) -> u64 {
        let (class, value) = if self.pounds {
            (1, self.milli_pence / 100_000)
        } else {
            (0, self.milli_pence / 1_000)
        };
        let high = u64::from(self.counter & 0x3FF) << 15 | class << 13 | u64::from(value & 0x1FFF);
        OFFSET + (high << 32 | u64::from(self.mac))
    }
}

impl fmt::Display for Utrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_check_digit(self.number()))
    }
}

impl FromStr for Utrn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new(
                "a UTRN: 20 digits that begin with 73 to 75 and whose last one fits",
                text,
            )
        };
        let number = checked(text)
            .and_then(|number| number.checked_sub(OFFSET))
            .ok_or_else(wrong)?;
        let high = u32::try_from(number >> 32).map_err(|_| wrong())?;
        let value = high & 0x1FFF;
        let pounds = match high >> 13 & 3 {
            0 => false,
            1 => true,
            _ => return Err(wrong()),
        };
        if high >> 25 != 0 {
            return Err(wrong());
        }
        Ok(Self {
            milli_pence: value * if pounds { 100_000 } else { 1_000 },
            counter: u16::try_from(high >> 15 & 0x3FF).map_err(|_| wrong())?,
            mac: u32::try_from(number & 0xFFFF_FFFF).map_err(|_| wrong())?,
            pounds,
        })
    }
}

/// The credit code that a meter of this lab takes: twenty digits, ours.
///
/// From the top: pence (20 bits), counter (14), a mark of the device (8), authentication code (21); then the same check
/// digit as a UTRN has. It never begins with 73 to 75 together with a value that a UTRN could have meant: the two are
/// told apart by who takes them, not by their look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NativeToken {
    /// What it is worth.
    pub pence: u32,
    /// Makes each code for a device another one.
    pub counter: u16,
}

/// The form that a family's codes have: what one family's meters take means nothing to another's.
///
/// That families differ is certain (Secure's codes were its own); how is not public, so the forms are ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CodeForm(u8);

impl CodeForm {
    /// The form of a family, by its key in the device profiles. The empty name has the plain form.
    #[must_use]
    pub fn of_family(family: &str) -> Self {
        let fold = |form: u8, octet: u8| form.wrapping_mul(31).wrapping_add(octet);
        Self(family.bytes().fold(0, fold))
    }

    /// 63 bits that are turned over in every code of this form.
    fn mask(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 1
    }
}

/// What is wrong with a native code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotNative {
    /// Its digits do not fit together.
    Format,
    /// It bears the mark of another device.
    OtherDevice,
    /// Nobody who holds the key made it.
    NotAuthentic,
}

/// Most that one native code is worth, pence.
pub const NATIVE_PENCE_MAX: u32 = (1 << 20) - 1;

impl NativeToken {
    /// The digits of this code for a device, in the form of its family.
    #[must_use]
    pub fn digits(&self, form: CodeForm, key: &DeviceKey, device: Eui64) -> String {
        let head = self.head(device);
        with_check_digit((head << 21 | seal(form, key, device, head)) ^ form.mask())
    }

    /// The code that these digits are, made for this device, in the form of its family, with this key.
    ///
    /// # Errors
    /// [`NotNative`].
    pub fn read(digits: &str, form: CodeForm, key: &DeviceKey, device: Eui64) -> Result<Self, NotNative> {
        let number = checked(digits)
            .filter(|number| number >> 63 == 0)
            .ok_or(NotNative::Format)?
            ^ form.mask();
        let head = number >> 21;
        let token = Self {
            pence: u32::try_from(head >> 22 & 0xF_FFFF).map_err(|_| NotNative::Format)?,
            counter: u16::try_from(head >> 8 & 0x3FFF).map_err(|_| NotNative::Format)?,
        };
        if head & 0xFF != mark(device) {
            return Err(NotNative::OtherDevice);
        }
        if number & 0x1F_FFFF == seal(form, key, device, head) {
            Ok(token)
        } else {
            Err(NotNative::NotAuthentic)
        }
    }

    fn head(&self, device: Eui64) -> u64 {
        u64::from(self.pence & NATIVE_PENCE_MAX) << 22 | u64::from(self.counter & 0x3FFF) << 8 | mark(device)
    }
}

/// An octet by which a code for another device is told.
fn mark(device: Eui64) -> u64 {
    device
        .to_bytes()
        .iter()
        .fold(0u64, |mark, octet| (mark * 31 + u64::from(*octet)) & 0xFF)
}

/// 21 bits of a MAC.
fn seal(form: CodeForm, key: &DeviceKey, device: Eui64, head: u64) -> u64 {
    let parts: [&[u8]; 4] = [b"s1lab token", &[form.0], &device.to_bytes(), &head.to_be_bytes()];
    let mac = hmac(key.expose(), &parts);
    let first = u32::from_be_bytes([mac[0], mac[1], mac[2], mac[3]]);
    u64::from(first >> 11)
}

/// Nineteen digits and the check digit.
fn with_check_digit(number: u64) -> String {
    let digits = format!("{number:019}");
    let check = check_digit(&digits);
    format!("{digits}{check}")
}

/// The number of twenty digits whose last one fits.
fn checked(text: &str) -> Option<u64> {
    let all_digits = text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit());
    let (digits, check) = text.split_at_checked(19).filter(|_| all_digits)?;
    (check == check_digit(digits).to_string()).then(|| digits.parse().ok())?
}

/// A variant of Verhoeff's check digit: from the left, the permutation beginning at its row 4, and a last look-up of its
/// own.
fn check_digit(digits: &str) -> u8 {
    let interim = digits.bytes().enumerate().fold(0usize, |interim, (place, digit)| {
        let mut permuted = usize::from(digit.wrapping_sub(b'0') % 10);
        for _ in 0..(4 + place) % 8 {
            permuted = PERMUTATION[permuted];
        }
        MULTIPLICATION[interim][permuted]
    });
    LAST[interim]
}

const PERMUTATION: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
const LAST: [u8; 10] = [1, 2, 6, 7, 5, 8, 3, 0, 9, 4];
/// The multiplication table of the dihedral group of ten elements.
const MULTIPLICATION: [[usize; 10]; 10] = {
    let mut table = [[0; 10]; 10];
    let mut a = 0;
    while a < 10 {
        let mut b = 0;
        while b < 10 {
            table[a][b] = match (a < 5, b < 5) {
                (true, true) => (a + b) % 5,
                (true, false) => (a + b) % 5 + 5,
                (false, true) => (a - b) % 5 + 5,
                (false, false) => (a + 5 - b) % 5,
            };
            b += 1;
        }
        a += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_codes_are_read_and_written() {
        for (text, milli_pence, counter) in [
            ("73946144332040217315", 1_000_000, 3),
            ("73950067887105178605", 1_250_000, 6),
            ("73943333457189043313", 10_000_000, 1),
            ("73947252416745201637", 1_234_000, 4),
        ] {
            let utrn: Utrn = text.parse().expect("a published code");
            assert_eq!((utrn.milli_pence, utrn.counter), (milli_pence, counter), "{text}");
            assert_eq!(utrn.to_string(), text);
        }
        // A published code whose class nobody explains: its check digit fits all the same.
        assert!(checked("74301825837596672005").is_some());
        assert!("74301825837596672005".parse::<Utrn>().is_err());
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in [
            "",
            "7394614433204021731",
            "7394614433204021731x",
            "73946144332040217316",
            "00000000000000000001",
        ] {
            assert!(text.parse::<Utrn>().is_err(), "{text}");
        }
    }

    const KEY: [u8; 16] = [7; 16];

    #[test]
    fn families_have_forms_of_their_own() {
        let families = ["", "aclara", "itron", "elster", "secure", "edmi", "landis-gyr"];
        let forms: std::collections::BTreeSet<_> = families.into_iter().map(CodeForm::of_family).collect();
        assert_eq!(forms.len(), families.len());
    }

    proptest! {
        #[test]
        fn one_wrong_digit_or_two_swapped_are_always_noticed(number in 0u64..1 << 63, place in 0usize..20, by in 1u8..10) {
            let code = with_check_digit(number);
            let mut wrong = code.clone().into_bytes();
            wrong[place] = (wrong[place] - b'0' + by) % 10 + b'0';
            prop_assert!(checked(std::str::from_utf8(&wrong).expect("digits")).is_none());
            let mut swapped = code.clone().into_bytes();
            let next = (place + 1).min(18);
            if place < next && swapped[place] != swapped[next] {
                swapped.swap(place, next);
                prop_assert!(checked(std::str::from_utf8(&swapped).expect("digits")).is_none());
            }
        }

        #[test]
        fn native_codes_are_for_one_device_one_family_and_one_key(
            pence in 0u32..=NATIVE_PENCE_MAX, counter in 0u16..1 << 14, device: u64, form: u8, other in 1u8..,
        ) {
            let key = DeviceKey::new(KEY);
            let token = NativeToken { pence, counter };
            let (device, form) = (Eui64(device), CodeForm(form));
            let digits = token.digits(form, &key, device);
            prop_assert_eq!(digits.len(), 20);
            prop_assert_eq!(NativeToken::read(&digits, form, &key, device), Ok(token));
            let other_key = DeviceKey::new([8; 16]);
            prop_assert_ne!(NativeToken::read(&digits, form, &other_key, device), Ok(token));
            let neighbour = Eui64(device.0 ^ 1);
            prop_assert_eq!(NativeToken::read(&digits, form, &key, neighbour), Err(NotNative::OtherDevice));
            let elsewhere = CodeForm(form.0 ^ other);
            prop_assert_ne!(NativeToken::read(&digits, elsewhere, &key, device), Ok(token));
        }

        #[test]
        fn utrns_round_trip(pence in 0u32..8192, counter in 0u16..1024, mac: u32, pounds in 82u32..8192) {
            for pence in [pence, pounds * 100] {
                let utrn = Utrn::of_pence(pence, counter, mac).expect("within limits");
                prop_assert_eq!(utrn.to_string().parse::<Utrn>(), Ok(utrn));
                prop_assert_eq!(utrn.milli_pence, pence * 1_000);
            }
        }

        #[test]
        fn any_text_is_read_calmly(text in "\\PC{0,24}") {
            let _ = text.parse::<Utrn>();
            let _ = NativeToken::read(&text, CodeForm(3), &DeviceKey::new(KEY), Eui64(1));
        }
    }
}
