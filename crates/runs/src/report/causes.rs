//! Failures by what they have in common: seventy cells of one cause are one thing to read.

use std::collections::BTreeMap;

use domain::{Eui64, SimInstant};

use crate::verdict::{Cell, RunResult, Verdict};

/// Cells of one profile that failed in the same way.
pub(crate) struct Cause<'a> {
    /// The words of the failure without what differs between its cells.
    pub(crate) observed: String,
    /// In the order they were run; never empty.
    pub(crate) cells: Vec<&'a Cell>,
}

impl Cause<'_> {
    /// How many devices are concerned.
    pub(crate) fn devices(&self) -> usize {
        let mut devices: Vec<&str> = self.cells.iter().map(|cell| cell.device.as_str()).collect();
        devices.sort_unstable();
        devices.dedup();
        devices.len()
    }

    /// The variants concerned, each once, in the order they were run.
    pub(crate) fn variants(&self) -> Vec<&str> {
        let mut variants: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !variants.contains(&cell.srv.as_str()) {
                variants.push(&cell.srv);
            }
        }
        variants
    }
}

/// The causes of a run's failures, those with most cells first.
pub(crate) fn of(result: &RunResult) -> Vec<Cause<'_>> {
    let mut causes: BTreeMap<(&str, Option<&str>, &str, String), Vec<&Cell>> = BTreeMap::new();
    for cell in result.cells.iter().filter(|cell| cell.verdict == Verdict::Failed) {
        let hop = cell.failed_hop.as_deref();
        let key = (
            cell.profile.as_str(),
            hop,
            cell.expected.as_str(),
            cause(&cell.observed),
        );
        causes.entry(key).or_default().push(cell);
    }
    let mut causes: Vec<Cause<'_>> = causes
        .into_iter()
        .map(|((.., observed), cells)| Cause { observed, cells })
        .collect();
    causes.sort_by_key(|cause| {
        let first = cause.cells.first().map_or(0, |cell| cell.position);
        (std::cmp::Reverse(cause.cells.len()), first)
    });
    causes
}

/// What was observed, without operation, identities, instants and numbers.
fn cause(observed: &str) -> String {
    let Some((before, words)) = observed.split_once(" (") else {
        return unspecific(observed);
    };
    let (words, after) = words.rsplit_once(')').unwrap_or((words, ""));
    // A debug entry names the operation, then says why, then perhaps what it was about.
    let why = words.split_once(": ").map_or(words, |(_, why)| why);
    let why = why.split_once(": ").map_or(why, |(why, _)| why);
    unspecific(&format!("{before} ({why}){after}"))
}

fn unspecific(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let specific = bare.parse::<Eui64>().is_ok()
            || bare.parse::<SimInstant>().is_ok()
            || (!bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()));
        if specific {
            word.replace(bare, "…")
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_cells_of_one_cause_is_left_out() {
        let one = "I0 without success (write Tariff: GSME 02-1A-B0-04-19-00-00-01 did not wake in time: write Tariff \
                   (ticket 11))";
        let other = "I0 without success (write Prices: GSME 02-1A-B0-04-1D-00-00-01 did not wake in time: write Prices \
                     (ticket 12))";
        assert_eq!(cause(one), "I0 without success (GSME … did not wake in time)");
        assert_eq!(cause(one), cause(other));
        assert_eq!(
            cause("I0 without success (arm supply: temporarily unable)"),
            "I0 without success (temporarily unable)"
        );
        assert_eq!(
            cause("E21: the connection with hub 02-1A-B0-01-05-00-00-01 was lost"),
            "E21: the connection with hub … was lost"
        );
        assert_ne!(cause("I0, success, but there is none"), cause("I0, success"));
    }
}
