//! `cargo xtask mutate-rules`: what becomes of each row of `fixtures/dmc/rules.tsv` when its rule is deleted.

use std::io::Write;

use anyhow::{Result, bail};
use runs::{RowVerdict, rule_rows};

/// Deletes each rule in turn, in memory, and runs its row with and without it. Prints one line per rule and a summary.
///
/// # Errors
/// When a row is not red, or does not hold.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    let mut rows = rule_rows().map_err(anyhow::Error::msg)?;
    rows.retain(|row| filter.is_none_or(|part| row.rule.contains(part)));
    let (mut red, mut not_red, mut wrong) = (0, 0, 0);
    for (number, row) in (1..).zip(&rows) {
        print!("{number:3}/{} {:32} ", rows.len(), row.rule);
        // The name stands before the work: a row that hangs is then known.
        std::io::stdout().flush()?;
        match row.judge() {
            RowVerdict::Red(without) => {
                red += 1;
                println!("red      {} | deleted: {without}", row.says);
            }
            RowVerdict::NotRed => {
                not_red += 1;
                println!("NOT RED  {}", row.says);
            }
            RowVerdict::Wrong(what) => {
                wrong += 1;
                println!("WRONG    rules.tsv:{}: {what}", row.line);
            }
        }
    }
    println!("{} rules: {red} red, {not_red} not red, {wrong} wrong", rows.len());
    if rows.is_empty() || not_red + wrong > 0 {
        bail!("not every rule is proved by its row");
    }
    Ok(())
}
