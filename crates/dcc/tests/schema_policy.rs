//! Versions of the schema by user: what it may send, and what is held back from it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use dcc::{OtherVersions, SchemaPolicy};
use domain::{RequestId, SimDuration};
use users::orders;

fn bench_with(version: &str, others: OtherVersions) -> Bench {
    Bench {
        directory: directory_with(|user| {
            user.schema = Some(SchemaPolicy {
                version: version.into(),
                others,
            });
        }),
        ..Bench::new()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_another_version_are_taken_warned_of_or_refused() {
    let order = orders::read_supply_status(ESME);
    for (version, others, code, warned) in [
        ("5.1", OtherVersions::Refuse, "I99", 0),
        ("5.4", OtherVersions::Accept, "I99", 0),
        ("5.4", OtherVersions::Warn, "I99", 1),
        ("5.4", OtherVersions::Refuse, "E100", 0),
    ] {
        let bench = bench_with(version, others);
        let mut running = bench.start();
        // Our own requests say 5.1.
        let reply = running.supplier.post(SEND, bench.signed(1, &order)).await;
        running.stop().await;
        let message = users::read(&reply.xml, DCC, &*bench.parties.book).unwrap();
        assert_eq!(message.response.header.code.as_str(), code, "{version} {others}");
        let trail = audit::all(&bench.store).unwrap();
        let count = trail.iter().filter(|record| record.event == Event::Warned).count();
        assert_eq!(count, warned, "{version} {others}: {trail:?}");
    }
}

/// E110106 came with 5.4: a user of 5.1 could not read it.
#[tokio::test(start_paused = true)]
async fn what_a_version_does_not_have_is_held_back() {
    let id = RequestId {
        originator: SUPPLIER,
        target: ESME,
        counter: 1,
    };
    for (version, expected) in [("5.1", "<sr:DCCAlertCode>N57<"), ("5.4", "<sr:ResponseCode>E110106<")] {
        let bench = bench_with(version, OtherVersions::Accept);
        let mut running = bench.start();
        running
            .supplier
            .post(SEND, bench.signed(1, &orders::read_supply_status(ESME)))
            .await;
        let (request, ..) = running.countersigned().await;
        running.accept(&request).await;
        running.respond(id, "E110106", Vec::new()).await;
        let delivery = running.supplier.delivery(SimDuration::from_mins(1)).await.unwrap();
        let xml = String::from_utf8_lossy(&delivery.1.xml).into_owned();
        assert!(xml.contains(expected), "{version}: {xml}");
        let schema = duis::Version::of(version);
        assert!(duis::check_against(xml.as_bytes(), schema, &duis::Limits::DEFAULT).is_ok());
        assert_eq!(version == "5.1", xml.contains("ServiceUserDUISVersion>5.1<"), "{xml}");
        running.stop().await;
    }
}

/// The answer to 12.1 has another form in each version: it is the user's, or else that of its request.
#[tokio::test(start_paused = true)]
async fn what_differs_by_version_is_said_in_that_of_the_user() {
    let order = orders::coverage(DCC, "AB1 2CD", "1");
    for (policy, request, answered) in [
        (None, "5.1", "5.1"),
        (None, "5.4", "5.4"),
        (Some("5.1"), "5.4", "5.1"),
        (Some("5.4"), "5.1", "5.4"),
    ] {
        let bench = match policy {
            Some(version) => bench_with(version, OtherVersions::Accept),
            None => Bench::new(),
        };
        let mut running = bench.start();
        let id = RequestId {
            originator: SUPPLIER,
            target: DCC,
            counter: 1,
        };
        let mut asked = duis::Request::new(id, order.srv)
            .with_command_variant(order.command_variant)
            .with_body(order.body.clone());
        asked.schema_version = request.into();
        let reply = running.supplier.post(NON_DEVICE, bench.parties.sign(&asked)).await;
        running.stop().await;
        let case = format!("{policy:?} {request}");
        let message = users::read(&reply.xml, DCC, &*bench.parties.book).unwrap();
        assert_eq!(message.response.header.code.as_str(), "I0", "{case}");
        assert_eq!(message.response.header.schema_version, answered, "{case}");
        let of_its_version = duis::check_against(&reply.xml, duis::Version::of(answered), &duis::Limits::DEFAULT);
        assert!(of_its_version.is_ok(), "{case}: {of_its_version:?}");
    }
}
