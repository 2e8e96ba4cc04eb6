//! The SMETS1 Service Provider: from a countersigned request to one signed SMETS1 response.
//!
//! It verifies both signatures for itself, plans Equivalent Steps, asks the DCO for each critical one, has the head-end
//! execute them in order, and signs what the devices said. Every request it takes is in its journal before it is
//! confirmed and gets exactly one outcome, which is sent until the DCC has taken it; the same request again gets the
//! same outcome and nothing is executed twice. Device alerts and the S1SP's own alerts go the same way.
//!
//! With [`S1sp::with_hand_over`] it also takes part in migrations: files in, viability, probes, rotation device by device, purge;
//! users' requests reach an installation only once the commissioning party has released it.
//!
//! It deliberately does not know: user roles, inventory or schedules (the DCC's business), whether an operation deserves
//! approval (the DCO's), bytes of any device, or which codes a failure gets (those are in `steps`).

mod codes;
mod execution;
mod hand_over;
mod journal;
mod options;
mod role;
mod verify;
mod work;

pub use codes::TOP_UP_CODE;
pub use hand_over::HandOverOptions;
pub use options::{Limits, Options, UtrnAlert, UtrnOrder, Vending};
pub use role::S1sp;
