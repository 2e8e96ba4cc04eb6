//! What a device's record of certificates has against a request, and whom its alerts go to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use std::sync::Arc;

use bench::*;
use dcc::Records;
use domain::{CertificateId, Credentials, Eui64, Notified, PartyCredentials, SimDuration};
use proto::{Kind, Message, S1spAlert};
use users::orders::{self, NewCertificates};

fn of(party: Eui64, execution_counter: u64) -> PartyCredentials {
    let notified = Notified {
        id: CertificateId {
            serial: "1".into(),
            issuer: "L1".into(),
        },
        party,
        fingerprint: [0; 20],
    };
    PartyCredentials {
        critical: Some(Arc::new(notified.clone())),
        non_critical: Some(Arc::new(notified)),
        execution_counter,
    }
}

fn with_record(supplier: Eui64, execution_counter: u64, cos_counter: u64) -> Bench {
    let record = Credentials {
        supplier: of(supplier, execution_counter),
        network_operator: of(NETWORK, 0),
        cos_counter,
    };
    Bench {
        credentials: Records::from_iter([(ESME, record)]),
        ..Bench::new()
    }
}

async fn code(bench: &Bench, counter: u64, order: &users::Order) -> String {
    let mut running = bench.start();
    let reply = running.supplier.post(SEND, bench.signed(counter, order)).await;
    running.stop().await;
    let message = users::read(&reply.xml, DCC, &*bench.parties.book).unwrap();
    message.response.header.code.to_string()
}

#[tokio::test(start_paused = true)]
async fn critical_requests_and_changes_of_supplier_have_counters_of_their_own() {
    let bench = with_record(SUPPLIER, 500, 900);
    let critical = orders::disable_supply(ESME);
    let change = orders::change_of_supplier(
        ESME,
        "1200000000001".parse().unwrap(),
        0,
        &NewCertificates {
            signing: "AAAA".into(),
            agreement: None,
            path: vec!["AAAA".into()],
        },
    );
    assert_eq!(code(&bench, 500, &critical).await, "E49", "the floor itself");
    assert_eq!(code(&bench, 501, &critical).await, "I99");
    assert_eq!(
        code(&bench, 600, &change).await,
        "E49",
        "the other counter stands at 900"
    );
    assert_eq!(
        code(&bench, 601, &orders::read_supply_status(ESME)).await,
        "I99",
        "not critical"
    );
    assert_eq!(code(&bench, 901, &change).await, "I99");
    // The Execution Counter went on to 501, not to 901.
    assert_eq!(code(&bench, 902, &critical).await, "I99");
}

#[tokio::test(start_paused = true)]
async fn only_the_notified_party_sends_critical_requests() {
    let bench = with_record(OTHER, 0, 0);
    assert_eq!(code(&bench, 1, &orders::disable_supply(ESME)).await, "E4");
    assert_eq!(code(&bench, 2, &orders::read_supply_status(ESME)).await, "I99");
    // A device without a record, as while it is commissioned.
    assert_eq!(code(&bench, 3, &orders::disable_supply(GSME)).await, "I99");
}

/// After the registration has gone on the alerts still go to the supplier whose certificate is in the record.
#[tokio::test(start_paused = true)]
async fn alerts_follow_the_notified_supplier_not_the_registration() {
    let bench = with_record(SUPPLIER, 0, 0);
    bench.world.clock.sleep(SimDuration::from_days(31)).await;
    let mut running = bench.start();
    let alert = S1spAlert {
        device: ESME.0,
        signed_xml: bench.parties.device_alert(ESME, DCC, 1).into(),
        is_s1sp_alert: false,
        counter: 1,
        ..S1spAlert::default()
    };
    running
        .s1sp_sends(Kind::S1spAlert, "alert", &alert.encode_to_vec())
        .await;
    let minute = SimDuration::from_mins(1);
    assert!(running.supplier.delivery(minute).await.is_some(), "the one notified");
    assert!(running.other.delivery(minute).await.is_none(), "the one registered");
    running.stop().await;
}
