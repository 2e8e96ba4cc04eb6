//! Faults of a campaign: each injectable error of the error table by its code, from a `[[fault]]` of a campaign file. What
//! each comes to is for the table to say, never for the injection.
//!
//! Where an error is made follows from its code ([`Way`]): in the authorisation a supplier sends ([`Draft`]), in what passes
//! on a link ([`Rule`] on the fault hook of `world`), in the service requests of the commissioning party ([`Spoilt`]), or
//! by somebody's act ([`Way::Act`]), which is for whoever runs the campaign to do.

mod draft;
mod hook;
mod message;
mod requests;
mod table;
mod way;

pub use draft::Draft;
pub use hook::{Rule, Target};
pub use requests::Spoilt;
pub use table::{FaultRule, FaultTable, check};
pub use way::{Act, Way, way};
