//! Schedules: made, run, answered with their number, failed, made up for after a restart, deleted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use domain::{Eui64, RequestId, SimDuration, SimInstant};
use duis::{Element, ResponseBody};
use users::{Order, orders};

const HOUR: SimDuration = SimDuration::from_hours(1);

fn at(text: &str) -> SimInstant {
    text.parse().unwrap()
}

fn create(device: Eui64, more: &[(&'static str, &str)]) -> Order {
    let mut order = orders::schedule_daily_reads(DCC, device, at("2020-06-02T00:00:00Z"));
    for (name, text) in more {
        let new = Element::sr(name).with_text(*text);
        match order.body.children.iter_mut().find(|child| child.name == *name) {
            Some(child) => *child = new,
            // The two optional ones, in the order of the schema.
            None => {
                let place = order.body.children.iter().take_while(|child| {
                    ["ScheduleFrequency", "ScheduleStartDate", "ScheduleEndDate"].contains(&child.name)
                });
                let place = place.count();
                order.body.children.insert(place, new);
            }
        }
    }
    order
}

async fn ask(bench: &Bench, running: &mut Running, counter: u64, order: &Order) -> Said {
    let reply = running.supplier.post(NON_DEVICE, bench.signed(counter, order)).await;
    bench.said(&reply)
}

#[tokio::test(start_paused = true)]
async fn a_schedule_runs_every_day_of_its_time_and_its_results_carry_its_number() {
    let bench = Bench::new();
    let mut running = bench.start();
    let order = create(
        ESME,
        &[
            ("ScheduleEndDate", "2020-06-03"),
            ("ScheduleExecutionStartTime", "02:30:00Z"),
        ],
    );
    let said = ask(&bench, &mut running, 1, &order).await;
    assert_eq!(
        (said.code.as_str(), said.payload().unwrap().name),
        ("I0", "DSPScheduleID")
    );
    assert_eq!(said.payload().unwrap().text, "1");
    let said = ask(&bench, &mut running, 2, &orders::read_schedules(DCC, ESME)).await;
    let details = said
        .payload()
        .unwrap()
        .at(&["DSPSchedules", "DSPScheduleDetails"])
        .unwrap();
    let names: Vec<_> = details.children.iter().map(|child| child.name).collect();
    let asked: Vec<_> = order.body.children.iter().map(|child| child.name).collect();
    assert_eq!(names, asked);

    let (envelope, _, countersigned) = {
        bench.world.clock.sleep_until(at("2020-06-02T02:30:00Z")).await;
        running.countersigned().await
    };
    assert_eq!(
        countersigned.supplementary_remote_party_id, SUPPLIER.0,
        "the owner is named"
    );
    let request = duis::read_request(&countersigned.request_xml).unwrap();
    assert_eq!((request.id.originator, request.id.target), (DCC, ESME));
    let signer = duis::signature::verify(&countersigned.request_xml, &*bench.parties.book).unwrap();
    assert_eq!(signer.eui, DCC, "the DCC asks in its own name");
    let period = request.body.child("ReadLogPeriod").unwrap();
    assert_eq!(period.child_text("StartDateTime"), Some("2020-06-01T00:00:00.000Z"));
    assert_eq!(period.child_text("EndDateTime"), Some("2020-06-02T00:00:00.000Z"));
    running.accept(&envelope).await;
    let payload = Element::ra("RetrieveImportDailyReadLogRsp").with_attribute("MessageSuccess", "true");
    running
        .respond(request.id, "I0", bench.parties.answer(request.id, payload))
        .await;
    let taken = running.supplier.take_all(SimDuration::from_mins(1)).await;
    let [result] = &taken[..] else {
        panic!("{}", taken.len())
    };
    let said = bench.read(&result.xml);
    assert_eq!(said.header.request_id, None);
    let ResponseBody::Smets1 { schedule_id, srv, .. } = said.body else {
        panic!()
    };
    assert_eq!((schedule_id, srv.unwrap().to_string()), (Some(1), "4.6.1".to_owned()));

    // The second run is due while the DCC is down: made up for, once. It brings nothing, which is told by an alert.
    running.crash().await;
    bench.world.clock.sleep_until(at("2020-06-03T12:00:00Z")).await;
    let mut running = bench.start();
    let (envelope, ..) = running.countersigned().await;
    let second: RequestId = envelope.trace_id.parse().unwrap();
    assert!(second.counter > request.id.counter);
    running.respond(second, "E20", Vec::new()).await;
    let taken = running.supplier.take_all(SimDuration::from_mins(1)).await;
    let said: Vec<_> = taken.iter().map(|one| bench.read(&one.xml)).collect();
    let [said] = &said[..] else { panic!("{said:?}") };
    let (code, payload) = said.alert().unwrap();
    assert_eq!((code, payload.child_text("DSPScheduleID")), ("N12", Some("1")));
    // That was its last day.
    assert_eq!(running.handle.in_hand().await.unwrap(), dcc::InHand::default());
    let events: Vec<_> = audit::of_device(&bench.store, ESME)
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .collect();
    assert_eq!(events.iter().filter(|event| **event == Event::ScheduleRun).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_does_not_run_and_is_not_found() {
    let bench = Bench::new();
    let mut running = bench.start();
    for (counter, order, code) in [
        (1, create(ESME, &[]), "I0"),
        (2, orders::delete_schedules(DCC, ESME), "I0"),
        (3, orders::delete_schedules(DCC, ESME), "W050301"),
        (4, orders::read_schedules(DCC, ESME), "W050201"),
    ] {
        assert_eq!(ask(&bench, &mut running, counter, &order).await.code, code);
    }
    assert!(
        running.at_s1sp(SimDuration::from_days(3)).await.is_none(),
        "deleted schedules do not run"
    );
}

#[tokio::test(start_paused = true)]
async fn a_decommissioned_device_loses_its_schedules_and_their_owner_is_told() {
    let bench = Bench::new();
    let mut running = bench.start();
    assert_eq!(ask(&bench, &mut running, 1, &create(ESME, &[])).await.code, "I0");
    assert_eq!(
        ask(&bench, &mut running, 2, &orders::decommission(DCC, ESME))
            .await
            .code,
        "I0"
    );
    let taken = running.supplier.take_all(HOUR).await;
    let codes: Vec<_> = taken
        .iter()
        .map(|one| bench.read(&one.xml).alert().unwrap().0.to_owned())
        .collect();
    assert_eq!(codes, ["N1", "N4"]);
}
