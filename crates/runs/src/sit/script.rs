//! What the pack sends to an installation, in which order.

use domain::{DeviceKind, Eui64, SimDuration, SimInstant, Srv};
use fleet::Site;
use steps::table::{Mode, State};
use users::{Order, orders};

/// Makes an order when its turn comes.
type MakeOrder = fn(&At) -> Order;

/// One request of the script.
pub(crate) struct Act {
    /// The device the cell stands under.
    pub(crate) device: Eui64,
    pub(crate) order: MakeOrder,
}

/// What an order may depend on.
pub(crate) struct At {
    pub(crate) device: Eui64,
    pub(crate) dcc: Eui64,
    pub(crate) now: SimInstant,
}

impl At {
    /// The last three days, which every daily log reaches.
    pub(crate) fn three_days(&self) -> orders::Period {
        orders::Period {
            from: self.now - SimDuration::from_days(3),
            to: self.now,
        }
    }
}

/// Orders of the pack by service reference variant, in the order a device gets them. Supply last: it leaves traces.
const SEQUENCE: [(Srv, MakeOrder); 19] = [
    (Srv::new(8, 2, 0), |at| orders::read_inventory(at.dcc, at.device)),
    (Srv::new(11, 2, 0), |at| orders::read_firmware_version(at.device)),
    (Srv::new(8, 9, 0), |at| orders::read_device_log(at.device)),
    (Srv::new(4, 1, 1), |at| orders::read_import_registers(at.device)),
    (Srv::new(4, 2, 0), |at| orders::read_export_registers(at.device)),
    (Srv::new(4, 3, 0), |at| orders::read_prepay_values(at.device)),
    (Srv::new(4, 6, 1), |at| {
        orders::read_daily_log(at.device, at.three_days())
    }),
    (Srv::new(4, 8, 1), |at| {
        orders::read_import_profile(at.device, at.three_days())
    }),
    (Srv::new(4, 13, 0), |at| {
        orders::read_prepayment_configuration(at.device)
    }),
    (Srv::new(6, 11, 0), |at| {
        orders::synchronise_clock(at.device, at.now, 10)
    }),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 2, 0), |at| orders::disable_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 3, 0), |at| orders::arm_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(7, 1, 0), |at| orders::enable_supply(at.device)),
    (Srv::new(7, 4, 0), |at| orders::read_supply_status(at.device)),
    (Srv::new(12, 2, 0), pre_notification),
    (Srv::new(4, 1, 1), |at| orders::read_import_registers(at.device)),
];

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

/// The script of one installation: hub, electricity meter, then the gas side.
pub(crate) fn script(site: &Site) -> Vec<Act> {
    let kinds = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];
    let devices = kinds.into_iter().filter_map(|kind| Some((kind, site.device(kind)?)));
    if !site.template().enrolled {
        // Of what the DCC must not touch, one request per device shows that it does not.
        return devices
            .filter(|(kind, _)| *kind != DeviceKind::Chf)
            .map(|(_, device)| Act {
                device,
                order: |at| orders::read_import_registers(at.device),
            })
            .collect();
    }
    devices
        .flat_map(|(kind, device)| {
            SEQUENCE
                .into_iter()
                .filter(move |(srv, _)| sent_to(*srv, kind))
                .map(move |(_, order)| Act { device, order })
        })
        .collect()
}

/// Whether the pack sends this variant to devices of this kind: where the table says it applies, and 7.1 to a gas meter,
/// which must refuse it. DCC-only requests are made once per device (8.2) or once per hub (12.2).
fn sent_to(srv: Srv, kind: DeviceKind) -> bool {
    let Some(row) = steps::table().row(srv) else {
        return false;
    };
    match (row.mode, row.state) {
        (Mode::DccOnly, State::Dcc) => srv != Srv::new(12, 2, 0) || kind == DeviceKind::Chf,
        (Mode::Device, State::EndToEnd) => {
            row.kinds.contains(&kind) || (srv == Srv::new(7, 1, 0) && kind == DeviceKind::Gsme)
        }
        _ => false,
    }
}

/// How many cells an installation gives.
pub(crate) fn cells(site: &Site) -> usize {
    script(site).len()
}
