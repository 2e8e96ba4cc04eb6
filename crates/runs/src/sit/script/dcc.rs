//! What the pack asks the DCC itself.

use domain::{DeviceKind, Eui64, Srv};
use users::{Order, orders};

use super::{At, Turn};

pub(super) const FIRST: &[Turn] = &[(Srv::new(8, 2, 0), |at| orders::read_inventory(at.dcc, at.device))];

pub(super) const LAST: &[Turn] = &[(Srv::new(12, 2, 0), pre_notification)];

/// 12.2 is about a device that is not there yet: the address after the hub's, which no estate gives away.
fn pre_notification(at: &At) -> Order {
    let announced = orders::Announced {
        device: Eui64(at.device.0 ^ 0x0000_00FF_0000_0000),
        kind: DeviceKind::Esme,
        model: domain::DeviceModel {
            manufacturer: "LAB".into(),
            model: "LAB-PRE".into(),
            hardware: String::new(),
            firmware: "LAB-0001".into(),
        },
        esme_variant: Some("A".into()),
    };
    orders::pre_notify(at.dcc, &announced)
}
