//! Questions about an estate without a lab: what it holds, whether it is sound, and its tables.

use std::collections::BTreeMap;
use std::path::Path;

use dmc::Catalogue;
use domain::InstallationType;
use domain::operation::PaymentMode;
use fleet::{Csv, Estate, Site, Surroundings, Template};
use lab::BuildError;
use lab::config::EstateConfig;
use lab::files::{read_text, write_public};
use serde_json::json;

use crate::catalogue::Said;

/// What the estate holds, a line per template: how many installations of which type, pay how, with which faults.
///
/// # Errors
/// [`BuildError`] when it is refused.
pub fn show(config: &EstateConfig, catalogue: &Catalogue) -> Result<Said, BuildError> {
    let estate = lab::parts::estate(config, catalogue)?;
    let mut lines = vec![format!(
        "{:28} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>9}  cohorts",
        "template", "count", "active", "dormant", "mixed", "enrolled", "prepayment", "faults"
    )];
    let mut templates = Vec::new();
    for template in estate.templates() {
        let tally = Tally::of(&estate, template);
        let cohorts: Vec<&str> = tally.cohorts.keys().map(String::as_str).collect();
        lines.push(format!(
            "{:28} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>9}  {}",
            template.name,
            template.count,
            tally.types(InstallationType::Active),
            tally.types(InstallationType::Dormant),
            tally.types(InstallationType::Mixed),
            tally.enrolled,
            tally.prepayment,
            tally.faults,
            cohorts.join(", ")
        ));
        templates.push(json!({
            "name": template.name, "count": template.count, "combinations": tally.combinations,
            "active": tally.types(InstallationType::Active), "dormant": tally.types(InstallationType::Dormant),
            "mixed": tally.types(InstallationType::Mixed), "enrolled": tally.enrolled,
            "prepayment": tally.prepayment, "two_suppliers": tally.two_suppliers, "with_faults": tally.faults,
            "cohorts": tally.cohorts,
        }));
    }
    lines.push(format!(
        "{} installations, {} devices",
        estate.len(),
        estate.devices().count()
    ));
    Ok(Said {
        json: json!({
            "name": estate.name, "installations": estate.len(), "devices": estate.devices().count(),
            "templates": templates,
        }),
        lines,
        good: true,
    })
}

/// Whether the estate is sound; a fault is an error.
///
/// # Errors
/// [`BuildError`] with file, line and hint.
pub fn check(config: &EstateConfig, catalogue: &Catalogue) -> Result<Said, BuildError> {
    let estate = lab::parts::estate(config, catalogue)?;
    let text = format!("{}: {} installations, sound", estate.name, estate.len());
    Ok(Said {
        json: json!({ "name": estate.name, "installations": estate.len() }),
        lines: vec![text],
        good: true,
    })
}

/// Writes `devices.csv` and `registration.csv` of the estate into a folder.
///
/// # Errors
/// [`BuildError`] when the estate is refused or a file cannot be written.
pub fn export(config: &EstateConfig, catalogue: &Catalogue, folder: &Path) -> Result<Said, BuildError> {
    let estate = lab::parts::estate(config, catalogue)?;
    let files = [
        ("devices.csv", fleet::devices_csv(&estate, catalogue)),
        ("registration.csv", fleet::registration_csv(&estate, catalogue)),
    ];
    written(folder, &files, estate.len())
}

/// Reads the tables of an estate and writes them and an `estate.toml` that names them into a folder; nothing is written
/// unless all of it is sound.
///
/// # Errors
/// [`BuildError`] when a table is refused or a file cannot be written.
pub fn import(
    devices: &Path,
    registration: &Path,
    folder: &Path,
    catalogue: &Catalogue,
    directed: &[String],
) -> Result<Said, BuildError> {
    let (of_devices, of_registration) = (read_text(devices)?, read_text(registration)?);
    let open = |_: &str| Err(String::new());
    let surroundings = Surroundings {
        catalogue,
        directed,
        open: &open,
    };
    let (devices, registration) = (devices.display().to_string(), registration.display().to_string());
    let csv = |file, text| Csv { file, text };
    let estate = Estate::from_tables(
        "imported",
        csv(&devices, &of_devices),
        csv(&registration, &of_registration),
        &surroundings,
    )?;
    let groups = directed.iter().map(|group| format!("{group:?}")).collect::<Vec<_>>();
    let toml = format!(
        "[estate]\nname = \"imported\"\nsource = \"imported from tables\"\ndirected = [{}]\n\n[[list]]\n\
         devices = \"devices.csv\"\nregistration = \"registration.csv\"\n",
        groups.join(", ")
    );
    let files = [
        ("devices.csv", of_devices),
        ("registration.csv", of_registration),
        ("estate.toml", toml),
    ];
    written(folder, &files, estate.len())
}

fn written(folder: &Path, files: &[(&str, String)], installations: usize) -> Result<Said, BuildError> {
    let mut lines = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        write_public(&path, text)?;
        lines.push(format!("wrote {}", path.display()));
    }
    lines.push(format!("{installations} installations"));
    Ok(Said {
        json: json!({
            "folder": folder.display().to_string(), "installations": installations,
            "files": files.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        }),
        lines,
        good: true,
    })
}

/// Counts over the installations of a template.
#[derive(Default)]
struct Tally {
    types: BTreeMap<InstallationType, usize>,
    cohorts: BTreeMap<String, usize>,
    combinations: BTreeMap<String, usize>,
    enrolled: usize,
    prepayment: usize,
    two_suppliers: usize,
    faults: usize,
}

impl Tally {
    fn of(estate: &Estate, template: &Template) -> Self {
        let mut tally = Self::default();
        for site in estate.sites().filter(|site| site.template().number == template.number) {
            tally.add(&site);
        }
        tally
    }

    fn add(&mut self, site: &Site) {
        *self.types.entry(site.installation_type()).or_default() += 1;
        *self.cohorts.entry(site.combination().cohort.clone()).or_default() += 1;
        *self.combinations.entry(site.dmc().to_string()).or_default() += 1;
        self.enrolled += usize::from(site.enrolled());
        self.prepayment += usize::from(site.payment_mode() == PaymentMode::Prepayment);
        self.two_suppliers += usize::from(site.two_suppliers());
        self.faults += usize::from(site.faults().next().is_some());
    }

    fn types(&self, kind: InstallationType) -> usize {
        self.types.get(&kind).copied().unwrap_or(0)
    }
}
