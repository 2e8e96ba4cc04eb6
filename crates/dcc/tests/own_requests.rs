//! Requests the DCC answers itself about its inventory: what they give, what they change, what they are refused for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;

use bench::*;
use dcc::audit::{self, Event};
use dcc::{Lookup, Products, SmiStatus};
use domain::{Eui64, SimDuration, Srv};
use duis::Element;
use steps::Failure;
use users::{Order, orders};

const MINUTE: SimDuration = SimDuration::from_mins(1);

fn own(srv: &str, body: Element) -> Order {
    Order::to_dcc(DCC, srv.parse().unwrap(), body)
}

fn leaf(name: &'static str, text: &str) -> Element {
    Element::sr(name).with_text(text)
}

fn update(device: Eui64, form: Element) -> Order {
    own(
        "8.4",
        Element::sr("UpdateInventory")
            .with_leaf("DeviceID", device.to_string())
            .with(form),
    )
}

fn decommission(device: Eui64) -> Order {
    own(
        "8.3",
        Element::sr("DecommissionDevice").with_leaf("DeviceID", device.to_string()),
    )
}

fn notify(device: Eui64, kind: &str, more: &[(&'static str, &str)]) -> Order {
    let body = Element::sr("DevicePrenotification")
        .with_leaf("DeviceID", device.to_string())
        .with_leaf("DeviceManufacturer", "Example")
        .with_leaf("DeviceModel", "M1")
        .with_leaf("DeviceType", kind);
    let body = more.iter().fold(body, |body, (name, text)| body.with_leaf(name, *text));
    own("12.2", body)
}

/// Posts requests one after the other.
struct Desk<'a> {
    bench: &'a Bench,
    running: Running,
    counter: u64,
}

impl<'a> Desk<'a> {
    fn new(bench: &'a Bench) -> Self {
        Self {
            bench,
            running: bench.start(),
            counter: 0,
        }
    }

    async fn ask(&mut self, order: &Order) -> Said {
        self.counter += 1;
        let reply = self
            .running
            .supplier
            .post(NON_DEVICE, self.bench.signed(self.counter, order))
            .await;
        self.bench.said(&reply)
    }

    async fn refused(&mut self, order: &Order, expected: Failure) {
        let said = self.ask(order).await;
        let record = audit::all(&self.bench.store).unwrap().pop().unwrap();
        assert_eq!(record.failure, Some(expected), "{record}");
        assert_eq!(said.code, expected.entry().code, "{record}");
    }

    async fn device(&self, id: Eui64) -> dcc::Device {
        let found = self.running.handle.look_up(Lookup::Device(id)).await.unwrap();
        found.into_iter().find(|device| device.id == id).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn the_inventory_is_found_by_device_metering_point_property_and_address() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    let filter = Element::sr("PropertyFilter")
        .with(leaf("PostCode", "ZZ1 1AA"))
        .with(leaf("AddressIdentifier", "7"));
    for term in [
        leaf("DeviceID", &ESME.to_string()),
        leaf("MPxN", "1200000000001"),
        leaf("UPRN", "100000000007"),
        filter,
    ] {
        let said = desk
            .ask(&own("8.2", Element::sr("ReadInventory").with(term.clone())))
            .await;
        assert_eq!(said.code, "I0", "{term:?}");
        let kinds: Vec<_> = said
            .payload()
            .unwrap()
            .children
            .iter()
            .map(|one| one.child_text("DeviceType").unwrap())
            .collect();
        assert_eq!(kinds, ["CHF", "ESME", "GPF", "GSME"], "{term:?}");
    }
    let said = desk
        .ask(&own(
            "8.2",
            Element::sr("ReadInventory").with(leaf("DeviceID", &ESME.to_string())),
        ))
        .await;
    let esme = &said.payload().unwrap().children[1];
    assert_eq!(
        esme.at(&["PropertyFilter", "PostCode"]).map(|code| code.text.as_str()),
        Some("ZZ1 1AA")
    );
    let nothing = own("8.2", Element::sr("ReadInventory").with(leaf("UPRN", "1")));
    desk.refused(&nothing, Failure::NothingFound).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_found_at_its_home_once_it_has_a_metering_point() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    let meter = Eui64(0xA3);
    let announced = notify(meter, "ESME", &[("FirmwareVersion", "01"), ("ESMEVariant", "A")]);
    assert_eq!(desk.ask(&announced).await.code, "I0");
    let by_uprn = own("8.2", Element::sr("ReadInventory").with(leaf("UPRN", "100000000009")));
    let address = Element::sr("PropertyFilter")
        .with(leaf("PostCode", "ZZ1 1AA"))
        .with(leaf("AddressIdentifier", "9"));
    let by_address = own("8.2", Element::sr("ReadInventory").with(address));
    for order in [&by_uprn, &by_address] {
        desk.refused(order, Failure::NothingFound).await;
    }
    let point = Element::sr("UpdateMPxN").with(leaf("ImportMPxN", "1200000000009"));
    assert_eq!(desk.ask(&update(meter, point)).await.code, "I0");
    desk.running.crash().await;
    let mut desk = Desk {
        running: bench.start(),
        counter: desk.counter,
        bench: &bench,
    };
    for order in [&by_uprn, &by_address] {
        let said = desk.ask(order).await;
        let [found] = &said.payload().unwrap().children[..] else {
            panic!("{:?}", said.payload());
        };
        assert_eq!(found.child_text("DeviceID"), Some(meter.to_string().as_str()));
        assert_eq!(found.child_text("UPRN"), Some("100000000009"));
        let address = found.at(&["PropertyFilter", "AddressIdentifier"]);
        assert_eq!(address.map(|address| address.text.as_str()), Some("9"));
    }
    // To another home it goes with its metering point.
    let point = Element::sr("UpdateMPxN").with(leaf("ImportMPxN", "1200000000008"));
    assert_eq!(desk.ask(&update(meter, point)).await.code, "I0");
    desk.refused(&by_uprn, Failure::NothingFound).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_is_announced_whitelisted_details_corrected_and_deleted() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    let (hub, proxy, meter, display) = (Eui64(0xA1), Eui64(0xA2), Eui64(0xA3), Eui64(0xA4));
    let named = proxy.to_string();
    for order in [
        notify(
            hub,
            "CHF",
            &[("FirmwareVersion", "01"), ("AssociatedGPFDeviceID", &named)],
        ),
        notify(proxy, "GPF", &[("FirmwareVersion", "01")]),
        notify(
            meter,
            "ESME",
            &[
                ("SMETSCHTSVersion", "SMETS1"),
                ("FirmwareVersion", "01"),
                ("ESMEVariant", "A"),
            ],
        ),
        notify(display, "IHD", &[]),
    ] {
        assert_eq!(desk.ask(&order).await.code, "I0");
    }
    assert_eq!(desk.device(proxy).await.hub, Some(hub), "the hub had named it");
    assert_eq!(desk.device(display).await.status, None, "type 2 devices have no status");
    let details = Element::sr("UpdateDeviceDetails")
        .with(leaf("DeviceModel", "M2"))
        .with(leaf("ESMEVariant", "B"));
    assert_eq!(desk.ask(&update(meter, details)).await.code, "I0");
    for status in ["InstalledNotCommissioned", "Pending"] {
        let form = leaf("UpdateDeviceStatusExceptCH", status);
        assert_eq!(desk.ask(&update(meter, form)).await.code, "I0", "{status}");
    }
    for status in ["InstalledNotCommissioned", "Commissioned"] {
        let form = leaf("UpdateDeviceStatusCH", status);
        assert_eq!(desk.ask(&update(hub, form)).await.code, "I0", "{status}");
    }
    assert_eq!(
        desk.device(proxy).await.status,
        Some(SmiStatus::Pending),
        "no arrow from Pending to Commissioned"
    );
    let point = Element::sr("UpdateMPxN").with(leaf("ImportMPxN", "1200000000009"));
    assert_eq!(desk.ask(&update(meter, point)).await.code, "I0");
    for (name, mpan) in [
        ("SecondaryImportMPAN", "1200000000008"),
        ("ExportMPAN", "1200000000007"),
    ] {
        let form = Element::sr("UpdateMPxN").with(leaf(name, mpan));
        assert_eq!(desk.ask(&update(meter, form)).await.code, "I0", "{name}");
    }
    desk.running.crash().await;
    let mut desk = Desk {
        running: bench.start(),
        counter: desk.counter,
        bench: &bench,
    };
    let known = desk.device(meter).await;
    assert_eq!(
        (known.model.model.as_str(), known.esme_variant.as_deref()),
        ("M2", Some("B"))
    );
    assert_eq!(
        known.points().map(|mpxn| mpxn.to_string()).collect::<Vec<_>>(),
        ["1200000000009", "1200000000008", "1200000000007"]
    );
    assert_eq!(known.history.len(), 3, "every status with its date");
    let said = desk
        .ask(&own(
            "8.2",
            Element::sr("ReadInventory").with(leaf("MPxN", "1200000000007")),
        ))
        .await;
    assert_eq!(
        said.payload().unwrap().children[0].child_text("ExportMPAN"),
        Some("1200000000007")
    );
    for device in [meter, display] {
        assert_eq!(desk.ask(&update(device, Element::sr("DeleteDevice"))).await.code, "I0");
        assert!(
            desk.running
                .handle
                .look_up(Lookup::Device(device))
                .await
                .unwrap()
                .is_empty()
        );
    }
    let events: Vec<_> = audit::of_device(&bench.store, meter)
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .collect();
    assert!(
        events.contains(&Event::StatusChanged) && events.contains(&Event::DeviceRemoved),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_decommissioned_meter_is_gone_for_everybody_and_its_parties_are_told() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    assert_eq!(desk.ask(&decommission(ESME)).await.code, "I0");
    let device = desk.device(ESME).await;
    assert_eq!((device.status, device.hub), (Some(SmiStatus::Decommissioned), None));
    let xml = bench.signed(1, &orders::read_supply_status(ESME));
    let reply = desk.running.supplier.post(SEND, xml).await;
    assert_eq!(bench.said(&reply).code, "E5");
    // The supplier and the network operator, each once: N1 with the metering point.
    for peer in [&mut desk.running.supplier, &mut desk.running.network] {
        let told = peer.take_all(SimDuration::from_secs(2)).await;
        let [told] = &told[..] else {
            panic!("{:?}", told.iter().map(|one| bench.read(&one.xml)).collect::<Vec<_>>())
        };
        let said = bench.read(&told.xml);
        let (code, payload) = said.alert().unwrap();
        assert_eq!((code, payload.name), ("N1", "DeviceStatusChangeEvent"));
        let point = payload.at(&[
            "DeviceStatusChange",
            "MeterDecommissioningOrWithdrawal",
            "MeterDecommissionOrWithdrawal",
            "ImportMPxN",
        ]);
        assert_eq!(point.map(|point| point.text.as_str()), Some("1200000000001"));
        assert!(said.header.request_id.is_none() && said.header.response_id.unwrap().originator == DCC);
    }
    // It may be announced again, and keeps its history.
    let again = notify(ESME, "ESME", &[("FirmwareVersion", "01"), ("ESMEVariant", "A")]);
    assert_eq!(desk.ask(&again).await.code, "I0");
    let statuses: Vec<_> = desk
        .device(ESME)
        .await
        .history
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    assert_eq!(
        statuses,
        [SmiStatus::Commissioned, SmiStatus::Decommissioned, SmiStatus::Pending]
    );
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_hub_takes_its_gas_proxy_along() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    assert_eq!(
        desk.ask(&update(HUB, leaf("UpdateDeviceStatusCH", "Withdrawn")))
            .await
            .code,
        "I0"
    );
    let told = desk.running.supplier.take_all(MINUTE).await;
    let codes: Vec<_> = told
        .iter()
        .map(|one| bench.read(&one.xml).alert().unwrap().0.to_owned())
        .collect();
    assert_eq!(codes, ["N9"]);
    assert_eq!(desk.device(GPF).await.status, Some(SmiStatus::Withdrawn));
    assert_eq!(desk.device(ESME).await.status, Some(SmiStatus::Commissioned));
}

#[tokio::test(start_paused = true)]
async fn product_lists_suspend_and_restore() {
    let bench = Bench::new();
    let mut desk = Desk::new(&bench);
    let list = |status: &str| {
        let mut products = Products::default();
        products
            .add_cpl(&format!(
                "device_type,maker,model,fw,status\nESME,Example,M1,00000001,{status}\n"
            ))
            .unwrap();
        products
    };
    desk.running.handle.set_products(list("Cancelled")).await.unwrap();
    assert_eq!(desk.device(ESME).await.status, Some(SmiStatus::Suspended));
    let said = desk
        .ask(&own(
            "8.2",
            Element::sr("ReadInventory").with(leaf("DeviceID", &ESME.to_string())),
        ))
        .await;
    let esme = &said.payload().unwrap().children[1];
    let shown = ["DeviceStatus", "DeviceFirmwareVersionStatus", "CPLStatus"].map(|name| esme.child_text(name).unwrap());
    assert_eq!(shown, ["Suspended", "Cancelled", "Cancelled"]);
    desk.running.handle.set_products(list("Active")).await.unwrap();
    assert_eq!(desk.device(ESME).await.status, Some(SmiStatus::Commissioned));
    let told = desk.running.network.take_all(MINUTE).await;
    let codes: Vec<_> = told
        .iter()
        .map(|one| bench.read(&one.xml).alert().unwrap().0.to_owned())
        .collect();
    // The other electricity meter was suspended before it had a list, and nobody is registered for it.
    assert_eq!(codes, ["N28", "N29"]);
}

#[tokio::test(start_paused = true)]
async fn coverage_is_answered_in_the_form_of_the_version_asked_in() {
    let bench = Bench::new();
    let mut running = bench.start();
    for (counter, version, code) in [(1, "5.1", "I0"), (2, "5.4", "I0")] {
        let body = Element::sr("RequestWANMatrix").with(
            Element::sr("PartialAddress")
                .with(leaf("PostCode", "EH1 1AA"))
                .with(leaf("AddressIdentifier", "1")),
        );
        let id = domain::RequestId {
            originator: SUPPLIER,
            target: DCC,
            counter,
        };
        let mut request = duis::Request::new(id, Srv::new(12, 1, 0))
            .with_body(body)
            .with_command_variant(8);
        request.schema_version = version.to_owned();
        let reply = running.supplier.post(NON_DEVICE, bench.parties.sign(&request)).await;
        let said = bench.said(&reply);
        assert_eq!(
            (said.code.as_str(), said.header.schema_version.as_str()),
            (code, version)
        );
        let payload = said.payload().unwrap();
        let answer = payload.child("DSPWANMatrixResponse").unwrap_or(payload);
        assert_eq!(answer.child_text("CSPRegion"), Some("North"), "{version}");
        assert_eq!(answer.child("CSPRegionResponseCode").is_some(), version == "5.4");
        assert_eq!(answer.child_text("CoverageAvailability"), Some("true"));
        let edition = duis::Version::of(version);
        assert!(
            duis::check_against(&reply.xml, edition, &duis::Limits::DEFAULT).is_ok(),
            "{version}"
        );
    }
    let place = |term| own("12.1", Element::sr("RequestWANMatrix").with(term));
    let said = running
        .supplier
        .post(NON_DEVICE, bench.signed(3, &place(leaf("UPRN", "999"))))
        .await;
    assert_eq!(bench.said(&said).code, Failure::WanUnknown.entry().code);
}
