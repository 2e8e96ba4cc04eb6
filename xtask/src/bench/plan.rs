//! Planning twelve months of ten million installations, without devices.

use anyhow::Result;
use migration::Settings;
use migration::simulate::{Scenario, run};

use super::machine;
use super::table::{Against, Table};

pub(super) fn run_plan(table: &mut Table) -> Result<()> {
    let (settings, scenario) = (Settings::builtin()?, Scenario::builtin()?);
    let began = machine::moment();
    let plan = run(&scenario, &settings);
    let took = began.elapsed().as_secs_f64();
    let asked: u64 = scenario.fleets.iter().map(|fleet| fleet.installations).sum();
    anyhow::ensure!(
        asked >= 10_000_000 && plan.migrated() > 0,
        "the scenario is not the one this number is about"
    );
    table.row(
        "plan: 12 months, 10 M installations",
        took,
        "s",
        Against::AtMost(60.0, "aim"),
    );
    Ok(())
}
