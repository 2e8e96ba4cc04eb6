//! Benchmarks: a table for people, JSON for programs. Each number stands beside a floor measured in the same run, or an
//! aim of the design; none is asserted.

mod chain;
mod cosem;
mod fleet;
mod front;
mod house;
mod machine;
mod meter;
mod migration;
mod migration_steps;
mod plan;
mod request;
mod rules;
mod table;

use std::path::Path;

use anyhow::Result;
use runs::campaign::SignatureScheme;
use table::Table;

/// Most installations of the migration benchmark: a day as the programme planned it.
const MIGRATIONS: u32 = 50_000;

/// Groups by name: the filter chooses among them.
pub(crate) fn run(filter: Option<&str>, json: &Path, installations: u32) -> Result<()> {
    let mut table = Table::new(filter);
    if table.wants("cosem") {
        cosem::run(&mut table)?;
    }
    if table.wants("meter") {
        meter::run(&mut table)?;
    }
    if table.wants("request") || table.wants("duis") || table.wants("chain") {
        chain::run(&mut table)?;
    }
    if table.wants("front") || table.wants("up") {
        front::run(&mut table)?;
    }
    if table.wants("rules") {
        rules::run(&mut table)?;
    }
    if table.wants("plan") {
        plan::run_plan(&mut table)?;
    }
    if table.wants("migration") {
        migration::run(&mut table, installations.min(MIGRATIONS))?;
    }
    if table.wants("memory") {
        fleet::memory(&mut table, installations)?;
    }
    if table.wants("speed") {
        let mut sizes = vec![10_000, installations];
        sizes.dedup();
        for size in sizes {
            fleet::speed(&mut table, size)?;
        }
    }
    table.write(json)
}

/// One measurement in this process; prints its numbers for the process that asked.
pub(crate) fn child(name: &str, count: u32) -> Result<()> {
    match name {
        // For profilers: nothing but requests through the chain.
        "reads" => chain::reads_here(count),
        "switches" => chain::switches_here(count),
        "memory" => fleet::memory_here(count),
        "roles" => fleet::roles_here(count),
        "speed" => fleet::speed_here(count),
        migration::SIGNED => migration::run_here(count, SignatureScheme::P256),
        migration::UNSIGNED => migration::run_here(count, SignatureScheme::None),
        _ => anyhow::bail!("there is no measurement {name}"),
    }
}
