//! Pure installation: hub, HAN queue, electricity meter, gas proxy function, sleepy gas meter and security core.
//!
//! An [`Installation`] takes the time, the behaviour profiles and the key relations with every call, changes itself and
//! leaves [`Effect`]s to be popped. It deliberately does not know bytes, addresses, links or tasks, stores no key, and
//! computes its registers and logs from seed and time instead of keeping them.
//!
//! Ask [`Installation::next_wake`], call [`Installation::wake`] at that instant; waking early or twice is harmless.

mod alerts;
mod calendar;
mod clock;
mod config;
mod device;
mod durable;
mod effects;
mod gas;
mod han;
mod installation;
mod load;
mod logs;
mod memory;
mod meter;
mod metering;
mod prepayment;
mod profile;
mod readings;
mod security;
mod supply;
mod tariff;
mod wire;

pub use alerts::{ALERT_CODES, AlertCode};
pub use config::InstallationConfig;
pub use durable::RestoreError;
pub use effects::{EFFECTS_MAX, Effect};
pub use installation::Installation;
pub use prepayment::{AccountSettings, DebtPeriod, TimeDebt};
pub use profile::{ClockRule, Context, Profile, Profiles, Relations};
pub use tariff::Tariff;
