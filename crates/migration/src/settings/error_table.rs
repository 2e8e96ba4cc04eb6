//! Error codes: at which stage which condition has which code, class and outcome.

use std::collections::BTreeMap;

use dmc::FileError;

use crate::settings::Class;
use crate::strict::{self, fault, unknown};

/// One code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorRow {
    /// The code; all are the lab's own.
    pub id: String,
    /// One of the sixty that can be injected; the others fill gaps.
    pub listed: bool,
    /// Where it shows.
    pub stage: Stage,
    /// The conditions that have this code at this stage.
    pub conditions: Vec<String>,
    /// What it is, for people.
    pub text: String,
    /// Who finds it.
    pub detected_by: String,
    /// What becomes of the installation, row or file.
    pub outcome: Outcome,
    /// How it is treated; none where nothing is retried.
    pub class: Option<Class>,
    /// Who has to act.
    pub owner: Owner,
    /// Whether it opens a case at once.
    pub case: bool,
    /// Category proposed when it does not go away; for `excluded`, applied.
    pub exclusion: Option<String>,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of files and reports.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one with this word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// Where a condition shows.
    Stage {
        /// Anywhere; asked when the stage itself has no row.
        Any = "any",
        /// A file of authorisations.
        AuthorisationFile = "authorisation-file",
        /// A row of one.
        AuthorisationRow = "authorisation-row",
        /// Service requests of the commissioning plan.
        Commissioning = "commissioning",
        /// Configuration before the migration.
        Configuration = "configuration",
        /// Probe of dual control.
        DcoViability = "dco-viability",
        /// Data of the installation.
        Discovered = "discovered",
        /// Firmware before the migration.
        Firmware = "firmware",
        /// Freezing and reading.
        Freeze = "freeze",
        /// Load on everything.
        Load = "load",
        /// The outcome file.
        Outcome = "outcome",
        /// Top-ups and vends.
        Prepayment = "prepayment",
        /// Rotation of keys and activation.
        Rotation = "rotation",
        /// The S1SP's check.
        S1spViability = "s1sp-viability",
        /// Files with secrets.
        Secrets = "secrets",
        /// Decommissioning at the SMSO.
        Smso = "smso",
        /// Staging of the key epoch.
        Staging = "staging",
        /// Undoing what was done before the point of no return.
        Unwinding = "unwinding",
        /// The commissioning party's checks.
        Validation = "validation",
    }
}

words! {
    /// What becomes of what the condition is about.
    Outcome {
        /// The authorisation no longer holds.
        Cancelled = "cancelled",
        /// It goes on, with a note or another try.
        Continue = "continue",
        /// Excluded at once.
        Excluded = "excluded",
        /// The file waits for its twin.
        FileHeld = "file-held",
        /// The file is refused as a whole.
        FileRejected = "file-rejected",
        /// Nothing moves until somebody releases it.
        Hold = "hold",
        /// Nothing: it is about load.
        None = "none",
        /// Electricity goes on alone where the policy allows it, else as `retry`.
        Partial = "partial",
        /// The MCC's, and only the MCC may release it.
        Quarantine = "quarantine",
        /// Back to the SMSO, another attempt later.
        Retry = "retry",
        /// The row is refused.
        RowRejected = "row-rejected",
        /// The state stays.
        Stay = "stay",
        /// Neither side operates it.
        Stranded = "stranded",
        /// The MCC's.
        Triage = "triage",
    }
}

words! {
    /// Who has to act on an exception.
    Owner {
        /// Commissioning party.
        Cp = "CP",
        /// Dual Control Organisation.
        Dco = "DCO",
        /// Migration control centre.
        Mcc = "MCC",
        /// Requesting party.
        Rp = "RP",
        /// SMETS1 Service Provider.
        S1sp = "S1SP",
        /// The operator before.
        Smso = "SMSO",
        /// The responsible supplier.
        Supplier = "supplier",
    }
}

/// All codes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorTable {
    rows: Vec<ErrorRow>,
    by_condition: BTreeMap<(Stage, String), usize>,
    unknown: usize,
}

impl ErrorTable {
    /// The row for a condition at a stage; then anywhere; else the one for what nobody foresaw.
    #[must_use]
    pub fn find(&self, stage: Stage, condition: &str) -> &ErrorRow {
        let at = |stage| self.by_condition.get(&(stage, condition.to_owned()));
        let position = at(stage).or_else(|| at(Stage::Any)).copied().unwrap_or(self.unknown);
        &self.rows[position]
    }

    /// A row by its code.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&ErrorRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// All rows, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ErrorRow> {
        self.rows.iter()
    }
}

const COLUMNS: [&str; 11] = [
    "id",
    "listed",
    "stage",
    "conditions",
    "text",
    "detected_by",
    "outcome",
    "class",
    "owner",
    "case",
    "exclusion",
];

pub(super) fn read(file: &str, text: &str, exclusions: &[&str]) -> Result<ErrorTable, FileError> {
    let (mut rows, mut by_condition) = (Vec::<ErrorRow>::new(), BTreeMap::new());
    for row in strict::csv(file, text, &COLUMNS)? {
        let line = row.line;
        let id = row.value(0).to_owned();
        if !id.starts_with("LAB-") || rows.iter().any(|other| other.id == id) {
            return Err(fault(
                file,
                line,
                format!("code {id:?} stands here before or does not begin with LAB-"),
            ));
        }
        let stage = Stage::from_word(row.value(2))
            .ok_or_else(|| unknown(file, line, "stage", row.value(2), Stage::ALL.iter().map(|s| s.as_str())))?;
        let conditions: Vec<String> = row.value(3).split_whitespace().map(str::to_owned).collect();
        for condition in &conditions {
            if by_condition.insert((stage, condition.clone()), rows.len()).is_some() {
                return Err(fault(
                    file,
                    line,
                    format!("{condition:?} at {stage} has a code already"),
                ));
            }
        }
        let outcome = Outcome::from_word(row.value(6)).ok_or_else(|| {
            unknown(
                file,
                line,
                "outcome",
                row.value(6),
                Outcome::ALL.iter().map(|o| o.as_str()),
            )
        })?;
        let class = match row.value(7) {
            "" => None,
            word => Some(
                Class::from_word(word)
                    .ok_or_else(|| unknown(file, line, "class", word, Class::ALL.map(Class::as_str)))?,
            ),
        };
        let owner = Owner::from_word(row.value(8))
            .ok_or_else(|| unknown(file, line, "owner", row.value(8), Owner::ALL.iter().map(|o| o.as_str())))?;
        let exclusion = match row.value(10) {
            "" => None,
            code if exclusions.contains(&code) => Some(code.to_owned()),
            code => {
                return Err(unknown(
                    file,
                    line,
                    "exclusion category",
                    code,
                    exclusions.iter().copied(),
                ));
            }
        };
        if class.is_none() && outcome != Outcome::None {
            return Err(fault(file, line, format!("outcome {outcome} needs a class")));
        }
        if outcome == Outcome::Excluded && exclusion.is_none() {
            return Err(fault(file, line, "outcome excluded needs an exclusion category"));
        }
        rows.push(ErrorRow {
            listed: flag(file, line, "listed", row.value(1))?,
            case: flag(file, line, "case", row.value(9))?,
            text: row.value(4).to_owned(),
            detected_by: row.value(5).to_owned(),
            id,
            stage,
            conditions,
            outcome,
            class,
            owner,
            exclusion,
        });
    }
    let unknown = by_condition
        .get(&(Stage::Any, "unknown".to_owned()))
        .copied()
        .ok_or_else(|| fault(file, 0, "no row for the condition \"unknown\" at stage any"))?;
    Ok(ErrorTable {
        rows,
        by_condition,
        unknown,
    })
}

fn flag(file: &str, line: usize, what: &str, text: &str) -> Result<bool, FileError> {
    match text {
        "Y" => Ok(true),
        "N" => Ok(false),
        other => Err(fault(file, line, format!("{what} takes Y or N, found {other:?}"))),
    }
}
