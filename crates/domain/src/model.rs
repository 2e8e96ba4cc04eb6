//! Device models, profiles, Device Model Combinations, cohorts and communications providers.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// What kind of device something is in the inventory's sense.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum DeviceKind {
    /// Communications Hub Function.
    Chf,
    /// Electricity meter.
    Esme,
    /// Gas Proxy Function.
    Gpf,
    /// Gas meter.
    Gsme,
    /// In-home display: type 2, without SMI status.
    Ihd,
    /// Prepayment interface.
    Ppmid,
    /// Consumer access device: type 2, without SMI status.
    Cad,
}

impl DeviceKind {
    /// All kinds, in inventory order.
    pub const ALL: [Self; 7] = [
        Self::Chf,
        Self::Esme,
        Self::Gpf,
        Self::Gsme,
        Self::Ihd,
        Self::Ppmid,
        Self::Cad,
    ];

    /// The word DUIS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chf => "CHF",
            Self::Esme => "ESME",
            Self::Gpf => "GPF",
            Self::Gsme => "GSME",
            Self::Ihd => "IHD",
            Self::Ppmid => "PPMID",
            Self::Cad => "CAD",
        }
    }

    /// True for type 2 devices, which only listen: they have no SMI status, and their model no firmware.
    #[must_use]
    pub fn is_type2(self) -> bool {
        matches!(self, Self::Ihd | Self::Cad)
    }

    /// True for the devices of the gas supply (GPF and GSME).
    #[must_use]
    pub fn is_gas(self) -> bool {
        matches!(self, Self::Gpf | Self::Gsme)
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceKind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParseError::new("one of CHF, ESME, GPF, GSME, IHD, PPMID, CAD", text))
    }
}

/// A device model: manufacturer, model, hardware and the firmware it runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceModel {
    /// Up to 30 characters.
    pub manufacturer: String,
    /// Up to 30 characters.
    pub model: String,
    /// Hardware version; empty when unknown.
    pub hardware: String,
    /// The identifier in DUIS and the CPL: 1 to 8 characters.
    pub firmware: String,
}

/// The name of a device profile: `model@firmware`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProfileId {
    /// The model's key, for example `as300p`.
    pub model: String,
    /// The firmware's key, for example `LAB-0001`.
    pub firmware: String,
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.firmware)
    }
}

impl FromStr for ProfileId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once('@') {
            Some((model, firmware)) if !model.is_empty() && !firmware.is_empty() && !firmware.contains('@') => {
                Ok(Self {
                    model: model.into(),
                    firmware: firmware.into(),
                })
            }
            _ => Err(ParseError::new("a device profile such as as300p@LAB-0001", text)),
        }
    }
}

/// Who carries the WAN of an installation; part of the DMC key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CommunicationsProvider {
    /// Telefónica (O2).
    Telefonica,
    /// Vodafone.
    Vodafone,
}

impl CommunicationsProvider {
    /// The word files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telefonica => "telefonica",
            Self::Vodafone => "vodafone",
        }
    }
}

impl FromStr for CommunicationsProvider {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        [Self::Telefonica, Self::Vodafone]
            .into_iter()
            .find(|provider| provider.as_str() == text)
            .ok_or_else(|| ParseError::new("one of telefonica, vodafone", text))
    }
}

/// A Device Model Combination: the profiles of one installation plus its communications provider.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dmc {
    /// Carrier of the WAN.
    pub provider: CommunicationsProvider,
    /// Communications hub, always there.
    pub chf: ProfileId,
    /// Electricity meter, always there.
    pub esme: ProfileId,
    /// Gas proxy, where there is gas.
    pub gpf: Option<ProfileId>,
    /// Gas meter, where there is gas.
    pub gsme: Option<ProfileId>,
}

/// The programme's release that brought a group of devices in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cohort {
    /// Initial Operating Capability.
    Ioc,
    /// Middle Operating Capability.
    Moc,
    /// Final Operating Capability.
    Foc,
}

impl Cohort {
    /// The word the programme uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ioc => "IOC",
            Self::Moc => "MOC",
            Self::Foc => "FOC",
        }
    }
}

impl FromStr for Cohort {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        [Self::Ioc, Self::Moc, Self::Foc]
            .into_iter()
            .find(|cohort| cohort.as_str() == text)
            .ok_or_else(|| ParseError::new("one of IOC, MOC, FOC", text))
    }
}
