//! What the pack asks the DCC itself.

use domain::{DeviceKind, Eui64, SimDuration, Srv};
use users::{Order, orders};

use super::{At, Turn};

pub(super) const FIRST: &[Turn] = &[
    (Srv::new(8, 2, 0), |at| orders::read_inventory(at.dcc, at.device)),
    (Srv::new(12, 1, 0), |at| orders::coverage(at.dcc, "EH1 1AA", "1")),
    (Srv::new(5, 1, 0), |at| {
        orders::schedule_daily_reads(at.dcc, at.device, at.now + SimDuration::from_days(1))
    }),
    (Srv::new(5, 2, 0), |at| orders::read_schedules(at.dcc, at.device)),
    (Srv::new(5, 3, 0), |at| orders::delete_schedules(at.dcc, at.device)),
];

/// 8.2 in the other ways of asking, once per installation.
pub(super) const BY_PROPERTY: &[Turn] = &[
    (Srv::new(8, 2, 0), |at| {
        orders::read_inventory_by_uprn(at.dcc, &at.property.uprn)
    }),
    (Srv::new(8, 2, 0), |at| {
        orders::read_inventory_by_address(at.dcc, &at.property.post_code, &at.property.address)
    }),
];

pub(super) const LAST: &[Turn] = &[
    (Srv::new(11, 1, 0), |at| {
        orders::update_firmware(at.dcc, &[at.device], &at.model.firmware, &at.image())
    }),
    (Srv::new(11, 3, 0), |at| {
        orders::activate_firmware(at.device, &domain::image::hash(&at.image()).0)
    }),
    (Srv::new(12, 2, 0), pre_notification),
    (Srv::new(8, 4, 0), |at| orders::installed(at.dcc, announced(at))),
    (Srv::new(8, 3, 0), |at| orders::decommission(at.dcc, announced(at))),
];

/// Which device a DCC-only request of the pack is made for: 8.2 for every one, what is about one meter for the electricity
/// meter, the others once per hub.
pub(super) fn made_for(srv: Srv, kind: DeviceKind) -> bool {
    match (srv.to_string().as_str(), kind) {
        ("8.2", _) => true,
        // 11.3 follows it on the same device.
        ("11.1", kind) => matches!(kind, DeviceKind::Esme | DeviceKind::Gsme),
        ("5.1" | "5.2" | "5.3", kind) => kind == DeviceKind::Esme,
        (_, kind) => kind == DeviceKind::Chf,
    }
}

/// The device that 12.2 announces, 8.4 installs and 8.3 takes away again.
fn announced(at: &At) -> Eui64 {
    Eui64(at.device.0 ^ 0x0000_00FF_0000_0000)
}

/// 12.2 is about a device that is not there yet: the address after the hub's, which no estate gives away.
fn pre_notification(at: &At) -> Order {
    let announced = orders::Announced {
        device: announced(at),
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
