//! EPCL and CPL, as a migration asks them. They are read where everybody reads them: [`dmc::read_epcl`], [`dmc::read_cpl`].

use std::collections::BTreeMap;

use dmc::{Catalogue, CplEntry, CplStatus, EpclEntry, FileError};
use domain::{CommunicationsProvider, DeviceKind, DeviceModel, SimInstant};
use jiff::civil::{Date, Time};

use super::gates::{Combination, ListedModel, Lists};
use crate::day::{day_of, instant};

/// The lists as read from files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CsvLists {
    epcl: Vec<EpclEntry>,
    cpl: BTreeMap<(DeviceKind, ListedModel), CplStatus>,
}

impl CsvLists {
    /// Both lists; of two rows of the CPL about one firmware the later holds.
    #[must_use]
    pub fn new(epcl: Vec<EpclEntry>, cpl: impl IntoIterator<Item = CplEntry>) -> Self {
        let cpl = cpl
            .into_iter()
            .map(|entry| ((entry.kind, ListedModel::from(&entry.model)), entry.status));
        Self {
            epcl,
            cpl: cpl.collect(),
        }
    }

    /// Reads both lists. Each text comes with the name of its file. With a catalogue, what it knows of when a firmware became
    /// stable is held against the entries.
    ///
    /// # Errors
    /// With file and line.
    pub fn read(epcl: (&str, &str), cpl: (&str, &str), catalogue: Option<&Catalogue>) -> Result<Self, FileError> {
        Ok(Self::new(
            dmc::read_epcl(catalogue, epcl.0, epcl.1)?,
            dmc::read_cpl(None, cpl.0, cpl.1)?,
        ))
    }

    /// The entry that decides about a combination at an instant, when it approves it.
    fn approved(&self, combination: &Combination, at: SimInstant) -> Option<&EpclEntry> {
        let models = combination.models();
        let fitting = self
            .epcl
            .iter()
            .filter(|entry| entry.in_force(at) && entry.is_exactly(combination.provider, &models));
        dmc::deciding(fitting).filter(|entry| entry.approved)
    }
}

impl Lists for CsvLists {
    fn epcl(&self, combination: &Combination, day: Date) -> Option<String> {
        let entry = self.approved(combination, instant(day, Time::midnight()))?;
        Some(entry.id.clone())
    }

    fn cpl_active(&self, kind: DeviceKind, model: &ListedModel) -> bool {
        self.cpl.get(&(kind, model.clone())) == Some(&CplStatus::Active)
    }

    fn entry_facts(&self, epcl: &str) -> Option<(String, String)> {
        let entry = self.epcl.iter().find(|entry| entry.id == epcl)?;
        Some((day_of(entry.effective).to_string(), entry.source.clone()))
    }

    fn upgrade_target(&self, combination: &Combination, day: Date) -> Option<(String, Combination)> {
        // The latest entry of the same hardware: later approvals carry later firmware.
        let at = instant(day, Time::midnight());
        let targets = self.epcl.iter().filter_map(|entry| {
            let target = combination_of(entry, combination.provider)?;
            let leads = target.same_hardware(combination) && target != *combination;
            (leads && self.approved(&target, at) == Some(entry)).then_some((entry, target))
        });
        let (best, target) = targets.max_by_key(|(entry, _)| (entry.effective, std::cmp::Reverse(&entry.id)))?;
        Some((best.id.clone(), target))
    }
}

impl From<&DeviceModel> for ListedModel {
    fn from(model: &DeviceModel) -> Self {
        Self {
            manufacturer: model.manufacturer.clone(),
            model: model.model.clone(),
            firmware: model.firmware.clone(),
        }
    }
}

impl Combination {
    /// Its models by kind.
    fn models(&self) -> BTreeMap<DeviceKind, DeviceModel> {
        let kinds = [
            (DeviceKind::Chf, Some(&self.hub)),
            (DeviceKind::Esme, Some(&self.esme)),
            (DeviceKind::Gsme, self.gsme.as_ref()),
            (DeviceKind::Ppmid, self.ppmid.as_ref()),
        ];
        let each = kinds.into_iter().filter_map(|(kind, model)| {
            let model = model?;
            let device = DeviceModel {
                manufacturer: model.manufacturer.clone(),
                model: model.model.clone(),
                hardware: String::new(),
                firmware: model.firmware.clone(),
            };
            Some((kind, device))
        });
        each.collect()
    }
}

/// What an entry approves, with this carrier; none when it is of another, or has no hub or electricity meter.
fn combination_of(entry: &EpclEntry, provider: CommunicationsProvider) -> Option<Combination> {
    let model = |kind| entry.models.get(&kind).map(ListedModel::from);
    entry.provider.is_none_or(|own| own == provider).then_some(Combination {
        provider,
        hub: model(DeviceKind::Chf)?,
        esme: model(DeviceKind::Esme)?,
        gsme: model(DeviceKind::Gsme),
        ppmid: model(DeviceKind::Ppmid),
    })
}
