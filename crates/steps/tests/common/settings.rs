//! One example of every setting, with something in all its parts.

use domain::operation::{
    AlertBehaviour, AnyDate, AnyDay, BillingCalendar, BillingPeriod, Currency, GasFlow, LoadLimit,
    NonDisablementCalendar, NonDisablementRule, PaymentMode, PaymentSetting, PrepaymentConfiguration, Prices, Setting,
    SettingKind, SwitchingTable, TariffAction, TariffDay, TariffSeason, TariffTables, TariffWeek, VoltageSettings,
};

pub(crate) fn example(kind: SettingKind, gas: bool) -> Setting {
    use SettingKind as K;
    match kind {
        K::AlertBehaviour => Setting::AlertBehaviour(AlertBehaviour {
            wan: vec![(0x810D, true), (0x8145, false)],
            han: vec![(0x810D, false)],
            alarm: vec![(0x81AA, true)],
            logged: vec![(0x810D, true), (0x8145, true), (0x81C6, false)],
        }),
        K::BillingCalendar => Setting::BillingCalendar(BillingCalendar {
            minute: 720,
            start: gas.then(|| "2019-03-01T00:00:00Z".parse().expect("an instant")),
            period: if gas {
                BillingPeriod::Weekly(1)
            } else {
                BillingPeriod::Quarterly(7, 2)
            },
        }),
        K::DailyBlockReset => Setting::DailyBlockReset(true),
        K::ExportMpan => Setting::ExportMpan("9900000000028".into()),
        K::GasConversion => Setting::GasConversion((39_501, 102_264)),
        K::GasFlow => Setting::GasFlow(GasFlow {
            uncontrolled_flow_milli: 6_168,
            depletion_locks: true,
            tamper_locks: false,
            stabilisation: 60,
            measurement: 300,
        }),
        K::ImportMpxn if gas => Setting::ImportMpxn(("9000000001".into(), None)),
        K::ImportMpxn => Setting::ImportMpxn(("9900000000001".into(), Some("9900000000019".into()))),
        K::LoadLimit => Setting::LoadLimit(LoadLimit {
            period_s: 300,
            threshold_w: 6_900,
            restoration_s: 30,
            disables: true,
        }),
        K::MaximumDemandPeriod => Setting::MaximumDemandPeriod((1_020, 1_320)),
        K::PaymentMode => Setting::PaymentMode(PaymentSetting {
            mode: PaymentMode::Credit,
            suspend_debt_disabled: false,
            suspend_debt_emergency: true,
            disablement_threshold_mp: -5,
        }),
        K::PowerThresholds => Setting::PowerThresholds((2_300, 4_600)),
        K::PrepaymentConfiguration => Setting::PrepaymentConfiguration(PrepaymentConfiguration {
            debt_recovery_rate_cap_mp: 30_000,
            emergency_credit_limit_mp: 500_000,
            emergency_credit_threshold_mp: 100_000,
            low_credit_threshold_mp: 200_000,
            maximum_balance_mp: 25_000_000,
            maximum_credit_mp: 5_000_000,
            non_disablement: calendar(gas),
        }),
        K::Prices => Setting::Prices(Prices {
            standing_charge_mp: 54_794,
            tou_mp: vec![Some(9_600), None, Some(10_750)],
            block_mp: vec![vec![Some(9_600), Some(12_345), None]],
            thresholds_used: Some(2),
            currency: gas.then_some(Currency::Gbp),
        }),
        K::SecondaryPrices => Setting::SecondaryPrices(Prices {
            standing_charge_mp: 0,
            tou_mp: vec![Some(8_000)],
            ..Prices::default()
        }),
        K::SecondaryTariff => Setting::SecondaryTariff(tables(gas, TariffAction::Tou(2))),
        K::SupplierName => Setting::SupplierName(("Example Energy".into(), "0800 000000".into())),
        K::SupplyTamperLocks => Setting::SupplyTamperLocks(true),
        K::Tariff => Setting::Tariff(tables(gas, TariffAction::Block(1))),
        K::Voltage => Setting::Voltage(VoltageSettings {
            extremes: [(30, 2_870), (30, 1_800), (30, 2_160), (30, 2_530)],
            averages: vec![(2_640, 2_000, 1_800)],
            keep_counters: false,
        }),
        K::RandomisedOffsetLimit => Setting::RandomisedOffsetLimit(1_799),
    }
}

fn tables(gas: bool, second: TariffAction) -> TariffTables {
    let switches = if gas {
        vec![(0, second)]
    } else {
        vec![(0, TariffAction::Tou(2)), (450, second)]
    };
    TariffTables {
        currency: Currency::Gbp,
        switching: SwitchingTable {
            days: vec![TariffDay { id: 1, switches }],
            weeks: vec![TariffWeek { id: 1, days: [1; 7] }],
            seasons: vec![TariffSeason {
                name: if gas { String::new() } else { "Summer".into() },
                from: AnyDate {
                    year: None,
                    month: Some(4),
                    day: Some(AnyDay::Last),
                    day_of_week: Some(7),
                },
                week: 1,
            }],
            special_days: vec![(christmas(), 1)],
        },
        thresholds: vec![vec![30_000, 60_000], vec![1_000]],
    }
}

fn calendar(gas: bool) -> NonDisablementCalendar {
    if gas {
        return NonDisablementCalendar {
            rules: Vec::new(),
            days: vec![(1, vec![(0, true), (540, false)])],
            weeks: vec![TariffWeek { id: 1, days: [1; 7] }],
            seasons: vec![TariffSeason {
                name: String::new(),
                from: christmas(),
                week: 1,
            }],
            special_days: vec![(christmas(), 1)],
        };
    }
    let day = |month, day| AnyDate {
        year: None,
        month: Some(month),
        day: Some(AnyDay::Day(day)),
        day_of_week: None,
    };
    NonDisablementCalendar {
        rules: vec![NonDisablementRule {
            start: true,
            minute: 960,
            from: day(1, 1),
            to: day(12, 31),
            days_of_week: vec![6, 7],
            special_days: vec![1],
        }],
        special_days: vec![(christmas(), 1)],
        ..NonDisablementCalendar::default()
    }
}

fn christmas() -> AnyDate {
    AnyDate {
        year: Some(2019),
        month: Some(12),
        day: Some(AnyDay::Day(25)),
        day_of_week: None,
    }
}
