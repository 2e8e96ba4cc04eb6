//! The order of the checks: a request wrong in two ways gets the code of the earlier one.

use std::collections::BTreeSet;

use dcc::{OtherVersions, SchemaPolicy, SmiStatus};
use domain::{Eui64, RequestId, SimDuration, UserRole};
use duis::signature::sign;
use duis::{Element, Request};
use steps::Failure as F;
use users::orders;

use super::rights::{NOWHERE, notified};
use super::{Post, changed, refused};
use crate::bench::*;

/// The checks as they are documented (`front_door`), each by one class.
const ORDER: &[F] = &[
    F::Oversized,
    F::Entity,
    F::Schema,
    F::SignatureForm,
    F::CertificateExpired,
    F::UserStatus,
    F::OriginatorMismatch,
    F::SchemaVersion,
    F::ForwardFailed,
    F::WrongPath,
    F::VariantNotAllowed,
    F::Busy,
    F::RequestRepeated,
    F::WrongRole,
    F::UnknownDevice,
    F::NoAuthority,
    F::DeviceStatus,
    F::NotSmets1,
    F::NotNotified,
    F::ReplayCounter,
    F::SequenceForm,
];

/// What cannot be wrong in the same request, since one needs what the other lacks.
const APART: &[(F, F)] = &[
    // The certificate that has ended is the supplier's own, one of another user has not.
    (F::CertificateExpired, F::OriginatorMismatch),
    // Whose status counts is the signer.
    (F::UserStatus, F::OriginatorMismatch),
    // A request that does not apply is no critical one here.
    (F::NotSmets1, F::NotNotified),
    (F::NotSmets1, F::ReplayCounter),
];

/// A request with these faults: what the bench is changed to, and what is posted.
struct Faulty<'a>(&'a BTreeSet<F>);

impl Faulty<'_> {
    fn has(&self, fault: F) -> bool {
        self.0.contains(&fault)
    }

    fn bench(&self) -> Bench {
        let mut bench = Bench::new();
        bench.directory = directory_with(|user| {
            user.suspended = self.has(F::UserStatus);
            if self.has(F::WrongRole) {
                user.roles = vec![UserRole::RegisteredSupplierAgent];
            }
            if self.has(F::SchemaVersion) {
                user.schema = Some(SchemaPolicy {
                    version: "5.4".into(),
                    others: OtherVersions::Refuse,
                });
            }
        });
        bench.limits.forward_unknown = self.has(F::ForwardFailed);
        if self.has(F::Busy) {
            bench.limits.open_requests_max = 0;
        }
        let party = if self.has(F::NotNotified) { OTHER } else { SUPPLIER };
        let counter = if self.has(F::ReplayCounter) { 100 } else { 0 };
        notified(&mut bench, party, counter);
        bench
    }

    fn target(&self) -> Eui64 {
        match self.has(F::ForwardFailed) || self.has(F::UnknownDevice) {
            true => NOWHERE,
            false => ESME,
        }
    }

    /// A critical request, or one that no SMETS1 device has.
    fn request(&self, counter: u64) -> Request {
        let id = RequestId {
            originator: SUPPLIER,
            target: self.target(),
            counter,
        };
        let order = match self.has(F::NotSmets1) {
            true => {
                let period = Element::sr("ReadLogPeriod")
                    .with_leaf("StartDateTime", "2020-05-01T00:00:00.00Z")
                    .with_leaf("EndDateTime", "2020-05-02T00:00:00.00Z");
                super::to_device(ESME, "7.11", Element::sr("ReadBoostButtonDetails").with(period))
            }
            false => orders::disable_supply(ESME),
        };
        let in_sequence = self.has(F::SequenceForm);
        Request {
            first_in_sequence: in_sequence.then_some(true),
            preceding: in_sequence.then_some(RequestId { counter: 1, ..id }),
            ..Request::new(id, order.srv)
                .with_command_variant(if self.has(F::VariantNotAllowed) { 5 } else { 1 })
                .with_body(order.body)
        }
    }

    fn post(&self, bench: &Bench) -> Post {
        let parties = &bench.parties;
        let key = match () {
            () if self.has(F::CertificateExpired) => &parties.expired,
            () if self.has(F::OriginatorMismatch) => parties.key(OTHER),
            () => parties.key(SUPPLIER),
        };
        let request = duis::write::request(&self.request(5)).unwrap();
        let mut xml = sign(&request, key).unwrap();
        if self.has(F::SignatureForm) {
            xml = changed(&xml, "exc-c14n#", "exc-c14n#WithComments");
        }
        if self.has(F::Schema) {
            xml = changed(
                &xml,
                "<sr:ServiceReference>",
                "<sr:NoSuchElement/><sr:ServiceReference>",
            );
        }
        if self.has(F::Entity) {
            xml = changed(&xml, "?>", "?><!DOCTYPE a []>");
        }
        if self.has(F::Oversized) {
            xml.resize(bench.limits.request_octets_max + 1, b' ');
        }
        let path = if self.has(F::WrongPath) { "/api/v1/other" } else { SEND };
        (path, xml)
    }
}

/// Brings about what a request with these faults needs, and expects the class.
async fn check(faults: &[F], expected: F) {
    let faults: BTreeSet<F> = faults.iter().copied().collect();
    let faulty = Faulty(&faults);
    let bench = faulty.bench();
    let mut running = if faulty.has(F::RequestRepeated) {
        // A good request uses the counter up, before anything else is wrong.
        let clean = BTreeSet::new();
        let first = Faulty(&clean);
        let before = Bench {
            store: bench.store.clone(),
            ..first.bench()
        };
        let mut running = before.start();
        let mut request = first.request(5);
        request.id.target = faulty.target();
        let xml = sign(&duis::write::request(&request).unwrap(), before.parties.key(SUPPLIER)).unwrap();
        running.supplier.post(SEND, xml).await;
        running.stop().await;
        bench.start()
    } else {
        bench.start()
    };
    if faulty.has(F::DeviceStatus) {
        running.handle.set_status(ESME, SmiStatus::Suspended).await.unwrap();
    }
    if faulty.has(F::NoAuthority) {
        // Its registration has gone to another supplier.
        bench.world.clock.sleep(SimDuration::from_days(31)).await;
    }
    while running.at_s1sp(SimDuration::from_mins(1)).await.is_some() {}
    let post = faulty.post(&bench);
    refused(&bench, &mut running, &post, expected).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_fault_alone_gets_its_code() {
    for fault in ORDER {
        check(&[*fault], *fault).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_faults_the_earlier_one_counts() {
    for (place, earlier) in ORDER.iter().enumerate() {
        for later in &ORDER[place + 1..] {
            if !APART.contains(&(*earlier, *later)) {
                check(&[*earlier, *later], *earlier).await;
            }
        }
    }
}
