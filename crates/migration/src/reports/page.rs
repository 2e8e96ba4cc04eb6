//! All reports as one HTML page without anything from outside.

use std::collections::BTreeMap;

use askama::Template;
use jiff::civil::Date;

use super::chart::{Series, svg};
use super::{Inputs, Table, Totals, all};
use crate::invariants::{ALL, Evidence, Verdict};
use crate::machine::state::State;

/// Rows of a table that the page shows; the CSV has all.
const ROWS_SHOWN: usize = 500;

#[derive(Template)]
#[template(path = "migration.html")]
struct Page<'a> {
    name: &'a str,
    made: String,
    seed: u64,
    label: Option<&'static str>,
    head: String,
    states: Vec<(&'static str, usize)>,
    totals: Vec<(&'static str, u32)>,
    charts: Vec<String>,
    tables: Vec<Shown>,
    checks: Vec<(&'static str, &'static str, &'static str, String)>,
}

struct Shown {
    table: Table,
    rows: usize,
    left: usize,
}

/// The page: states, totals, charts, invariants, all fifteen tables.
///
/// # Errors
/// Never in practice: the template is compiled in and has no formatter that fails.
pub fn page(inputs: &Inputs<'_>, evidence: &Evidence<'_>, head: (u64, [u8; 32])) -> Result<String, askama::Error> {
    let told = Totals::told(inputs.campaign);
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    for known in inputs.campaign.installations() {
        *states.entry(known.state).or_default() += 1;
    }
    let checks = ALL.iter().map(|invariant| {
        let (class, words) = match (invariant.check)(evidence) {
            Verdict::Holds => ("ok", "holds".to_owned()),
            Verdict::NotObserved => ("none", "not observed".to_owned()),
            Verdict::Violated(where_) => ("fail", where_.join("; ")),
        };
        (invariant.id, invariant.text, class, words)
    });
    let tables = all(inputs).into_iter().map(|mut table| {
        let rows = table.rows.len();
        table.rows.truncate(ROWS_SHOWN);
        Shown {
            left: rows - table.rows.len(),
            rows,
            table,
        }
    });
    Page {
        name: &inputs.campaign.name,
        made: inputs.now.to_string(),
        seed: inputs.campaign.seed,
        label: inputs.campaign.signatures.label(),
        head: format!("{} records, {}", head.0, hex::encode(head.1)),
        states: states
            .into_iter()
            .map(|(state, count)| (state.as_str(), count))
            .collect(),
        totals: ["migrated", "partially-migrated", "failed", "stranded"]
            .into_iter()
            .map(|result| (result, told.sum(Some(result))))
            .collect(),
        charts: charts(inputs, &told),
        tables: tables.collect(),
        checks: checks.collect(),
    }
    .render()
}

fn charts(inputs: &Inputs<'_>, told: &Totals) -> Vec<String> {
    let mut days: BTreeMap<Date, [f64; 3]> = BTreeMap::new();
    for ((day, _, result), count) in &told.0 {
        let at = match *result {
            "migrated" | "partially-migrated" => 0,
            "failed" => 1,
            _ => 2,
        };
        days.entry(*day).or_default()[at] += f64::from(*count);
    }
    let labels: Vec<String> = days.keys().map(ToString::to_string).collect();
    let values = |at: usize| days.values().map(|day| day[at]).collect::<Vec<f64>>();
    let outcomes = svg(
        "Attempts by day and result",
        &labels,
        &[
            Series {
                name: "migrated",
                values: values(0),
                line: false,
            },
            Series {
                name: "failed",
                values: values(1),
                line: false,
            },
            Series {
                name: "stranded",
                values: values(2),
                line: false,
            },
        ],
    );
    let mut load: BTreeMap<Date, [f64; 3]> = BTreeMap::new();
    for record in inputs.campaign.allocations.values() {
        let day = load.entry(record.day).or_default();
        day[0] += record
            .units
            .iter()
            .map(|(_, demand, _)| f64::from(*demand))
            .sum::<f64>()
            + f64::from(record.dormant);
        day[1] += f64::from(record.capacity);
    }
    let labels: Vec<String> = load.keys().map(ToString::to_string).collect();
    let values = |at: usize| load.values().map(|day| day[at]).collect::<Vec<f64>>();
    let demand = svg(
        "Demand against capacity by day",
        &labels,
        &[
            Series {
                name: "demand",
                values: values(0),
                line: false,
            },
            Series {
                name: "capacity",
                values: values(1),
                line: true,
            },
        ],
    );
    vec![outcomes, demand]
}
