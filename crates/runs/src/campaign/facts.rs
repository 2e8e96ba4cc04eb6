//! What is known of the installations of an estate before they migrate, and what suppliers authorise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dmc::FileError;
use domain::{DeviceKind, Eui64, Mpxn, SimInstant, UserRole};
use duis::signature::Certificate;
use fleet::Site;
use jiff::civil::Date;
use lab::Parts;
use migration::InstallationId;
use migration::day::plus_days;
use migration::faults::Draft;
use migration::machine::model::{DeviceFacts, Facts, PointFacts};
use migration::planning::authorisation::AuthorisationRow;
use migration::planning::demand;
use migration::planning::gates::ListedModel;
use migration::planning::intake::ReceivedFile;
use migration::planning::name::{FileKind, FileName};
use migration::settings::CohortSlug;
use migration::strict::fault;

use super::file::{CampaignFile, Demand};

/// The password of authorisation files of the lab's own suppliers: it guards nothing.
const PASSWORD: &str = "lab";
/// The SEC party signifier in demand files: no party's.
const PARTY: &str = "LAB001";
/// Supplier or network operator where no registration names one.
const NOBODY: Eui64 = Eui64(0);

/// Facts of every installation that is with its operator before enrolment, with what a campaign file says of its people.
///
/// # Errors
/// Where the file, which is at this path, names a metering point that none of them has.
pub(super) fn of_estate(parts: &Parts, file: &CampaignFile, path: &Path) -> Result<Vec<Facts>, FileError> {
    let sites = parts.estate.sites().filter(|site| !site.enrolled());
    let mut unknown = file.named.clone();
    let all = sites.map(|site| {
        let mut facts = facts_of(parts, &site);
        for point in &facts.points {
            facts.vulnerable |= file.vulnerable.contains(&point.mpxn);
            unknown.remove(&point.mpxn);
        }
        facts
    });
    let all = all.collect();
    match unknown.first_key_value() {
        None => Ok(all),
        Some((mpxn, line)) => {
            let text = format!(
                "{mpxn} is at no installation of the estate that is to migrate: s1lab estate export lists its metering points"
            );
            Err(fault(&path.display().to_string(), *line, text))
        }
    }
}

/// What is known of an installation before it migrates. A metering point that nobody is registered for has a supplier that is
/// nobody (EUI-64 0); a device whose profile is not in the catalogue is left out.
#[must_use]
pub fn facts_of(parts: &Parts, site: &Site) -> Facts {
    let at = parts.config.clock.start;
    let devices = site.devices().into_iter().filter_map(|device| {
        let model = &parts.catalogue.profile(&device.profile)?.model;
        Some(DeviceFacts {
            id: device.device,
            kind: device.kind,
            model: ListedModel {
                manufacturer: model.manufacturer.clone(),
                model: model.model.clone(),
                firmware: model.firmware.clone(),
            },
            hardware: model.hardware.clone(),
            serial: String::new(),
            profile: device.profile.to_string(),
            configuration: String::new(),
            epoch: 1,
        })
    });
    let prepayment = site.payment_mode() == domain::operation::PaymentMode::Prepayment;
    let point = |mpxn, slot, supplier, network| PointFacts {
        mpxn,
        supplier: parts.directory.registered(mpxn, supplier, at).unwrap_or(NOBODY),
        network: parts.directory.registered(mpxn, network, at).unwrap_or(NOBODY),
        active: site.active(slot),
        prepayment,
    };
    let (import, distributor) = (UserRole::ImportSupplier, UserRole::ElectricityDistributor);
    let mut points = vec![point(Mpxn::Mpan(site.mpan()), DeviceKind::Esme, import, distributor)];
    let (gas, transporter) = (UserRole::GasSupplier, UserRole::GasTransporter);
    let mprn = site.mprn().map(Mpxn::Mprn);
    points.extend(mprn.map(|mprn| point(mprn, DeviceKind::Gsme, gas, transporter)));
    let cohort = &site.combination().cohort;
    Facts {
        id: InstallationId(site.hub()),
        cohort: CohortSlug::new(cohort),
        provider: site.dmc().provider,
        hub: site.hub(),
        devices: devices.collect(),
        points,
        vulnerable: false,
    }
}

/// Serial numbers of suppliers' signing certificates in hex, as authorisations name them.
pub(super) struct Certificates(BTreeMap<Eui64, String>);

impl Certificates {
    pub(super) fn of(parts: &Parts) -> Self {
        let serials = parts.pki.users.iter().filter_map(|user| {
            let own = user.organisation.as_ref();
            let pem = own.map_or(&user.certificate_pem, |own| &own.signing);
            let certificate = Certificate::from_pem(pem).ok()?;
            Some((user.eui, hex_of(certificate.serial())))
        });
        Self(serials.collect())
    }

    pub(super) fn is_known(&self, serial: &str) -> bool {
        self.0.values().any(|known| known == serial)
    }

    fn of_supplier(&self, supplier: Eui64) -> String {
        self.0.get(&supplier).cloned().unwrap_or_else(|| "00".to_owned())
    }
}

/// A decimal number of any length in hex.
fn hex_of(decimal: &str) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for digit in decimal.bytes().filter(u8::is_ascii_digit) {
        let mut carry = u32::from(digit - b'0');
        for nibble in &mut digits {
            carry += u32::from(*nibble) * 10;
            *nibble = u8::try_from(carry % 16).unwrap_or(0);
            carry /= 16;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 16).unwrap_or(0));
            carry /= 16;
        }
    }
    let text: String = digits.iter().rev().map(|nibble| format!("{nibble:X}")).collect();
    if text.len() % 2 == 1 { format!("0{text}") } else { text }
}

/// The demand files of every supplier with active points, one per SMSO: the same number for each day of the week on which
/// installations are migrated.
pub(super) fn demand(file: &CampaignFile, all: &[Facts], sent: &Demand) -> Vec<ReceivedFile> {
    let columns = &file.settings.columns;
    let days = (0..7).map(|days| plus_days(sent.week, days));
    let days = days.filter(|day| file.settings.calendar.is_slot_day(*day));
    let days: BTreeMap<Date, u32> = days.map(|day| (day, sent.per_day)).collect();
    let kind = if sent.request {
        FileKind::DemandRequest
    } else {
        FileKind::DemandCommitment
    };
    let active = all.iter().flat_map(|facts| {
        let active = facts.points.iter().filter(|point| point.active);
        active.map(move |point| (point.supplier, smso_of(file, facts)))
    });
    let senders: BTreeSet<(Eui64, String)> = active.collect();
    let files = senders.into_iter().map(|(supplier, smso)| ReceivedFile {
        name: FileName::new(columns, kind, &smso, supplier, Some(PARTY), sent.at).to_string(),
        sender: supplier,
        at: sent.at,
        text: demand::write(columns, kind, &days),
    });
    files.collect()
}

/// The SMSO that operates an installation before it is enrolled, by its short code.
fn smso_of(file: &CampaignFile, facts: &Facts) -> String {
    let cohort = file.settings.cohort(&facts.cohort);
    cohort.map(|cohort| cohort.smso.clone()).unwrap_or_default()
}

/// The authorisations of every supplier with active points for a week, one per SMSO, as sent at an instant.
pub(super) fn authorisations(
    file: &CampaignFile,
    certificates: &Certificates,
    all: &[Facts],
    week: Date,
    at: SimInstant,
) -> Vec<Draft> {
    let mut by_sender: BTreeMap<(Eui64, String), Vec<AuthorisationRow>> = BTreeMap::new();
    for facts in all {
        for point in facts.points.iter().filter(|point| point.active) {
            let rows = by_sender.entry((point.supplier, smso_of(file, facts))).or_default();
            let certificate = certificates.of_supplier(point.supplier);
            rows.push(AuthorisationRow {
                row: u32::try_from(rows.len() + 1).unwrap_or(u32::MAX),
                mpxn: point.mpxn,
                not_before: week,
                not_after: plus_days(week, 6),
                supplier: point.supplier,
                signing_certificate: certificate.clone(),
                agreement_certificate: certificate,
                prepayment: point.prepayment,
                withdraw: false,
            });
        }
    }
    let points_of = |rule: &migration::faults::FaultRule| -> BTreeSet<Mpxn> {
        let seed = domain::Seed::root(file.seed);
        let about = all.iter().filter(|facts| rule.is_about(&seed, facts));
        about
            .flat_map(|facts| facts.points.iter().map(|point| point.mpxn))
            .collect()
    };
    let drafts = by_sender.into_iter().map(|((supplier, smso), rows)| {
        let mut draft = Draft::new(&file.settings, &smso, supplier, at, PASSWORD, rows);
        for rule in file.faults.iter().filter(|rule| rule.holds_at(at)) {
            let points = points_of(rule);
            rule.spoil(&file.settings, &mut draft, |mpxn| points.contains(&mpxn));
        }
        draft
    });
    drafts.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn serial_numbers_in_hex() {
        for (decimal, hex) in [
            ("0", ""),
            ("10", "0A"),
            ("255", "FF"),
            ("18446744073709551616", "010000000000000000"),
        ] {
            assert_eq!(super::hex_of(decimal), hex);
        }
    }
}
