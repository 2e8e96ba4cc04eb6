//! Every limit of this crate with its name, and what happens there.

/// Envelopes a link holds in each direction before its sender waits.
pub const LINK_CAPACITY: usize = 1024;

/// Calls one [`crate::Caller`] has outstanding before the next one is refused with
/// [`crate::CallError::TooManyOutstanding`].
pub const OUTSTANDING_CALLS: usize = 16_384;

/// Most worlds in one run; more are refused.
pub const WORLDS_MAX: u32 = 64;

/// Characters of a text value; longer ones are refused by [`crate::semantic`].
pub const TEXT_MAX: usize = 250;

/// Rows of one log answer: 13 months of half-hours and room for gaps; more are refused by [`crate::semantic`].
pub const LOG_ROWS_MAX: usize = 32_768;

/// Names of sums a run may exchange at its barriers; further names are ignored with a warning.
pub const EXCHANGE_NAMES_MAX: usize = 10_000;
