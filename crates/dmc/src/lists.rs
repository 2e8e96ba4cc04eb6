//! The product lists: eligible combinations (EPCL) and products (CPL). One reader for whoever asks them: the DCC, a
//! migration, the catalogue's own checks.
//!
//! The columns are ours; sourced are what an entry combines and the words of the status. A list names models by maker, model
//! and firmware, or, where a catalogue is at hand, by the names of its profiles.

use std::collections::BTreeMap;

use domain::{CommunicationsProvider, DeviceKind, DeviceModel, Dmc, SimDuration, SimInstant};

use crate::catalogue::Catalogue;
use crate::error::FileError;
use crate::rows::{combination, known};
use crate::table::{Row, Table};

/// Status of a model on the Central Products List, in the words of DUIS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CplStatus {
    /// It may be in service.
    Active,
    /// Taken off.
    Cancelled,
    /// Its certificate ran out.
    Expired,
    /// Withdrawn by its manufacturer.
    Withdrawn,
}

impl CplStatus {
    /// All, in the order of the schema.
    pub const ALL: [Self; 4] = [Self::Active, Self::Cancelled, Self::Expired, Self::Withdrawn];

    /// The word DUIS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Cancelled => "Cancelled",
            Self::Expired => "Expired",
            Self::Withdrawn => "Withdrawn",
        }
    }
}

/// One firmware of one model on the Central Products List.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CplEntry {
    /// What it is.
    pub kind: DeviceKind,
    /// Which model with which firmware.
    pub model: DeviceModel,
    /// Its status.
    pub status: CplStatus,
    /// SHA-256 of the image that brings this firmware, where the list names it.
    pub image_sha256: Option<[u8; 32]>,
}

/// One entry of the list of eligible combinations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpclEntry {
    /// Its id; empty where the list gives none.
    pub id: String,
    /// Communications provider; none: any.
    pub provider: Option<CommunicationsProvider>,
    /// Model with firmware per kind; a kind without one is not part of it. A gas proxy is part of its hub.
    pub models: BTreeMap<DeviceKind, DeviceModel>,
    /// The report it came in.
    pub report: String,
    /// Whether it was approved; else it was refused.
    pub approved: bool,
    /// Who decided.
    pub approved_by: String,
    /// Where it was tested: `SIT`, `DMCT`, `PPCT`; empty where the list does not say.
    pub source: String,
    /// From when it holds.
    pub effective: SimInstant,
    /// From when it holds no longer.
    pub removed: Option<SimInstant>,
}

impl EpclEntry {
    /// Whether it is on the list at an instant.
    #[must_use]
    pub fn in_force(&self, at: SimInstant) -> bool {
        self.effective <= at && self.removed.is_none_or(|removed| at < removed)
    }

    /// Whether these models are among those of an installation. Kinds that the entry does not name do not matter.
    #[must_use]
    pub fn is_within(&self, models: &BTreeMap<DeviceKind, DeviceModel>) -> bool {
        let mut listed = self.models.iter();
        listed.all(|(kind, listed)| models.get(kind).is_some_and(|found| same(found, listed)))
    }

    /// Whether it is about exactly these models with this carrier.
    #[must_use]
    pub fn is_exactly(&self, provider: CommunicationsProvider, models: &BTreeMap<DeviceKind, DeviceModel>) -> bool {
        self.provider.is_none_or(|own| own == provider) && self.models.len() == models.len() && self.is_within(models)
    }
}

/// Maker, model and firmware decide; hardware does not.
fn same(a: &DeviceModel, b: &DeviceModel) -> bool {
    (&a.manufacturer, &a.model, &a.firmware) == (&b.manufacturer, &b.model, &b.firmware)
}

/// The entry that decides of those that fit: the latest; of equals, the one about more kinds, then the later in the list.
pub fn deciding<'e>(fitting: impl Iterator<Item = &'e EpclEntry>) -> Option<&'e EpclEntry> {
    fitting.max_by_key(|entry| (entry.effective, entry.models.len()))
}

const KINDS: [(&str, DeviceKind); 4] = [
    ("esme_", DeviceKind::Esme),
    ("gsme_", DeviceKind::Gsme),
    ("ch_", DeviceKind::Chf),
    ("ppmid_", DeviceKind::Ppmid),
];

const EPCL_OPTIONAL: [&str; 20] = [
    "cohort",
    "comms_provider",
    "esme_maker",
    "esme_model",
    "esme_fw",
    "gsme_maker",
    "gsme_model",
    "gsme_fw",
    "ch_maker",
    "ch_model",
    "ch_fw",
    "ppmid_maker",
    "ppmid_model",
    "ppmid_fw",
    "first_added",
    "effective",
    "removed",
    "source",
    "date",
    "epcl_id",
];

/// Reads an EPCL. By models: `epcl_id,report,decision,approved_by`, a day in `first_added` or `effective`, and for each of
/// `esme`, `gsme`, `ch`, `ppmid` the columns `_maker`, `_model`, `_fw` (empty: not part of it); `removed`, `comms_provider`,
/// `source` and `cohort` may be absent. By profiles of a catalogue: `dmc,report,date,decision,approved_by`.
///
/// Where a catalogue is at hand, an entry that approves a firmware which was not stable for six months when the entry began is
/// a fault (source: a combination needs firmware that is stable six months before it goes live).
///
/// # Errors
/// The first fault with its line; nothing is then read.
pub fn read_epcl(catalogue: Option<&Catalogue>, file: &str, text: &str) -> Result<Vec<EpclEntry>, FileError> {
    let needed = ["report", "decision", "approved_by"];
    if let Some(catalogue) = catalogue.filter(|_| Table::read_any(file, text).is_ok_and(|table| table.has("dmc"))) {
        let table = Table::read(file, text, &["dmc", "report", "date", "decision", "approved_by"], &[])?;
        let entry = |row: Row<'_>| {
            let dmc = combination(catalogue, &row)?;
            let effective = instant(&row, "date")?.ok_or_else(|| row.error("date: expected a day"))?;
            let entry = entry(&row, effective, Some(dmc.provider), models_of(catalogue, &dmc))?;
            approves_stable(Some(catalogue), &row, &entry)?;
            Ok(entry)
        };
        return table.rows().map(entry).collect();
    }
    let table = Table::read(file, text, &needed, &EPCL_OPTIONAL)?;
    let each = table.rows().map(|row| {
        let models = KINDS
            .into_iter()
            .map(|(prefix, kind)| (kind, model(&row, prefix)))
            .filter(|(_, model)| !model.model.is_empty());
        let effective = match instant(&row, "effective")? {
            Some(at) => Some(at),
            None => instant(&row, "first_added")?,
        };
        let effective = effective.ok_or_else(|| row.error("effective or first_added: expected a date"))?;
        let provider = match row.text("comms_provider") {
            "" => None,
            _ => Some(row.parse("comms_provider")?),
        };
        let entry = entry(&row, effective, provider, models.collect())?;
        approves_stable(catalogue, &row, &entry)?;
        Ok(entry)
    });
    each.collect()
}

/// Every firmware that an entry approves has been unchanged for six months when the entry begins, as far as the catalogue
/// knows.
fn approves_stable(catalogue: Option<&Catalogue>, row: &Row<'_>, entry: &EpclEntry) -> Result<(), FileError> {
    let profiles = catalogue.into_iter().flat_map(Catalogue::profiles);
    let named = |profile: &&std::sync::Arc<crate::DeviceProfile>| {
        let listed = entry.models.get(&profile.kind);
        listed.is_some_and(|listed| same(listed, &profile.model))
    };
    for profile in profiles.filter(named).filter(|_| entry.approved) {
        stable(profile, entry.effective).map_err(|problem| {
            row.error(format!(
                "{problem}; let the entry begin later, or correct stable_from of the firmware"
            ))
        })?;
    }
    Ok(())
}

fn entry(
    row: &Row<'_>,
    effective: SimInstant,
    provider: Option<CommunicationsProvider>,
    models: BTreeMap<DeviceKind, DeviceModel>,
) -> Result<EpclEntry, FileError> {
    let approved = match row.text("decision") {
        "approved" => true,
        "refused" => false,
        other => return Err(row.place().unknown("decision", other, ["approved", "refused"])),
    };
    Ok(EpclEntry {
        id: row.text("epcl_id").to_owned(),
        provider,
        models,
        report: row.text("report").to_owned(),
        approved,
        approved_by: row.text("approved_by").to_owned(),
        source: row.text("source").to_owned(),
        effective,
        removed: instant(row, "removed")?,
    })
}

/// Reads a CPL. By models: `device_type,maker,model,fw,status`, and where there are any `cpl_id`, `hw`, `smets_version`,
/// `image_sha256`, `added`, `changed`. By profiles of a catalogue: `profile`, and where there are any `image_hash` and
/// `status` (`current` or `removed`).
///
/// # Errors
/// As [`read_epcl`].
pub fn read_cpl(catalogue: Option<&Catalogue>, file: &str, text: &str) -> Result<Vec<CplEntry>, FileError> {
    if let Some(catalogue) = catalogue.filter(|_| Table::read_any(file, text).is_ok_and(|table| table.has("profile"))) {
        let table = Table::read(file, text, &["profile"], &["image_hash", "status"])?;
        let entry = |row: Row<'_>| {
            let status = match row.text("status") {
                "" | "current" => CplStatus::Active,
                "removed" => CplStatus::Withdrawn,
                other => return Err(row.place().unknown("status", other, ["current", "removed"])),
            };
            let id = known(catalogue, &row.place(), row.text("profile"))?;
            let profile = catalogue.profile(&id).ok_or_else(|| row.error("no such profile"))?;
            Ok(CplEntry {
                kind: profile.kind,
                model: profile.model.clone(),
                status,
                image_sha256: digest(&row, "image_hash")?,
            })
        };
        return table.rows().map(entry).collect();
    }
    let needed = ["device_type", "maker", "model", "fw", "status"];
    let optional = ["cpl_id", "hw", "smets_version", "image_sha256", "added", "changed"];
    let table = Table::read(file, text, &needed, &optional)?;
    let each = table.rows().map(|row| {
        let kind: DeviceKind = row.parse("device_type")?;
        let word = row.text("status");
        let status = CplStatus::ALL.into_iter().find(|status| status.as_str() == word);
        let status = status.ok_or_else(|| {
            row.place()
                .unknown("status", word, CplStatus::ALL.map(CplStatus::as_str))
        })?;
        Ok(CplEntry {
            kind,
            model: model(&row, ""),
            status,
            image_sha256: digest(&row, "image_sha256")?,
        })
    });
    each.collect()
}

/// Whether a combination was approved by the latest entry about it and each of its firmware has been unchanged for six
/// months at `go_live`.
///
/// # Errors
/// Why it is not eligible, in words.
pub fn eligible(catalogue: &Catalogue, epcl: &[EpclEntry], dmc: &Dmc, go_live: SimInstant) -> Result<(), String> {
    let models = models_of(catalogue, dmc);
    let fitting = epcl.iter().filter(|entry| entry.is_exactly(dmc.provider, &models));
    match deciding(fitting) {
        None => return Err(format!("{dmc} is in no EPCL report")),
        Some(entry) if !entry.approved => return Err(format!("report {} refused {dmc}", entry.report)),
        Some(_) => {}
    }
    for (_, id) in dmc.profiles() {
        if let Some(profile) = catalogue.profile(id) {
            stable(profile, go_live)?;
        }
    }
    Ok(())
}

/// Whether a firmware has been unchanged for six months at `go_live`, where that is known.
///
/// # Errors
/// In words, when it has not.
pub fn stable(profile: &crate::DeviceProfile, go_live: SimInstant) -> Result<(), String> {
    match profile.stable_from {
        Some(since) if since > go_live - STABLE => Err(format!(
            "{} is stable from {since} only, less than six months before {go_live}",
            profile.id
        )),
        _ => Ok(()),
    }
}

/// What a combination's profiles are, as an entry has them: without gas proxy and displays.
fn models_of(catalogue: &Catalogue, dmc: &Dmc) -> BTreeMap<DeviceKind, DeviceModel> {
    let listed = dmc
        .profiles()
        .filter(|(kind, _)| KINDS.iter().any(|(_, listed)| listed == kind));
    listed
        .filter_map(|(kind, id)| Some((kind, catalogue.profile(id)?.model.clone())))
        .collect()
}

fn model(row: &Row<'_>, prefix: &str) -> DeviceModel {
    let cell = |name: &str| row.text(&format!("{prefix}{name}")).to_owned();
    DeviceModel {
        manufacturer: cell("maker"),
        model: cell("model"),
        hardware: cell("hw"),
        firmware: cell("fw"),
    }
}

fn digest(row: &Row<'_>, column: &str) -> Result<Option<[u8; 32]>, FileError> {
    let digits = row.text(column);
    if digits.is_empty() {
        return Ok(None);
    }
    let wrong = || row.error(format!("{column} takes 64 hexadecimal digits"));
    if digits.len() != 64 || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut octets = [0; 32];
    for (octet, at) in octets.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Some(octets))
}

/// A day (from midnight in UK civil time) or an instant; none where the cell is empty.
fn instant(row: &Row<'_>, column: &str) -> Result<Option<SimInstant>, FileError> {
    let text = row.text(column);
    if text.is_empty() {
        return Ok(None);
    }
    let day = || format!("{text}T12:00:00Z").parse().map(domain::time::london_midnight);
    let read = text.parse().or_else(|_| day());
    read.map(Some)
        .map_err(|_| row.error(format!("{column} takes a day such as 2019-01-31, not {text:?}")))
}

/// Firmware has to be unchanged for so long before a combination goes live.
const STABLE: SimDuration = SimDuration::from_days(182);
