//! Which reports there are and which columns they have, as data.

use dmc::FileError;
use domain::{Eui64, SimInstant};
use serde::Deserialize;

use crate::settings::CohortSlug;
use crate::strict::{self, fault, unknown};

/// The form of one report.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportForm {
    /// Its id, `R01` to `R15`.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Whom it is for.
    pub to: String,
    /// How often it is made.
    pub cadence: String,
    /// Its columns, in order; a user may leave some out or change their order.
    pub columns: Vec<String>,
}

impl ReportForm {
    /// The name of its file.
    #[must_use]
    pub fn file_name(&self, cohort: Option<&CohortSlug>, supplier: Option<Eui64>, at: SimInstant) -> String {
        let cohort = cohort.map_or("ALL", CohortSlug::as_str);
        let supplier = supplier.map_or_else(|| "ALL".to_owned(), |eui| eui.to_string());
        let at = at.utc();
        format!(
            "{}_{cohort}_{supplier}_{:04}{:02}{:02}_{:02}{:02}{:02}.csv",
            self.id,
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

/// The columns that the program can fill, by report.
pub(crate) const KNOWN: [(&str, &str); 15] = [
    (
        "R01",
        "day cohort mpxn fuel installation_id device_ids result code class attempt_no next_action next_day",
    ),
    ("R02", "day mpxn fuel device_ids commissioned_at firmware epcl_id"),
    ("R03", "file row mpxn result code text"),
    (
        "R04",
        "week cohort committed authorised attempted migrated failed_by_class carried_over",
    ),
    (
        "R05",
        "week cohort commitments_total attempted migrated_active migrated_dormant migrated_mixed success_rate cumulative",
    ),
    ("R06", "day cohort capacity reserve demand allocated dmin scaled"),
    ("R07", "day cohort dmc_id state_at_failure code class count share"),
    (
        "R08",
        "case_id installation_id state code owner opened age_h last_action",
    ),
    (
        "R09",
        "installation_id mpxn prepayment vulnerable since last_step recovery_tries",
    ),
    ("R10", "mpxn category evidence decided_by decided_on"),
    ("R11", "cohort dmc_from epcl_to planned upgraded failed no_image"),
    ("R12", "dmc_id epcl_id first_added source fleet_count"),
    ("R13", "cohort smso confirmed smso_removed outstanding oldest_h"),
    (
        "R14",
        "attempt seq ts actor from to request_id response_code s1sp_code bytes",
    ),
    (
        "R15",
        "run_id phase dmc_id installation_type case result evidence_sha256",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "report")]
    reports: Vec<ReportForm>,
}

pub(crate) fn read_forms(file: &str, text: &str) -> Result<Vec<ReportForm>, FileError> {
    let forms = strict::toml::<File>(file, text)?.reports;
    for (position, form) in forms.iter().enumerate() {
        let Some((_, known)) = KNOWN.iter().find(|(id, _)| *id == form.id) else {
            return Err(unknown(
                file,
                strict::line_of(text, &form.id),
                "report",
                &form.id,
                KNOWN.map(|(id, _)| id),
            ));
        };
        if forms[..position].iter().any(|other| other.id == form.id) {
            return Err(fault(
                file,
                strict::line_of(text, &form.id),
                format!("report {} stands here twice", form.id),
            ));
        }
        let known: Vec<&str> = known.split(' ').collect();
        for column in &form.columns {
            if !known.contains(&column.as_str()) {
                let what = format!("column of {}", form.id);
                return Err(unknown(
                    file,
                    strict::line_of(text, column),
                    &what,
                    column,
                    known.iter().copied(),
                ));
            }
        }
    }
    Ok(forms)
}
