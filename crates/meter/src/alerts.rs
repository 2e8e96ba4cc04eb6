//! Alert and event codes as data.
//!
//! Codes and meanings are those of the GBCS list as a public parser has it (sourced); that a SMETS1 device's events are
//! reported with them is inferred from the header field of the MMC. Which of them push an alert by default is ours.

use domain::{Confidence, LogKind};

/// One code of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlertCode {
    /// The code.
    pub code: u16,
    /// For people, in our words.
    pub description: &'static str,
    /// The log it is kept in: events, security events or power events.
    pub log: LogKind,
    /// Sent as an alert unless the profile suppresses it; otherwise only logged.
    pub pushed: bool,
    /// How sure it is that a SMETS1 device reports this with this code.
    pub confidence: Confidence,
}

const fn event(code: u16, description: &'static str, pushed: bool) -> AlertCode {
    AlertCode {
        code,
        description,
        log: LogKind::Event,
        pushed,
        confidence: Confidence::Inferred,
    }
}

/// Codes of ours, for what the list was not found to have.
const fn own(code: u16, description: &'static str, pushed: bool) -> AlertCode {
    AlertCode {
        confidence: Confidence::Invented,
        ..event(code, description, pushed)
    }
}

/// That power events have a log of their own: sourced for the later generation, inferred here.
const fn power(code: u16, description: &'static str, pushed: bool) -> AlertCode {
    AlertCode {
        log: LogKind::PowerEvent,
        ..event(code, description, pushed)
    }
}

const fn security(code: u16, description: &'static str) -> AlertCode {
    AlertCode {
        code,
        description,
        log: LogKind::Security,
        pushed: true,
        confidence: Confidence::Inferred,
    }
}

macro_rules! codes {
    ($($name:ident = $value:expr;)*) => {
        $(pub(crate) const $name: AlertCode = $value;)*

        /// Every code a device of ours can raise.
        pub const ALERT_CODES: &[AlertCode] = &[$($name),*];
    };
}

codes! {
    LOW_CREDIT = event(0x810D, "credit is below the low credit threshold", true);
    CREDIT_ADDED_LOCALLY = event(0x810E, "credit was added at the meter", false);
    EMERGENCY_CREDIT_AVAILABLE = event(0x8119, "emergency credit is on offer", true);
    CLOCK_ADJUSTED = event(0x8145, "the clock was set", true);
    TIME_DEBT_1_COLLECTED = event(0x81A7, "time debt 1 is paid off", true);
    TIME_DEBT_2_COLLECTED = event(0x81A8, "time debt 2 is paid off", true);
    PAYMENT_DEBT_COLLECTED = event(0x81A9, "the payment debt is paid off", true);
    EMERGENCY_CREDIT_EXHAUSTED = event(0x81AA, "emergency credit is used up", true);
    EMERGENCY_CREDIT_ACTIVATED = event(0x81AB, "emergency credit was activated", true);
    CLOCK_OUTSIDE_TOLERANCE = event(0x81C6, "the clock was not set: outside the tolerance", true);
    BILLING_LOG_UPDATED = event(0x8F0A, "the billing data log has a new entry", true);
    CLOCK_NOT_ADJUSTED = event(0x8F0C, "the clock was not set: further away than the device allows", true);
    CREDIT_BELOW_DISABLEMENT = event(0x8F0F, "supply is off: credit is at the disablement threshold", true);
    LOAD_LIMITED = event(0x8F33, "the load limit acted", true);
    LOAD_LIMIT_RESTORED = event(0x8F34, "supply is back after the load limit had acted", true);
    SUPPLY_ARMED = event(0x8F32, "supply is armed", true);
    OUTAGE_RESTORED = power(0x8F35, "mains are back", true);
    LONG_OUTAGE_RESTORED = power(0x8F36, "mains are back after a long outage", true);
    CREDIT_ABOVE_BALANCE = event(0x8F47, "credit refused: the balance would exceed its maximum", true);
    MAINS_INTERRUPTED = power(0x8F57, "mains failed", false);
    TOKEN_DUPLICATE = event(0x8F51, "a token was used before", true);
    TOKEN_NOT_AUTHENTIC = event(0x8F63, "a token was not authentic, or none", true);
    TOKEN_OTHER_DEVICE = event(0x8F64, "a token was for another device", true);
    TOKEN_ENTRY_SUSPENDED = event(0x81C4, "a token was entered while entry was locked", true);
    TOKEN_ENTRY_LOCKED = event(0x81C5, "entry of tokens is locked after too many wrong ones", true);
    CREDIT_ABOVE_MAXIMUM = event(0x8F5B, "credit refused: more than the largest credit", true);
    FIRMWARE_RIGHT = event(0x8F72, "a firmware image was checked and found right", true);
    FIRMWARE_WRONG = event(0x8F1C, "a firmware image was checked and found wrong", true);
    FIRMWARE_ACTIVATING = own(0x81FA, "the device restarts with another firmware", false);
    FIRMWARE_RUNS = own(0x81FB, "the device runs the firmware that was activated", false);
    FIRMWARE_STAYS = own(0x81FC, "an activation failed: the firmware stays as it was", true);
    LOCAL_COMMAND = event(0x8161, "a command at the meter was carried out", false);
    MALFORMED = security(0x8F1E, "a message was malformed or too large");
    NO_AUTHORITY = security(0x8F30, "these keys do not carry this right");
    AUTHENTICATION_FAILED = security(0x8F3D, "someone could not prove to hold the keys");
    APPROVAL_REFUSED = security(0x8F53, "an approval was missing, wrong, stale or used before");
    REPLAY = security(0x8F60, "a message arrived out of order or again");
    CREDENTIALS_UPDATED = AlertCode { pushed: false, ..security(0x8F70, "another party operates the device") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once() {
        let codes: std::collections::BTreeSet<u16> = ALERT_CODES.iter().map(|alert| alert.code).collect();
        assert_eq!(codes.len(), ALERT_CODES.len());
    }
}
