//! An estate as tables: its devices, and the registration data of its metering points.

use std::fmt::Write as _;

use dmc::Catalogue;
use domain::DeviceKind;

use crate::estate::Estate;

/// The devices of an estate as CSV: hub, device, kind, profile, native firmware, metering point, template, enrolled.
#[must_use]
pub fn devices_csv(estate: &Estate, catalogue: &Catalogue) -> String {
    let mut csv = "hub,device,kind,profile,firmware,mpxn,template,enrolled\n".to_owned();
    for site in estate.sites() {
        for device in site.devices() {
            let firmware = catalogue
                .profile(&device.profile)
                .map_or("", |profile| &profile.native_firmware);
            let point = device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default();
            // Writing to a text cannot fail.
            let _ = writeln!(
                csv,
                "{},{},{},{},{},{point},{},{}",
                device.hub,
                device.device,
                device.kind,
                device.profile,
                cell(firmware),
                cell(&site.template().name),
                device.enrolled
            );
        }
    }
    csv
}

/// The registration data of an estate's metering points as CSV: operator before enrolment, SMETS version, meter type
/// (the words of the registration services: S1 for SMETS1).
#[must_use]
pub fn registration_csv(estate: &Estate, catalogue: &Catalogue) -> String {
    let mut csv = "mpxn,fuel,smso,smets_version,meter_type\n".to_owned();
    for device in estate.devices() {
        let fuel = match device.kind {
            DeviceKind::Esme => "electricity",
            DeviceKind::Gsme => "gas",
            _ => continue,
        };
        let smso = catalogue
            .profile(&device.profile)
            .map_or("NONE", |profile| &profile.smso);
        let point = device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(csv, "{point},{fuel},{},S1,S1", cell(smso));
    }
    csv
}

/// A cell with what CSV makes of commas and quotes.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
