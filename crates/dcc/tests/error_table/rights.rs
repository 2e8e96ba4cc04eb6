//! What a user may not do, and when.

use std::sync::Arc;

use dcc::{OtherVersions, Records, SchemaPolicy};
use domain::{CertificateId, Credentials, DeviceKind, Eui64, Notified, PartyCredentials};
use duis::signature::sign;
use duis::{Element, Request};
use steps::Failure as F;
use users::{Order, orders};

use super::{Case, Post, barred, sent, to_device, usual};
use crate::bench::*;

pub(super) const NOWHERE: Eui64 = Eui64(0x00DB_1234_5678_90FF);

fn by(bench: &Bench, user: Eui64, order: &Order) -> Vec<Post> {
    vec![(SEND, bench.parties.signed(user, 1, order))]
}

fn on(path: &'static str, bench: &Bench, order: &Order) -> Vec<Post> {
    vec![(path, bench.signed(1, order))]
}

fn twice(bench: &Bench, counters: [u64; 2]) -> Vec<Post> {
    let order = orders::read_supply_status(ESME);
    counters.map(|counter| (SEND, bench.signed(counter, &order))).into()
}

/// A device of which this party is notified, whose counters stand there.
pub(super) fn notified(bench: &mut Bench, party: Eui64, counter: u64) {
    let notified = Notified {
        id: CertificateId {
            serial: "1".into(),
            issuer: "L1".into(),
        },
        party,
        fingerprint: [0; 20],
    };
    let supplier = PartyCredentials {
        critical: Some(Arc::new(notified.clone())),
        non_critical: Some(Arc::new(notified)),
        execution_counter: counter,
    };
    let record = Credentials {
        supplier,
        cos_counter: counter,
        ..Credentials::default()
    };
    bench.credentials = Records::from_iter([(ESME, record)]);
}

fn dated(date: &str) -> Order {
    let body = Element::sr("ReadInstantaneousImportRegisters").with_leaf("ExecutionDateTime", date);
    to_device(GPF, "4.1.1", body)
}

/// A request that follows the one with this originator and counter.
fn following(bench: &Bench, preceding: (Eui64, u64), first: Option<bool>) -> Vec<Post> {
    let id = |(originator, counter)| domain::RequestId {
        originator,
        target: ESME,
        counter,
    };
    let order = orders::read_supply_status(ESME);
    let request = Request {
        preceding: Some(id(preceding)),
        first_in_sequence: first,
        ..Request::new(id((SUPPLIER, 5)), order.srv).with_body(order.body)
    };
    vec![(SEND, bench.parties.sign(&request))]
}

fn change_of_supplier() -> Order {
    use orders::NewCertificates;
    let new = NewCertificates {
        signing: "AAAA".into(),
        agreement: None,
        path: vec!["AAAA".into()],
    };
    orders::change_of_supplier(ESME, "1200000000001".parse().unwrap(), 0, &new)
}

/// A request that a SMETS1 device may have and that this lab does not emulate; nothing once there is none.
fn not_emulated(bench: &Bench) -> Vec<Post> {
    let hash = Element::sr("ActivateFirmware").with_leaf("FirmwareHash", "0A".repeat(32));
    let own = Element::sr("RetrieveDeviceSecurityCredentialsDevice").with_leaf("CredentialType", "Digital Signature");
    for (srv, body) in [("6.24.2", own), ("11.3", hash)] {
        if barred(srv, DeviceKind::Esme) == Some(F::NotEmulated) {
            return sent(bench, &to_device(ESME, srv, body));
        }
    }
    Vec::new()
}

pub(super) const CASES: &[Case] = &[
    Case(F::UnknownUser, usual, |bench| {
        by(bench, STRANGER, &orders::read_supply_status(ESME))
    }),
    Case(F::UnknownUser, usual, |bench| {
        let unsigned = bench.parties.unsigned(SUPPLIER, 1, &orders::read_supply_status(ESME));
        vec![(SEND, sign(&unsigned, bench.parties.key(DCC)).unwrap())]
    }),
    Case(F::UserStatus, usual, |bench| {
        by(bench, SUSPENDED, &orders::read_supply_status(ESME))
    }),
    Case(
        F::SchemaVersion,
        |bench| {
            bench.directory = directory_with(|user| {
                user.schema = Some(SchemaPolicy {
                    version: "5.4".into(),
                    others: OtherVersions::Refuse,
                });
            });
        },
        |bench| sent(bench, &orders::read_supply_status(ESME)),
    ),
    Case(
        F::ForwardFailed,
        |bench| bench.limits.forward_unknown = true,
        |bench| sent(bench, &orders::read_supply_status(NOWHERE)),
    ),
    Case(F::WrongPath, usual, |bench| {
        on(NON_DEVICE, bench, &orders::read_supply_status(ESME))
    }),
    Case(F::WrongPath, usual, |bench| {
        on("/api/v1/other", bench, &orders::read_supply_status(ESME))
    }),
    Case(F::WrongPath, usual, |bench| {
        on(SEND, bench, &orders::read_inventory(DCC, ESME))
    }),
    Case(F::VariantNotAllowed, usual, |bench| {
        let transform = Order {
            command_variant: 4,
            ..orders::disable_supply(ESME)
        };
        on(TRANSFORM, bench, &transform)
    }),
    Case(
        F::Busy,
        |bench| bench.limits.open_requests_max = 0,
        |bench| sent(bench, &orders::read_supply_status(ESME)),
    ),
    Case(F::RequestRepeated, usual, |bench| twice(bench, [5, 5])),
    Case(F::RequestStale, usual, |bench| twice(bench, [5, 4])),
    Case(F::WrongRole, usual, |bench| {
        by(bench, NETWORK, &orders::disable_supply(ESME))
    }),
    Case(F::UnknownDevice, usual, |bench| {
        sent(bench, &orders::read_supply_status(NOWHERE))
    }),
    Case(F::UnknownDevice, usual, |bench| {
        on(NON_DEVICE, bench, &orders::read_inventory(ESME, ESME))
    }),
    Case(F::UnknownDevice, usual, |bench| {
        on(NON_DEVICE, bench, &orders::read_inventory(DCC, NOWHERE))
    }),
    Case(F::NoAuthority, usual, |bench| {
        by(bench, OTHER, &orders::read_import_registers(GPF))
    }),
    Case(F::NoAuthority, usual, |bench| {
        by(bench, NETWORK, &orders::read_import_registers(GSME))
    }),
    Case(F::DeviceStatus, usual, |bench| {
        sent(bench, &orders::read_supply_status(HELD))
    }),
    Case(F::NotApplicable, usual, |bench| {
        sent(bench, &orders::enable_supply(GSME))
    }),
    Case(F::NotSmets1, usual, |bench| {
        sent(bench, &to_device(HUB, "6.31", Element::sr("ReadCHFSubGHzChannel")))
    }),
    Case(F::NotEmulated, usual, not_emulated),
    Case(
        F::NotNotified,
        |bench| notified(bench, OTHER, 0),
        |bench| sent(bench, &orders::disable_supply(ESME)),
    ),
    Case(
        F::ReplayCounter,
        |bench| notified(bench, SUPPLIER, 1),
        |bench| sent(bench, &orders::disable_supply(ESME)),
    ),
    Case(
        F::ReplayCounter,
        |bench| notified(bench, SUPPLIER, 1),
        |bench| sent(bench, &change_of_supplier()),
    ),
    Case(F::SequenceForm, usual, |bench| {
        following(bench, (SUPPLIER, 1), Some(true))
    }),
    Case(F::SequenceForeign, usual, |bench| following(bench, (OTHER, 1), None)),
    Case(F::DatePassed, usual, |bench| {
        sent(bench, &dated("2020-06-01T08:00:00.000Z"))
    }),
    Case(F::DateFar, usual, |bench| {
        sent(bench, &dated("2020-07-02T00:00:00.000Z"))
    }),
];
