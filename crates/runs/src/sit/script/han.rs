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
    (Srv::new(8, 12, 1), |at| {
        orders::restore_hub_log(at.device, predecessor(at))
    }),
    (Srv::new(8, 12, 2), |at| {
        orders::restore_proxy_log(at.device, predecessor(at))
    }),
];

/// The DCC has to know a device before a hub may let it in.
fn announce(at: &At) -> Order {
    let announced = orders::Announced {
        device: guest(at),
        kind: DeviceKind::Ppmid,
        model: DeviceModel {
            manufacturer: "LAB".into(),
            model: "LAB-PPMID".into(),
            hardware: String::new(),
            firmware: "LAB-0001".into(),
        },
        esme_variant: None,
    };
    orders::pre_notify(at.dcc, &announced)
}

/// The identity of one more device in this installation: no kind of an estate's devices has this octet.
fn guest(at: &At) -> Eui64 {
    Eui64(at.device.0 & !(0xFF << 32) | 9 << 32)
}

/// The identity of the device that was there before this one.
fn predecessor(at: &At) -> Eui64 {
    Eui64(at.device.0 & !(0xFF << 32) | 8 << 32)
}
