//! What a request names beyond its device: other devices, of the same hub or not.

use dcc::{Device, SmiStatus};
use domain::{DeviceKind, DeviceModel, Eui64, SimInstant};
use duis::Element;
use steps::Failure as F;
use users::orders;

use super::rights::NOWHERE;
use super::{Case, Post, sent, to_device, usual};
use crate::bench::*;

/// A meter, a hub and a gas proxy of another house, and a display and a meter out of service in this one.
const METER: Eui64 = Eui64(0x00DB_1234_5678_90B0);
const OLD_HUB: Eui64 = Eui64(0x00DB_1234_5678_90B1);
const OLD_PROXY: Eui64 = Eui64(0x00DB_1234_5678_90B2);
const GONE: Eui64 = Eui64(0x00DB_1234_5678_90B3);

fn neighbours(bench: &mut Bench) {
    let model = DeviceModel {
        manufacturer: "Example".into(),
        model: "M1".into(),
        hardware: String::new(),
        firmware: "00000001".into(),
    };
    let commissioned = SmiStatus::Commissioned;
    let devices = [
        (METER, DeviceKind::Esme, commissioned, OLD_HUB),
        (OLD_HUB, DeviceKind::Chf, commissioned, OLD_HUB),
        (OLD_PROXY, DeviceKind::Gpf, commissioned, OLD_HUB),
        (GONE, DeviceKind::Esme, SmiStatus::Decommissioned, HUB),
    ];
    for (id, kind, status, hub) in devices {
        bench.inventory.put(Device {
            hub: Some(hub),
            ..Device::new(id, kind, model.clone().into(), status, SimInstant(0))
        });
    }
}

/// 8.11 in the form of an act, with the details that adding needs or without.
fn log(bench: &Bench, device: Eui64, act: &str, with_details: bool) -> Vec<Post> {
    let mut order = match with_details {
        true => orders::add_to_log(HUB, device, "A1B2C3D4E5F6", 60),
        false => orders::remove_from_log(HUB, device),
    };
    let asked = order.body.children.iter_mut().find(|child| child.name == "RequestType");
    asked.unwrap().text = act.to_owned();
    sent(bench, &order)
}

fn add(bench: &Bench, device: Eui64) -> Vec<Post> {
    log(bench, device, "Add", true)
}

fn restore(bench: &Bench, device: Eui64, old: Eui64) -> Vec<Post> {
    let (srv, body, leaf) = match device {
        HUB => ("8.12.1", "RestoreHANDeviceLog", "OldCHFID"),
        _ => ("8.12.2", "RestoreGPFDeviceLog", "OldGPFID"),
    };
    let body = Element::sr(body).with_leaf(leaf, old.to_string());
    sent(bench, &to_device(device, srv, body))
}

/// A list of combinations with a decision on this house's electricity meter, or on another.
fn decided(bench: &mut Bench, model: &str, decision: &str) {
    let list = format!(
        "epcl_id,cohort,comms_provider,esme_maker,esme_model,esme_fw,gsme_maker,gsme_model,gsme_fw,ch_maker,ch_model,ch_fw,\
         ppmid_maker,ppmid_model,ppmid_fw,first_added,removed,source,report,decision,approved_by\n\
         E1,IOC,,Example,{model},00000001,,,,,,,,,,2019-03-01,,SIT,report 1,{decision},board\n"
    );
    bench.products.add_combinations(&list, None).unwrap();
}

fn commission(bench: &Bench) -> Vec<Post> {
    sent(bench, &orders::commission(ESME, bench.world.clock.now(), 10))
}

pub(super) const CASES: &[Case] = &[
    Case(
        F::CombinationRefused,
        |bench| decided(bench, "M1", "refused"),
        commission,
    ),
    Case(
        F::CombinationRefused,
        |bench| {
            decided(bench, "M9", "approved");
            bench.limits.require_listed_combination = true;
        },
        commission,
    ),
    Case(F::JoinUnknown, usual, |bench| sent(bench, &orders::join(GSME, NOWHERE))),
    Case(F::JoinApart, neighbours, |bench| {
        sent(bench, &orders::join(GSME, OLD_PROXY))
    }),
    Case(F::JoinTypes, neighbours, |bench| sent(bench, &orders::join(GSME, ESME))),
    Case(F::UnjoinUnknown, usual, |bench| {
        sent(bench, &orders::unjoin(GSME, NOWHERE))
    }),
    Case(F::UnjoinApart, neighbours, |bench| {
        sent(bench, &orders::unjoin(GSME, OLD_PROXY))
    }),
    Case(F::HubLogUnknown, usual, |bench| add(bench, NOWHERE)),
    Case(F::HubLogElsewhere, neighbours, |bench| add(bench, METER)),
    Case(F::HubLogAbsent, neighbours, |bench| log(bench, METER, "Remove", false)),
    Case(F::HubLogForm, usual, |bench| log(bench, HELD, "Add", false)),
    Case(F::HubLogForm, usual, |bench| log(bench, ESME, "Remove", true)),
    Case(F::HubLogType, usual, |bench| add(bench, GPF)),
    Case(F::HubLogStatus, neighbours, |bench| add(bench, GONE)),
    Case(F::RestoreHubUnknown, usual, |bench| restore(bench, HUB, NOWHERE)),
    Case(F::RestoreHubUnknown, usual, |bench| restore(bench, HUB, HUB)),
    Case(F::RestoreHubInService, neighbours, |bench| restore(bench, HUB, OLD_HUB)),
    Case(F::RestoreProxyUnknown, neighbours, |bench| restore(bench, GPF, OLD_HUB)),
    Case(F::RestoreProxyInService, neighbours, |bench| {
        restore(bench, GPF, OLD_PROXY)
    }),
];
