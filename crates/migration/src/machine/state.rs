//! The states of an installation and the transitions between them.

use crate::settings::words;

words! {
    /// Where an installation stands. The names are ours.
    State {
        /// Has its authorisations or its notice.
        Authorised = "Authorised",
        /// Authorisation withdrawn, churned, or no longer eligible.
        Cancelled = "Cancelled",
        /// All devices in scope are commissioned in the inventory.
        Commissioned = "Commissioned",
        /// Service requests are running.
        Commissioning = "Commissioning",
        /// Outcome file taken by the requesting party.
        Confirmed = "Confirmed",
        /// The commissioning party accepted the files.
        DataValidated = "DataValidated",
        /// The DCO confirmed its part by a probe of each device.
        DcoViable = "DcoViable",
        /// Known from the SMSO.
        Discovered = "Discovered",
        /// EPCL, CPL and configuration are right.
        Eligible = "Eligible",
        /// An exclusion category applies.
        Excluded = "Excluded",
        /// The SMSO delivers nothing but top-ups; the last snapshot is taken.
        Frozen = "Frozen",
        /// The first device accepts only the new key epoch: the point of no return.
        KeysRotated = "KeysRotated",
        /// The MCC's.
        ManualTriage = "ManualTriage",
        /// The SMSO has forgotten it: the end of a success.
        Migrated = "Migrated",
        /// Firmware is right, configuration is not.
        NeedsConfig = "NeedsConfig",
        /// Not on the EPCL, and an upgrade leads there.
        NeedsFirmware = "NeedsFirmware",
        /// Electricity migrated, gas was left out.
        PartiallyMigrated = "PartiallyMigrated",
        /// Its data are complete.
        Profiled = "Profiled",
        /// Failed before the point of no return; back with the SMSO, to be tried again.
        RetryWait = "RetryWait",
        /// Released to the SMSO, no other attempt planned.
        RolledBack = "RolledBack",
        /// The S1SP reached every device.
        S1spViable = "S1spViable",
        /// S1SP and DCO have their files.
        SecretsDelivered = "SecretsDelivered",
        /// Has a slot.
        Slotted = "Slotted",
        /// Failed after the point of no return: neither side operates it.
        Stranded = "Stranded",
    }
}

/// Who makes a transition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Actor {
    /// Commissioning party.
    Cp,
    /// Dual Control Organisation.
    Dco,
    /// Migration control centre: people, and the rules that act for them.
    Mcc,
    /// Registration.
    Registration,
    /// Requesting party.
    Rp,
    /// S1SP.
    S1sp,
    /// The scheduler.
    Scheduler,
    /// A supplier.
    Supplier,
}

impl Actor {
    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cp => "CP",
            Self::Dco => "DCO",
            Self::Mcc => "MCC",
            Self::Registration => "registration",
            Self::Rp => "RP",
            Self::S1sp => "S1SP",
            Self::Scheduler => "scheduler",
            Self::Supplier => "supplier",
        }
    }
}

impl State {
    /// Before the SMSO is frozen for a migration.
    #[must_use]
    pub fn is_before_frozen(self) -> bool {
        use State::*;
        matches!(
            self,
            Discovered | Profiled | NeedsFirmware | NeedsConfig | Eligible | Authorised | Slotted | RetryWait
        )
    }

    /// Frozen, and no device has been rotated.
    #[must_use]
    pub fn is_frozen(self) -> bool {
        use State::*;
        matches!(self, Frozen | DataValidated | SecretsDelivered | S1spViable | DcoViable)
    }

    /// A device has been rotated, and the outcome is not confirmed.
    #[must_use]
    pub fn is_forward_only(self) -> bool {
        use State::*;
        matches!(self, KeysRotated | Commissioning | Commissioned | Stranded)
    }

    /// Nothing more happens by itself.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        use State::*;
        matches!(self, Migrated | PartiallyMigrated | Excluded)
    }

    /// The party that operates the devices.
    #[must_use]
    pub fn operator(self) -> &'static str {
        use State::*;
        match self {
            Frozen | DataValidated | SecretsDelivered => "SMSO, top-ups only",
            S1spViable => "SMSO, top-ups only; S1SP reads",
            DcoViable => "SMSO, top-ups only; S1SP and DCO probe",
            KeysRotated | Commissioning | Commissioned => "S1SP and DCO",
            Confirmed | Migrated => "DCC user",
            PartiallyMigrated => "DCC user for electricity",
            Stranded => "nobody",
            ManualTriage => "as before",
            Excluded => "SMSO or nobody",
            _ => "SMSO",
        }
    }

    /// The number of the transition between two states; none when there is no such transition.
    #[must_use]
    pub fn transition(from: Self, to: Self) -> Option<u8> {
        use State::*;
        Some(match (from, to) {
            (Discovered, Profiled) => 1,
            (Discovered | Profiled | Eligible | Authorised, Excluded) => 2,
            (Profiled | Eligible | Authorised | RetryWait, NeedsFirmware) => 3,
            (NeedsFirmware, Profiled) => 4,
            (NeedsFirmware | NeedsConfig, Excluded) => 5,
            (Profiled, NeedsConfig) => 6,
            (NeedsConfig, Eligible) => 7,
            (Profiled, Eligible) => 8,
            (Eligible | Cancelled, Authorised) => 9,
            (Authorised, Slotted) => 10,
            (Slotted, Frozen) => 11,
            (Frozen, DataValidated) => 12,
            (Slotted | Frozen, RetryWait) | (Frozen, Cancelled) => 13,
            (DataValidated, SecretsDelivered) => 14,
            (SecretsDelivered, S1spViable) => 15,
            (S1spViable, DcoViable) => 16,
            (DcoViable, KeysRotated) => 17,
            (KeysRotated, Commissioning) => 18,
            (Commissioning, Commissioned) => 19,
            (Commissioned, Confirmed) => 20,
            (Confirmed, Migrated | PartiallyMigrated) => 21,
            (DataValidated | SecretsDelivered | S1spViable | DcoViable, RetryWait) => 22,
            (RetryWait, Slotted) => 23,
            (RetryWait | RolledBack | Cancelled, Excluded) => 24,
            (DataValidated | SecretsDelivered | S1spViable | DcoViable, Cancelled) => 32,
            (DcoViable | KeysRotated | Commissioning | Commissioned, Stranded) => 26,
            (Stranded, KeysRotated | Commissioning | Commissioned) => 27,
            (from, Cancelled) if from.is_before_frozen() => 28,
            (ManualTriage, _) => 30,
            (from, ManualTriage) if !from.is_terminal() => 29,
            (from, RolledBack) if from.is_frozen() || from == RetryWait => 32,
            (RolledBack, Eligible) => 32,
            _ => return None,
        })
    }
}
