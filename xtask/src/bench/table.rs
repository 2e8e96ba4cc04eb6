//! The rows measured, printed as they come.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// One number.
#[derive(Serialize, Debug, Clone)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: String,
    /// What it is compared with, in the same unit.
    floor: Option<f64>,
    /// Where the floor comes from.
    floor_is: String,
    /// Above 1 is better than the floor or aim, whichever way the unit goes.
    ratio: Option<f64>,
}

/// What a number is compared with.
#[derive(Clone, Copy)]
pub(crate) enum Against {
    /// The more the better.
    AtLeast(f64, &'static str),
    /// The less the better.
    AtMost(f64, &'static str),
    /// Shown for itself.
    Nothing,
}

/// All rows of one run.
pub(crate) struct Table {
    filter: Option<String>,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(filter: Option<&str>) -> Self {
        println!(
            "{:76} {:>14} {:14} {:>14} {:>7}  compared with",
            "name", "value", "unit", "floor", "ratio"
        );
        Self {
            filter: filter.map(str::to_owned),
            rows: Vec::new(),
        }
    }

    /// Whether the benchmarks of this group are wanted.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| group.contains(filter))
    }

    /// Adds a number and prints it.
    pub(crate) fn row(&mut self, name: &str, value: f64, unit: &str, against: Against) {
        let (floor, floor_is, ratio) = match against {
            Against::AtLeast(floor, is) => (Some(floor), is, Some(value / floor)),
            Against::AtMost(floor, is) => (Some(floor), is, Some(floor / value)),
            Against::Nothing => (None, "", None),
        };
        let shown = |number: Option<f64>| number.map_or_else(String::new, short);
        println!(
            "{name:76} {:>14} {unit:14} {:>14} {:>7}  {floor_is}",
            short(value),
            shown(floor),
            ratio.map_or_else(String::new, |r| format!("{r:.2}"))
        );
        self.rows.push(Row {
            name: name.into(),
            value,
            unit: unit.into(),
            floor,
            floor_is: floor_is.into(),
            ratio,
        });
    }

    /// Writes the rows as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(path, serde_json::to_string_pretty(&self.rows)?)
            .with_context(|| format!("write {}", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    }
}

/// `12 345.6`, `0.123`.
fn short(number: f64) -> String {
    if number >= 1000.0 {
        let whole = format!("{number:.0}");
        let mut out = String::new();
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                out.push(' ');
            }
            out.push(digit);
        }
        out
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.3}")
    }
}
