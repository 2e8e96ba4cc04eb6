//! A lab on a virtual clock, and what is asked of it about firmware.

use dmc::Catalogue;
use domain::image;
use domain::operation::ImageStatus;
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, ProfileId, SimDuration, UserRole, Value};
use lab::{Config, Lab};
use users::{Client, Exchange, Order, orders};

pub(crate) const HOUR: SimDuration = SimDuration::from_hours(1);

/// An image of so many octets that makes a device of this built-in profile.
pub(crate) fn image_of(profile: &str, octets: usize) -> Vec<u8> {
    let catalogue = Catalogue::builtin().expect("good profiles");
    let profile = catalogue.find(profile).expect("a built-in profile");
    profile.image_head().image(octets)
}

/// A lab, and whoever is supplier in it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    _files: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::with(Config::default(), &[])
    }

    /// A lab with these installations.
    pub(crate) fn of(estate: &str) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let file = files.path().join("estate.toml");
        std::fs::write(&file, estate).expect("written");
        let mut config = Config::default();
        config.estate.file = Some(file);
        Self::in_folder(config, files)
    }

    /// A lab on whose product list these images stand for the firmware of these profiles.
    pub(crate) fn with(mut config: Config, images: &[(&str, &[u8])]) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        if !images.is_empty() {
            let catalogue = Catalogue::load(&config.dmc.folders).expect("good profiles");
            let rows = images.iter().map(|(profile, image)| {
                let profile = catalogue.find(profile).expect("a profile");
                let (kind, model) = (profile.kind, &profile.model);
                let hash: String = image::hash(image)
                    .0
                    .iter()
                    .map(|octet| format!("{octet:02x}"))
                    .collect();
                format!(
                    "{kind},{},{},{},Active,{hash}\n",
                    model.manufacturer, model.model, model.firmware
                )
            });
            let heading = "device_type,maker,model,fw,status,image_sha256\n".to_owned();
            let file = files.path().join("cpl.csv");
            std::fs::write(&file, rows.fold(heading, |list, row| list + &row)).expect("written");
            config.products.cpl = vec![file];
        }
        Self::in_folder(config, files)
    }

    fn in_folder(config: Config, files: tempfile::TempDir) -> Self {
        let lab = Lab::start(config).expect("started");
        Self { lab, _files: files }
    }

    pub(crate) fn device(&self, kind: DeviceKind) -> Eui64 {
        let devices = self.lab.devices();
        let found = devices.values().flatten().find(|device| device.kind == kind);
        found.expect("the built-in estate has one").device
    }

    pub(crate) fn supplier(&self, kind: DeviceKind) -> &Client {
        let role = if kind.is_gas() {
            UserRole::GasSupplier
        } else {
            UserRole::ImportSupplier
        };
        self.lab.user_in(role).expect("a supplier")
    }

    pub(crate) async fn ask(&self, kind: DeviceKind, order: &Order) -> Exchange {
        let exchange = self.supplier(kind).request(order, SimDuration::from_hours(3)).await;
        exchange.unwrap_or_else(|error| panic!("{kind} {}: {error:?}", order.srv))
    }

    /// 11.1, and its acknowledgement.
    pub(crate) async fn distribute(&self, kind: DeviceKind, firmware: &str, image: &[u8]) -> Exchange {
        let order = orders::update_firmware(self.supplier(kind).dcc(), &[self.device(kind)], firmware, image);
        self.ask(kind, &order).await
    }

    /// Waits until every device has its image, or has failed.
    pub(crate) async fn settled(&self) -> SimDuration {
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
    pub(crate) fn told(&self, kind: DeviceKind) -> Vec<String> {
        let supplier = self.supplier(kind);
        let told = std::iter::from_fn(|| supplier.take_unsolicited());
        told.map(|delivery| lab::listen::words(&delivery.xml)).collect()
    }

    /// 11.3 of the image with these octets; the answer as XML.
    pub(crate) async fn activate(&self, kind: DeviceKind, image: &[u8]) -> String {
        let order = orders::activate_firmware(self.device(kind), &image::hash(image).0);
        text(&self.ask(kind, &order).await)
    }

    /// 11.2.
    pub(crate) async fn read(&self, kind: DeviceKind) -> String {
        leaf(&self.asked_for_firmware(kind).await, "FirmwareVersion")
    }

    /// The whole answer to 11.2.
    pub(crate) async fn asked_for_firmware(&self, kind: DeviceKind) -> String {
        text(&self.ask(kind, &orders::read_firmware_version(self.device(kind))).await)
    }

    /// What the inventory has.
    pub(crate) async fn inventory(&self, kind: DeviceKind) -> String {
        let order = orders::read_inventory(self.supplier(kind).dcc(), self.device(kind));
        let xml = text(&self.ask(kind, &order).await);
        let record = xml.find(&format!("DeviceID>{}<", self.device(kind))).expect("listed");
        leaf(&xml[record..], "DeviceFirmwareVersion")
    }

    /// What the device truly is.
    pub(crate) async fn truth(&self, kind: DeviceKind) -> ProfileId {
        let fleet = self.lab.fleet().expect("here");
        fleet.status(self.device(kind)).await.expect("running").device.profile
    }

    /// How far the device truly is with its image.
    pub(crate) async fn image_status(&self, kind: DeviceKind) -> ImageStatus {
        let fleet = self.lab.fleet().expect("here");
        let read = Operation::Read(DataItem::ImageStatus);
        match fleet.true_read(self.device(kind), read).await.expect("running") {
            Ok(Answer::Value(Value::Image(status))) => status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn wait(&self, span: SimDuration) {
        self.lab.world().clock.sleep(span).await;
    }
}

pub(crate) fn text(exchange: &Exchange) -> String {
    let xml = exchange
        .outcome
        .as_ref()
        .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
    String::from_utf8_lossy(xml).into_owned()
}

/// Text of the only leaf of this name.
pub(crate) fn leaf(xml: &str, name: &str) -> String {
    let from = xml
        .find(&format!(":{name}>"))
        .unwrap_or_else(|| panic!("no {name}: {xml}"));
    let rest = &xml[from + name.len() + 2..];
    rest[..rest.find('<').expect("closed")].to_owned()
}
