//! Which device models and which combinations of them may be in service: the Central Products List and the list of eligible
//! product combinations, as files anybody can add to.
//!
//! The columns are ours (only what an entry combines, and the words of the status, are sourced).

use std::collections::BTreeMap;

use domain::{DeviceKind, DeviceModel, SimInstant};

use crate::registration::instant;

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
pub struct Listed {
    /// Its status.
    pub status: CplStatus,
    /// SHA-256 of the image that brings this firmware, where the list names it.
    pub image_sha256: Option<[u8; 32]>,
}

/// The decision on a combination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It may be enrolled.
    Approved,
    /// It may not.
    Refused,
}

/// One entry of the list of eligible combinations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Combination {
    /// Its id.
    pub id: String,
    /// Communications provider; empty: any.
    pub provider: String,
    /// Model and firmware per kind; a kind without entry is not part of it.
    pub models: BTreeMap<DeviceKind, DeviceModel>,
    /// Number and date of the report it came in.
    pub report: String,
    /// What was decided.
    pub decision: Decision,
    /// Who decided.
    pub approved_by: String,
    /// From when it holds.
    pub effective: SimInstant,
    /// From when it holds no longer.
    pub removed: Option<SimInstant>,
}

impl Combination {
    /// Whether an installation of these models is one of this entry at an instant. Devices of kinds that the entry does not
    /// name do not matter.
    #[must_use]
    pub fn covers(&self, models: &BTreeMap<DeviceKind, DeviceModel>, at: SimInstant) -> bool {
        let same = |kind: &DeviceKind, listed: &DeviceModel| {
            models.get(kind).is_some_and(|found| {
                (
                    found.manufacturer.as_str(),
                    found.model.as_str(),
                    found.firmware.as_str(),
                ) == (
                    listed.manufacturer.as_str(),
                    listed.model.as_str(),
                    listed.firmware.as_str(),
                )
            })
        };
        self.effective <= at
            && self.removed.is_none_or(|removed| at < removed)
            && self.models.iter().all(|(kind, listed)| same(kind, listed))
    }
}

/// Text that is no list.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{list}, line {line}: {problem}")]
pub struct ListError {
    /// Which list.
    pub list: &'static str,
    /// Line of the text, from 1.
    pub line: u64,
    /// What is wrong there, and what was expected.
    pub problem: String,
}

/// Both lists. Without entries of a kind of check nothing is refused by it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Products {
    cpl: BTreeMap<(DeviceKind, String, String), BTreeMap<String, Listed>>,
    combinations: Vec<Combination>,
}

impl Products {
    /// Adds the rows of a Central Products List: CSV with at least the columns `device_type,maker,model,fw,status`, and
    /// `image_sha256` where images are checked. A row replaces an earlier one of the same firmware.
    ///
    /// # Errors
    /// What is wrong, with its line; nothing of the text is then added.
    pub fn add_cpl(&mut self, text: &str) -> Result<(), ListError> {
        let mut more = Vec::new();
        for row in rows("CPL", text, &["device_type", "maker", "model", "fw", "status"])? {
            let kind: DeviceKind = row.parse("device_type")?;
            let status = CplStatus::ALL
                .into_iter()
                .find(|status| status.as_str() == row.text("status"))
                .ok_or_else(|| row.wrong("status: expected Active, Cancelled, Expired or Withdrawn"))?;
            let image_sha256 = match row.text("image_sha256") {
                "" => None,
                digits => {
                    Some(digest(digits).ok_or_else(|| row.wrong("image_sha256: expected 64 hexadecimal digits"))?)
                }
            };
            more.push((row.model(""), kind, Listed { status, image_sha256 }));
        }
        for (model, kind, listed) in more {
            self.list(kind, &model, listed);
        }
        Ok(())
    }

    /// Adds or replaces one firmware of one model.
    pub fn list(&mut self, kind: DeviceKind, model: &DeviceModel, listed: Listed) {
        let key = (kind, model.manufacturer.clone(), model.model.clone());
        self.cpl.entry(key).or_default().insert(model.firmware.clone(), listed);
    }

    /// Adds the rows of a list of eligible combinations: CSV with at least the columns
    /// `epcl_id,first_added,report,decision,approved_by`, and for each of `esme`, `gsme`, `ch`, `ppmid` the columns `_maker`,
    /// `_model`, `_fw` (empty: not part of it). `effective` stands in for `first_added` where both are given; `removed` and
    /// `comms_provider` may be absent.
    ///
    /// # Errors
    /// What is wrong, with its line; nothing of the text is then added.
    pub fn add_combinations(&mut self, text: &str) -> Result<(), ListError> {
        let mut more = Vec::new();
        for row in rows("EPCL", text, &["epcl_id", "report", "decision", "approved_by"])? {
            let decision = match row.text("decision") {
                "approved" => Decision::Approved,
                "refused" => Decision::Refused,
                _ => return Err(row.wrong("decision: expected approved or refused")),
            };
            let date = |column: &str| match row.text(column) {
                "" => Ok(None),
                text => instant(text)
                    .map(Some)
                    .map_err(|problem| row.wrong(&format!("{column}: {problem}"))),
            };
            let effective = match date("effective")? {
                Some(at) => Some(at),
                None => date("first_added")?,
            };
            let kinds = [
                ("esme_", DeviceKind::Esme),
                ("gsme_", DeviceKind::Gsme),
                ("ch_", DeviceKind::Chf),
                ("ppmid_", DeviceKind::Ppmid),
            ];
            let models = kinds
                .into_iter()
                .map(|(prefix, kind)| (kind, row.model(prefix)))
                .filter(|(_, model)| !model.model.is_empty());
            more.push(Combination {
                id: row.text("epcl_id").to_owned(),
                provider: row.text("comms_provider").to_owned(),
                models: models.collect(),
                report: row.text("report").to_owned(),
                decision,
                approved_by: row.text("approved_by").to_owned(),
                effective: effective.ok_or_else(|| row.wrong("effective or first_added: expected a date"))?,
                removed: date("removed")?,
            });
        }
        self.combinations.extend(more);
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

    /// The entry that decides about an installation of these models at an instant: the latest that covers it.
    #[must_use]
    pub fn combination(&self, models: &BTreeMap<DeviceKind, DeviceModel>, at: SimInstant) -> Option<&Combination> {
        let covering = self.combinations.iter().filter(|entry| entry.covers(models, at));
        covering.max_by_key(|entry| (entry.effective, entry.models.len()))
    }

    /// All entries about combinations, in the order they were added.
    #[must_use]
    pub fn combinations(&self) -> &[Combination] {
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

/// A row by the names of its columns.
struct Row {
    list: &'static str,
    line: u64,
    cells: BTreeMap<String, String>,
}

impl Row {
    /// The cell; empty where the column is absent.
    fn text(&self, column: &str) -> &str {
        self.cells.get(column).map(String::as_str).unwrap_or_default()
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<T, ListError> {
        self.text(column)
            .parse()
            .map_err(|error| self.wrong(&format!("{column}: {error}")))
    }

    fn model(&self, prefix: &str) -> DeviceModel {
        let cell = |name: &str| self.text(&format!("{prefix}{name}")).to_owned();
        DeviceModel {
            manufacturer: cell("maker"),
            model: cell("model"),
            hardware: cell("hw"),
            firmware: cell("fw"),
        }
    }

    fn wrong(&self, problem: &str) -> ListError {
        ListError {
            list: self.list,
            line: self.line,
            problem: problem.to_owned(),
        }
    }
}

fn rows(list: &'static str, text: &str, needed: &[&str]) -> Result<Vec<Row>, ListError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let fault = |line, problem: String| ListError { list, line, problem };
    let header = reader.headers().map_err(|error| fault(1, error.to_string()))?.clone();
    if let Some(missing) = needed.iter().find(|name| !header.iter().any(|column| column == **name)) {
        return Err(fault(1, format!("the column {missing} is missing")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record =
            record.map_err(|error| fault(error.position().map_or(0, csv::Position::line), error.to_string()))?;
        let cells = header.iter().zip(record.iter());
        rows.push(Row {
            list,
            line: record.position().map_or(0, csv::Position::line),
            cells: cells.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect(),
        });
    }
    Ok(rows)
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (octet, at) in octets.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (listed.status, listed.image_sha256.map(|digest| digest[31])),
            (CplStatus::Withdrawn, Some(1))
        );
        assert_eq!(products.model_status(esme, &model("M1", "x")), Some(CplStatus::Active));
    }

    #[test]
    fn the_latest_entry_that_covers_a_combination_decides() {
        let mut products = Products::default();
        products.add_combinations(EPCL).unwrap();
        let models = BTreeMap::from([
            (DeviceKind::Esme, model("M1", "00000001")),
            (DeviceKind::Chf, model("H1", "01")),
        ]);
        let at = |text: &str| instant(text).unwrap();
        let found = |day| {
            products
                .combination(&models, at(day))
                .map(|entry| (entry.id.as_str(), entry.decision))
        };
        assert_eq!(found("2019-04-30"), None);
        assert_eq!(found("2019-05-01"), Some(("E1", Decision::Approved)));
        assert_eq!(found("2020-06-01"), Some(("E2", Decision::Refused)));
        assert_eq!(found("2021-06-01"), Some(("E1", Decision::Approved)));
        assert_eq!(products.combinations()[0].report, "Report 1 (2019-04-30)");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let said = |text: &str| Products::default().add_cpl(text).unwrap_err().to_string();
        assert_eq!(said("a,b\n1,2\n"), "CPL, line 1: the column device_type is missing");
        assert!(
            said(&CPL.replace("Withdrawn", "Gone")).starts_with("CPL, line 4: status"),
            "{}",
            said(&CPL.replace("Withdrawn", "Gone"))
        );
        assert!(said(&CPL.replace("1,ESME", "1,TOASTER")).starts_with("CPL, line 3: device_type"));
        assert!(said(&CPL.replace("0001,,\n", "00ü1,,\n")).contains("64 hexadecimal digits"));
    }
}
