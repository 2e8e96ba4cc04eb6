//! The one description of which COSEM object carries what: the meter's end and the head end's end both read it.
//!
//! Objects 1.x, 7.x, clock, disconnect control and the profiles are standard or known from GB metering; the places of
//! tariff blocks and of debt suspension, and the `LAB` classes, are ours.

use cosem::{Attribute, Obis};
use domain::{DataItem, DeviceKind, Unit};

pub(crate) use super::log_objects::{LOGS, half_hourly, log_at, log_objects};

pub(crate) const CLASS_DATA: u16 = 1;
pub(crate) const CLASS_REGISTER: u16 = 3;
pub(crate) const CLASS_PROFILE: u16 = 7;
pub(crate) const CLASS_CLOCK: u16 = 8;
pub(crate) const CLASS_SCRIPTS: u16 = 9;
pub(crate) const CLASS_ASSOCIATION: u16 = 15;
pub(crate) const CLASS_SAPS: u16 = 17;
pub(crate) const CLASS_IMAGE: u16 = 18;
pub(crate) const CLASS_SECURITY: u16 = 64;
pub(crate) const CLASS_DISCONNECT: u16 = 70;
pub(crate) const CLASS_NETWORK: u16 = 104;
pub(crate) const CLASS_ACCOUNT: u16 = 111;
pub(crate) const CLASS_CREDIT: u16 = 112;
pub(crate) const CLASS_CHARGE: u16 = 113;
pub(crate) const CLASS_TOKEN_GATEWAY: u16 = 115;
/// GBCS extended data: attribute 2 is the value in force.
pub(crate) const CLASS_EXTENDED: u16 = 9000;
/// Ours: attribute 2 is the counter of the last approval presented, attribute 3 what was wrong with the last one, method
/// 1 presents one for the next operation of the association.
pub(crate) const CLASS_LAB_APPROVAL: u16 = 0x8000;
/// Ours: method 1 submits an operation in our compact form.
pub(crate) const CLASS_LAB_QUEUE: u16 = 0x8001;

pub(crate) const LOGICAL_DEVICE_NAME: Obis = Obis::new(0, 0, 42, 0, 0, 255);
pub(crate) const CLOCK: Obis = Obis::new(0, 0, 1, 0, 0, 255);
pub(crate) const INVOCATION_COUNTER: Obis = Obis::new(0, 0, 43, 1, 0, 255);
pub(crate) const ASSOCIATION: Obis = Obis::new(0, 0, 40, 0, 0, 255);
pub(crate) const SAPS: Obis = Obis::new(0, 0, 41, 0, 0, 255);
pub(crate) const SECURITY: Obis = Obis::new(0, 0, 43, 0, 0, 255);
pub(crate) const DISCONNECT: Obis = Obis::new(0, 0, 96, 3, 10, 255);
pub(crate) const SUPPLY_SCRIPTS: Obis = Obis::new(0, 0, 10, 0, 106, 255);
/// Script 1 sets the counters of tariff blocks back.
pub(crate) const BLOCK_SCRIPTS: Obis = Obis::new(0, 0, 10, 0, 100, 255);
pub(crate) const METER_BALANCE: Obis = Obis::new(0, 0, 19, 10, 0, 255);
pub(crate) const EMERGENCY_CREDIT: Obis = Obis::new(0, 0, 19, 10, 1, 255);
pub(crate) const TOKEN_GATEWAY: Obis = Obis::new(0, 0, 19, 40, 0, 255);
pub(crate) const LOAD_LIMIT_COUNTER: Obis = Obis::new(0, 0, 94, 44, 42, 255);
pub(crate) const SUPPLIER_MESSAGE: Obis = Obis::new(0, 2, 96, 13, 1, 255);
pub(crate) const IMAGE_TRANSFER: Obis = Obis::new(0, 0, 44, 0, 0, 255);
pub(crate) const EVENT_CODE: Obis = Obis::new(0, 0, 96, 11, 0, 255);
pub(crate) const LAB_APPROVAL: Obis = Obis::new(0, 0, 128, 0, 0, 255);
pub(crate) const LAB_QUEUE: Obis = Obis::new(0, 0, 128, 1, 0, 255);

/// Scripts of [`SUPPLY_SCRIPTS`].
pub(crate) const SCRIPT_DISABLE: u16 = 1;
pub(crate) const SCRIPT_ENABLE: u16 = 2;
pub(crate) const SCRIPT_ARM: u16 = 3;

const ESME: &[DeviceKind] = &[DeviceKind::Esme];
const GAS: &[DeviceKind] = &[DeviceKind::Gpf, DeviceKind::Gsme];
pub(super) const METERS: &[DeviceKind] = &[DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];
const ALL: &[DeviceKind] = &[DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];

/// How a value stands in its attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// date-time in an octet-string, status included.
    Clock,
    /// array of structures of identity, kind and last time heard.
    Devices,
    /// boolean.
    Flag,
    /// A number of this unit: long64.
    Number(Unit),
    /// structure of account mode and status.
    Payment,
    /// A register of this unit, with scaler and unit code in attribute 3: double-long-unsigned.
    Register(Unit, i8, u8),
    /// enum: control state.
    Supply,
    /// octet-string of characters.
    Text,
}

/// Where one item stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) item: DataItem,
    pub(crate) attribute: Attribute,
    pub(crate) shape: Shape,
}

struct Row {
    slots: &'static [DeviceKind],
    items: Items,
    class: u16,
    object: [u8; 5],
    index: i8,
    shape: Shape,
}

enum Items {
    /// One item at this object.
    One(DataItem),
    /// Items 1 to `count`, each at its own object: part E of the name is counted on from the row's.
    Each(u8, fn(u8) -> DataItem),
}

const WH: Shape = Shape::Register(Unit::WattHour, 0, 30);
const VARH: Shape = Shape::Register(Unit::VarHour, 0, 32);
/// Thousandths of a cubic metre.
const LITRE: Shape = Shape::Register(Unit::Litre, -3, 13);
const DAYS: Shape = Shape::Register(Unit::Count, 0, 4);
/// Thousandths of a penny per kWh, as hundred-thousandths of a pound.
const PRICE: Shape = Shape::Register(Unit::MilliPence, -5, 10);
const COUNT: Shape = Shape::Register(Unit::Count, 0, 255);
const MONEY: Shape = Shape::Number(Unit::MilliPence);

const fn row(slots: &'static [DeviceKind], items: Items, class: u16, object: [u8; 5], index: i8, shape: Shape) -> Row {
    Row {
        slots,
        items,
        class,
        object,
        index,
        shape,
    }
}

/// Whether an auxiliary load switch is on; part B of its name is its number.
const fn auxiliary(switch: u8) -> Row {
    row(
        ESME,
        Items::One(DataItem::AuxiliaryLoadSwitch(switch)),
        CLASS_DISCONNECT,
        [0, switch, 96, 3, 10],
        2,
        Shape::Flag,
    )
}

/// One item at an object whose part F is not 255.
struct Special {
    slots: &'static [DeviceKind],
    item: DataItem,
    class: u16,
    object: [u8; 6],
    shape: Shape,
}

const fn special(slots: &'static [DeviceKind], item: DataItem, class: u16, end: [u8; 3], shape: Shape) -> Special {
    Special {
        slots,
        item,
        class,
        object: [0, 0, 94, end[0], end[1], end[2]],
        shape,
    }
}

/// A prepayment limit or switch.
const fn limit(item: DataItem, e: u8, f: u8, shape: Shape) -> Special {
    special(METERS, item, CLASS_EXTENDED, [44, e, f], shape)
}

static TABLE: &[Row] = &[
    row(
        ESME,
        Items::One(DataItem::ActiveImport),
        CLASS_REGISTER,
        [1, 0, 1, 8, 0],
        2,
        WH,
    ),
    row(
        ALL,
        Items::One(DataItem::Clock),
        CLASS_CLOCK,
        [0, 0, 1, 0, 0],
        2,
        Shape::Clock,
    ),
    row(
        ALL,
        Items::One(DataItem::FirmwareVersion),
        CLASS_DATA,
        [0, 0, 0, 2, 1],
        2,
        Shape::Text,
    ),
    row(
        ESME,
        Items::One(DataItem::ActiveExport),
        CLASS_REGISTER,
        [1, 0, 2, 8, 0],
        2,
        WH,
    ),
    row(
        ESME,
        Items::One(DataItem::ReactiveImport),
        CLASS_REGISTER,
        [1, 0, 3, 8, 0],
        2,
        VARH,
    ),
    row(
        ESME,
        Items::One(DataItem::ReactiveExport),
        CLASS_REGISTER,
        [1, 0, 4, 8, 0],
        2,
        VARH,
    ),
    row(
        ESME,
        Items::One(DataItem::SecondaryActiveImport),
        CLASS_REGISTER,
        [1, 20, 1, 8, 0],
        2,
        WH,
    ),
    row(
        ESME,
        Items::Each(48, DataItem::TouRegister),
        CLASS_REGISTER,
        [1, 0, 1, 8, 0],
        2,
        WH,
    ),
    row(
        ESME,
        Items::Each(4, DataItem::BlockRegister),
        CLASS_REGISTER,
        [1, 0, 1, 8, 128],
        2,
        WH,
    ),
    row(
        GAS,
        Items::One(DataItem::GasConsumption),
        CLASS_REGISTER,
        [7, 0, 3, 0, 0],
        2,
        LITRE,
    ),
    row(
        GAS,
        Items::Each(48, DataItem::TouRegister),
        CLASS_REGISTER,
        [7, 0, 3, 0, 0],
        2,
        LITRE,
    ),
    row(
        GAS,
        Items::Each(4, DataItem::BlockRegister),
        CLASS_REGISTER,
        [7, 0, 3, 0, 128],
        2,
        LITRE,
    ),
    row(
        GAS,
        Items::One(DataItem::BatteryRemaining),
        CLASS_REGISTER,
        [0, 0, 96, 6, 6],
        2,
        DAYS,
    ),
    row(
        METERS,
        Items::One(DataItem::SupplyState),
        CLASS_DISCONNECT,
        [0, 0, 96, 3, 10],
        3,
        Shape::Supply,
    ),
    row(
        METERS,
        Items::One(DataItem::PaymentMode),
        CLASS_ACCOUNT,
        [0, 0, 19, 0, 0],
        2,
        Shape::Payment,
    ),
    row(
        METERS,
        Items::One(DataItem::MeterBalance),
        CLASS_CREDIT,
        [0, 0, 19, 10, 0],
        2,
        MONEY,
    ),
    row(
        METERS,
        Items::One(DataItem::EmergencyCreditBalance),
        CLASS_CREDIT,
        [0, 0, 19, 10, 1],
        2,
        MONEY,
    ),
    row(
        METERS,
        Items::One(DataItem::AccumulatedDebt),
        CLASS_CREDIT,
        [0, 0, 19, 10, 2],
        2,
        MONEY,
    ),
    row(
        METERS,
        Items::Each(2, DataItem::TimeDebt),
        CLASS_CHARGE,
        [0, 0, 19, 20, 0],
        12,
        MONEY,
    ),
    row(
        METERS,
        Items::One(DataItem::PaymentDebt),
        CLASS_CHARGE,
        [0, 0, 19, 20, 3],
        12,
        MONEY,
    ),
    row(
        METERS,
        Items::One(DataItem::DebtRecoveryPerPayment),
        CLASS_CHARGE,
        [0, 0, 19, 20, 3],
        13,
        Shape::Number(Unit::HundredthPercent),
    ),
    row(
        ESME,
        Items::Each(4, DataItem::SecondaryTouRegister),
        CLASS_REGISTER,
        [1, 20, 1, 8, 0],
        2,
        WH,
    ),
    row(
        ESME,
        Items::One(DataItem::LoadLimitCounter),
        CLASS_REGISTER,
        [0, 0, 94, 44, 42],
        2,
        COUNT,
    ),
    auxiliary(1),
    auxiliary(2),
    auxiliary(3),
    auxiliary(4),
    auxiliary(5),
    row(
        METERS,
        Items::One(DataItem::SupplierMessage),
        CLASS_DATA,
        [0, 2, 96, 13, 1],
        2,
        Shape::Text,
    ),
    row(
        ALL,
        Items::One(DataItem::DeviceLog),
        CLASS_NETWORK,
        [0, 0, 30, 3, 0],
        4,
        Shape::Devices,
    ),
];

/// Prepayment limits and switches, and what is in force now: part F of their names is not 255.
static SPECIAL: &[Special] = &[
    limit(DataItem::MaximumCredit, 2, 10, MONEY),
    limit(DataItem::MaximumMeterBalance, 2, 20, MONEY),
    limit(DataItem::EmergencyCreditLimit, 128, 2, MONEY),
    limit(DataItem::EmergencyCreditThreshold, 128, 3, MONEY),
    limit(DataItem::LowCreditThreshold, 128, 9, MONEY),
    limit(DataItem::DebtRecoveryRateCap, 128, 12, MONEY),
    limit(DataItem::DisablementThreshold, 128, 22, MONEY),
    limit(DataItem::SuspendDebtDisabled, 128, 30, Shape::Flag),
    limit(DataItem::SuspendDebtEmergency, 128, 31, Shape::Flag),
    special(METERS, DataItem::ActiveTariffPrice, CLASS_REGISTER, [44, 1, 7], PRICE),
    special(
        ESME,
        DataItem::ActivePowerImport,
        CLASS_DATA,
        [44, 34, 20],
        Shape::Number(Unit::Watt),
    ),
];

/// Where an item of this slot stands; `None` when the face has no object for it.
pub(crate) fn place(slot: DeviceKind, item: DataItem) -> Option<Place> {
    places(slot).find(|place| place.item == item)
}

/// What an attribute of this slot holds; `None` when it is no data item.
pub(crate) fn item_at(slot: DeviceKind, attribute: &Attribute) -> Option<Place> {
    let Obis([a, b, c, d, e, f]) = attribute.object;
    for row in TABLE {
        let [ra, rb, rc, rd, re] = row.object;
        if row.class != attribute.class || row.index != attribute.index || [ra, rb, rc, rd, 255] != [a, b, c, d, f] {
            continue;
        }
        let item = match row.items {
            Items::One(item) if re == e => item,
            Items::Each(count, item) if (1..=count).contains(&e.wrapping_sub(re)) => item(e.wrapping_sub(re)),
            _ => continue,
        };
        if row.slots.contains(&slot) {
            return Some(Place {
                item,
                attribute: *attribute,
                shape: row.shape,
            });
        }
    }
    specials(slot).find(|place| place.attribute == *attribute)
}

/// Everything this slot can hold, in a fixed order.
pub(crate) fn places(slot: DeviceKind) -> impl Iterator<Item = Place> {
    let rows = TABLE
        .iter()
        .filter(move |row| row.slots.contains(&slot))
        .flat_map(|row| {
            let [a, b, c, d, e] = row.object;
            let count = match row.items {
                Items::One(_) => 1,
                Items::Each(count, _) => count,
            };
            (1..=count).map(move |number| {
                let (item, e) = match row.items {
                    Items::One(item) => (item, e),
                    Items::Each(_, item) => (item(number), e.wrapping_add(number)),
                };
                let attribute = Attribute {
                    class: row.class,
                    object: Obis([a, b, c, d, e, 255]),
                    index: row.index,
                };
                Place {
                    item,
                    attribute,
                    shape: row.shape,
                }
            })
        });
    rows.chain(specials(slot))
}

fn specials(slot: DeviceKind) -> impl Iterator<Item = Place> {
    SPECIAL
        .iter()
        .filter(move |special| special.slots.contains(&slot))
        .map(|special| Place {
            item: special.item,
            attribute: Attribute {
                class: special.class,
                object: Obis(special.object),
                index: 2,
            },
            shape: special.shape,
        })
}

/// Whether a slot has the object that firmware goes by; other devices get theirs through the hub.
pub(crate) fn takes_images(slot: DeviceKind) -> bool {
    matches!(slot, DeviceKind::Chf | DeviceKind::Esme)
}

/// Attributes and methods that objects of a class have here; attribute 1 is the name everywhere.
pub(crate) fn members(class: u16) -> (&'static [i8], &'static [i8]) {
    match class {
        CLASS_REGISTER => (&[1, 2, 3], &[1]),
        CLASS_PROFILE => (&[1, 2, 3, 4, 5, 6, 7, 8], &[1]),
        CLASS_CLOCK => (&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[4, 5]),
        CLASS_SCRIPTS => (&[1, 2], &[1]),
        CLASS_ASSOCIATION => (&[1, 2, 3, 4, 6, 8, 9], &[1]),
        CLASS_IMAGE => (&[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4]),
        CLASS_SECURITY => (&[1, 2, 3, 5], &[]),
        CLASS_DISCONNECT => (&[1, 2, 3, 4], &[1, 2]),
        CLASS_NETWORK => (&[1, 4], &[]),
        CLASS_CHARGE => (&[1, 12, 13], &[]),
        CLASS_CREDIT => (&[1, 2], &[1, 2, 3]),
        CLASS_TOKEN_GATEWAY => (&[1], &[1]),
        CLASS_LAB_APPROVAL => (&[1, 2, 3], &[1]),
        CLASS_LAB_QUEUE => (&[1], &[1]),
        _ => (&[1, 2], &[]),
    }
}

/// Version of a class, as the object list states it.
pub(crate) fn version(class: u16) -> u8 {
    match class {
        CLASS_PROFILE | CLASS_ASSOCIATION => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_through_the_description_agree() {
        for slot in [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme, DeviceKind::Chf] {
            let mut seen = Vec::new();
            for place in places(slot) {
                assert_eq!(item_at(slot, &place.attribute), Some(place));
                assert!(!seen.contains(&place.attribute), "{place:?} twice");
                seen.push(place.attribute);
            }
            for log in LOGS {
                for object in log_objects(slot, log) {
                    assert_eq!(log_at(slot, *object), Some(log));
                }
            }
        }
        assert_eq!(
            places(DeviceKind::Esme)
                .filter(|p| matches!(p.item, DataItem::TouRegister(_)))
                .count(),
            48
        );
    }
}
