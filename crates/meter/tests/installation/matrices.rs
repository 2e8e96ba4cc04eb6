//! Matrices of registers, and how a profile shows values.

use super::*;
use domain::Unit;
use domain::operation::Counter;
use meter::{GasUnit, Rounding, Tariff};
use std::sync::Arc;

fn table(home: &mut Home, slot: DeviceKind, item: DataItem) -> Vec<(DataItem, Quantity)> {
    match home.value(slot, item) {
        Value::Table(table) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_matrix_is_its_registers() {
    let mut config = config();
    config.tariff = Arc::new(Tariff::night_rate());
    config.second_element = true;
    let mut home = Home::new("2019-06-29T13:30:00Z", config);
    let tou = table(&mut home, DeviceKind::Esme, DataItem::TouRegisters);
    assert_eq!(tou.len(), 48);
    for (item, quantity) in &tou {
        assert_eq!(home.value(DeviceKind::Esme, *item), Value::Quantity(*quantity));
    }
    let total: i64 = tou.iter().map(|(_, quantity)| quantity.value).sum();
    assert_eq!(total, home.number(DeviceKind::Esme, DataItem::ActiveImport));
    assert!(tou[0].1.value > 0 && tou[1].1.value > 0 && tou[2].1.value == 0);
    let second = table(&mut home, DeviceKind::Esme, DataItem::SecondaryTouRegisters);
    assert_eq!(second.len(), 4);
    assert_eq!(
        second[0].1.value,
        home.number(DeviceKind::Esme, DataItem::SecondaryActiveImport)
    );
    let gas = table(&mut home, DeviceKind::Gpf, DataItem::TouRegisters);
    assert_eq!(gas.len(), 4);
    assert_eq!(gas[0].1.value, home.number(DeviceKind::Gpf, DataItem::GasConsumption));
}

#[test]
fn blocks_count_in_the_period_and_since_fitting() {
    let mut config = config();
    config.tariff = Arc::new(
        Tariff::single_rate()
            .with_blocks(&[20_000, 50_000], &[10_000, 15_000, 20_000])
            .with_billing_day(7),
    );
    let mut home = Home::new("2019-06-29T13:30:00Z", config);
    let counters = table(&mut home, DeviceKind::Esme, DataItem::BlockTouCounters);
    assert_eq!(counters.len(), 32);
    let of_band = |table: &[(DataItem, Quantity)], band: u8| -> Vec<i64> {
        let items = table
            .iter()
            .filter(|(item, _)| matches!(item, DataItem::BlockTouRegister(_, b) if *b == band));
        items.map(|(_, quantity)| quantity.value).collect()
    };
    let blocks: Vec<i64> = (1..=4)
        .map(|n| home.number(DeviceKind::Esme, DataItem::BlockRegister(n)))
        .collect();
    assert_eq!(of_band(&counters, 1), blocks);
    assert_eq!(of_band(&counters, 2), [0; 4]);
    let registers = table(&mut home, DeviceKind::Esme, DataItem::BlockTouRegisters);
    let all: i64 = of_band(&registers, 1).iter().sum();
    assert_eq!(all, home.number(DeviceKind::Esme, DataItem::ActiveImport));

    // Counters begin anew on command; registers do not.
    let before = home.number(DeviceKind::Esme, DataItem::ActiveImport);
    home.finished(
        DeviceKind::Esme,
        S1SP,
        &Operation::ResetCounters(vec![Counter::TariffBlocks]),
        None,
    )
    .expect("an electricity meter has counters");
    assert_eq!(
        of_band(&table(&mut home, DeviceKind::Esme, DataItem::BlockTouCounters), 1),
        [0; 4]
    );
    home.run(SimDuration::from_hours(5));
    let used = home.number(DeviceKind::Esme, DataItem::ActiveImport) - before;
    let counted = of_band(&table(&mut home, DeviceKind::Esme, DataItem::BlockTouCounters), 1);
    assert_eq!(counted.iter().sum::<i64>(), used);
}

#[test]
fn a_profile_shows_values_in_its_own_way() {
    let mut home = Home::new("2019-06-29T13:30:00Z", config());
    let exact = home.number(DeviceKind::Esme, DataItem::ActiveImport);
    home.esme.values.register_step = 1_000;
    home.esme.values.rounding = Rounding::Down;
    let shown = home.number(DeviceKind::Esme, DataItem::ActiveImport);
    assert_eq!(shown, exact / 1_000 * 1_000);
    home.esme.values.register_wrap = Some(100_000);
    assert_eq!(home.number(DeviceKind::Esme, DataItem::ActiveImport), shown % 100_000);
    home.esme = Profile::default();
    home.esme.tariff.register_order = vec![7, 2];
    let tou = table(&mut home, DeviceKind::Esme, DataItem::TouRegisters);
    assert_eq!((tou[0].1.value, tou[6].1.value), (exact, exact), "{:?}", &tou[..8]);

    let litres = home.number(DeviceKind::Gpf, DataItem::GasConsumption);
    // The proxy mirrors what the gas meter says, in its unit: 39.5 MJ times 1.02264 are 11 220.6 Wh a cubic metre.
    home.gsme.values.gas_unit = GasUnit::WattHour;
    assert_eq!(
        home.value(DeviceKind::Gpf, DataItem::GasConsumption),
        Value::Quantity(Quantity::new(litres * 112_206 / 10_000, Unit::WattHour))
    );
}
