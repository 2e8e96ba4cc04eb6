//! The commissioning party's checks over a record and what surrounds it: each finds its condition, in the order of groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{DataItem, DeviceKind, Eui64, Mpxn, SimInstant};
use jiff::civil::{Date, date};
use migration::Settings;
use migration::party::{Registered, Sight, validate};
use migration::planning::gates::{Combination, ListedModel, Lists};
use proto::{DeviceRecord, InstallationRecord, ItemValue, MeteringPoint, Quantity};

const SUPPLIER: Eui64 = Eui64(7);
const MPAN: &str = "9900000000001";
const MPRN: &str = "990000001";

fn now() -> SimInstant {
    "2019-06-10T09:00:00Z".parse().expect("an instant")
}

/// Approves and lists everything, or nothing.
struct All(bool, bool);

impl Lists for All {
    fn epcl(&self, _: &Combination, _: Date) -> Option<String> {
        self.0.then(|| "E1".into())
    }
    fn cpl_active(&self, _: DeviceKind, model: &ListedModel) -> bool {
        self.1 || model.model != "GSME"
    }
    fn upgrade_target(&self, _: &Combination, _: Date) -> Option<(String, Combination)> {
        None
    }
}

fn record() -> InstallationRecord {
    let kinds = ["CHF", "ESME", "GPF", "GSME"];
    let device = |(kind, id): (&str, u64)| DeviceRecord {
        device: id,
        kind: kind.into(),
        model: kind.into(),
        firmware: "E1".into(),
        authorised_firmware: "E1".into(),
        in_scope: true,
        readings: vec![ItemValue {
            item: DataItem::MeterBalance.name(),
            quantity: Some(Quantity {
                value: 500_000,
                unit: String::new(),
            }),
        }],
        ..DeviceRecord::default()
    };
    let point = |mpxn: &str| MeteringPoint {
        mpxn: mpxn.into(),
        responsible_supplier: SUPPLIER.0,
        prepayment: true,
        authorisation: "file:1".into(),
        authorised_from: "2019-06-10".into(),
        authorised_to: "2019-06-16".into(),
        ..MeteringPoint::default()
    };
    InstallationRecord {
        installation_id: "LAB-I-0000000000000001".into(),
        cohort: "ioc".into(),
        communications_provider: "vodafone".into(),
        hub: 1,
        devices: kinds.into_iter().zip(1..).map(device).collect(),
        points: [MPAN, MPRN].map(point).to_vec(),
        snapshot_ms: now().0,
        ..InstallationRecord::default()
    }
}

fn sight() -> Sight {
    let registered = |mpxn: &str| {
        let mpxn: Mpxn = mpxn.parse().expect("a point");
        let known = Registered {
            supplier: SUPPLIER,
            next: None,
        };
        (mpxn, known)
    };
    Sight {
        inventory: Some(BTreeMap::from([(Eui64(2), "Pending".to_owned())])),
        registration: Some([MPAN, MPRN].map(registered).into_iter().collect()),
        lists: Some(Arc::new(All(true, true))),
        ..Sight::default()
    }
}

/// What is found after a change: conditions with their devices.
fn found(change: impl FnOnce(&mut InstallationRecord, &mut Sight)) -> Vec<(String, u64)> {
    let settings = Settings::builtin().expect("built-in settings");
    let (mut record, mut sight) = (record(), sight());
    change(&mut record, &mut sight);
    let found = validate(&record, &settings, &sight, now());
    assert!(
        found
            .iter()
            .all(|condition| condition.installation_id == record.installation_id)
    );
    found
        .into_iter()
        .map(|condition| (condition.kind, condition.device))
        .collect()
}

fn registered(sight: &mut Sight, mpxn: &str) -> Registered {
    let all = sight.registration.as_mut().expect("looked at");
    all.remove(&mpxn.parse().expect("a point")).expect("registered")
}

#[test]
fn every_check_finds_what_it_is_for() {
    type Change = fn(&mut InstallationRecord, &mut Sight);
    let cases: [(Change, &[(&str, u64)]); 27] = [
        (|_, _| {}, &[]),
        (
            |record, _| record.devices.push(record.devices[0].clone()),
            &[("shape-wrong", 0); 2],
        ),
        (|record, _| record.hub = 9, &[("shape-wrong", 0)]),
        (
            |record, _| record.devices[2].kind = "ESME".into(),
            &[("shape-wrong", 0)],
        ),
        (
            |record, _| record.devices[2].kind = "TOASTER".into(),
            &[("shape-wrong", 0); 2],
        ),
        (
            |_, sight| sight.inventory = Some(BTreeMap::from([(Eui64(2), "Commissioned".into())])),
            &[("already-live", 2)],
        ),
        (
            |_, sight| {
                let _gone = registered(sight, MPAN);
            },
            &[("not-registered", 0)],
        ),
        (|record, _| record.devices.truncate(2), &[("fuel-differs", 0)]),
        (
            |record, _| record.points[1].responsible_supplier = 8,
            &[("supplier-differs", 0)],
        ),
        (
            |record, _| record.points[0].authorisation.clear(),
            &[("not-authorised", 0)],
        ),
        (
            |record, _| record.points[1].authorised_to = "2019-06-09".into(),
            &[("out-of-date", 0)],
        ),
        (
            |record, _| record.points[0].authorised_from = "2019-06-11".into(),
            &[("out-of-date", 0)],
        ),
        (
            |_, sight| sight.uncertified = [SUPPLIER].into(),
            &[("certificate-not-good", 0)],
        ),
        (
            |record, _| record.devices[1].firmware = "E2".into(),
            &[("firmware-differs", 2)],
        ),
        (
            |record, _| {
                record.devices[3].firmware = "E2".into();
                record.devices[3].in_scope = false;
            },
            &[],
        ),
        (|record, _| record.open_top_ups = 1, &[("top-up-open", 0)]),
        (
            |record, _| record.devices[0].firmware_under_way = true,
            &[("firmware-under-way", 1)],
        ),
        (
            |record, _| {
                record.open_top_ups = 2;
                quantity(record).value = 0;
            },
            &[("credit-under-margin", 4), ("top-up-open", 0)],
        ),
        (
            |_, sight| sight.lists = Some(Arc::new(All(false, true))),
            &[("not-on-epcl", 0)],
        ),
        (
            |_, sight| sight.lists = Some(Arc::new(All(true, false))),
            &[("cpl-not-active", 4)],
        ),
        (
            |record, _| record.communications_provider = "telefonica".into(),
            &[("provider-differs", 0)],
        ),
        (
            |_, sight| sight.excluded = Some("LAB-EX-DMC".into()),
            &[("excluded", 0)],
        ),
        (|record, _| record.snapshot_ms -= 5 * 3_600_000, &[("snapshot-old", 0)]),
        (
            |record, _| quantity(record).value = 199_000,
            &[("credit-under-margin", 4)],
        ),
        (|record, _| quantity(record).value = 200_000, &[]),
        (
            |record, _| {
                quantity(record).value = 0;
                record.points[1].prepayment = false;
            },
            &[],
        ),
        // What was not looked at is taken as good.
        (|_, sight| *sight = Sight::default(), &[]),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let expected: Vec<_> = expected
            .iter()
            .map(|(kind, device)| ((*kind).to_owned(), *device))
            .collect();
        assert_eq!(found(change), expected, "case {number}");
    }
}

/// Credit of the gas meter, in milli-pence.
fn quantity(record: &mut InstallationRecord) -> &mut Quantity {
    record.devices[3].readings[0].quantity.as_mut().expect("a balance")
}

#[test]
fn a_change_of_supplier_is_pending_only_inside_the_window() {
    for (day, expected) in [(date(2019, 6, 12), 1), (date(2019, 6, 13), 0)] {
        let found = found(|_, sight| {
            let known = registered(sight, MPRN);
            let next = Some((Eui64(9), day));
            let all = sight.registration.as_mut().expect("looked at");
            all.insert(MPRN.parse().expect("a point"), Registered { next, ..known });
        });
        assert_eq!(found.len(), expected, "{day}: {found:?}");
        assert!(found.iter().all(|(kind, _)| kind == "change-of-supplier-pending"));
    }
}

#[test]
fn after_the_first_group_with_a_failure_the_rest_are_not_checked() {
    let found = found(|record, sight| {
        sight.excluded = Some("LAB-EX-DMC".into());
        record.points[0].authorisation.clear();
        record.snapshot_ms = 0;
    });
    assert_eq!(found, [("not-authorised".to_owned(), 0)]);
}
