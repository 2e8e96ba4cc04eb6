//! One installation of an estate: what it is called and what it got of its template.

use std::fmt;
use std::sync::Arc;

use domain::operation::PaymentMode;
use domain::{DeviceKind, Dmc, Eui64, InstallationType, Mpan, Mprn, Mpxn, ProfileId, Seed};

use super::list::Identities;
use super::{Combination, Service, SiteFault, Template};

/// First three octets of every device: locally administered, so no manufacturer's.
const EUI_PREFIX: u64 = 0x02_1AB0;

/// One installation of an estate: identities and membership, nothing of its devices' state. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    template: Arc<Template>,
    position: u32,
    /// Bits of what is wrong with it now, where that is not what it was dealt.
    faults_now: Option<u8>,
    /// It was enrolled after its estate was read.
    migrated: bool,
}

/// What tells the parts that installations share apart: template, combination, whether enrolled.
pub(crate) type KitKey = (u8, u16, bool);

/// One device of an estate, for inventories and directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteDevice {
    /// Its identity.
    pub device: Eui64,
    /// Its kind.
    pub kind: DeviceKind,
    /// The hub through which it is reached; its own identity for a hub.
    pub hub: Eui64,
    /// Its profile.
    pub profile: ProfileId,
    /// The metering point it serves: none for a hub.
    pub mpxn: Option<Mpxn>,
    /// Whether it is enrolled.
    pub enrolled: bool,
    /// Whether its supplier has smart service there, or had when it was enrolled; a hub is active where any fuel is.
    pub active: bool,
}

impl Site {
    pub(super) fn new(template: Arc<Template>, position: u32) -> Self {
        Self {
            template,
            position,
            faults_now: None,
            migrated: false,
        }
    }

    /// The same installation with other faults.
    pub(super) fn with_faults(self, bits: u8) -> Self {
        Self {
            faults_now: Some(bits),
            ..self
        }
    }

    /// What it is an example of.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Its number among the installations of its template, from 0.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.position
    }

    /// Its devices' profiles and carrier, with cohort and operator.
    ///
    /// # Panics
    /// Never: a template has a combination for each of its installations.
    #[must_use]
    pub fn combination(&self) -> &Combination {
        let index = self.template.dealt.combination.at(self.position).map_or(0, usize::from);
        let all = &self.template.combinations;
        all.get(index)
            .or_else(|| all.first())
            .expect("a template has a combination")
    }

    /// Its devices' profiles and carrier.
    #[must_use]
    pub fn dmc(&self) -> &Dmc {
        &self.combination().dmc
    }

    /// How the customers pay.
    #[must_use]
    pub fn payment_mode(&self) -> PaymentMode {
        let dealt = self.template.dealt.payment.at(self.position);
        dealt.unwrap_or(PaymentMode::Credit)
    }

    /// Whether the electricity meter measures a second element.
    #[must_use]
    pub fn second_element(&self) -> bool {
        self.template.dealt.second_element.at(self.position).unwrap_or(false)
    }

    /// Operated by the S1SP with DCO approvals, else by the operator before migration.
    #[must_use]
    pub fn enrolled(&self) -> bool {
        self.migrated || self.template.dealt.enrolled.at(self.position).unwrap_or(false)
    }

    /// The same installation after it was migrated: enrolled, whatever the estate says.
    #[must_use]
    pub fn after_migration(&self) -> Self {
        Self {
            migrated: true,
            ..self.clone()
        }
    }

    /// The head-end that the hub is configured to connect to.
    #[must_use]
    pub fn head_end(&self) -> &str {
        let usual = if self.enrolled() { "s1sp" } else { "smso" };
        self.template.head_end.as_deref().unwrap_or(usual)
    }

    /// Which fuels suppliers have smart service for, or had before it was enrolled.
    #[must_use]
    pub fn installation_type(&self) -> InstallationType {
        let Service { electricity, gas } = self.service();
        match (electricity, self.has_gas().then_some(gas)) {
            (true, None | Some(true)) => InstallationType::Active,
            (false, None | Some(false)) => InstallationType::Dormant,
            _ => InstallationType::Mixed,
        }
    }

    /// Whether the supplier of the device in this slot has smart service, or had before it was enrolled; that of a hub is
    /// any supplier.
    #[must_use]
    pub fn active(&self, slot: DeviceKind) -> bool {
        let Service { electricity, gas } = self.service();
        match slot {
            DeviceKind::Esme => electricity,
            DeviceKind::Gpf | DeviceKind::Gsme => gas,
            DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => {
                electricity || (self.has_gas() && gas)
            }
        }
    }

    /// Whether electricity and gas have different suppliers: always so where only one of them has smart service.
    #[must_use]
    pub fn two_suppliers(&self) -> bool {
        self.has_gas()
            && (self.installation_type() == InstallationType::Mixed
                || self.template.dealt.two_suppliers.at(self.position).unwrap_or(false))
    }

    /// What is wrong with it from the start.
    pub fn faults(&self) -> impl Iterator<Item = SiteFault> + '_ {
        let dealt = || self.template.dealt.faults.at(self.position).unwrap_or(0);
        let bits = self.faults_now.unwrap_or_else(dealt);
        SiteFault::ALL.into_iter().filter(move |fault| bits & fault.bit() != 0)
    }

    /// Whether this is wrong with it from the start.
    #[must_use]
    pub fn has_fault(&self, fault: SiteFault) -> bool {
        self.faults().any(|other| other == fault)
    }

    fn service(&self) -> Service {
        let dealt = self.template.dealt.service.at(self.position);
        dealt.unwrap_or(Service {
            electricity: true,
            gas: true,
        })
    }

    fn has_gas(&self) -> bool {
        self.dmc().gsme.is_some()
    }

    /// Equal for installations of one template that are made of the same and begin with the same operator; none for those
    /// that came later.
    pub(crate) fn kit_key(&self) -> Option<KitKey> {
        if self.template.number == super::later::LATER {
            return None;
        }
        let combination = self.template.dealt.combination.at(self.position).unwrap_or(0);
        Some((self.template.number, combination, self.enrolled()))
    }

    /// The identity of its communications hub, which names the installation.
    #[must_use]
    pub fn hub(&self) -> Eui64 {
        self.eui(DeviceKind::Chf)
    }

    /// The identity of the device in this slot, where there is one.
    #[must_use]
    pub fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        self.profile(slot).map(|_| self.eui(slot))
    }

    /// The slot of one of its devices.
    #[must_use]
    pub fn slot_of(&self, device: Eui64) -> Option<DeviceKind> {
        SLOTS.into_iter().find(|slot| self.device(*slot) == Some(device))
    }

    /// The profile of the device in this slot, where there is one.
    #[must_use]
    pub fn profile(&self, slot: DeviceKind) -> Option<&ProfileId> {
        self.dmc().profile(slot)
    }

    /// The electricity metering point.
    ///
    /// # Panics
    /// Never: its digits follow from limits of the file.
    #[must_use]
    pub fn mpan(&self) -> Mpan {
        if let Some(listed) = self.listed() {
            return listed.mpan;
        }
        let core = 990_000_000_000 + u64::from(self.template.number) * 100_000_000 + u64::from(self.position);
        Mpan::new(core * 10 + check_digit(core)).expect("12 digits and a check digit are 13")
    }

    /// The gas metering point, where there is gas.
    ///
    /// # Panics
    /// Never: its digits follow from limits of the file.
    #[must_use]
    pub fn mprn(&self) -> Option<Mprn> {
        if let Some(listed) = self.listed() {
            return listed.mprn;
        }
        let digits = 9_000_000_000 + u64::from(self.template.number) * 10_000_000 + u64::from(self.position);
        self.has_gas().then(|| Mprn::new(digits).expect("these are 10 digits"))
    }

    /// The property's reference number: 12 digits that begin with 99.
    #[must_use]
    pub fn uprn(&self) -> String {
        let own = || format!("99{:02}{:08}", self.template.number, self.position);
        self.listed().map_or_else(own, |listed| listed.property.uprn.clone())
    }

    /// The property's post code: a hundred properties of a template have one, as on a street.
    #[must_use]
    pub fn post_code(&self) -> String {
        if let Some(listed) = self.listed() {
            return listed.property.post_code.clone();
        }
        let street = self.position / 100;
        // Outward and inward part take up to eight characters together.
        format!("ZZ{} {}ZZ", self.template.number, street % 10)
    }

    /// What tells the property from the others of its post code.
    #[must_use]
    pub fn address(&self) -> String {
        let own = || format!("{} Lab Street", self.position + 1);
        self.listed().map_or_else(own, |listed| listed.property.address.clone())
    }

    /// Its devices: hub, electricity meter, gas proxy, gas meter, prepayment interface, display.
    #[must_use]
    pub fn devices(&self) -> Vec<SiteDevice> {
        SLOTS
            .into_iter()
            .filter_map(|kind| {
                let mpxn = match kind {
                    DeviceKind::Esme => Some(Mpxn::Mpan(self.mpan())),
                    DeviceKind::Gpf | DeviceKind::Gsme => self.mprn().map(Mpxn::Mprn),
                    DeviceKind::Chf | DeviceKind::Ihd | DeviceKind::Ppmid | DeviceKind::Cad => None,
                };
                Some(SiteDevice {
                    device: self.device(kind)?,
                    kind,
                    hub: self.hub(),
                    profile: self.profile(kind)?.clone(),
                    mpxn,
                    enrolled: self.enrolled(),
                    active: self.active(kind),
                })
            })
            .collect()
    }

    /// The seed of its devices: independent of what else is in the estate.
    #[must_use]
    pub fn seed(&self, root: &Seed) -> Seed {
        root.child("installation").child(self.hub().to_bytes())
    }

    /// What it is called, where that was listed.
    fn listed(&self) -> Option<&Identities> {
        let position = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.template.identities.get(position)
    }

    /// As listed, or `02-1A-B0`, kind, template, position in three octets.
    fn eui(&self, kind: DeviceKind) -> Eui64 {
        if let Some(listed) = self.listed() {
            return listed.devices.get(&kind).copied().unwrap_or_default();
        }
        let kind = match kind {
            DeviceKind::Chf => 1,
            DeviceKind::Esme => 2,
            DeviceKind::Gpf => 3,
            DeviceKind::Gsme => 4,
            DeviceKind::Ihd => 5,
            DeviceKind::Ppmid => 6,
            DeviceKind::Cad => 7,
        };
        let number = u64::from(self.template.number);
        Eui64(EUI_PREFIX << 40 | kind << 32 | number << 24 | u64::from(self.position + 1))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.template.name, self.hub())
    }
}

/// The check digit of an MPAN's first twelve digits: primes as weights, modulo 11, then modulo 10.
fn check_digit(core: u64) -> u64 {
    const WEIGHTS: [u64; 12] = [43, 41, 37, 31, 29, 23, 19, 17, 13, 7, 5, 3];
    let mut rest = core;
    let mut sum = 0;
    for weight in WEIGHTS {
        sum += rest % 10 * weight;
        rest /= 10;
    }
    sum % 11 % 10
}

/// The slots of an installation, in inventory order.
pub(crate) const SLOTS: [DeviceKind; 6] = [
    DeviceKind::Chf,
    DeviceKind::Esme,
    DeviceKind::Gpf,
    DeviceKind::Gsme,
    DeviceKind::Ppmid,
    DeviceKind::Ihd,
];
