//! Benchmarks: a table for people, JSON for programs. Each number stands beside a floor measured in the same run, or an
//! aim of the design; none is asserted.

mod table;

use std::path::Path;

use anyhow::Result;

pub(crate) use table::Table;

pub(crate) fn run(filter: Option<&str>, json: &Path, installations: u32) -> Result<()> {
    let table = Table::new(filter);
    let _ = installations;
    table.write(json)
}

pub(crate) fn child(name: &str, count: u32) -> Result<()> {
    anyhow::bail!("no measurement {name} of {count}")
}
