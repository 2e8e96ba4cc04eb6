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

    /// True for devices that run a firmware image by themselves once they have found it right: no request activates theirs
    /// (ours; that users are only told of hub firmware is inferred from the notification of the message schema).
    #[must_use]
    pub fn runs_images_by_itself(self) -> bool {
        matches!(self, Self::Chf | Self::Ppmid)
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

/// The name of a device profile: `model@firmware`, or only `model` for a type 2 device, whose model has no firmware.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProfileId {
    /// The model's key, for example `as300p`.
    pub model: String,
    /// The firmware's key, for example `LAB-0001`; empty for a type 2 device.
    pub firmware: String,
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.firmware.is_empty() {
            return f.write_str(&self.model);
        }
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
            None if !text.is_empty() => Ok(Self {
                model: text.into(),
                firmware: String::new(),
            }),
            _ => Err(ParseError::new("a device profile such as as300p@LAB-0001", text)),
        }
    }
}

/// Who carries the WAN of an installation; part of the DMC key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
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
    /// Prepayment interface, where there is one.
    pub ppmid: Option<ProfileId>,
    /// In-home display, where there is one.
    pub ihd: Option<ProfileId>,
}

impl Dmc {
    /// The profile of the device of this kind, where there is one.
    #[must_use]
    pub fn profile(&self, kind: DeviceKind) -> Option<&ProfileId> {
        match kind {
            DeviceKind::Chf => Some(&self.chf),
            DeviceKind::Esme => Some(&self.esme),
            DeviceKind::Gpf => self.gpf.as_ref(),
            DeviceKind::Gsme => self.gsme.as_ref(),
            DeviceKind::Ppmid => self.ppmid.as_ref(),
            DeviceKind::Ihd => self.ihd.as_ref(),
            DeviceKind::Cad => None,
        }
    }

    /// All its profiles with their kinds, in the order of its name.
    pub fn profiles(&self) -> impl Iterator<Item = (DeviceKind, &ProfileId)> {
        DMC_KINDS
            .into_iter()
            .filter_map(|kind| self.profile(kind).map(|profile| (kind, profile)))
    }
}

/// The order of profiles in a combination's name.
const DMC_KINDS: [DeviceKind; 6] = [
    DeviceKind::Chf,
    DeviceKind::Esme,
    DeviceKind::Gpf,
    DeviceKind::Gsme,
    DeviceKind::Ppmid,
    DeviceKind::Ihd,
];

impl fmt::Display for Dmc {
    /// Provider, then the profiles of CHF, ESME, GPF, GSME, PPMID and IHD; `-` for one that is not there:
    /// `vodafone/am110r@BASE/as300p@BASE/am110r-gpf@BASE/bk-g4e@BASE/-/-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.provider.as_str())?;
        for kind in DMC_KINDS {
            match self.profile(kind) {
                Some(profile) => write!(f, "/{profile}")?,
                None => f.write_str("/-")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Dmc {
    type Err = ParseError;

    /// The inverse of [`Display`](fmt::Display); parts that are missing at the end are not there.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("a combination such as vodafone/am110r@BASE/as300p@BASE", text);
        let mut parts = text.split('/');
        let provider = parts.next().ok_or_else(wrong)?.parse()?;
        let mut next = || match parts.next() {
            None | Some("-") => Ok(None),
            Some(part) => part.parse().map(Some),
        };
        let dmc = Self {
            provider,
            chf: next()?.ok_or_else(wrong)?,
            esme: next()?.ok_or_else(wrong)?,
            gpf: next()?,
            gsme: next()?,
            ppmid: next()?,
            ihd: next()?,
        };
        if next()?.is_some() || dmc.gpf.is_some() != dmc.gsme.is_some() {
            return Err(wrong());
        }
        Ok(dmc)
    }
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

/// Whether suppliers have smart service at an installation before the migration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallationType {
    /// All fuels active.
    #[default]
    Active,
    /// No fuel active.
    Dormant,
    /// One active, the other dormant.
    Mixed,
}

impl InstallationType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Dormant, Self::Mixed];

    /// The word files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Dormant => "dormant",
            Self::Mixed => "mixed",
        }
    }

    /// The one a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl fmt::Display for InstallationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combination_is_named_by_its_profiles() {
        for name in [
            "vodafone/am110r@BASE/as300p@BASE/-/-/-/-",
            "telefonica/hub@A/liberty@B/hub-gpf@A/gas@C/ppmid@D/pipit",
        ] {
            let dmc: Dmc = name.parse().expect("a combination");
            assert_eq!(dmc.to_string(), name);
        }
        assert_eq!(
            "vodafone/a@1/b@1".parse::<Dmc>().map(|dmc| dmc.profiles().count()),
            Ok(2)
        );
        for wrong in [
            "",
            "vodafone",
            "vodafone/a@1",
            "o2/a@1/b@1",
            "vodafone/a@1/b@1/c@1",
            "vodafone/a@/b@1",
        ] {
            assert!(wrong.parse::<Dmc>().is_err(), "{wrong}");
        }
    }
}
