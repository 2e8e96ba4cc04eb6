//! Pure installation: hub, HAN queue, electricity meter, gas proxy function, sleepy gas meter and security core.
//!
//! An [`Installation`] takes the time, the behaviour profiles and the key relations with every call, changes itself and
//! leaves [`Effect`]s to be popped. It deliberately does not know bytes, addresses, links or tasks, stores no key, and
//! computes its registers and logs from seed and time instead of keeping them.
//!
//! Ask [`Installation::next_wake`], call [`Installation::wake`] at that instant; waking early or twice is harmless.

mod calendar;
mod config;
mod effects;
mod installation;
mod prepayment;
mod profile;
mod tariff;

pub use config::InstallationConfig;
pub use effects::Effect;
pub use installation::{Installation, RestoreError};
pub use prepayment::{AccountSettings, DebtPeriod, TimeDebt};
pub use profile::{ClockRule, Context, Profile, Profiles, Relations};
pub use tariff::Tariff;
