//! Firmware, from the supplier's image to another device and the day somebody finds out.

mod bench;
mod displays;
mod families;

use dcc::audit::Event;
use domain::image::USUAL_OCTETS;
use domain::operation::ImageState;
use domain::{DeviceKind, SimDuration};
use lab::{Config, Role};
use users::orders;

use bench::{Bench, HOUR, image_of, leaf, text};

#[tokio::test(start_paused = true)]
async fn a_meter_is_upgraded_and_only_a_look_at_it_tells() {
    use DeviceKind::Esme;
    let bench = Bench::start();
    let image = image_of("as300p@LAB-E001", USUAL_OCTETS);
    assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
    bench.settled().await;
    assert_eq!(
        bench
            .told(Esme)
            .iter()
            .filter(|text| text.contains("N1") || text.contains("N2"))
            .count(),
        0
    );
    assert_eq!(bench.truth(Esme).await.firmware, "BASE", "stored is not run");

    let other = bench.activate(Esme, b"another").await;
    assert!(other.contains("MessageSuccess=\"false\""), "{other}");
    assert_eq!(leaf(&other, "ASN1Status"), "hashMismatch");
    assert_eq!(bench.truth(Esme).await.firmware, "BASE");

    let done = bench.activate(Esme, &image).await;
    assert!(
        done.contains("MessageSuccess=\"true\""),
        "the answer leaves before the restart: {done}"
    );
    assert_eq!(leaf(&done, "ASN1Status"), "success");
    bench.wait(HOUR).await;
    assert_eq!(bench.truth(Esme).await.firmware, "LAB-E001");
    // Nobody has asked it: the inventory has what it had.
    assert_eq!(bench.inventory(Esme).await, "BASE");
    bench.told(Esme);
    assert_eq!(bench.read(Esme).await, "LAB-E001");
    bench.wait(HOUR).await;
    assert_eq!(bench.inventory(Esme).await, "LAB-E001");
    let told = bench.told(Esme);
    assert!(told.iter().any(|text| text.contains("N49")), "{told:?}");
    // From here on the S1SP treats it as what it is: this firmware has no reactive import, so it is not asked for it.
    let registers = bench
        .ask(Esme, &orders::read_import_registers(bench.device(Esme)))
        .await;
    assert!(!text(&registers).contains("ReactiveImport"), "{}", text(&registers));
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_gas_meter_has_its_image_when_it_wakes_and_runs_it_when_it_wakes_again() {
    use DeviceKind::Gsme;
    let bench = Bench::start();
    let image = image_of("bk-g4e@LAB-G001", USUAL_OCTETS);
    assert_eq!(bench.distribute(Gsme, "LAB-G001", &image).await.code(), "I0");
    let took = bench.settled().await;
    assert!(took < HOUR, "{took:?}: one wake is enough");
    let done = bench.activate(Gsme, &image).await;
    assert_eq!(leaf(&done, "ASN1Status"), "success");
    bench.wait(HOUR).await;
    assert_eq!(bench.truth(Gsme).await.firmware, "LAB-G001");
    assert_eq!(bench.inventory(Gsme).await, "BASE");
    assert_eq!(bench.read(Gsme).await, "LAB-G001");
    assert_eq!(bench.inventory(Gsme).await, "LAB-G001");
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_goes_on_after_a_lost_link_and_a_dead_s1sp() {
    use DeviceKind::Esme;
    let image = image_of("as300p@LAB-E001", 400_000);
    let mut bench = Bench::with(Config::default(), &[("as300p@LAB-E001", &image)]);
    assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
    let mut before = 0;
    for dead in [false, true] {
        bench.wait(SimDuration::from_mins(2)).await;
        bench.lab.cut("wan", "fleet");
        let there = bench.image_status(Esme).await;
        assert_eq!(there.state, ImageState::Receiving);
        assert!(there.first_missing > before, "{there:?}");
        if dead {
            bench.lab.restart(Role::S1sp).await.expect("started again");
        }
        bench.wait(SimDuration::from_mins(3)).await;
        let later = bench.image_status(Esme).await.first_missing;
        assert_eq!(later, there.first_missing, "nothing comes over a cut link");
        bench.lab.mend();
        before = later;
    }
    bench.settled().await;
    assert_eq!(
        bench
            .told(Esme)
            .iter()
            .filter(|text| text.contains("DCC alert"))
            .count(),
        0
    );
    assert_eq!(bench.image_status(Esme).await.state, ImageState::Verified);
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_for_another_device_is_refused_by_the_one_that_gets_it() {
    use DeviceKind::Esme;
    for image in [image_of("bk-g4e@LAB-G001", USUAL_OCTETS), b"none of the lab's".to_vec()] {
        // The product list says that it is this firmware: only the device knows better.
        let bench = Bench::with(Config::default(), &[("as300p@LAB-E001", &image)]);
        assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
        bench.settled().await;
        let told = bench.told(Esme);
        assert!(told.iter().any(|text| text.contains("DCC alert N19")), "{told:?}");
        let refused = bench.activate(Esme, &image).await;
        assert_eq!(leaf(&refused, "ASN1Status"), "noImageHeld");
        assert_eq!(bench.read(Esme).await, "BASE");
        let dcc = bench.lab.dcc().expect("running");
        let trail = dcc.audit_of_device(bench.device(Esme)).await.expect("a journal");
        let ended: Vec<_> = trail.iter().filter(|record| record.event == Event::ImageJob).collect();
        // What the device has against it.
        let reason = "refused by the device: image refused: not for this device";
        assert!(ended.iter().any(|record| record.detail == reason), "{ended:?}");
        bench.lab.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_no_product_list_names_does_not_leave_the_dcc() {
    use DeviceKind::Esme;
    let bench = Bench::start();
    let listed = image_of("as300p@LAB-E001", USUAL_OCTETS);
    let longer = image_of("as300p@LAB-E001", USUAL_OCTETS + 1);
    let code = steps::Failure::ImageNotListed.entry().code;
    assert_eq!(bench.distribute(Esme, "LAB-E001", &longer).await.code(), code);
    assert_eq!(bench.distribute(Esme, "LAB-E001", &listed).await.code(), "I0");
    bench.settled().await;
    let known = bench.lab.dcc().expect("running").images().await.expect("running");
    let [image] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!(image.owner, bench.supplier(Esme).eui());
    assert_eq!(image.makes.as_deref(), Some("as300p@LAB-E001"));
    assert_eq!(image.rows, ["ESME Honeywell Elster AS300P"]);
    bench.lab.stop().await;
}

/// A firmware that cannot be left.
const STUBBORN: &str = r#"
[[firmware]]
id = "LAB-STUCK"
model = "as300p"
from = "BASE"
duis = "LAB-STCK"
identifier = { source = "invented", confidence = "invented" }
text = "Falls back to itself"
source = "invented"
confidence = "invented"

[[firmware.rule]]
id = "LAB-STUCK-FAILS"
side = "device"
text = "Every activation fails"
source = "invented"
confidence = "invented"
requests = ["11.3"]
set.meter.image.fails_permille = 1000
"#;

#[tokio::test(start_paused = true)]
async fn an_activation_that_fails_leaves_the_old_firmware() {
    use DeviceKind::Esme;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stuck.toml"), STUBBORN).expect("written");
    let mut config = Config::default();
    config.dmc.folders = vec![folder.path().to_owned()];
    let bench = Bench::with(config, &[]);
    for (profile, firmware, expected) in [
        ("as300p@LAB-STUCK", "LAB-STCK", "LAB-STCK"),
        ("as300p@LAB-E001", "LAB-E001", "LAB-STCK"),
    ] {
        let found = bench.lab.parts().catalogue.find(profile).expect("a profile");
        let image = found.image_head().image(USUAL_OCTETS);
        assert_eq!(bench.distribute(Esme, firmware, &image).await.code(), "I0");
        bench.settled().await;
        let done = bench.activate(Esme, &image).await;
        assert_eq!(leaf(&done, "ASN1Status"), "success", "nobody knows yet");
        bench.wait(HOUR).await;
        assert_eq!(bench.read(Esme).await, expected, "{profile}");
    }
    assert_eq!(bench.image_status(Esme).await.state, ImageState::ActivationFailed);
    assert_eq!(bench.inventory(Esme).await, "LAB-STCK");
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn users_are_told_of_a_hub_that_changes_by_itself() {
    use DeviceKind::{Chf, Esme};
    let bench = Bench::start();
    let image = image_of("am110r@LAB-C001", USUAL_OCTETS);
    assert_eq!(bench.distribute(Chf, "LAB-C001", &image).await.code(), "I0");
    bench.settled().await;
    bench.wait(HOUR).await;
    assert_eq!(bench.truth(Chf).await.firmware, "LAB-C001");
    assert_eq!(bench.inventory(Chf).await, "LAB-C001", "the S1SP has looked");
    let told = bench.told(Esme);
    let hub = told.iter().filter(|text| text.contains("DCC alert N56")).count();
    assert_eq!(hub, 2, "asked for and active: {told:?}");
    let still = bench
        .ask(Esme, &orders::read_import_registers(bench.device(Esme)))
        .await;
    assert!(text(&still).contains("MessageSuccess=\"true\""), "{}", text(&still));
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_largest_image_goes_in_by_the_front_door_and_on_its_way() {
    use DeviceKind::Esme;
    let image = image_of("as300p@LAB-E001", head_end::image::IMAGE_MAX);
    let bench = Bench::with(Config::default(), &[("as300p@LAB-E001", &image)]);
    assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
    bench.wait(SimDuration::from_mins(5)).await;
    let there = bench.image_status(Esme).await;
    assert_eq!(there.state, ImageState::Receiving);
    assert!(there.first_missing > 10, "{there:?}");
    bench.lab.stop().await;
}
