//! A plan as one HTML page without anything from outside.

use std::collections::BTreeMap;

use askama::Template;
use jiff::civil::Date;

use super::Plan;
use crate::day::week_of;
use crate::reports::chart::{Series, svg};

#[derive(Template)]
#[template(path = "plan.html")]
struct Page<'a> {
    plan: &'a Plan,
    charts: Vec<String>,
    endings: Vec<Vec<String>>,
    weeks: Vec<Vec<String>>,
}

/// The page: demand against capacity, progress, and how each supplier's part ends.
///
/// # Errors
/// Never in practice: the template is compiled in and has no formatter that fails.
pub fn page(plan: &Plan) -> Result<String, askama::Error> {
    // Averages a day by week: a year of days is too many bars.
    let mut weeks: BTreeMap<Date, ([u64; 5], BTreeMap<Date, ()>)> = BTreeMap::new();
    let mut left: BTreeMap<Date, BTreeMap<&str, u64>> = BTreeMap::new();
    for day in &plan.days {
        let week = week_of(day.day);
        let (sums, days) = weeks.entry(week).or_default();
        let values = [day.capacity, day.demand, day.allocated, day.attempted, day.migrated];
        sums.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += u64::from(value));
        days.insert(day.day, ());
        left.entry(week).or_default().insert(day.cohort.as_str(), day.left);
    }
    let labels: Vec<String> = weeks.keys().map(ToString::to_string).collect();
    let average = |at: usize| -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "installations a day are well below 2^52")]
        weeks
            .values()
            .map(|(sums, days)| sums[at] as f64 / days.len().max(1) as f64)
            .collect()
    };
    let demand = svg(
        "Demand against capacity, installations a day",
        &labels,
        &[
            Series {
                name: "demand",
                values: average(1),
                line: false,
            },
            Series {
                name: "allocated",
                values: average(2),
                line: false,
            },
            Series {
                name: "capacity",
                values: average(0),
                line: true,
            },
        ],
    );
    #[expect(clippy::cast_precision_loss, reason = "fleets are well below 2^52")]
    let remaining: Vec<f64> = left.values().map(|by| by.values().sum::<u64>() as f64).collect();
    let progress = svg(
        "Installations left at the end of the week",
        &labels,
        &[Series {
            name: "left",
            values: remaining,
            line: true,
        }],
    );
    let rows = weeks.iter().map(|(week, (sums, _))| {
        let mut row = vec![week.to_string()];
        row.extend(sums.iter().map(ToString::to_string));
        row.push(left.get(week).map_or(0, |by| by.values().sum::<u64>()).to_string());
        row
    });
    let endings = plan.endings_csv();
    let endings = endings
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect());
    Page {
        plan,
        charts: vec![demand, progress],
        endings: endings.collect(),
        weeks: rows.collect(),
    }
    .render()
}
