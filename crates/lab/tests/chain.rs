//! One lab in memory, from the user's request to the device and back.

use domain::operation::{Prices, SwitchingTable, TariffAction, TariffTables};
use domain::{DeviceKind, Eui64, SimDuration, UserRole};
use lab::{Config, Lab, Role};
use users::orders::{self, Period};
use users::{Client, Exchange, Order};

fn device(lab: &Lab, kind: DeviceKind) -> Eui64 {
    let devices = lab.devices();
    let found = devices.values().flatten().find(|device| device.kind == kind);
    found.expect("the built-in estate has one").device
}

fn supplier(lab: &Lab, kind: DeviceKind) -> Client {
    let role = if kind.is_gas() {
        UserRole::GasSupplier
    } else {
        UserRole::ImportSupplier
    };
    lab.user_in(role).expect("a supplier").clone()
}

async fn ask(lab: &Lab, kind: DeviceKind, order: &Order) -> Exchange {
    let exchange = supplier(lab, kind).request(order, SimDuration::from_hours(3)).await;
    exchange.unwrap_or_else(|error| panic!("{kind} {}: {error:?}", order.srv))
}

fn text(exchange: &Exchange) -> String {
    let xml = exchange
        .outcome
        .as_ref()
        .map_or(&exchange.reply.xml, |outcome| &outcome.xml);
    String::from_utf8_lossy(xml).into_owned()
}

async fn trail(lab: &Lab, exchange: &Exchange) -> Vec<String> {
    let entries = lab.audit(exchange.id).await.expect("audited");
    entries
        .iter()
        .map(|entry| format!("{} {}: {}", entry.role, entry.event, entry.detail))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn requests_reach_their_device_and_come_back_signed() {
    use DeviceKind::{Chf, Esme, Gpf, Gsme};
    let lab = Lab::start(Config::default()).expect("started");
    let now = lab.world().clock.now();
    let period = Period {
        from: now - SimDuration::from_days(3),
        to: now,
    };
    let [esme, gpf, gsme, chf] = [Esme, Gpf, Gsme, Chf].map(|kind| device(&lab, kind));
    let ask = async |kind, order: Order, wanted: &str| {
        let exchange = ask(&lab, kind, &order).await;
        let text = text(&exchange);
        let trail = trail(&lab, &exchange).await;
        assert_eq!(exchange.code(), "I0", "{kind} {}: {trail:?}", order.srv);
        assert!(
            text.contains("MessageSuccess=\"true\""),
            "{kind} {}: {trail:?} {text}",
            order.srv
        );
        assert!(text.contains(wanted), "{kind} {}: {trail:?} {text}", order.srv);
    };
    ask(Esme, orders::read_import_registers(esme), "ActiveImportRegister").await;
    ask(Gpf, orders::read_import_registers(gpf), "ConsumptionRegister").await;
    ask(Gsme, orders::read_import_registers(gsme), "ConsumptionRegister").await;
    ask(Esme, orders::read_daily_log(esme, period), "LogEntry").await;
    ask(Esme, orders::read_import_profile(esme, period), "LogEntry").await;
    ask(Esme, orders::read_prepayment_configuration(esme), "Rsp").await;
    ask(Esme, orders::read_supply_status(esme), "SupplyState").await;
    ask(Gsme, orders::read_supply_status(gsme), "SupplyState").await;
    ask(Chf, orders::read_device_log(chf), "Rsp").await;
    ask(Esme, orders::read_firmware_version(esme), "FirmwareVersion").await;
    ask(Esme, orders::disable_supply(esme), "Rsp").await;
    ask(Esme, orders::arm_supply(esme), "Rsp").await;
    ask(Gsme, orders::disable_supply(gsme), "Rsp").await;
    lab.stop().await;
}

/// The built-in gas meter wakes every half hour, and its results leave with the wake after the one that did what was asked:
/// two operations of one request come back together, an hour and a transfer after it at the latest.
#[tokio::test(start_paused = true)]
async fn a_gas_tariff_with_its_prices_takes_one_wake_and_the_way_back() {
    let lab = Lab::start(Config::default()).expect("started");
    let gsme = device(&lab, DeviceKind::Gsme);
    let tables = TariffTables {
        switching: SwitchingTable::every_day("", vec![(0, TariffAction::Tou(1))]),
        thresholds: vec![vec![30_000]],
        ..TariffTables::default()
    };
    let prices = Prices {
        tou_mp: vec![Some(4_000)],
        ..Prices::default()
    };
    let order = orders::update_import_tariff(gsme, orders::Fuel::Gas, &tables, &prices);
    let asked_at = lab.world().clock.now();
    let exchange = ask(&lab, DeviceKind::Gsme, &order).await;
    let took = lab.world().clock.now().since(asked_at);
    assert!(
        text(&exchange).contains("MessageSuccess=\"true\""),
        "{}",
        text(&exchange)
    );
    assert!(
        took <= SimDuration::from_mins(62),
        "{took}: {:?}",
        trail(&lab, &exchange).await
    );
    lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_alert_behaviour_gets_the_form_for_its_part() {
    let lab = Lab::start(Config::default()).expect("started");
    let meter = device(&lab, DeviceKind::Esme);
    let order = orders::read_alert_behaviour(meter);
    for (role, form, other) in [
        (
            UserRole::ImportSupplier,
            "ElectricitySupplierAlertEventSettings",
            "ElectricityNetworkOperatorAlert",
        ),
        (
            UserRole::ElectricityDistributor,
            "ElectricityNetworkOperatorAlertEventSettings",
            "ElectricitySupplier",
        ),
    ] {
        let user = lab.user_in(role).expect("one in this role");
        let exchange = user
            .request(&order, SimDuration::from_hours(3))
            .await
            .expect("an outcome");
        let text = text(&exchange);
        assert!(text.contains("MessageSuccess=\"true\""), "{role:?}: {text}");
        assert!(text.contains(form) && !text.contains(other), "{role:?}: {text}");
    }
    lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_critical_request_needs_the_dco() {
    let lab = Lab::start(Config::default()).expect("started");
    let meter = device(&lab, DeviceKind::Esme);
    let good = ask(&lab, DeviceKind::Esme, &orders::disable_supply(meter)).await;
    let trail_of_good = trail(&lab, &good).await;
    assert!(
        trail_of_good.iter().any(|line| line.starts_with("dco approved")),
        "{trail_of_good:?}"
    );
    lab.cut("s1sp", "dco");
    let bad = ask(&lab, DeviceKind::Esme, &orders::arm_supply(meter)).await;
    assert_ne!(bad.code(), "I0");
    assert!(
        trail(&lab, &bad).await.iter().any(|line| line.contains("hop dco")),
        "{:?}",
        trail(&lab, &bad).await
    );
    lab.mend();
    let again = ask(&lab, DeviceKind::Esme, &orders::arm_supply(meter)).await;
    assert_eq!(again.code(), "I0", "{:?}", trail(&lab, &again).await);
    lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_cut_link_gives_one_clear_outcome() {
    for (left, right) in [("dcc", "s1sp"), ("s1sp", "wan"), ("wan", "fleet")] {
        let lab = Lab::start(Config::default()).expect("started");
        lab.cut(left, right);
        let meter = device(&lab, DeviceKind::Esme);
        let exchange = ask(&lab, DeviceKind::Esme, &orders::read_import_registers(meter)).await;
        assert!(exchange.reply.is_acknowledgement(), "{left}-{right}");
        assert!(exchange.code().starts_with('E'), "{left}-{right}: {}", exchange.code());
        let trail = trail(&lab, &exchange).await;
        assert!(
            trail
                .iter()
                .any(|line| line.contains("outcome") && line.contains("hop ")),
            "{left}-{right}: {trail:?}"
        );
        lab.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_dies_takes_up_its_work_again() {
    for role in [Role::Dcc, Role::S1sp, Role::Dco] {
        let mut lab = Lab::start(Config::default()).expect("started");
        let meter = device(&lab, DeviceKind::Esme);
        let supplier = supplier(&lab, DeviceKind::Esme);
        let order = orders::disable_supply(meter);
        let clock = lab.world().clock.clone();
        let request = supplier.request(&order, SimDuration::from_hours(3));
        let die = async {
            // After the acknowledgement, before the hub has connected.
            clock.sleep(SimDuration::from_secs(5)).await;
            lab.restart(role).await
        };
        let (exchange, restarted) = tokio::join!(request, die);
        restarted.expect("started again");
        let exchange = exchange.unwrap_or_else(|error| panic!("{role}: {error}"));
        let trail = trail(&lab, &exchange).await;
        assert!(exchange.outcome.is_some(), "{role}: {trail:?}");
        assert_eq!(
            trail.iter().filter(|line| line.starts_with("dcc outcome")).count(),
            1,
            "{role}: {trail:?}"
        );
        lab.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_digest() {
    async fn digest(seed: u64) -> String {
        let config = Config {
            seed,
            ..Config::default()
        };
        let lab = Lab::start(config).expect("started");
        let meter = device(&lab, DeviceKind::Esme);
        ask(&lab, DeviceKind::Esme, &orders::read_import_registers(meter)).await;
        ask(&lab, DeviceKind::Esme, &orders::disable_supply(meter)).await;
        let digest = lab.tape().digest();
        lab.stop().await;
        digest.to_string()
    }
    // Virtual calendars start with their lab, so two labs of one runtime are alike.
    let first = digest(1).await;
    assert_eq!(first, digest(1).await);
    assert_ne!(first, digest(2).await);
}
