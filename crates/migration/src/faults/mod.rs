//! Faults of a campaign: the injectable errors of the error table, by their codes. What each comes to is for the table to
//! say, never for the injection.

mod draft;

pub use draft::Draft;
