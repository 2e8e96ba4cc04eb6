//! One case for every row of the error table that shows at the S1SP or behind it and ends a request: the code, the alert and
//! nothing executed. A row without a case fails. Rows that leave the code at I0 are those of the payloads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod rig;

use std::sync::Arc;

use domain::{DeviceKind, SimDuration, SimInstant};
use duis::Element;
use head_end::{Device, Site};
use proto::{CountersignedServiceRequest, Envelope, Kind};
use s1sp::Limits;
use steps::Failure;
use steps::errors::Hop;
use world::{LinkName, Verdict};

use rig::house::{self, ESME, HUB, Shared};
use rig::parties::seal;
use rig::{Rig, id, virtually};

const HOUR: SimDuration = SimDuration::from_hours(1);

const CASES: &[Failure] = &[
    Failure::BadAnswer,
    Failure::DcoRefused,
    Failure::DcoTimeout,
    Failure::DcoUnreachable,
    Failure::Deadline,
    Failure::HubUnreachable,
    Failure::LinkLost,
    Failure::LogNotForType,
    Failure::NoResponse,
    Failure::RuleRefused,
    Failure::S1spRejected,
    Failure::SessionFailed,
    Failure::WanUnreachable,
];

/// Whether a row ends a request here: what the DCC says of an S1SP or a device that is silent has its case there.
fn ends_a_request_here(failure: Failure) -> bool {
    let silent = [
        Failure::FutureDatedTimeout,
        Failure::S1spTimeout,
        Failure::S1spUnreachable,
    ];
    let entry = failure.entry();
    entry.hop != Hop::Dcc && entry.code != "I0" && !silent.contains(&failure)
}

#[test]
fn every_row_that_ends_a_request_here_has_a_case() {
    for failure in Failure::ALL {
        assert_eq!(CASES.contains(failure), ends_a_request_here(*failure), "{failure}");
    }
}

/// What is broken, with the request that meets it.
async fn arranged(failure: Failure) -> (Rig, CountersignedServiceRequest) {
    let script = Shared::default();
    let mut limits = Limits::default();
    match failure {
        Failure::BadAnswer => script.lock().garbles = true,
        Failure::Deadline => limits.mains_within = SimDuration::ZERO,
        Failure::HubUnreachable => {
            script.lock().lose_texts = 99;
            script.lock().confirm_texts = true;
        }
        Failure::LinkLost => script.lock().hangs_up = true,
        Failure::NoResponse => script.lock().silent = true,
        _ => {}
    }
    let mut rig = Rig::with(script, limits);
    let mut request = rig.read(1);
    match failure {
        Failure::DcoRefused => {
            request = rig.disable(1);
            rig.world.clock.sleep(HOUR + HOUR).await;
        }
        Failure::DcoTimeout => {
            request = rig.disable(1);
            rig.world.faults.cut("s1sp", "dco");
        }
        Failure::DcoUnreachable => {
            rig.dco = false;
            rig.restart().await;
            request = rig.disable(1);
        }
        Failure::LogNotForType => {
            let period = Element::sr("ReadLogPeriod")
                .with_leaf("StartDateTime", "2019-03-01T00:00:00.00Z")
                .with_leaf("EndDateTime", "2019-03-02T00:00:00.00Z");
            let body = Element::sr("ReadEventOrSecurityLog")
                .with(period)
                .with_leaf("LogToRead", "GSMEEvent");
            request = rig.countersigned("6.13", ESME, 1, body);
        }
        Failure::RuleRefused => {
            // A made-up firmware whose S1SP does not disable the supply.
            let catalogue = dmc::Catalogue::builtin().unwrap();
            let profile = catalogue.find("as300p@LAB-E002").unwrap();
            let usual = house::directory().site(HUB).unwrap();
            let devices = usual.devices.iter().map(|device| match device.slot {
                DeviceKind::Esme => Device::new(device.id, device.slot, Arc::clone(profile)),
                _ => device.clone(),
            });
            let devices = devices.collect();
            rig.directory.insert(Site { hub: HUB, devices });
            rig.restart().await;
            request = rig.disable(1);
        }
        Failure::S1spRejected => request = seal(request.countersigned.to_vec(), &rig.parties.s1sp.key()),
        Failure::SessionFailed => {
            // The hub comes, and what it says of itself is lost.
            rig.world
                .faults
                .install(|link: &LinkName, envelope: &Envelope, _: SimInstant| {
                    match envelope.kind() == Kind::WanData && link.to.starts_with("s1sp") {
                        true => Verdict::Drop,
                        false => Verdict::Pass,
                    }
                });
        }
        Failure::WanUnreachable => rig.world.faults.cut("s1sp", "wan"),
        _ => {}
    }
    (rig, request)
}

#[test]
fn every_end_has_its_code_and_its_alert() {
    for failure in CASES.iter().copied() {
        virtually(|| async move {
            let (mut rig, request) = arranged(failure).await;
            rig.send(id(ESME, 1), &request).await;
            rig.listen(HOUR).await;
            let entry = failure.entry();
            let response = rig.only_response();
            assert_eq!(response.response_code, entry.code, "{failure}: {response:?}");
            assert!(!response.reason.is_empty(), "{failure}: {response:?}");
            assert_eq!(rig.executed("disable"), 0, "{failure}");
            let alerts: Vec<_> = rig
                .alerts
                .iter()
                .map(|alert| duis::read_s1sp_alert(&alert.signed_xml).unwrap().code)
                .collect();
            // Nobody is told about a message that proves nothing.
            let told = entry.lab_alert.filter(|_| failure != Failure::S1spRejected);
            assert_eq!(alerts, told.into_iter().collect::<Vec<_>>(), "{failure}");
        });
    }
}
