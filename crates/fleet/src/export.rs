//! An estate as tables: its devices, and the registration data of its metering points. [`Estate::from_tables`] reads them.

use dmc::Catalogue;
use domain::DeviceKind;
use domain::operation::PaymentMode;

use crate::estate::{DEVICE_COLUMNS, Estate, REGISTRATION_COLUMNS};

/// The devices of an estate as CSV, in the order of the estate.
#[must_use]
pub fn devices_csv(estate: &Estate, catalogue: &Catalogue) -> String {
    let mut csv = line(&DEVICE_COLUMNS);
    for site in estate.sites() {
        let faults: Vec<&str> = site.faults().map(|fault| fault.as_str()).collect();
        let (combination, faults) = (site.combination(), faults.join(" "));
        for device in site.devices() {
            let profile = catalogue.profile(&device.profile);
            csv.push_str(&line(&[
                device.hub.to_string().as_str(),
                &device.device.to_string(),
                device.kind.as_str(),
                &device.profile.to_string(),
                profile.map_or("", |profile| &profile.native_firmware),
                &device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
                if device.active { "active" } else { "dormant" },
                &site.template().name,
                if device.enrolled { "true" } else { "false" },
                combination.dmc.provider.as_str(),
                match site.payment_mode() {
                    PaymentMode::Credit => "credit",
                    PaymentMode::Prepayment => "prepayment",
                },
                if site.two_suppliers() { "two" } else { "one" },
                if site.second_element() { "true" } else { "false" },
                &combination.cohort,
                &combination.smso,
                &faults,
            ]));
        }
    }
    csv
}

/// The registration data of an estate's metering points as CSV: operator before enrolment, SMETS version and meter type in
/// the words of the registration services (S1 for SMETS1), and the property.
#[must_use]
pub fn registration_csv(estate: &Estate, catalogue: &Catalogue) -> String {
    let mut csv = line(&REGISTRATION_COLUMNS);
    for site in estate.sites() {
        for device in site.devices() {
            let fuel = match device.kind {
                DeviceKind::Esme => "electricity",
                DeviceKind::Gsme => "gas",
                _ => continue,
            };
            let smso = catalogue
                .profile(&device.profile)
                .map_or("NONE", |profile| &profile.smso);
            csv.push_str(&line(&[
                device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default().as_str(),
                fuel,
                smso,
                "S1",
                "S1",
                &site.uprn(),
                &site.post_code(),
                &site.address(),
            ]));
        }
    }
    csv
}

/// One line, with what CSV makes of commas and quotes.
fn line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|text| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                (*text).to_owned()
            }
        })
        .collect();
    format!("{}\n", cells.join(","))
}
