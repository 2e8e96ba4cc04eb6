//! Firmware images: checked, handed to the S1SP once with a job per device, one result each, failures told in a list.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use domain::{Eui64, SimDuration};
use proto::{Accepted, Envelope, FirmwareImage, FirmwareReport, ImageJob, ImageJobResult, ImageOutcome, Kind, Message};
use steps::Failure;
use users::{Order, orders};

const MINUTE: SimDuration = SimDuration::from_mins(1);
const IMAGE: &[u8] = b"an image";

async fn ask(bench: &Bench, running: &mut Running, counter: u64, order: &Order) -> Said {
    let reply = running.supplier.post(NON_DEVICE, bench.signed(counter, order)).await;
    bench.said(&reply)
}

async fn next(running: &mut Running, kind: Kind) -> Envelope {
    loop {
        let envelope = running.at_s1sp(MINUTE).await.unwrap_or_else(|| panic!("no {kind:?}"));
        if envelope.kind() == kind {
            return envelope;
        }
    }
}

async fn take(running: &Running, envelope: &Envelope) {
    let accepted = Accepted {
        request_id: envelope.trace_id.clone(),
    };
    running
        .s1sp
        .sender()
        .reply(envelope, Kind::Accepted, &accepted.encode_to_vec())
        .await
        .unwrap();
}

async fn report(running: &Running, job_id: &str, outcome: ImageOutcome) {
    let result = ImageJobResult {
        job_id: job_id.into(),
        outcome: outcome.into(),
        ..ImageJobResult::default()
    };
    running
        .s1sp_sends(Kind::ImageJobResult, job_id, &result.encode_to_vec())
        .await;
}

async fn alerts(bench: &Bench, peer: &mut Peer) -> Vec<(String, String)> {
    let taken = peer.take_all(SimDuration::from_mins(2)).await;
    let said: Vec<_> = taken.iter().map(|one| bench.read(&one.xml)).collect();
    said.iter()
        .map(|said| {
            let (code, payload) = said.alert().unwrap();
            let devices = payload
                .child_text("MeterIDs")
                .or(payload.child_text("FirmwareVersionUpdateStatus"));
            (code.to_owned(), devices.unwrap_or_default().to_owned())
        })
        .collect()
}

fn hash(image: &[u8]) -> String {
    let hash = domain::image::hash(image);
    hash.0.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Whose an image is, what it is and by which row it was taken stays known, also across a restart; a supplier that is not
/// responsible for the device is refused, as for any device that is not its own.
#[tokio::test(start_paused = true)]
async fn an_image_has_an_owner_and_a_row_and_goes_for_its_responsible_supplier_only() {
    let mut bench = Bench::new();
    let list = format!(
        "device_type,maker,model,fw,status,image_sha256\nESME,Example,M1,00000002,Active,{}\n",
        hash(IMAGE)
    );
    bench.products.add_cpl(&list).unwrap();
    let mut running = bench.start();
    let order = orders::update_firmware(DCC, &[ESME], "00000002", IMAGE);
    let signed = bench.parties.signed(OTHER, 1, &order);
    let reply = running.other.post(NON_DEVICE, signed).await;
    assert_eq!(bench.said(&reply).code, Failure::ImageNoDevice.entry().code);
    assert!(running.handle.images().await.unwrap().is_empty(), "nothing came of it");

    assert_eq!(ask(&bench, &mut running, 2, &order).await.code, "I0");
    let another = orders::update_firmware(DCC, &[GSME], "00000002", b"another image");
    assert_eq!(
        ask(&bench, &mut running, 3, &another).await.code,
        Failure::ImageNoDevice.entry().code,
        "no row for a gas meter"
    );
    let known = running.handle.images().await.unwrap();
    let [image] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!(
        (image.owner, image.octets, image.firmware.as_str()),
        (SUPPLIER, IMAGE.len(), "00000002")
    );
    assert_eq!(image.rows, ["ESME Example M1"]);
    assert_eq!(image.makes, None, "none of the lab's");
    assert!(image.words().contains(&hash(IMAGE)), "{}", image.words());
    running.crash().await;
    assert_eq!(bench.start().handle.images().await.unwrap(), known);
}

#[tokio::test(start_paused = true)]
async fn an_image_goes_once_and_every_device_has_one_result() {
    let bench = Bench::new();
    let mut running = bench.start();
    let unknown = Eui64(0xFF);
    let order = orders::update_firmware(DCC, &[ESME, GSME, HELD, GPF, unknown], "00000002", IMAGE);
    let said = ask(&bench, &mut running, 1, &order).await;
    assert_eq!(said.code, "W110101");
    let list = |name| said.payload().unwrap().child_text(name).map(str::to_owned);
    assert_eq!(list("InvalidDeviceIDList"), Some(format!("{GPF},{unknown}")));
    assert_eq!(list("NotCommissionedDeviceIDList"), Some(HELD.to_string()));

    let envelope = next(&mut running, Kind::FirmwareImage).await;
    assert_eq!(FirmwareImage::decode(envelope.body.clone()).unwrap().image, IMAGE);
    // Dead before the S1SP has said that it has it: sent again.
    running.crash().await;
    let mut running = bench.start();
    let envelope = next(&mut running, Kind::FirmwareImage).await;
    take(&running, &envelope).await;
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let envelope = next(&mut running, Kind::ImageJob).await;
        let job = ImageJob::decode(envelope.body.clone()).unwrap();
        assert_eq!((job.firmware_version.as_str(), job.hub), ("00000002", HUB.0));
        take(&running, &envelope).await;
        jobs.push(job);
    }
    assert_eq!(jobs.iter().map(|job| job.device).collect::<Vec<_>>(), [ESME.0, GSME.0]);
    // While one is under way there is no other for the same device.
    let said = ask(
        &bench,
        &mut running,
        2,
        &orders::update_firmware(DCC, &[ESME], "00000003", IMAGE),
    )
    .await;
    assert_eq!(said.code, Failure::ImageNoDevice.entry().code);
    report(&running, &jobs[0].job_id, ImageOutcome::Stored).await;
    report(&running, &jobs[1].job_id, ImageOutcome::Refused).await;
    report(&running, &jobs[1].job_id, ImageOutcome::Refused).await;
    assert_eq!(
        alerts(&bench, &mut running.supplier).await,
        [("N19".to_owned(), GSME.to_string())]
    );
    assert_eq!(running.handle.in_hand().await.unwrap().images, 0);
    let trail = audit::of_device(&bench.store, ESME).unwrap();
    assert!(
        trail
            .iter()
            .any(|record| record.event == Event::ImageJob && record.code.is_none()),
        "{trail:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_s1sp_that_takes_no_image_and_one_that_never_reports_fail_the_devices() {
    let bench = Bench::new();
    let mut running = bench.start();
    let order = orders::update_firmware(DCC, &[ESME, GSME], "00000002", IMAGE);
    assert_eq!(ask(&bench, &mut running, 1, &order).await.code, "I0");
    let both = format!("{ESME},{GSME}");
    assert_eq!(alerts(&bench, &mut running.supplier).await, [("N21".to_owned(), both)]);
    assert_eq!(
        ask(
            &bench,
            &mut running,
            2,
            &orders::update_firmware(DCC, &[ESME], "00000002", IMAGE)
        )
        .await
        .code,
        "I0"
    );
    for kind in [Kind::FirmwareImage, Kind::ImageJob] {
        // What was sent for the first one is still on the link.
        loop {
            let envelope = next(&mut running, kind).await;
            take(&running, &envelope).await;
            if kind == Kind::ImageJob || running.handle.in_hand().await.unwrap().images == 1 {
                break;
            }
        }
    }
    bench.world.clock.sleep(bench.limits.image_limit).await;
    assert_eq!(
        alerts(&bench, &mut running.supplier).await,
        [("N22".to_owned(), ESME.to_string())]
    );
}

#[tokio::test(start_paused = true)]
async fn suppliers_are_told_of_the_firmware_of_hubs() {
    let mut bench = Bench::new();
    let list = format!(
        "device_type,maker,model,fw,status,image_sha256\nCHF,Example,M1,00000002,Active,{}\nCHF,Example,M1,00000001,Active,\n",
        hash(IMAGE)
    );
    bench.products.add_cpl(&list).unwrap();
    let mut running = bench.start();
    assert_eq!(
        ask(
            &bench,
            &mut running,
            5,
            &orders::update_firmware(DCC, &[HUB], "00000002", IMAGE)
        )
        .await
        .code,
        "I0"
    );
    let report = FirmwareReport {
        device: HUB.0,
        firmware_version: "00000002".into(),
        counter: 1,
        active: true,
    };
    for _ in 0..2 {
        running
            .s1sp_sends(Kind::FirmwareReport, "report", &report.encode_to_vec())
            .await;
    }
    let told = alerts(&bench, &mut running.supplier).await;
    let expected = [("N56", "UpdateRequested"), ("N49", ""), ("N56", "ActivationSuccessful")];
    let expected = expected.map(|(code, status)| (code.to_owned(), status.to_owned()));
    assert_eq!(told[..3], expected);
}

#[tokio::test(start_paused = true)]
async fn too_many_alerts_are_held_back_and_summed_up_also_across_a_restart() {
    let mut bench = Bench::new();
    bench.limits.throttle_max = 2;
    let running = bench.start();
    let alert = |counter| proto::S1spAlert {
        device: ESME.0,
        signed_xml: bench.parties.device_alert(ESME, DCC, counter).into(),
        counter,
        ..proto::S1spAlert::default()
    };
    for counter in 1..=5 {
        running
            .s1sp_sends(Kind::S1spAlert, "alert", &alert(counter).encode_to_vec())
            .await;
    }
    let mut running = running;
    assert_eq!(running.supplier.take_all(MINUTE).await.len(), 2);
    running.crash().await;
    let mut running = bench.start();
    let taken = running.supplier.take_all(SimDuration::from_hours(1)).await;
    let summaries: Vec<_> = taken
        .iter()
        .filter_map(|one| match bench.read(&one.xml).body {
            duis::ResponseBody::Smets1 { throttled, .. } => throttled,
            _ => None,
        })
        .collect();
    assert_eq!(summaries, [duis::Throttled { sequence: 1, count: 3 }]);
}
