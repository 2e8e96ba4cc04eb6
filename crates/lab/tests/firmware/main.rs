//! Firmware, from the supplier's image to another device and the day somebody finds out.

use domain::image::{self, USUAL_OCTETS};
use domain::operation::{ImageState, ImageStatus};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, ProfileId, SimDuration, UserRole, Value};
use lab::{Config, Lab, Role};
use users::{Client, Exchange, Order, orders};

const HOUR: SimDuration = SimDuration::from_hours(1);

struct Bench {
    lab: Lab,
}

impl Bench {
    fn start() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let lab = Lab::start(config).expect("started");
        Self { lab }
    }

    fn device(&self, kind: DeviceKind) -> Eui64 {
        let devices = self.lab.devices();
        let found = devices.values().flatten().find(|device| device.kind == kind);
        found.expect("the built-in estate has one").device
    }

    fn supplier(&self, kind: DeviceKind) -> &Client {
        let role = if kind.is_gas() {
            UserRole::GasSupplier
        } else {
            UserRole::ImportSupplier
        };
        self.lab.user_in(role).expect("a supplier")
    }

    async fn ask(&self, kind: DeviceKind, order: &Order) -> Exchange {
        let exchange = self.supplier(kind).request(order, SimDuration::from_hours(3)).await;
        exchange.unwrap_or_else(|error| panic!("{kind} {}: {error:?}", order.srv))
    }

    /// An image that makes a device of this profile.
    fn image(&self, profile: &str, octets: usize) -> Vec<u8> {
        let catalogue = &self.lab.parts().catalogue;
        let profile = catalogue.find(profile).expect("a built-in profile");
        profile.image_head().image(octets)
    }

    /// 11.1, and its acknowledgement.
    async fn distribute(&self, kind: DeviceKind, firmware: &str, image: &[u8]) -> Exchange {
        let order = orders::update_firmware(self.supplier(kind).dcc(), &[self.device(kind)], firmware, image);
        self.ask(kind, &order).await
    }

    /// Waits until every device has its image, or has failed.
    async fn settled(&self) -> SimDuration {
        let clock = &self.lab.world().clock;
        let began = clock.now();
        loop {
            let dcc = self.lab.dcc().expect("running");
            if dcc.in_hand().await.expect("running").images == 0 {
                return clock.now().since(began);
            }
            clock.sleep(SimDuration::from_secs(10)).await;
            assert!(clock.now().since(began) < SimDuration::from_days(4), "for ever");
        }
    }

    /// Codes of what the supplier was told by itself, with the devices that failed.
    fn told(&self, kind: DeviceKind) -> Vec<String> {
        let supplier = self.supplier(kind);
        let told = std::iter::from_fn(|| supplier.take_unsolicited());
        told.map(|delivery| lab::listen::words(&delivery.xml)).collect()
    }

    /// 11.3 of the image with these octets; the answer as XML.
    async fn activate(&self, kind: DeviceKind, image: &[u8]) -> String {
        let order = orders::activate_firmware(self.device(kind), &image::hash(image).0);
        text(&self.ask(kind, &order).await)
    }

    /// 11.2.
    async fn read(&self, kind: DeviceKind) -> String {
        let exchange = self.ask(kind, &orders::read_firmware_version(self.device(kind))).await;
        leaf(&text(&exchange), "FirmwareVersion")
    }

    /// What the inventory has.
    async fn inventory(&self, kind: DeviceKind) -> String {
        let order = orders::read_inventory(self.supplier(kind).dcc(), self.device(kind));
        let xml = text(&self.ask(kind, &order).await);
        let record = xml.find(&format!("DeviceID>{}<", self.device(kind))).expect("listed");
        leaf(&xml[record..], "DeviceFirmwareVersion")
    }

    /// What the device truly is.
    async fn truth(&self, kind: DeviceKind) -> ProfileId {
        let fleet = self.lab.fleet().expect("here");
        fleet.status(self.device(kind)).await.expect("running").device.profile
    }

    /// How far the device truly is with its image.
    async fn image_status(&self, kind: DeviceKind) -> ImageStatus {
        let fleet = self.lab.fleet().expect("here");
        let read = Operation::Read(DataItem::ImageStatus);
        match fleet.true_read(self.device(kind), read).await.expect("running") {
            Ok(Answer::Value(Value::Image(status))) => status,
            other => panic!("{other:?}"),
        }
    }

    async fn wait(&self, span: SimDuration) {
        self.lab.world().clock.sleep(span).await;
    }
}

fn text(exchange: &Exchange) -> String {
    let xml = exchange
        .outcome
        .as_ref()
        .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
    String::from_utf8_lossy(xml).into_owned()
}

/// Text of the only leaf of this name.
fn leaf(xml: &str, name: &str) -> String {
    let from = xml
        .find(&format!(":{name}>"))
        .unwrap_or_else(|| panic!("no {name}: {xml}"));
    let rest = &xml[from + name.len() + 2..];
    rest[..rest.find('<').expect("closed")].to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_meter_is_upgraded_and_only_a_look_at_it_tells() {
    use DeviceKind::Esme;
    let bench = Bench::start();
    let image = bench.image("as300p@LAB-E001", USUAL_OCTETS);
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
    let image = bench.image("bk-g4e@LAB-G001", USUAL_OCTETS);
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
    let mut bench = Bench::start();
    let image = bench.image("as300p@LAB-E001", 400_000);
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
    let bench = Bench::start();
    for image in [
        bench.image("bk-g4e@LAB-G001", USUAL_OCTETS),
        b"none of the lab's".to_vec(),
    ] {
        assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
        bench.settled().await;
        let told = bench.told(Esme);
        assert!(told.iter().any(|text| text.contains("DCC alert N19")), "{told:?}");
        let refused = bench.activate(Esme, &image).await;
        assert_eq!(leaf(&refused, "ASN1Status"), "noImageHeld");
    }
    assert_eq!(bench.read(Esme).await, "BASE");
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
    let bench = Bench::with(config);
    for (profile, firmware, expected) in [
        ("as300p@LAB-STUCK", "LAB-STCK", "LAB-STCK"),
        ("as300p@LAB-E001", "LAB-E001", "LAB-STCK"),
    ] {
        let image = bench.image(profile, USUAL_OCTETS);
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
    let image = bench.image("am110r@LAB-C001", USUAL_OCTETS);
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

/// A home with a prepayment interface.
const WITH_DISPLAY: &str = r#"
[estate]
name = "with-display"
source = "invented"

[[template]]
name = "home"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
ppmid = "elster-ppmid@BASE"
enrolled = true
"#;

#[tokio::test(start_paused = true)]
async fn a_prepayment_interface_gets_its_image_by_the_request_for_meters() {
    use DeviceKind::{Esme, Ppmid};
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("estate.toml");
    std::fs::write(&file, WITH_DISPLAY).expect("written");
    let mut config = Config::default();
    config.estate.file = Some(file);
    let bench = Bench::with(config);
    let image = bench.image("elster-ppmid@LAB-D001", USUAL_OCTETS);
    assert_eq!(bench.distribute(Ppmid, "LAB-D001", &image).await.code(), "I0");
    bench.settled().await;
    bench.wait(HOUR).await;
    assert_eq!(bench.truth(Ppmid).await.firmware, "LAB-D001");
    assert_eq!(bench.truth(Esme).await.firmware, "BASE");
    let told = bench.told(Esme);
    assert!(!told.iter().any(|text| text.contains("DCC alert N")), "{told:?}");
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_largest_image_goes_in_by_the_front_door_and_on_its_way() {
    use DeviceKind::Esme;
    let bench = Bench::start();
    let image = bench.image("as300p@LAB-E001", head_end::image::IMAGE_MAX);
    assert_eq!(bench.distribute(Esme, "LAB-E001", &image).await.code(), "I0");
    bench.wait(SimDuration::from_mins(5)).await;
    let there = bench.image_status(Esme).await;
    assert_eq!(there.state, ImageState::Receiving);
    assert!(there.first_missing > 10, "{there:?}");
    bench.lab.stop().await;
}
