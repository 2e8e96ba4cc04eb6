//! What the pack sends to an installation, in which order.

mod commands;
mod dcc;
mod han;
mod prepayment;
mod reads;
mod settings;

use domain::image::ImageHead;
use domain::{DeviceKind, DeviceModel, Eui64, SimDuration, SimInstant, Srv};
use fleet::Site;
use steps::table::{Mode, State};
use users::{Order, orders};

/// Makes an order when its turn comes.
type MakeOrder = fn(&At) -> Order;

/// One request of the script.
pub(crate) struct Act {
    /// The device the cell stands under.
    pub(crate) device: Eui64,
    pub(crate) srv: Srv,
    pub(crate) order: MakeOrder,
}

/// What an order may depend on.
pub(crate) struct At {
    pub(crate) device: Eui64,
    pub(crate) kind: DeviceKind,
    pub(crate) dcc: Eui64,
    pub(crate) now: SimInstant,
    /// The model and firmware the device's profile names.
    pub(crate) model: DeviceModel,
    /// What makes a device of that firmware of it: itself once more.
    pub(crate) image: Option<ImageHead>,
    /// Where its installation is.
    pub(crate) property: Property,
}

/// Where an installation is, as 8.2 can look it up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Property {
    pub(crate) uprn: String,
    pub(crate) post_code: String,
    pub(crate) address: String,
}

impl At {
    /// An image that makes of the device what it is already.
    fn image(&self) -> Vec<u8> {
        let image = self.image.as_ref();
        image.map_or_else(Vec::new, |head| head.image(domain::image::USUAL_OCTETS))
    }

    /// The last three days, which every daily log reaches.
    pub(crate) fn three_days(&self) -> orders::Period {
        orders::Period {
            from: self.now - SimDuration::from_days(3),
            to: self.now,
        }
    }
}

/// The model of a device without a profile.
pub(crate) fn no_model() -> DeviceModel {
    DeviceModel {
        manufacturer: String::new(),
        model: String::new(),
        hardware: String::new(),
        firmware: String::new(),
    }
}

/// A service reference variant and the order that stands for it.
type Turn = (Srv, MakeOrder);

/// The orders a device gets, in their order: a file per group. Supply last: it leaves traces.
fn sequence() -> impl Iterator<Item = Turn> {
    [
        dcc::FIRST,
        reads::SEQUENCE,
        prepayment::SEQUENCE,
        settings::SEQUENCE,
        commands::SEQUENCE,
        han::SEQUENCE,
        dcc::LAST,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The script of one installation: hub, electricity meter, the gas side, then what listens on the home area network.
pub(crate) fn script(site: &Site) -> Vec<Act> {
    let devices = site.devices().into_iter().map(|device| (device.kind, device.device));
    if !site.enrolled() {
        // Of what the DCC must not touch, one request per device shows that it does not.
        return devices
            .filter(|(kind, _)| matches!(kind, DeviceKind::Esme | DeviceKind::Gpf | DeviceKind::Gsme))
            .map(|(_, device)| Act {
                device,
                srv: Srv::new(4, 1, 1),
                order: |at| orders::read_import_registers(at.device),
            })
            .collect();
    }
    let by_property = dcc::BY_PROPERTY.iter().map(|(srv, order)| Act {
        device: site.hub(),
        srv: *srv,
        order: *order,
    });
    let script = devices.flat_map(|(kind, device)| {
        sequence()
            .filter(move |(srv, _)| sent_to(*srv, kind))
            .map(move |(srv, order)| Act { device, srv, order })
    });
    by_property.chain(script).collect()
}

/// The order with which the pack asks for this variant.
pub(crate) fn order(srv: Srv, at: &At) -> Option<Order> {
    sequence().find(|(of, _)| *of == srv).map(|(_, order)| order(at))
}

/// The variants that the pack sends to devices of this kind, in its order.
pub(crate) fn variants(kind: DeviceKind) -> impl Iterator<Item = Srv> {
    sequence().map(|(srv, _)| srv).filter(move |srv| sent_to(*srv, kind))
}

/// Whether the pack sends this variant to devices of this kind: where the table says it applies, and 7.1 to a gas meter,
/// which must refuse it. DCC-only requests are made as [`dcc::made_for`] says.
fn sent_to(srv: Srv, kind: DeviceKind) -> bool {
    let Some(row) = steps::table().row(srv) else {
        return false;
    };
    match (row.mode, row.state) {
        (Mode::DccOnly, State::Dcc) => dcc::made_for(srv, kind),
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
