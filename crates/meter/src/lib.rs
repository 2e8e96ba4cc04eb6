//! Pure installation: hub, HAN queue, electricity meter, gas proxy function, sleepy gas meter, displays and security core.
//!
//! An [`Installation`] takes the time, the behaviour profiles and the key relations with every call, changes itself and
//! leaves [`Effect`]s to be popped. It deliberately does not know bytes, addresses, links or tasks, stores no key, and
//! computes its registers and logs from seed and time instead of keeping them.
//!
//! Ask [`Installation::next_wake`], call [`Installation::wake`] at that instant; waking early or twice is harmless.
//!
//! ```
//! use domain::keys::RelationSecret;
//! use domain::operation::CriticalOperations;
//! use domain::{Access, Association, DataItem, DeviceKind, Eui64, Execution, Mpan, Operation, Seed, SimInstant};
//! use meter::{Context, Installation, InstallationConfig, Profile, Profiles, Relations};
//!
//! let profile = Profile::default();
//! let secret = |octet| RelationSecret::new([octet; 32]);
//! let context = Context {
//!     now: "2019-03-31T12:00:00Z".parse()?,
//!     profiles: Profiles { chf: &profile, esme: &profile, gpf: None, gsme: None, ppmid: None, ihd: None },
//!     relations: &Relations { smso: secret(1), s1sp: secret(2), dco: secret(3) },
//!     critical: &CriticalOperations::default(),
//! };
//! let config = InstallationConfig::new(Eui64(0xC0), Eui64(0xE0), Mpan::new(9_900_000_000_001)?, Seed::root(7));
//! let mut home = Installation::new(&config, &context);
//! let anyone = Access { association: Association::Public, party: None };
//! let read = Operation::Read(DataItem::FirmwareVersion);
//! let answer = home.execute(&context, DeviceKind::Esme, anyone, &read, None);
//! assert!(matches!(answer, Execution::Finished(Ok(_))));
//! // Nothing to do before the next local midnight.
//! assert_eq!(home.next_wake(), "2019-03-31T23:00:00Z".parse::<SimInstant>()?);
//! # Ok::<(), domain::ParseError>(())
//! ```

mod acts;
mod alerts;
mod billing;
mod calendar;
mod clock;
mod config;
mod device;
mod display;
mod durable;
mod effects;
mod gas;
mod han;
mod history;
mod image;
mod installation;
mod load;
mod load_limit;
mod logs;
mod membership;
mod memory;
mod meter;
mod metering;
mod money;
mod prepayment;
mod profile;
mod quirks;
mod readings;
mod regimes;
mod security;
mod settings;
mod supply;
mod switching;
mod tariff;
mod tenancy;
mod timetable;
mod tokens;
mod wire;

pub use alerts::{ALERT_CODES, AlertCode};
pub use config::InstallationConfig;
pub use display::{Acted, DisplayAct, Message, Panel, SHOWN, Screen};
pub use durable::RestoreError;
pub use effects::{EFFECTS_MAX, Effect};
pub use installation::Installation;
pub use prepayment::{AccountSettings, DebtPeriod, TimeDebt};
pub use profile::{
    AlertRules, ClockRule, ClockRules, Context, DarkHalfHours, GasUnit, HanRules, ImageRules, LoadLimitRules, LogRules,
    Midnight, PowerRules, PrepaymentRules, Profile, Profiles, Relations, Relay, Rounding, SupplierChange, SupplyRules,
    TariffRules, TimingRules, TokenAction, TokenKind, TokenRules, TokenWords, ValueRules,
};
pub use security::{Accepted, LetThrough};
pub use tariff::Tariff;
