use domain::{DeviceKind, LogRow, Outcome, SimInstant};

/// What a device says unasked on an open link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notification {
    /// Something happened.
    Alert {
        /// The device it happened to.
        slot: DeviceKind,
        /// Alert code.
        code: u16,
        /// For people, at most 250 octets on the wire.
        description: String,
        /// When, by the device's clock; hundredths of a second on the wire.
        at: SimInstant,
    },
    /// Readings that a hub sends on schedule.
    Readings {
        /// The device they are of.
        slot: DeviceKind,
        /// When, hundredths of a second (EDMI: the millisecond), and the values; no code.
        row: LogRow,
    },
    /// What became of an operation that was held for a sleeping device.
    LateResult {
        /// The ticket given when it was taken.
        ticket: u32,
        /// What became of it.
        outcome: Outcome,
    },
}
