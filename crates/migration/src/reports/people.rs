//! What people act on: R03 answers, R08 exceptions, R09 stranded, R10 exclusions.

use super::Inputs;
use crate::machine::model::{Exclusion, Installation};
use crate::machine::state::State;
use crate::planning::authorisation::Fuel;

pub(super) fn answers(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let files = inputs.campaign.files.iter().map(|(_, file)| file);
    for file in files.filter(|file| inputs.supplier.is_none_or(|supplier| file.sender == supplier)) {
        if file.result != "ACCEPTED" {
            let (code, text) = (file.code.clone(), file.text.clone());
            rows.push(vec![
                file.file.clone(),
                String::new(),
                String::new(),
                file.result.clone(),
                code,
                text,
            ]);
        }
        rows.extend(file.rows.iter().map(|row| {
            let result = if row.code.is_empty() { "ACCEPTED" } else { "REJECTED" };
            vec![
                file.file.clone(),
                row.row.to_string(),
                row.mpxn.clone(),
                result.to_owned(),
                row.code.clone(),
                row.text.clone(),
            ]
        }));
    }
    rows
}

pub(super) fn exceptions(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let open = inputs.campaign.cases.iter().filter(|(_, case)| case.is_open());
    let rows = open.filter_map(|(number, case)| {
        let known = case.installation.and_then(|id| inputs.campaign.installation(id));
        if (inputs.cohort.is_some() || inputs.supplier.is_some()) && !known.is_some_and(|known| inputs.covers(known)) {
            return None;
        }
        let last = case
            .history
            .last()
            .map_or_else(|| "opened".to_owned(), |(_, by, what)| format!("{by} {what}"));
        Some(vec![
            number.to_string(),
            case.installation.map(|id| id.to_string()).unwrap_or_default(),
            known.map(|known| known.state.to_string()).unwrap_or_default(),
            case.record.code.clone(),
            case.owner.to_string(),
            case.opened.to_string(),
            (inputs.now.since(case.opened).as_millis() / 3_600_000).to_string(),
            last,
        ])
    });
    rows.collect()
}

pub(super) fn stranded(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let stranded = inputs
        .campaign
        .installations()
        .filter(|known| known.state == State::Stranded && inputs.covers(known));
    stranded
        .flat_map(|known| {
            let step = match known.next_work(inputs.now, false, inputs.settings()) {
                Some(work) => work.word(),
                None => "waits for its next try".to_owned(),
            };
            known.facts.points.iter().map(move |point| {
                vec![
                    known.id().to_string(),
                    point.mpxn.to_string(),
                    yes(point.prepayment),
                    yes(known.facts.vulnerable),
                    known.since.to_string(),
                    step.clone(),
                    known.attempt.tries.to_string(),
                ]
            })
        })
        .collect()
}

pub(super) fn exclusions(inputs: &Inputs<'_>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for known in inputs.campaign.installations().filter(|known| inputs.covers(known)) {
        if let Some(exclusion) = &known.exclusion {
            rows.extend(points(inputs, known, exclusion, None));
        }
        if let Some(exclusion) = known.gas_exclusion.as_ref().filter(|_| known.is_partial()) {
            rows.extend(points(inputs, known, exclusion, Some(Fuel::Gas)));
        }
    }
    rows
}

fn points(inputs: &Inputs<'_>, known: &Installation, exclusion: &Exclusion, fuel: Option<Fuel>) -> Vec<Vec<String>> {
    let of_fuel = known
        .facts
        .points
        .iter()
        .filter(|point| fuel.is_none_or(|fuel| Fuel::of(point.mpxn) == fuel));
    let of_supplier = of_fuel.filter(|point| inputs.supplier.is_none_or(|supplier| point.supplier == supplier));
    of_supplier
        .map(|point| {
            vec![
                point.mpxn.to_string(),
                exclusion.category.clone(),
                exclusion.evidence.clone(),
                exclusion.by.clone(),
                exclusion.on.to_string(),
            ]
        })
        .collect()
}

fn yes(flag: bool) -> String {
    if flag { "Y" } else { "N" }.to_owned()
}
