//! What does not fit the inventory, the product lists or the coverage.

use domain::Eui64;
use duis::Element;
use steps::Failure as F;
use users::Order;

use super::{Case, asked, to_dcc, usual};
use crate::bench::*;

const NEW: Eui64 = Eui64(0xB1);
const ESME_OF_M1: &[(&str, &str)] = &[("FirmwareVersion", "00000001"), ("ESMEVariant", "A")];

fn listed(bench: &mut Bench) {
    let list = "device_type,maker,model,fw,status\n\
        ESME,Example,M1,00000001,Active\nCHF,Example,M1,00000001,Active\nGSME,Example,M1,00000001,Active\n\
        ESME,Example,M2,00000001,Active\n";
    bench.products.add_cpl(list).unwrap();
}

fn leaf(name: &'static str, text: &str) -> Element {
    Element::sr(name).with_text(text)
}

fn update(device: Eui64, form: Element) -> Order {
    let body = Element::sr("UpdateInventory").with_leaf("DeviceID", device.to_string());
    to_dcc("8.4", body.with(form))
}

fn details(device: Eui64, name: &'static str, text: &str) -> Order {
    update(device, Element::sr("UpdateDeviceDetails").with(leaf(name, text)))
}

fn mpxn(device: Eui64, name: &'static str, digits: &str) -> Order {
    update(device, Element::sr("UpdateMPxN").with(leaf(name, digits)))
}

fn decommission(device: Eui64) -> Order {
    users::orders::decommission(DCC, device)
}

fn notify(device: Eui64, kind: &str, more: &[(&'static str, &str)]) -> Order {
    let body = Element::sr("DevicePrenotification")
        .with_leaf("DeviceID", device.to_string())
        .with_leaf("DeviceManufacturer", "Example")
        .with_leaf("DeviceModel", "M1")
        .with_leaf("DeviceType", kind);
    let body = more.iter().fold(body, |body, (name, text)| body.with_leaf(name, *text));
    to_dcc("12.2", body)
}

fn hub_with_proxy(hub: Eui64, proxy: Eui64) -> Order {
    notify(hub, "CHF", &[("AssociatedGPFDeviceID", &proxy.to_string())])
}

pub(super) const CASES: &[Case] = &[
    Case(F::NotifyIdentity, usual, |bench| {
        asked(bench, &[notify(ESME, "ESME", ESME_OF_M1)])
    }),
    Case(F::NotifyIdentity, usual, |bench| {
        asked(bench, &[notify(SUPPLIER, "ESME", ESME_OF_M1)])
    }),
    Case(F::NotifyIdentity, usual, |bench| {
        asked(bench, &[hub_with_proxy(NEW, NEW)])
    }),
    Case(F::NotifyProxy, usual, |bench| {
        asked(bench, &[hub_with_proxy(NEW, GSME)])
    }),
    Case(F::NotSmets1, usual, |bench| asked(bench, &[notify(NEW, "HCALCS", &[])])),
    Case(F::NotifyDetail, usual, |bench| {
        asked(bench, &[notify(NEW, "ESME", &[("FirmwareVersion", "00000001")])])
    }),
    Case(F::NotifyDetail, usual, |bench| {
        asked(bench, &[notify(NEW, "GSME", &[("ESMEVariant", "A")])])
    }),
    Case(F::NotifyNotListed, listed, |bench| {
        let other = [("FirmwareVersion", "00000002"), ("ESMEVariant", "A")];
        asked(bench, &[notify(NEW, "ESME", &other)])
    }),
    Case(F::UnknownDevice, usual, |bench| asked(bench, &[decommission(NEW)])),
    Case(F::DecommissionType, usual, |bench| {
        asked(bench, &[notify(NEW, "IHD", &[]), decommission(NEW)])
    }),
    Case(F::DecommissionStatus, usual, |bench| {
        asked(bench, &[notify(NEW, "ESME", ESME_OF_M1), decommission(NEW)])
    }),
    Case(F::StatusNotForType, usual, |bench| {
        asked(bench, &[update(HELD, leaf("UpdateDeviceStatusCH", "Commissioned"))])
    }),
    Case(F::StatusNotForType, usual, |bench| {
        asked(bench, &[update(HUB, leaf("UpdateDeviceStatusExceptCH", "Pending"))])
    }),
    Case(F::StatusNoArrow, usual, |bench| {
        asked(bench, &[update(ESME, leaf("UpdateDeviceStatusExceptCH", "Pending"))])
    }),
    Case(F::StatusNone, usual, |bench| {
        let pending = update(NEW, leaf("UpdateDeviceStatusExceptCH", "Pending"));
        asked(bench, &[notify(NEW, "IHD", &[]), pending])
    }),
    Case(F::DetailsInService, usual, |bench| {
        asked(bench, &[details(ESME, "DeviceModel", "M2")])
    }),
    Case(F::DetailsNotListed, listed, |bench| {
        let new = notify(NEW, "ESME", ESME_OF_M1);
        asked(bench, &[new, details(NEW, "DeviceModel", "M9")])
    }),
    Case(F::DetailNotForType, usual, |bench| {
        let new = notify(NEW, "IHD", &[]);
        asked(bench, &[new, details(NEW, "FirmwareVersion", "01")])
    }),
    Case(F::DeleteInService, usual, |bench| {
        asked(bench, &[update(ESME, Element::sr("DeleteDevice"))])
    }),
    Case(F::MpxnNotForType, usual, |bench| {
        asked(bench, &[mpxn(ESME, "ImportMPxN", "770000001")])
    }),
    Case(F::MpxnNotForType, usual, |bench| {
        asked(bench, &[mpxn(GSME, "ExportMPAN", "1200000000003")])
    }),
    Case(F::MpxnTaken, usual, |bench| {
        asked(bench, &[mpxn(HELD, "ImportMPxN", "1200000000001")])
    }),
    Case(F::MpxnForeign, usual, |bench| {
        asked(bench, &[mpxn(HELD, "ImportMPxN", "1200000000005")])
    }),
    Case(F::NothingFound, usual, |bench| {
        let body = Element::sr("ReadInventory").with(leaf("UPRN", "999999999999"));
        asked(bench, &[to_dcc("8.2", body)])
    }),
    Case(F::NotSmets1, usual, |bench| {
        let body = Element::sr("ReturnLocalCommandResponse").with(leaf("DeviceGBCSResponse", "AAAA"));
        asked(bench, &[to_dcc("8.13", body)])
    }),
    Case(F::NotSmets1, usual, |bench| {
        let body = Element::sr("UpdatePPMIDFirmware")
            .with_leaf("FirmwareImage", "AAAA")
            .with_leaf("FirmwareVersion", "00000002")
            .with_leaf("DeviceIDList", HELD.to_string());
        asked(bench, &[to_dcc("11.4", body)])
    }),
    Case(F::NotSmets1, usual, |bench| {
        let body = Element::sr("CHFNoFaultReturn")
            .with_leaf("DeviceID", HUB.to_string())
            .with_leaf("CHFNoFaultReturnType", "Lost or Stolen Hub");
        asked(bench, &[to_dcc("8.14.4", body)])
    }),
    Case(F::WanUnknown, usual, |bench| {
        asked(bench, &[users::orders::coverage(DCC, "XX9 9XX", "1")])
    }),
];
