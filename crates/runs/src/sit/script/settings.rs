//! What the pack sets in a meter, in ways that later requests of the pack are not disturbed by.

use domain::operation::{
    AlertBehaviour, AnyDate, AnyDay, BillingCalendar, BillingPeriod, Counter, GasFlow, LoadLimit, Prices,
    SwitchingTable, TariffAction, TariffDay, TariffSeason, TariffTables, TariffWeek, VoltageSettings,
};
use domain::{SimInstant, Srv};
use users::Order;
use users::orders::{self, Fuel};

use super::{At, Turn};

pub(super) const SEQUENCE: &[Turn] = &[
    (Srv::new(1, 1, 1), tariff),
    (Srv::new(1, 1, 2), |at| {
        orders::update_secondary_tariff(
            at.device,
            &table(Fuel::Electricity, TariffAction::Tou(1)),
            &prices(&[7_000]),
        )
    }),
    (Srv::new(1, 2, 1), |at| {
        orders::update_price(at.device, Fuel::of(at.kind), &prices(&[14_000, 15_000]))
    }),
    (Srv::new(1, 2, 2), |at| {
        orders::update_secondary_price(at.device, &prices(&[8_000]))
    }),
    (Srv::new(1, 7, 0), |at| orders::reset_tariff_blocks(at.device)),
    (Srv::new(3, 1, 0), |at| {
        orders::display_message(at.device, "A message of the lab")
    }),
    (Srv::new(3, 2, 0), |at| orders::restrict_access(at.device, at.now)),
    (Srv::new(3, 3, 0), |at| {
        orders::clear_event_log(at.device, Fuel::of(at.kind), false)
    }),
    (Srv::new(3, 4, 0), |at| {
        orders::update_supplier_name(at.device, "Example Energy", "01632 960001")
    }),
    (Srv::new(3, 5, 0), |at| orders::disable_privacy_pin(at.device)),
    (Srv::new(6, 4, 1), |at| orders::set_load_limit(at.device, &LIMIT)),
    (Srv::new(6, 4, 2), |at| orders::reset_load_limit_counter(at.device)),
    (Srv::new(6, 5, 0), |at| orders::set_voltage(at.device, &voltage())),
    (Srv::new(6, 6, 0), |at| {
        orders::set_gas_conversion(at.device, 39_300, 102_264)
    }),
    (Srv::new(6, 7, 0), |at| orders::set_gas_flow(at.device, &FLOW)),
    (Srv::new(6, 8, 0), |at| {
        orders::set_billing_calendar(at.device, Fuel::of(at.kind), &calendar())
    }),
    (Srv::new(6, 12, 0), |at| {
        orders::set_power_thresholds(at.device, 500, 2_000)
    }),
    (Srv::new(6, 18, 1), |at| {
        orders::set_demand_period(at.device, 960, 1_140)
    }),
    (Srv::new(6, 18, 2), |at| {
        orders::reset_maximum_demand(at.device, &[Counter::MaximumDemandImport])
    }),
    (Srv::new(6, 20, 1), |at| {
        let fuel = Fuel::of(at.kind);
        let point = match fuel {
            Fuel::Electricity => "9900000000777",
            Fuel::Gas => "9000000777",
        };
        orders::set_import_mpxn(at.device, fuel, point, None)
    }),
    (Srv::new(6, 20, 2), |at| {
        orders::set_export_mpan(at.device, "9900000000778")
    }),
    (Srv::new(6, 22, 0), |at| {
        let behaviour = AlertBehaviour {
            wan: vec![(0x810E, true)],
            ..AlertBehaviour::default()
        };
        orders::configure_alerts(at.device, Fuel::of(at.kind), &behaviour)
    }),
    (Srv::new(6, 25, 0), |at| orders::set_tamper_state(at.device, false)),
    (Srv::new(6, 26, 0), |at| orders::set_daily_block_reset(at.device, true)),
    (Srv::new(6, 27, 0), |at| orders::reset_voltage_counters(at.device)),
    (Srv::new(7, 5, 0), |at| {
        orders::switch_auxiliary_load(at.device, 1, true, 60)
    }),
    (Srv::new(7, 6, 0), |at| {
        orders::switch_auxiliary_load(at.device, 1, false, 60)
    }),
    (Srv::new(9, 1, 0), |at| {
        orders::request_customer_identification(at.device)
    }),
];

/// Far above any load of a home: it acts on none.
const LIMIT: LoadLimit = LoadLimit {
    period_s: 300,
    threshold_w: 50_000,
    restoration_s: 600,
    disables: true,
};

const FLOW: GasFlow = GasFlow {
    uncontrolled_flow_milli: 6_168,
    depletion_locks: false,
    tamper_locks: false,
    stabilisation: 60,
    measurement: 300,
};

fn voltage() -> VoltageSettings {
    VoltageSettings {
        extremes: [(30, 2_870), (30, 1_800), (30, 2_160), (30, 2_530)],
        averages: vec![(2_640, 2_000, 1_800)],
        keep_counters: true,
    }
}

fn calendar() -> BillingCalendar {
    BillingCalendar {
        minute: 0,
        // 2019-01-01T00:00:00Z.
        start: Some(SimInstant(1_546_300_800_000)),
        period: BillingPeriod::Monthly(1),
    }
}

fn prices(tou_mp: &[i64]) -> Prices {
    Prices {
        standing_charge_mp: 20_000,
        tou_mp: tou_mp.iter().copied().map(Some).collect(),
        ..Prices::default()
    }
}

fn table(fuel: Fuel, weekend: TariffAction) -> SwitchingTable {
    let switches = match fuel {
        Fuel::Electricity => vec![(0, TariffAction::Tou(2)), (420, TariffAction::Tou(1))],
        Fuel::Gas => vec![(0, TariffAction::Tou(1))],
    };
    SwitchingTable {
        days: vec![
            TariffDay { id: 1, switches },
            TariffDay {
                id: 2,
                switches: vec![(0, weekend)],
            },
        ],
        weeks: vec![TariffWeek {
            id: 1,
            days: [1, 1, 1, 1, 1, 2, 2],
        }],
        seasons: vec![TariffSeason {
            name: if fuel == Fuel::Electricity {
                "all".into()
            } else {
                String::new()
            },
            from: AnyDate {
                year: None,
                month: Some(1),
                day: Some(AnyDay::Day(1)),
                day_of_week: None,
            },
            week: 1,
        }],
        special_days: Vec::new(),
    }
}

fn tariff(at: &At) -> Order {
    let fuel = Fuel::of(at.kind);
    let tables = TariffTables {
        switching: table(fuel, TariffAction::Tou(2)),
        thresholds: vec![vec![1_000_000]],
        ..TariffTables::default()
    };
    orders::update_import_tariff(at.device, fuel, &tables, &prices(&[14_000, 9_000]))
}
