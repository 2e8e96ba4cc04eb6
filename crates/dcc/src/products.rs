//! Which device models and which combinations of them may be in service: the Central Products List and the list of eligible
//! product combinations, as files anybody can add to ([`dmc::read_cpl`], [`dmc::read_epcl`]).

use std::collections::{BTreeMap, BTreeSet};

use dmc::{Catalogue, CplStatus, EpclEntry, FileError};
use domain::{DeviceKind, DeviceModel, SimInstant};

/// One firmware of one model on the Central Products List.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its status.
    pub status: CplStatus,
    /// SHA-256 of the images that bring this firmware: usually one. Where the list names none, no image brings it.
    pub images: BTreeSet<[u8; 32]>,
}

/// Both lists. Without entries of a kind of check nothing is refused by it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Products {
    cpl: BTreeMap<(DeviceKind, String, String), BTreeMap<String, Listed>>,
    combinations: Vec<EpclEntry>,
}

impl Products {
    /// Adds the rows of a Central Products List, as [`dmc::read_cpl`] reads it. A row replaces an earlier one of the same
    /// firmware.
    ///
    /// # Errors
    /// What is wrong, with its line; nothing of the text is then added.
    pub fn add_cpl(&mut self, text: &str) -> Result<(), FileError> {
        for entry in dmc::read_cpl(None, "CPL", text)? {
            let listed = Listed {
                status: entry.status,
                images: entry.image_sha256.into_iter().collect(),
            };
            self.list(entry.kind, &entry.model, listed);
        }
        Ok(())
    }

    /// Adds or replaces one firmware of one model.
    pub fn list(&mut self, kind: DeviceKind, model: &DeviceModel, listed: Listed) {
        let key = (kind, model.manufacturer.clone(), model.model.clone());
        self.cpl.entry(key).or_default().insert(model.firmware.clone(), listed);
    }

    /// Lists an image that brings one firmware of one model, which becomes active where it was not listed.
    pub fn list_image(&mut self, kind: DeviceKind, model: &DeviceModel, sha256: [u8; 32]) {
        let key = (kind, model.manufacturer.clone(), model.model.clone());
        let firmwares = self.cpl.entry(key).or_default();
        let listed = firmwares.entry(model.firmware.clone()).or_insert_with(|| Listed {
            status: CplStatus::Active,
            images: BTreeSet::new(),
        });
        listed.images.insert(sha256);
    }

    /// Adds the rows of a list of eligible combinations, as [`dmc::read_epcl`] reads it: with a catalogue, what it knows of the
    /// firmware is held against them.
    ///
    /// # Errors
    /// What is wrong, with its line; nothing of the text is then added.
    pub fn add_combinations(&mut self, text: &str, catalogue: Option<&Catalogue>) -> Result<(), FileError> {
        self.combinations.extend(dmc::read_epcl(catalogue, "EPCL", text)?);
        Ok(())
    }

    /// What the Central Products List has of this very firmware.
    #[must_use]
    pub fn listed(&self, kind: DeviceKind, model: &DeviceModel) -> Option<&Listed> {
        self.firmwares(kind, model)?.get(&model.firmware)
    }

    /// What it has of another firmware of the same model.
    #[must_use]
    pub fn listed_firmware(&self, kind: DeviceKind, model: &DeviceModel, firmware: &str) -> Option<&Listed> {
        self.firmwares(kind, model)?.get(firmware)
    }

    /// Status of the model as such: active as long as one firmware of it is.
    #[must_use]
    pub fn model_status(&self, kind: DeviceKind, model: &DeviceModel) -> Option<CplStatus> {
        self.firmwares(kind, model)?.values().map(|listed| listed.status).min()
    }

    /// Whether a device of this model may come into service. Without a list every one may.
    #[must_use]
    pub fn permits(&self, kind: DeviceKind, model: &DeviceModel) -> bool {
        // Type 2 devices are not on the list; a gas proxy is part of its hub.
        if self.cpl.is_empty() || kind.is_type2() || kind == DeviceKind::Gpf {
            return true;
        }
        let active = |status| status == CplStatus::Active;
        if model.firmware.is_empty() {
            return self.model_status(kind, model).is_some_and(active);
        }
        self.listed(kind, model).is_some_and(|listed| active(listed.status))
    }

    /// The entry that decides about an installation of these models at an instant: the latest that fits it.
    #[must_use]
    pub fn combination(&self, models: &BTreeMap<DeviceKind, DeviceModel>, at: SimInstant) -> Option<&EpclEntry> {
        let fitting = self.combinations.iter();
        dmc::deciding(fitting.filter(|entry| entry.in_force(at) && entry.is_within(models)))
    }

    /// All entries about combinations, in the order they were added.
    #[must_use]
    pub fn combinations(&self) -> &[EpclEntry] {
        &self.combinations
    }

    /// Whether there is a Central Products List at all.
    #[must_use]
    pub fn has_cpl(&self) -> bool {
        !self.cpl.is_empty()
    }

    fn firmwares(&self, kind: DeviceKind, model: &DeviceModel) -> Option<&BTreeMap<String, Listed>> {
        self.cpl.get(&(kind, model.manufacturer.clone(), model.model.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registration::instant;

    const CPL: &str = "# ours\ncpl_id,device_type,maker,model,hw,fw,smets_version,status,image_sha256,added,changed\n\
        1,ESME,Example,M1,,00000001,SMETS1,Active,,2019-05-01,\n\
        2,ESME,Example,M1,,00000002,SMETS1,Withdrawn,0000000000000000000000000000000000000000000000000000000000000001,,\n";
    const EPCL: &str = "epcl_id,comms_provider,esme_maker,esme_model,esme_fw,ch_maker,ch_model,ch_fw,first_added,removed,report,decision,approved_by\n\
        E1,,Example,M1,00000001,Example,H1,01,2019-05-01,,Report 1 (2019-04-30),approved,LAB board\n\
        E2,,Example,M1,00000001,Example,H1,01,2020-05-01,2021-01-01,Report 2 (2020-04-30),refused,LAB board\n";

    fn model(model: &str, firmware: &str) -> DeviceModel {
        DeviceModel {
            manufacturer: "Example".into(),
            model: model.into(),
            hardware: String::new(),
            firmware: firmware.into(),
        }
    }

    #[test]
    fn the_cpl_says_what_may_come_into_service() {
        let mut products = Products::default();
        let esme = DeviceKind::Esme;
        assert!(products.permits(esme, &model("M9", "1")), "without a list");
        products.add_cpl(CPL).unwrap();
        assert!(products.permits(esme, &model("M1", "00000001")));
        assert!(!products.permits(esme, &model("M1", "00000002")));
        assert!(
            products.permits(esme, &model("M1", "")),
            "some firmware of it is active"
        );
        assert!(!products.permits(esme, &model("M9", "1")) && products.permits(DeviceKind::Ihd, &model("M9", "")));
        let listed = products.listed(esme, &model("M1", "00000002")).unwrap();
        assert_eq!(
            (listed.status, listed.images.iter().map(|digest| digest[31]).next()),
            (CplStatus::Withdrawn, Some(1))
        );
        assert_eq!(products.model_status(esme, &model("M1", "x")), Some(CplStatus::Active));
    }

    #[test]
    fn the_latest_entry_that_covers_a_combination_decides() {
        let mut products = Products::default();
        products.add_combinations(EPCL, None).unwrap();
        let models = BTreeMap::from([
            (DeviceKind::Esme, model("M1", "00000001")),
            (DeviceKind::Chf, model("H1", "01")),
        ]);
        let at = |text: &str| instant(text).unwrap();
        let found = |day| {
            products
                .combination(&models, at(day))
                .map(|entry| (entry.id.as_str(), entry.approved))
        };
        assert_eq!(found("2019-04-30"), None);
        assert_eq!(found("2019-05-01"), Some(("E1", true)));
        assert_eq!(found("2020-06-01"), Some(("E2", false)));
        assert_eq!(found("2021-06-01"), Some(("E1", true)));
        assert_eq!(products.combinations()[0].report, "Report 1 (2019-04-30)");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let said = |text: &str| Products::default().add_cpl(text).unwrap_err().to_string();
        assert!(said("a,b\n1,2\n").starts_with("CPL:1: unknown column"));
        assert!(
            said(&CPL.replace("Withdrawn", "Gone")).starts_with("CPL:4: unknown status"),
            "{}",
            said(&CPL.replace("Withdrawn", "Gone"))
        );
        assert!(said(&CPL.replace("1,ESME", "1,TOASTER")).starts_with("CPL:3: device_type"));
        assert!(said(&CPL.replace("0001,,\n", "00ü1,,\n")).contains("64 hexadecimal digits"));
    }
}
