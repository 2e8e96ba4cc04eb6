//! Notices about dormant installations: of firmware upgrades and of migrations. Columns are ours.

use dmc::FileError;
use domain::{DeviceKind, Eui64, Mpan, Mprn, Mpxn};
use jiff::civil::Date;

use crate::InstallationType;
use crate::settings::{CohortSlug, Columns, fields};
use crate::strict::{self, Row, fault, unknown};

/// One device whose firmware the DCC will upgrade.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirmwareNotice {
    /// Number of the notice.
    pub notice: String,
    /// Cohort.
    pub cohort: CohortSlug,
    /// SMSO's short code.
    pub smso: String,
    /// Metering point.
    pub mpxn: Mpxn,
    /// Which device.
    pub device: Eui64,
    /// What it is.
    pub kind: DeviceKind,
    /// Its model.
    pub model: String,
    /// Firmware it has.
    pub firmware: String,
    /// Firmware it will have.
    pub target: String,
    /// The EPCL entry that this leads to.
    pub epcl: String,
    /// The installing supplier, whose image it is.
    pub image_source: Eui64,
    /// From.
    pub from: Date,
    /// To.
    pub to: Date,
    /// Whom the notice is for.
    pub supplier: Eui64,
}

/// One installation that will migrate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MigrationNotice {
    /// Number of the notice.
    pub notice: String,
    /// Cohort.
    pub cohort: CohortSlug,
    /// SMSO's short code.
    pub smso: String,
    /// Electricity.
    pub mpan: Mpan,
    /// Gas.
    pub mprn: Option<Mprn>,
    /// Its hub.
    pub hub: Eui64,
    /// The day.
    pub day: Date,
    /// Responsible for electricity.
    pub supplier_electricity: Eui64,
    /// Responsible for gas.
    pub supplier_gas: Option<Eui64>,
    /// Dormant or mixed.
    pub installation_type: InstallationType,
}

/// Reads firmware notices.
///
/// # Errors
/// With file and line.
pub fn read_firmware(columns: &Columns, file: &str, text: &str) -> Result<Vec<FirmwareNotice>, FileError> {
    let headings = columns.form("firmware-notice").headings_of(fields("firmware-notice"));
    let each = strict::csv(file, text, &headings)?;
    let each = each.iter().map(|row| {
        let text = |at: usize| filled(file, row, at, headings[at]);
        Ok(FirmwareNotice {
            notice: text(0)?,
            cohort: CohortSlug::new(&text(1)?),
            smso: text(2)?,
            mpxn: row.parse(file, 3, headings[3])?,
            device: row.parse(file, 4, headings[4])?,
            kind: row.parse(file, 5, headings[5])?,
            model: text(6)?,
            firmware: text(7)?,
            target: text(8)?,
            epcl: text(9)?,
            image_source: row.parse(file, 10, headings[10])?,
            from: row.parse(file, 11, headings[11])?,
            to: row.parse(file, 12, headings[12])?,
            supplier: row.parse(file, 13, headings[13])?,
        })
    });
    each.collect()
}

/// Writes firmware notices.
#[must_use]
pub fn write_firmware(columns: &Columns, notices: &[FirmwareNotice]) -> String {
    let rows = notices.iter().map(|notice| {
        vec![
            notice.notice.clone(),
            notice.cohort.to_string(),
            notice.smso.clone(),
            notice.mpxn.to_string(),
            notice.device.to_string(),
            notice.kind.to_string(),
            notice.model.clone(),
            notice.firmware.clone(),
            notice.target.clone(),
            notice.epcl.clone(),
            notice.image_source.to_string(),
            notice.from.to_string(),
            notice.to.to_string(),
            notice.supplier.to_string(),
        ]
    });
    columns.form("firmware-notice").write(fields("firmware-notice"), rows)
}

/// Reads migration notices.
///
/// # Errors
/// With file and line.
pub fn read_migration(columns: &Columns, file: &str, text: &str) -> Result<Vec<MigrationNotice>, FileError> {
    let headings = columns.form("migration-notice").headings_of(fields("migration-notice"));
    let each = strict::csv(file, text, &headings)?;
    let each = each.iter().map(|row| {
        let mpxn = |at: usize| row.parse::<Mpxn>(file, at, headings[at]);
        let mpan = match mpxn(3)? {
            Mpxn::Mpan(mpan) => mpan,
            Mpxn::Mprn(_) => return Err(fault(file, row.line, format!("{}: not an MPAN", headings[3]))),
        };
        let mprn = match row.value(4) {
            "" => None,
            _ => match mpxn(4)? {
                Mpxn::Mprn(mprn) => Some(mprn),
                Mpxn::Mpan(_) => return Err(fault(file, row.line, format!("{}: not an MPRN", headings[4]))),
            },
        };
        let word = row.value(9);
        Ok(MigrationNotice {
            notice: filled(file, row, 0, headings[0])?,
            cohort: CohortSlug::new(&filled(file, row, 1, headings[1])?),
            smso: filled(file, row, 2, headings[2])?,
            mpan,
            mprn,
            hub: row.parse(file, 5, headings[5])?,
            day: row.parse(file, 6, headings[6])?,
            supplier_electricity: row.parse(file, 7, headings[7])?,
            supplier_gas: match row.value(8) {
                "" => None,
                _ => Some(row.parse(file, 8, headings[8])?),
            },
            installation_type: InstallationType::from_word(word).ok_or_else(|| {
                let known = InstallationType::ALL.iter().map(|known| known.as_str());
                unknown(file, row.line, "installation type", word, known)
            })?,
        })
    });
    each.collect()
}

/// Writes migration notices.
#[must_use]
pub fn write_migration(columns: &Columns, notices: &[MigrationNotice]) -> String {
    let rows = notices.iter().map(|notice| {
        vec![
            notice.notice.clone(),
            notice.cohort.to_string(),
            notice.smso.clone(),
            notice.mpan.to_string(),
            notice.mprn.map(|mprn| mprn.to_string()).unwrap_or_default(),
            notice.hub.to_string(),
            notice.day.to_string(),
            notice.supplier_electricity.to_string(),
            notice
                .supplier_gas
                .map(|supplier| supplier.to_string())
                .unwrap_or_default(),
            notice.installation_type.as_str().to_owned(),
        ]
    });
    columns.form("migration-notice").write(fields("migration-notice"), rows)
}

fn filled(file: &str, row: &Row, at: usize, heading: &str) -> Result<String, FileError> {
    match row.value(at) {
        "" => Err(fault(file, row.line, format!("{heading} is empty"))),
        text => Ok(text.to_owned()),
    }
}
