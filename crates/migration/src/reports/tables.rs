//! Outcomes, dormant installations, eligibility, traces and evidence: R01, R02, R12, R14, R15.

use domain::{DeviceKind, Mpxn};
use jiff::civil::Date;

use super::{Inputs, key_counts, next_action};
use crate::InstallationId;
use crate::day::day_of;
use crate::machine::Campaign;
use crate::machine::campaign::{AttemptOutcome, AttemptResult, combination_text};
use crate::machine::event::Event;
use crate::machine::model::Installation;
use crate::planning::authorisation::Fuel;
use crate::settings::CohortSlug;

/// One row of the daily outcomes, before it is text.
pub(super) struct OutcomeRow<'a> {
    pub(super) known: &'a Installation,
    pub(super) outcome: &'a AttemptOutcome,
    pub(super) mpxn: Mpxn,
    pub(super) day: Date,
    pub(super) cohort: CohortSlug,
    pub(super) installation: InstallationId,
    pub(super) attempt: u32,
    pub(super) result: &'static str,
}

pub(super) fn outcome_rows(campaign: &Campaign) -> impl Iterator<Item = OutcomeRow<'_>> {
    campaign.outcomes.iter().flat_map(|outcome| {
        let known = campaign.installation(outcome.installation);
        known.into_iter().flat_map(move |known| {
            known.facts.points.iter().map(move |point| OutcomeRow {
                known,
                outcome,
                mpxn: point.mpxn,
                day: outcome.day,
                cohort: known.facts.cohort.clone(),
                installation: outcome.installation,
                attempt: outcome.attempt,
                result: outcome.result.as_str(),
            })
        })
    })
}

/// The devices that serve a fuel.
fn devices_of(known: &Installation, fuel: Fuel) -> String {
    let of_fuel = known
        .facts
        .devices
        .iter()
        .filter(|device| device.kind.is_gas() == (fuel == Fuel::Gas));
    of_fuel
        .map(|device| device.id.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) fn daily_outcomes(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let rows = outcome_rows(inputs.campaign).filter(|row| inputs.covers(row.known));
    let of_supplier = |row: &OutcomeRow<'_>| {
        let point = row.known.facts.points.iter().find(|point| point.mpxn == row.mpxn);
        inputs
            .supplier
            .is_none_or(|supplier| point.is_some_and(|point| point.supplier == supplier))
    };
    let text = |row: OutcomeRow<'_>| {
        let fuel = Fuel::of(row.mpxn);
        let (code, class) = match &row.outcome.result {
            AttemptResult::Failed(failure) => (failure.code.clone(), failure.class.as_str()),
            AttemptResult::Stranded { code } => (code.clone(), "FORWARD-ONLY"),
            AttemptResult::Partial if fuel == Fuel::Gas => ("LAB-VI-03".to_owned(), "TRANSIENT"),
            AttemptResult::Migrated | AttemptResult::Partial => (String::new(), ""),
        };
        // Only the last attempt has something that follows.
        let last = row.known.attempt.number == row.attempt;
        let (action, at) = if last {
            next_action(row.known, inputs.campaign)
        } else {
            ("repeated".into(), None)
        };
        let result = match (&row.outcome.result, fuel) {
            (AttemptResult::Partial, Fuel::Gas) => "left-out",
            _ => row.result,
        };
        vec![
            row.day.to_string(),
            row.cohort.to_string(),
            row.mpxn.to_string(),
            fuel.as_str().to_owned(),
            row.installation.to_string(),
            devices_of(row.known, fuel),
            result.to_owned(),
            code,
            class.to_owned(),
            row.attempt.to_string(),
            action,
            at.map(|at| day_of(at).to_string()).unwrap_or_default(),
        ]
    };
    rows.filter(of_supplier).map(text).collect()
}

pub(super) fn dormant_migrated(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let rows = outcome_rows(inputs.campaign).filter(|row| inputs.covers(row.known));
    rows.filter_map(|row| {
        let point = row.known.facts.points.iter().find(|point| point.mpxn == row.mpxn)?;
        let fuel = Fuel::of(row.mpxn);
        let migrated = match &row.outcome.result {
            AttemptResult::Migrated => true,
            AttemptResult::Partial => fuel == Fuel::Electricity,
            _ => false,
        };
        let wanted = inputs.supplier.is_none_or(|supplier| point.supplier == supplier);
        if !migrated || point.active || !wanted {
            return None;
        }
        let meter = if fuel == Fuel::Gas {
            DeviceKind::Gsme
        } else {
            DeviceKind::Esme
        };
        Some(vec![
            row.day.to_string(),
            row.mpxn.to_string(),
            fuel.as_str().to_owned(),
            devices_of(row.known, fuel),
            row.outcome.at.to_string(),
            row.known
                .facts
                .device(meter)
                .map(|device| device.model.firmware.clone())
                .unwrap_or_default(),
            row.known.epcl.clone().unwrap_or_default(),
        ])
    })
    .collect()
}

pub(super) fn eligibility(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let today = day_of(inputs.now);
    let fleet = inputs.campaign.installations().filter(|known| inputs.covers(known));
    let combinations = fleet.map(|known| {
        let epcl = known
            .facts
            .combination()
            .and_then(|combination| inputs.lists.epcl(&combination, today));
        (combination_text(&known.facts), epcl.unwrap_or_default())
    });
    key_counts(combinations)
        .into_iter()
        .map(|((combination, epcl), count)| {
            let (added, source) = inputs.lists.entry_facts(&epcl).unwrap_or_default();
            vec![combination, epcl, added, source, count.to_string()]
        })
        .collect()
}

pub(super) fn trace(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let mut attempts = std::collections::BTreeMap::new();
    let mut rows = Vec::new();
    for (sequence, entry) in (1u64..).zip(inputs.entries) {
        let Some(id) = entry.installation else { continue };
        if inputs.installation.is_some_and(|wanted| wanted != id) {
            continue;
        }
        let attempt: &mut u32 = attempts.entry(id).or_default();
        *attempt += u32::from(matches!(entry.event, Event::Slotted { .. }));
        let (from, to) = entry.change.map_or(("", ""), |(from, to)| (from.as_str(), to.as_str()));
        let (request, response, code, octets) = match &entry.event {
            Event::StepDone(step) => (
                step.request_id.clone(),
                step.response_code.clone(),
                step.note.as_ref().map(|(code, _)| code.clone()).unwrap_or_default(),
                step.octets.to_string(),
            ),
            Event::TryFailed { code, .. } | Event::Noted { code, .. } | Event::Stranded { code } => {
                (String::new(), String::new(), code.clone(), String::new())
            }
            Event::Failed { failure, .. } => (String::new(), String::new(), failure.code.clone(), String::new()),
            _ if entry.change.is_none() => continue,
            _ => Default::default(),
        };
        rows.push(vec![
            format!("{id}/{attempt}"),
            sequence.to_string(),
            entry.at.to_string(),
            entry.actor.as_str().to_owned(),
            from.to_owned(),
            to.to_owned(),
            request,
            response,
            code,
            octets,
        ]);
    }
    rows
}

pub(super) fn evidence(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let row = |evidence: &super::TestEvidence| {
        vec![
            evidence.run.clone(),
            evidence.phase.clone(),
            evidence.combination.clone(),
            evidence.installation_type.clone(),
            evidence.case.clone(),
            evidence.result.clone(),
            evidence.sha256.clone(),
        ]
    };
    inputs.evidence.iter().map(row).collect()
}
