//! The twelve invariants of a migration, as checkers over the journal and over what was observed of everybody else.
//!
//! What was not observed is said to be so: a checker without its evidence neither holds nor fails.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Eui64, SimInstant};
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::InstallationId;
use crate::machine::campaign::{AttemptResult, Campaign};
use crate::machine::event::{Entry, Event};
use crate::machine::state::State;
use crate::reports::Totals;
use crate::settings::CohortSlug;

/// What was seen of devices, of the SMSO, of the inventory and of texts. What was not looked at is `None`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Observations {
    /// State-changing commands that devices executed, as roles report them.
    pub executed: Option<Vec<Executed>>,
    /// When devices let state-changing commands through, as they remember it themselves over restarts.
    pub accepted: Option<Vec<Accepted>>,
    /// Where a secret was found in what others can read; empty when everything was searched and nothing found.
    pub exposed: Option<Vec<String>>,
    /// Devices of confirmed installations: the inventory beside the device itself.
    pub inventory: Option<Vec<InventoryRow>>,
    /// When the SMSO forgot an installation.
    pub removed: Option<Vec<(InstallationId, SimInstant)>>,
    /// Registers, balances and debts before and after.
    pub readings: Option<Vec<ReadingPair>>,
    /// Supply before and after.
    pub supply: Option<Vec<SupplyPair>>,
    /// Files that were sent again, and whether that changed anything.
    pub replayed: Option<Vec<(String, bool)>>,
    /// Digest of the outcome list of another run of the same seed and files.
    pub twin: Option<[u8; 32]>,
}

/// A state-changing command that a device executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Executed {
    /// Which device.
    pub device: Eui64,
    /// When.
    pub at: SimInstant,
    /// Under the DCC's keys; else the SMSO's.
    pub by_dcc: bool,
    /// It was critical.
    pub critical: bool,
    /// The DCO approved it.
    pub approved: bool,
}

/// When a device let state-changing commands of its operators through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Which device.
    pub device: Eui64,
    /// The last one under the SMSO's keys.
    pub last_of_smso: Option<LetThrough>,
    /// The first one under the DCC's.
    pub first_of_dcc: Option<LetThrough>,
}

/// A command that a device let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetThrough {
    /// When.
    pub at: SimInstant,
    /// The key epoch it came under.
    pub epoch: u32,
}

/// A device in the inventory and as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InventoryRow {
    /// Whose.
    pub installation: InstallationId,
    /// Which device.
    pub device: Eui64,
    /// Its SMI status.
    pub status: String,
    /// Firmware in the inventory.
    pub firmware: String,
    /// Firmware of the device.
    pub true_firmware: String,
    /// The device accepts the DCC's keys.
    pub with_dcc: bool,
}

/// A reading before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadingPair {
    /// Which device.
    pub device: Eui64,
    /// What was read.
    pub item: String,
    /// In the snapshot.
    pub before: i64,
    /// Afterwards.
    pub after: i64,
    /// What was used in between, as the device itself counts.
    pub used: i64,
}

/// Supply before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SupplyPair {
    /// Which device.
    pub device: Eui64,
    /// In the snapshot.
    pub before: String,
    /// Afterwards.
    pub after: String,
}

/// Everything that a checker may look at.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What the journal adds up to.
    pub campaign: &'a Campaign,
    /// The journal, oldest first.
    pub entries: &'a [Entry],
    /// Why its links do not hold; none when they do.
    pub broken_link: Option<String>,
    /// What was seen of everybody else.
    pub observations: &'a Observations,
}

/// What a checker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// Its evidence was not gathered.
    NotObserved,
    /// It does not hold: where.
    Violated(Vec<String>),
}

/// A named invariant.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// `I1` to `I12`.
    pub id: &'static str,
    /// What must be so.
    pub text: &'static str,
    /// Looks.
    pub check: fn(&Evidence<'_>) -> Verdict,
}

/// All twelve.
pub const ALL: [Invariant; 12] = [
    Invariant {
        id: "I1",
        text: "At no instant and in no key epoch do both the SMSO and the DCC get a state-changing command accepted by a \
               device: as devices remember over restarts, and as roles said since this run began or went on",
        check: one_operator,
    },
    Invariant {
        id: "I2",
        text: "No secret is in a log, a report, an audit record or a file that the commissioning party can read",
        check: no_secret_exposed,
    },
    Invariant {
        id: "I3",
        text: "Confirmed means every device in scope is commissioned, and the inventory equals the devices",
        check: confirmed_is_commissioned,
    },
    Invariant {
        id: "I4",
        text: "The SMSO forgets an installation only after a valid outcome file",
        check: removed_after_outcome,
    },
    Invariant {
        id: "I5",
        text: "Registers, tariff, balance and debt afterwards equal the snapshot plus what was used",
        check: readings_add_up,
    },
    Invariant {
        id: "I6",
        text: "Supply does not change because of a migration",
        check: supply_stays,
    },
    Invariant {
        id: "I7",
        text: "At most five counted attempts, one a day; days stay within allocation and capacity",
        check: limits_hold,
    },
    Invariant {
        id: "I8",
        text: "The S1SP alone cannot complete a critical command",
        check: critical_is_approved,
    },
    Invariant {
        id: "I9",
        text: "Every change of state has exactly one record with a valid link",
        check: every_change_once,
    },
    Invariant {
        id: "I10",
        text: "Totals of reports equal the sum of attempt outcomes in the journal",
        check: totals_equal,
    },
    Invariant {
        id: "I11",
        text: "A file that is sent again has no effect",
        check: replay_has_no_effect,
    },
    Invariant {
        id: "I12",
        text: "Same seed and files give the same outcome list",
        check: twin_agrees,
    },
];

impl Verdict {
    fn of(violations: Vec<String>) -> Self {
        if violations.is_empty() {
            Self::Holds
        } else {
            Self::Violated(violations)
        }
    }
}

/// The digest of how everything ended: what two runs of one seed agree on.
#[must_use]
pub fn outcome_digest(campaign: &Campaign) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for known in campaign.installations() {
        hasher.update(known.id().0.to_bytes());
        hasher.update(known.state.as_str());
        hasher.update(known.attempt.number.to_be_bytes());
        hasher.update([known.counted]);
    }
    for outcome in &campaign.outcomes {
        hasher.update(outcome.installation.0.to_bytes());
        hasher.update(outcome.attempt.to_be_bytes());
        hasher.update(outcome.result.as_str());
        if let AttemptResult::Failed(failure) = &outcome.result {
            hasher.update(&failure.code);
        }
    }
    hasher.finalize().into()
}

/// Places where a secret stands in some octets: raw, or as hex in either case. For gathering the evidence of I2.
#[must_use]
pub fn exposures(name: &str, octets: &[u8], secrets: &[Vec<u8>]) -> Vec<String> {
    let forms = secrets.iter().enumerate().flat_map(|(number, secret)| {
        let hex = hex::encode(secret);
        let upper = hex.to_uppercase().into_bytes();
        [secret.clone(), hex.into_bytes(), upper].map(|form| (number, form))
    });
    let forms: Vec<(usize, Vec<u8>)> = forms.filter(|(_, form)| form.len() >= 8).collect();
    // Journals are large: one pass, and a closer look only where the first two octets of a form stand.
    let pair = |first: u8, second: u8| usize::from(first) << 8 | usize::from(second);
    let mut begins = vec![false; 1 << 16];
    forms.iter().for_each(|(_, form)| begins[pair(form[0], form[1])] = true);
    let mut found = BTreeSet::new();
    for (at, two) in octets.windows(2).enumerate() {
        if begins[pair(two[0], two[1])] {
            let here = forms.iter().filter(|(_, form)| octets[at..].starts_with(form));
            found.extend(here.map(|(number, _)| *number));
        }
    }
    found
        .into_iter()
        .map(|number| format!("secret {number} in {name}"))
        .collect()
}

fn one_operator(evidence: &Evidence<'_>) -> Verdict {
    let (Some(executed), Some(accepted)) = (&evidence.observations.executed, &evidence.observations.accepted) else {
        return Verdict::NotObserved;
    };
    let both = accepted.iter().filter_map(|known| {
        let (last, first) = (known.last_of_smso?, known.first_of_dcc?);
        // Each operator has epochs of its own, and they rise.
        (last.at >= first.at || last.epoch >= first.epoch).then(|| {
            format!(
                "{} says that it let the SMSO through at {} in epoch {}, and the DCC at {} in epoch {}",
                known.device, last.at, last.epoch, first.at, first.epoch
            )
        })
    });
    let mut first_by_dcc: BTreeMap<Eui64, SimInstant> = BTreeMap::new();
    for command in executed.iter().filter(|command| command.by_dcc) {
        let first = first_by_dcc.entry(command.device).or_insert(command.at);
        *first = (*first).min(command.at);
    }
    let late = executed.iter().filter(|command| !command.by_dcc).filter_map(|command| {
        let first = first_by_dcc.get(&command.device)?;
        (command.at >= *first).then(|| {
            format!(
                "{} took a command of the SMSO at {}, and one of the DCC at {first}",
                command.device, command.at
            )
        })
    });
    Verdict::of(both.chain(late).collect())
}

fn no_secret_exposed(evidence: &Evidence<'_>) -> Verdict {
    match &evidence.observations.exposed {
        None => Verdict::NotObserved,
        Some(exposed) => Verdict::of(exposed.clone()),
    }
}

fn confirmed_is_commissioned(evidence: &Evidence<'_>) -> Verdict {
    let Some(rows) = &evidence.observations.inventory else {
        return Verdict::NotObserved;
    };
    let mut by_device: BTreeMap<Eui64, &InventoryRow> = rows.iter().map(|row| (row.device, row)).collect();
    let mut violations = Vec::new();
    let confirmed = evidence.campaign.installations().filter(|known| {
        matches!(
            known.state,
            State::Confirmed | State::Migrated | State::PartiallyMigrated
        )
    });
    for known in confirmed {
        for (facts, _) in known.keyed() {
            match by_device.remove(&facts.id) {
                None => violations.push(format!("{} of {} is not in the inventory", facts.id, known.id())),
                Some(row) if row.status != "Commissioned" => {
                    violations.push(format!("{} of {} is {}", facts.id, known.id(), row.status));
                }
                Some(row) if row.firmware != row.true_firmware || !row.with_dcc => violations.push(format!(
                    "{} of {}: the inventory says {}, the device {} ({})",
                    facts.id,
                    known.id(),
                    row.firmware,
                    row.true_firmware,
                    if row.with_dcc { "with the DCC" } else { "with the SMSO" }
                )),
                Some(_) => {}
            }
        }
    }
    Verdict::of(violations)
}

fn removed_after_outcome(evidence: &Evidence<'_>) -> Verdict {
    let Some(removed) = &evidence.observations.removed else {
        return Verdict::NotObserved;
    };
    let confirmed: BTreeMap<InstallationId, SimInstant> = evidence
        .entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::Confirmed))
        .filter_map(|entry| Some((entry.installation?, entry.at)))
        .collect();
    let early = removed
        .iter()
        .filter(|(id, at)| confirmed.get(id).is_none_or(|confirmed| confirmed > at));
    Verdict::of(
        early
            .map(|(id, at)| format!("the SMSO forgot {id} at {at}, before its outcome"))
            .collect(),
    )
}

fn readings_add_up(evidence: &Evidence<'_>) -> Verdict {
    let Some(pairs) = &evidence.observations.readings else {
        return Verdict::NotObserved;
    };
    let wrong = pairs.iter().filter(|pair| pair.after != pair.before + pair.used);
    let text = |pair: &ReadingPair| {
        format!(
            "{} {}: {} + {} used, but {}",
            pair.device, pair.item, pair.before, pair.used, pair.after
        )
    };
    Verdict::of(wrong.map(text).collect())
}

fn supply_stays(evidence: &Evidence<'_>) -> Verdict {
    let Some(pairs) = &evidence.observations.supply else {
        return Verdict::NotObserved;
    };
    let changed = pairs.iter().filter(|pair| pair.before != pair.after);
    Verdict::of(
        changed
            .map(|pair| format!("{}: {} became {}", pair.device, pair.before, pair.after))
            .collect(),
    )
}

fn limits_hold(evidence: &Evidence<'_>) -> Verdict {
    let settings = evidence.campaign.settings();
    let mut violations = Vec::new();
    let mut days: BTreeMap<(InstallationId, Date), u32> = BTreeMap::new();
    let mut totals: BTreeMap<(CohortSlug, Date), u32> = BTreeMap::new();
    for entry in evidence.entries {
        let (Event::Slotted { day, .. }, Some(id)) = (&entry.event, entry.installation) else {
            continue;
        };
        *days.entry((id, *day)).or_default() += 1;
        if let Some(known) = evidence.campaign.installation(id) {
            *totals.entry((known.facts.cohort.clone(), *day)).or_default() += 1;
        }
    }
    for ((id, day), attempts) in days {
        if attempts > u32::from(settings.retry.attempts_per_day) {
            violations.push(format!("{id} has {attempts} attempts on {day}"));
        }
    }
    for known in evidence.campaign.installations() {
        if known.counted > settings.retry.attempts_max {
            violations.push(format!("{} has {} counted attempts", known.id(), known.counted));
        }
    }
    let mut by_day: BTreeMap<Date, u32> = BTreeMap::new();
    for ((cohort, day), slots) in totals {
        *by_day.entry(day).or_default() += slots;
        let allocation = evidence.campaign.allocations.get(&(day, cohort.clone()));
        let capacity = allocation.map_or(0, |allocation| allocation.capacity);
        if slots > capacity {
            violations.push(format!(
                "{cohort} has {slots} slots on {day}, its capacity is {capacity}"
            ));
        }
        let count = evidence
            .campaign
            .cohorts
            .get(&cohort)
            .and_then(|state| state.days.get(&day));
        for (supplier, used) in count.into_iter().flat_map(|count| &count.by_supplier) {
            let Some(supplier) = supplier else { continue };
            let units = allocation.into_iter().flat_map(|allocation| &allocation.units);
            let units = units
                .filter(|(who, ..)| who == supplier)
                .map(|(.., units)| *units)
                .sum::<u32>();
            if *used > units {
                violations.push(format!("{supplier} used {used} of {units} in {cohort} on {day}"));
            }
        }
    }
    for (day, slots) in by_day {
        let capacity = settings.scaling.capacity_on(day);
        if slots > capacity {
            violations.push(format!("{slots} slots on {day}, the capacity is {capacity}"));
        }
    }
    Verdict::of(violations)
}

fn critical_is_approved(evidence: &Evidence<'_>) -> Verdict {
    let Some(executed) = &evidence.observations.executed else {
        return Verdict::NotObserved;
    };
    let bare = executed
        .iter()
        .filter(|command| command.by_dcc && command.critical && !command.approved);
    Verdict::of(
        bare.map(|command| format!("{} at {} without an approval", command.device, command.at))
            .collect(),
    )
}

fn every_change_once(evidence: &Evidence<'_>) -> Verdict {
    let mut violations: Vec<String> = evidence.broken_link.iter().cloned().collect();
    let mut states: BTreeMap<InstallationId, State> = BTreeMap::new();
    for entry in evidence.entries {
        let Some(id) = entry.installation else { continue };
        if matches!(entry.event, Event::Registered(_)) && states.insert(id, State::Discovered).is_some() {
            violations.push(format!("{id} became known twice"));
        }
        let Some((from, to)) = entry.change else { continue };
        if State::transition(from, to).is_none() {
            violations.push(format!("{id}: no transition leads from {from} to {to}"));
        }
        if states.insert(id, to) != Some(from) {
            violations.push(format!("{id} left {from} at {}, where it was not", entry.at));
        }
    }
    for known in evidence.campaign.installations() {
        if states.get(&known.id()) != Some(&known.state) {
            violations.push(format!("{} is {} without a record of it", known.id(), known.state));
        }
    }
    Verdict::of(violations)
}

fn totals_equal(evidence: &Evidence<'_>) -> Verdict {
    let (told, counted) = (Totals::told(evidence.campaign), Totals::counted(evidence.entries));
    if told == counted {
        return Verdict::Holds;
    }
    let keys: BTreeSet<_> = told.0.keys().chain(counted.0.keys()).collect();
    let differ = keys.into_iter().filter(|key| told.0.get(*key) != counted.0.get(*key));
    Verdict::of(
        differ
            .map(|(day, cohort, result)| {
                let key = (*day, cohort.clone(), *result);
                let number = |totals: &Totals| totals.0.get(&key).copied().unwrap_or(0);
                format!(
                    "{day} {cohort} {result}: reports say {}, the journal {}",
                    number(&told),
                    number(&counted)
                )
            })
            .collect(),
    )
}

fn replay_has_no_effect(evidence: &Evidence<'_>) -> Verdict {
    let Some(replayed) = &evidence.observations.replayed else {
        return Verdict::NotObserved;
    };
    let effective = replayed.iter().filter(|(_, effect)| *effect);
    Verdict::of(
        effective
            .map(|(file, _)| format!("{file} had an effect when it came again"))
            .collect(),
    )
}

fn twin_agrees(evidence: &Evidence<'_>) -> Verdict {
    match evidence.observations.twin {
        None => Verdict::NotObserved,
        Some(twin) if twin == outcome_digest(evidence.campaign) => Verdict::Holds,
        Some(_) => Verdict::Violated(vec!["another run of the same seed ended otherwise".into()]),
    }
}
