//! The alerts the DCC raises by itself: each trigger brought about, its code in the audit trail, and its payload, read as a
//! value, with those it is for. A trigger without a way here fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use std::sync::Arc;

use bench::*;
use dcc::audit::{self, Event};
use dcc::{AttributeLimit, Device, SmiStatus, Thresholds, Volume};
use domain::{
    CertificateId, Credentials, DeviceKind, DeviceModel, Eui64, Notified, PartyCredentials, RequestId, SimDuration,
    SimInstant,
};
use duis::{DccAlert, Element};
use proto::{FirmwareReport, Kind, Message};
use steps::codes::AlertTrigger as T;
use users::orders::{self, NewCertificates};
use users::{Order, read};

const PPMID: Eui64 = Eui64(0x00DB_1234_5678_90A7);
const NEW: Eui64 = Eui64(0x00DB_1234_5678_90A8);
const NEW_HUB: Eui64 = Eui64(0x00DB_1234_5678_90A9);
const NEW_GPF: Eui64 = Eui64(0x00DB_1234_5678_90AA);
const TOMORROW: &str = "2020-06-02T09:00:00.000Z";

fn id(target: Eui64, counter: u64) -> RequestId {
    RequestId {
        originator: SUPPLIER,
        target,
        counter,
    }
}

fn dated(counter: u64) -> duis::Request {
    let body = Element::sr("ReadInstantaneousImportRegisters").with_leaf("ExecutionDateTime", TOMORROW);
    duis::Request::new(id(ESME, counter), "4.1.1".parse().unwrap()).with_body(body)
}

fn certificates(bench: &Bench, of: Eui64) -> NewCertificates {
    let certificate = bench.parties.certificate(of);
    NewCertificates {
        signing: certificate.clone(),
        agreement: None,
        path: vec![certificate],
    }
}

fn schedule() -> Order {
    orders::schedule_daily_reads(DCC, ESME, "2020-06-02T00:00:00Z".parse().unwrap())
}

fn volume(user: Option<Eui64>) -> Thresholds {
    Thresholds {
        volumes: vec![Volume {
            user,
            srv: None,
            count: 0,
            per: SimDuration::from_hours(24),
        }],
        limits: Vec::new(),
    }
}

/// What must be so before.
fn prepared(trigger: T) -> Bench {
    let mut bench = Bench::new();
    let model = Arc::new(DeviceModel {
        manufacturer: "Example".into(),
        model: "M1".into(),
        hardware: String::new(),
        firmware: "00000001".into(),
    });
    let device = |id, kind, status| Device::new(id, kind, Arc::clone(&model), status, SimInstant(0));
    bench.inventory.put(Device {
        hub: Some(HUB),
        ..device(PPMID, DeviceKind::Ppmid, SmiStatus::Commissioned)
    });
    bench.inventory.put(device(NEW, DeviceKind::Esme, SmiStatus::Pending));
    for (id, kind) in [(NEW_HUB, DeviceKind::Chf), (NEW_GPF, DeviceKind::Gpf)] {
        bench.inventory.put(Device {
            hub: Some(NEW_HUB),
            ..device(id, kind, SmiStatus::Commissioned)
        });
    }
    match trigger {
        T::FirmwareNotListed => {
            let list = "device_type,maker,model,fw,status\nESME,Example,M1,00000001,Active\n";
            bench.products.add_cpl(list).unwrap();
        }
        T::IdentityConfirmed => {
            let esme = bench.inventory.device(ESME).unwrap().clone();
            bench.inventory.put(Device {
                status: Some(SmiStatus::InstalledNotCommissioned),
                ..esme
            });
        }
        T::QuarantinedAttribute => {
            bench.thresholds.limits.push(AttributeLimit {
                srv: "3.1".parse().unwrap(),
                element: "SupplierMessage".into(),
                min: Some(0),
                max: Some(1),
            });
        }
        T::VersionHeldBack => {
            bench.directory = directory_with(|user| {
                user.schema = Some(dcc::SchemaPolicy {
                    version: "5.1".into(),
                    others: dcc::OtherVersions::Accept,
                });
            });
        }
        T::QuarantinedDccThreshold => bench.thresholds = volume(None),
        T::QuarantinedUserThreshold => bench.thresholds = volume(Some(SUPPLIER)),
        _ => {}
    }
    // The other supplier is the one notified until the first takes over.
    let changes = [
        T::HeldCancelledSupplier,
        T::ScheduleRemovedSupplier,
        T::SupplierChanged,
        T::SupplierChangedOthers,
    ];
    if changes.contains(&trigger) {
        let notified = Notified {
            id: CertificateId {
                serial: "1".into(),
                issuer: "L1".into(),
            },
            party: SUPPLIER,
            fingerprint: [0; 20],
        };
        let supplier = PartyCredentials {
            critical: Some(Arc::new(notified.clone())),
            non_critical: Some(Arc::new(notified)),
            execution_counter: 0,
        };
        let record = Credentials {
            supplier,
            ..Credentials::default()
        };
        bench.credentials = dcc::Records::from_iter([(ESME, record)]);
    }
    bench
}

/// Posts for a device, takes it for the S1SP and answers it.
async fn answered(
    bench: &Bench,
    running: &mut Running,
    counter: u64,
    order: &Order,
    payload: &'static str,
    worked: bool,
) {
    let reply = running.supplier.post(SEND, bench.signed(counter, order)).await;
    assert_eq!(bench.said(&reply).code, "I99", "{payload}");
    let payload = Element::ra(payload).with_attribute("MessageSuccess", if worked { "true" } else { "false" });
    let id = id(order.target, counter);
    running.respond(id, "I0", bench.parties.answer(id, payload)).await;
}

async fn asked(bench: &Bench, running: &mut Running, counter: u64, order: &Order) {
    let reply = running.supplier.post(NON_DEVICE, bench.signed(counter, order)).await;
    assert_eq!(bench.said(&reply).code, "I0");
}

async fn hold(bench: &Bench, running: &mut Running) {
    let reply = running.supplier.post(SEND, bench.parties.sign(&dated(1))).await;
    assert_eq!(bench.said(&reply).code, "I99");
}

async fn status(running: &Running, device: Eui64, to: SmiStatus) {
    running.handle.set_status(device, to).await.unwrap();
}

async fn report(running: &Running, device: Eui64, firmware: &str) {
    let report = FirmwareReport {
        device: device.0,
        firmware_version: firmware.into(),
        counter: 1,
        active: true,
    };
    running
        .s1sp_sends(Kind::FirmwareReport, "report", &report.encode_to_vec())
        .await;
}

/// A user's image for two devices, of which one comes to the end that is wanted.
async fn image(bench: &Bench, running: &mut Running, trigger: T) {
    let order = orders::update_firmware(DCC, &[ESME, GSME], "00000002", b"an image");
    asked(bench, running, 1, &order).await;
    if trigger == T::ImageS1spUnreachable {
        return; // Nobody takes it.
    }
    let minute = SimDuration::from_mins(1);
    let mut jobs = Vec::new();
    while jobs.len() < 2 {
        let envelope = running.at_s1sp(minute).await.unwrap();
        let accepted = proto::Accepted {
            request_id: envelope.trace_id.clone(),
        };
        let octets = accepted.encode_to_vec();
        let sender = running.s1sp.sender();
        sender.reply(&envelope, Kind::Accepted, &octets).await.unwrap();
        if envelope.kind() == Kind::ImageJob {
            jobs.push(proto::ImageJob::decode(envelope.body).unwrap().job_id);
        }
    }
    let outcome = match trigger {
        T::ImageDeviceLeft => return status(running, ESME, SmiStatus::Decommissioned).await,
        T::ImageNotDelivered => proto::ImageOutcome::NotDelivered,
        T::ImageRefused => proto::ImageOutcome::Refused,
        _ => return bench.world.clock.sleep(bench.limits.image_limit).await,
    };
    let result = proto::ImageJobResult {
        job_id: jobs[0].clone(),
        outcome: outcome.into(),
        ..proto::ImageJobResult::default()
    };
    running
        .s1sp_sends(Kind::ImageJobResult, &jobs[0], &result.encode_to_vec())
        .await;
}

/// The supplier to come takes over, on its day.
async fn take_over(bench: &Bench, running: &mut Running) {
    bench
        .world
        .clock
        .sleep_until("2020-07-01T01:00:00Z".parse().unwrap())
        .await;
    let point = "1200000000001".parse().unwrap();
    let order = orders::change_of_supplier(ESME, point, 1, &certificates(bench, OTHER));
    let reply = running.other.post(SEND, bench.parties.signed(OTHER, 1, &order)).await;
    assert_eq!(bench.said(&reply).code, "I99");
    let id = RequestId {
        originator: OTHER,
        ..id(ESME, 1)
    };
    let payload = Element::ra("UpdateSecurityCredentialsCoSRsp").with_attribute("MessageSuccess", "true");
    running.respond(id, "I0", bench.parties.answer(id, payload)).await;
}

async fn bring_about(bench: &Bench, running: &mut Running, trigger: T) {
    let rsp = "UpdateHANDeviceLogRsp";
    match trigger {
        T::CredentialsUpdated => {
            let order = orders::hand_over(ESME, "NetworkOperator", &certificates(bench, NETWORK));
            answered(
                bench,
                running,
                1,
                &order,
                "RequestHandoverOfDCCControlledDeviceRsp",
                true,
            )
            .await;
        }
        T::DeviceRemoved => {
            let form = Element::sr("UpdateInventory").with_leaf("DeviceID", NEW.to_string());
            let order = Order::to_dcc(DCC, "8.4".parse().unwrap(), form.with(Element::sr("DeleteDevice")));
            asked(bench, running, 1, &order).await;
        }
        T::DeviceSuspended => status(running, ESME, SmiStatus::Suspended).await,
        T::DeviceRestored => {
            status(running, ESME, SmiStatus::Suspended).await;
            status(running, ESME, SmiStatus::Commissioned).await;
        }
        T::FirmwareDiffers | T::FirmwareNotListed => report(running, ESME, "00000002").await,
        T::HubFirmware => report(running, HUB, "00000002").await,
        T::HeldCancelledDecommission | T::HeldCancelledSuspension | T::HeldCancelledWithdrawal => {
            hold(bench, running).await;
            let to = match trigger {
                T::HeldCancelledDecommission => SmiStatus::Decommissioned,
                T::HeldCancelledSuspension => SmiStatus::Suspended,
                _ => SmiStatus::Withdrawn,
            };
            status(running, ESME, to).await;
        }
        T::HubDecommissioned => status(running, HUB, SmiStatus::Decommissioned).await,
        T::MeterDecommissioned => status(running, ESME, SmiStatus::Decommissioned).await,
        T::MeterWithdrawn => status(running, ESME, SmiStatus::Withdrawn).await,
        T::HubLogUpdated => {
            answered(
                bench,
                running,
                1,
                &orders::add_to_log(HUB, NEW, "A1B2C3D4E5F6", 60),
                rsp,
                true,
            )
            .await
        }
        T::HubLogNotUpdated => {
            answered(
                bench,
                running,
                1,
                &orders::add_to_log(HUB, NEW, "A1B2C3D4E5F6", 60),
                rsp,
                false,
            )
            .await;
        }
        T::PpmidRemoved => answered(bench, running, 1, &orders::remove_from_log(HUB, PPMID), rsp, true).await,
        T::IdentityConfirmed => {
            let order = orders::commission(ESME, bench.world.clock.now(), 10);
            answered(bench, running, 1, &order, "CommissionDeviceSynchroniseClockRsp", true).await;
        }
        T::NotDelivered | T::NoResponse => {
            hold(bench, running).await;
            running.countersigned_by(TOMORROW).await;
            let code = if trigger == T::NotDelivered { "E20" } else { "E21" };
            running.respond(id(ESME, 1), code, Vec::new()).await;
        }
        T::PredecessorFailed => {
            let order = orders::read_supply_status(ESME);
            let request = |counter| duis::Request::new(id(ESME, counter), order.srv).with_body(order.body.clone());
            let first = duis::Request {
                first_in_sequence: Some(true),
                ..request(1)
            };
            let second = duis::Request {
                preceding: Some(id(ESME, 1)),
                ..request(2)
            };
            for request in [first, second] {
                running.supplier.post(SEND, bench.parties.sign(&request)).await;
            }
            running.respond(id(ESME, 1), "E21", Vec::new()).await;
        }
        T::QuarantinedAttribute => {
            let order = orders::display_message(ESME, "12345");
            running.supplier.post(SEND, bench.signed(1, &order)).await;
        }
        T::QuarantinedDccThreshold | T::QuarantinedUserThreshold => {
            let order = orders::read_supply_status(ESME);
            running.supplier.post(SEND, bench.signed(1, &order)).await;
        }
        T::ScheduleRemovedAuthority => {
            asked(bench, running, 1, &schedule()).await;
            bench
                .world
                .clock
                .sleep_until("2020-07-03T00:00:00Z".parse().unwrap())
                .await;
        }
        T::ScheduleRemovedDecommission | T::ScheduleRemovedWithdrawal => {
            asked(bench, running, 1, &schedule()).await;
            let to = match trigger {
                T::ScheduleRemovedDecommission => SmiStatus::Decommissioned,
                _ => SmiStatus::Withdrawn,
            };
            status(running, ESME, to).await;
        }
        T::HeldCancelledSupplier => {
            bench
                .world
                .clock
                .sleep_until("2020-06-30T12:00:00Z".parse().unwrap())
                .await;
            let mut request = dated(1);
            request.body.children[0].text = "2020-06-30T22:00:00.000Z".into();
            let held = duis::Request {
                preceding: Some(id(ESME, 99)),
                ..request
            };
            let reply = running.supplier.post(SEND, bench.parties.sign(&held)).await;
            assert_eq!(bench.said(&reply).code, "I99");
            take_over(bench, running).await;
        }
        T::ScheduleRemovedSupplier => {
            let mut order = schedule();
            order.body.children[0].text = "Yearly".into();
            asked(bench, running, 1, &order).await;
            while running.at_s1sp(SimDuration::from_hours(48)).await.is_some() {}
            take_over(bench, running).await;
        }
        T::SupplierChanged | T::SupplierChangedOthers => take_over(bench, running).await,
        T::HubLogRestored | T::ProxyLogRestored => {
            // The gas meter is behind the new hub before the log of its proxy is restored.
            status(running, HUB, SmiStatus::Decommissioned).await;
            let order = orders::restore_hub_log(NEW_HUB, HUB);
            answered(bench, running, 1, &order, "RestoreHANDeviceLogRsp", true).await;
            if trigger == T::ProxyLogRestored {
                let order = orders::restore_proxy_log(NEW_GPF, GPF);
                answered(bench, running, 1, &order, "RestoreGPFDeviceLogRsp", true).await;
            }
        }
        T::ImageDeviceLeft | T::ImageNotDelivered | T::ImageRefused | T::ImageS1spUnreachable | T::ImageTimeout => {
            image(bench, running, trigger).await
        }
        T::S1spAlert => {
            let alert = bench.parties.s1sp_alert(ESME);
            let alert = proto::S1spAlert {
                device: ESME.0,
                signed_xml: alert.into(),
                is_s1sp_alert: true,
                counter: 1,
                ..proto::S1spAlert::default()
            };
            running
                .s1sp_sends(Kind::S1spAlert, "alert", &alert.encode_to_vec())
                .await;
        }
        T::VersionHeldBack => {
            // E110106 came with 5.4: a user of 5.1 could not read it.
            let order = orders::read_supply_status(ESME);
            running.supplier.post(SEND, bench.signed(1, &order)).await;
            running.respond(id(ESME, 1), "E110106", Vec::new()).await;
        }
        other => panic!("{other} has no way to be brought about here"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_trigger_has_its_alert() {
    for trigger in T::ALL.iter().copied() {
        let bench = prepared(trigger);
        let mut running = bench.start();
        bring_about(&bench, &mut running, trigger).await;
        let facts = trigger.alert();
        // Devices that failed are told together, a minute after the first.
        let while_told = SimDuration::from_mins(2);
        let mut told = Vec::new();
        for peer in [&mut running.supplier, &mut running.other, &mut running.network] {
            for delivery in peer.take_all(while_told).await {
                let message = read(&delivery.xml, DCC, &*bench.parties.book).unwrap();
                let duis::ResponseBody::DccAlert { code, alert, .. } = &message.response.body else {
                    continue;
                };
                let name = match alert {
                    DccAlert::S1sp { .. } => "S1SPAlertDSP",
                    DccAlert::Payload(_) => message.dcc_alert().unwrap().unwrap().1.element().name,
                };
                told.extend((*code == facts.code).then_some(name));
            }
        }
        let trail = audit::all(&bench.store).unwrap();
        let event = match trigger {
            T::S1spAlert => Event::Alert,
            _ => Event::DccAlert,
        };
        let raised = trail
            .iter()
            .filter(|record| record.event == event && record.code.as_deref() == Some(facts.code.as_str()));
        let raised: Vec<_> = raised.collect();
        assert!(!raised.is_empty(), "{trigger} ({}): {trail:#?}", facts.code);
        assert!(
            raised.iter().all(|record| record.confidence == Some(facts.confidence)),
            "{trigger}"
        );
        // A device that was only announced is nobody's yet.
        assert!(
            !told.is_empty() || trigger == T::DeviceRemoved,
            "{trigger}: {raised:#?}"
        );
        for name in told {
            assert_eq!(Some(name), facts.payload, "{trigger}");
        }
        running.stop().await;
    }
}
