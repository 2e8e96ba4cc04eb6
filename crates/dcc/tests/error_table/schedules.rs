//! What cannot be scheduled, and schedules that are not there or somebody else's.

use domain::Eui64;
use duis::Element;
use steps::Failure as F;
use users::{Order, orders};

use super::{Case, Post, asked, to_dcc, usual};
use crate::bench::*;

fn create(device: Eui64) -> Order {
    orders::schedule_daily_reads(DCC, device, "2020-06-02T00:00:00Z".parse().unwrap())
}

fn starting(date: &str) -> Order {
    orders::schedule_daily_reads(DCC, ESME, format!("{date}T00:00:00Z").parse().unwrap())
}

fn ending(date: &str) -> Order {
    let mut order = create(ESME);
    let end = Element::sr("ScheduleEndDate").with_text(date);
    order.body.children.insert(2, end);
    order
}

fn one(srv: &str, body: &'static str, id: &str) -> Order {
    to_dcc(srv, Element::sr(body).with_leaf("DSPScheduleID", id))
}

fn read(id: &str) -> Order {
    one("5.2", "ReadSchedule", id)
}

fn delete(id: &str) -> Order {
    one("5.3", "DeleteSchedule", id)
}

/// After a schedule of the supplier's, a request of somebody else.
fn then_another(bench: &Bench, order: &Order) -> Vec<Post> {
    let mut posts = asked(bench, &[create(ESME)]);
    posts.push((NON_DEVICE, bench.parties.signed(OTHER, 1, order)));
    posts
}

pub(super) const CASES: &[Case] = &[
    Case(
        F::ScheduleLimit,
        |bench| bench.limits.schedules_per_device_max = 1,
        |bench| asked(bench, &[create(ESME), create(ESME)]),
    ),
    Case(F::ScheduleStartPassed, usual, |bench| {
        asked(bench, &[starting("2020-05-31")])
    }),
    Case(F::ScheduleEndFirst, usual, |bench| {
        asked(bench, &[ending("2020-06-01")])
    }),
    Case(F::ScheduleMismatch, usual, |bench| {
        let mut mismatch = create(ESME);
        mismatch.body.children.last_mut().unwrap().name = "DSPRetrieveExportDailyReadLog";
        asked(bench, &[mismatch])
    }),
    Case(F::ScheduleDevice, usual, |bench| asked(bench, &[create(Eui64(0xFF))])),
    Case(F::ScheduleStatus, usual, |bench| asked(bench, &[create(HELD)])),
    Case(F::ScheduleNotApplicable, usual, |bench| asked(bench, &[create(HUB)])),
    Case(F::ScheduleAuthority, usual, |bench| {
        vec![(NON_DEVICE, bench.parties.signed(OTHER, 1, &create(ESME)))]
    }),
    Case(F::ScheduleUnknown, usual, |bench| asked(bench, &[read("9")])),
    Case(F::ScheduleForeign, usual, |bench| then_another(bench, &read("1"))),
    Case(F::ScheduleGone, usual, |bench| asked(bench, &[delete("9")])),
    Case(F::ScheduleNotOwn, usual, |bench| then_another(bench, &delete("1"))),
];
