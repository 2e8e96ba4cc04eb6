//! What the pack does about the home area network. A guest is announced and let in by the hub first, so that the meters can
//! join with it.

use domain::{DeviceKind, DeviceModel, Eui64, Srv};
use users::{Order, orders};

use super::{At, Turn};

pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(12, 2, 0), announce),
    (Srv::new(8, 1, 1), |at| orders::commission(at.device, at.now, 10)),
    (Srv::new(8, 11, 0), |at| {
        orders::add_to_log(at.device, guest(at), "0102030405060708", 600)
    }),
    (Srv::new(8, 7, 1), |at| orders::join(at.device, guest(at))),
    (Srv::new(8, 8, 1), |at| orders::unjoin(at.device, guest(at))),
    (Srv::new(8, 7, 2), |at| orders::join_listener(at.device, guest(at))),
    (Srv::new(8, 8, 2), |at| orders::unjoin_listener(at.device, guest(at))),
    (Srv::new(12, 2, 0), |at| {
        announce_device(at, of_octet(at, FORMER_HUB), DeviceKind::Chf, at.model.clone())
    }),
    (Srv::new(12, 2, 0), |at| {
        announce_device(at, of_octet(at, FORMER_PROXY), DeviceKind::Gpf, at.model.clone())
    }),
    (Srv::new(8, 12, 1), |at| {
        orders::restore_hub_log(at.device, of_octet(at, FORMER_HUB))
    }),
    (Srv::new(8, 12, 2), |at| {
        orders::restore_proxy_log(at.device, of_octet(at, FORMER_PROXY))
    }),
];

/// The DCC has to know a device before a hub may let it in.
fn announce(at: &At) -> Order {
    let model = DeviceModel {
        manufacturer: "LAB".into(),
        model: "LAB-PPMID".into(),
        hardware: String::new(),
        firmware: "LAB-0001".into(),
    };
    announce_device(at, guest(at), DeviceKind::Ppmid, model)
}

fn announce_device(at: &At, device: Eui64, kind: DeviceKind, model: DeviceModel) -> Order {
    let announced = orders::Announced {
        device,
        kind,
        model,
        esme_variant: None,
    };
    orders::pre_notify(at.dcc, &announced)
}

/// Octets that no kind of an estate's devices has in its identity: one more device, and the hub and the gas proxy that were
/// there before these.
const GUEST: u64 = 9;
const FORMER_HUB: u64 = 8;
const FORMER_PROXY: u64 = 7;

/// The identity of one more device in this installation.
fn guest(at: &At) -> Eui64 {
    of_octet(at, GUEST)
}

/// The identity with this octet in this installation.
fn of_octet(at: &At, octet: u64) -> Eui64 {
    Eui64(at.device.0 & !(0xFF << 32) | octet << 32)
}
