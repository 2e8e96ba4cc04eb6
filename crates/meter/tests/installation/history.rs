//! Logs of what cannot be computed: accounts, credits, changes, recordings; and what profiles leave out of the others.

use super::*;
use domain::operation::{PaymentMode, PaymentSetting, Setting};
use domain::time::london_midnight;
use meter::{AccountSettings, DarkHalfHours, Midnight};

fn prepaying() -> InstallationConfig {
    let mut config = config();
    config.payment_mode = PaymentMode::Prepayment;
    config.gas_payment_mode = PaymentMode::Prepayment;
    config.account = AccountSettings {
        payment_debt_mp: 3_000,
        ..AccountSettings::default()
    };
    config
}

fn of(row: &LogRow, item: DataItem) -> Option<i64> {
    row.values
        .iter()
        .find(|(known, _)| *known == item)
        .map(|(_, quantity)| quantity.value)
}

fn all(home: &mut Home, slot: DeviceKind, log: LogKind) -> Vec<LogRow> {
    home.log(slot, log, SimInstant(0), SimInstant(i64::MAX))
}

#[test]
fn accounts_are_kept_at_midnights_and_known_from_before() {
    let mut home = Home::new("2019-05-02T08:00:00Z", prepaying());
    let born = all(&mut home, DeviceKind::Esme, LogKind::PrepaymentDailyRead);
    assert_eq!(born.len(), 14);
    assert!(born.iter().all(|row| london_midnight(row.at) == row.at));
    let balances: Vec<i64> = born.iter().filter_map(|row| of(row, DataItem::MeterBalance)).collect();
    assert!(balances.is_sorted_by(|a, b| a > b), "{balances:?}");
    assert!(balances[13] > home.number(DeviceKind::Esme, DataItem::MeterBalance));
    let daily = all(&mut home, DeviceKind::Esme, LogKind::DailyRead);
    let used = of(&daily[13], DataItem::ActiveImport).expect("a register")
        - of(&daily[12], DataItem::ActiveImport).expect("a register");
    assert_eq!(
        balances[12] - balances[13],
        (used * 16_000 + 25_000_000) / 1_000,
        "a day of one rate and its charge"
    );

    home.run(SimDuration::from_days(3));
    let later = all(&mut home, DeviceKind::Esme, LogKind::PrepaymentDailyRead);
    assert_eq!(later.len(), 14);
    assert_eq!(&later[..11], &born[3..]);
    assert_eq!(later[13].at, at("2019-05-04T23:00:00Z"));
    let mirrored = all(&mut home, DeviceKind::Gpf, LogKind::PrepaymentDailyRead);
    assert_eq!(mirrored.len(), 14);

    let mut credit = Home::new("2019-05-02T08:00:00Z", config());
    credit.run(SimDuration::from_days(2));
    assert_eq!(all(&mut credit, DeviceKind::Esme, LogKind::PrepaymentDailyRead), []);
}

#[test]
fn credits_and_payments_for_debt_are_kept() {
    let mut home = Home::new("2019-05-02T08:00:00Z", prepaying());
    for amount in [10_000, 20_000] {
        home.run(SimDuration::from_hours(1));
        home.act(|installation, context| installation.top_up(context, DeviceKind::Esme, amount))
            .expect("prepayment");
    }
    let amounts = |home: &mut Home, log, item| -> Vec<i64> {
        all(home, DeviceKind::Esme, log)
            .iter()
            .filter_map(|row| of(row, item))
            .collect()
    };
    assert_eq!(
        amounts(&mut home, LogKind::Credits, DataItem::CreditAdded),
        [10_000, 20_000]
    );
    // A fifth of each payment, and no more than is owed.
    assert_eq!(
        amounts(&mut home, LogKind::DebtPayments, DataItem::DebtPayment),
        [2_000, 1_000]
    );
    let second = home.log(DeviceKind::Esme, LogKind::Credits, home.now, home.now);
    assert_eq!(second.len(), 1);
    for _ in 0..9 {
        home.act(|installation, context| installation.top_up(context, DeviceKind::Esme, 1_000))
            .expect("prepayment");
    }
    assert_eq!(amounts(&mut home, LogKind::Credits, DataItem::CreditAdded), [1_000; 5]);
}

#[test]
fn a_change_of_mode_is_written_down_before_it_happens() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    assert_eq!(all(&mut home, DeviceKind::Esme, LogKind::BillingModeOrTariff), []);
    let register = home.number(DeviceKind::Esme, DataItem::ActiveImport);
    let mode = |mode| {
        Operation::Write(Box::new(Setting::PaymentMode(PaymentSetting {
            mode,
            suspend_debt_disabled: false,
            suspend_debt_emergency: false,
            disablement_threshold_mp: 0,
        })))
    };
    home.finished(DeviceKind::Esme, S1SP, &mode(PaymentMode::Prepayment), None)
        .expect("a setting");
    let change_at = home.now;
    home.run(SimDuration::from_hours(4));
    home.finished(DeviceKind::Esme, S1SP, &mode(PaymentMode::Prepayment), None)
        .expect("no change");
    home.finished(DeviceKind::Esme, S1SP, &mode(PaymentMode::Credit), None)
        .expect("a setting");
    let rows = all(&mut home, DeviceKind::Esme, LogKind::BillingModeOrTariff);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].at, of(&rows[0], DataItem::ActiveImport)),
        (change_at, Some(register))
    );
    assert_eq!(
        of(&rows[0], DataItem::MeterBalance),
        None,
        "there was no account to show"
    );
    assert!(of(&rows[1], DataItem::MeterBalance).is_some());
}

#[test]
fn billing_snapshots_hold_the_account_where_the_profile_has_it() {
    let mut home = Home::new("2019-05-20T08:00:00Z", prepaying());
    home.run(SimDuration::from_days(15));
    let last = all(&mut home, DeviceKind::Esme, LogKind::Billing)
        .pop()
        .expect("billing rows");
    assert_eq!(last.at, at("2019-05-31T23:00:00Z"));
    assert!(of(&last, DataItem::MeterBalance).is_some());
    home.esme.logs.billing_holds_account = false;
    let last = all(&mut home, DeviceKind::Esme, LogKind::Billing)
        .pop()
        .expect("billing rows");
    assert_eq!(of(&last, DataItem::MeterBalance), None);
}

#[test]
fn daily_consumption_adds_up_to_the_registers() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    for slot in [DeviceKind::Esme, DeviceKind::Gpf] {
        let days = all(&mut home, slot, LogKind::DailyConsumption);
        assert_eq!(days.len(), 731);
        let reads = all(&mut home, slot, LogKind::DailyRead);
        let used: Vec<i64> = reads
            .windows(2)
            .map(|pair| pair[1].values[0].1.value - pair[0].values[0].1.value)
            .collect();
        let last: Vec<i64> = days[731 - 13..].iter().map(|row| row.values[0].1.value).collect();
        assert_eq!(last, used, "{slot}");
    }
}

#[test]
fn gas_flow_is_recorded_when_that_is_asked_for() {
    let mut home = Home::with("2019-01-15T06:00:00Z", config(), |[.., gsme]| {
        gsme.logs.records_flow = true
    });
    assert_eq!(all(&mut home, DeviceKind::Gpf, LogKind::Network), []);
    let Execution::Queued(ticket) = home.execute(DeviceKind::Gsme, S1SP, &Operation::RecordNetworkData, None) else {
        panic!("a gas meter sleeps")
    };
    home.run(SimDuration::from_hours(2));
    let late = home.effects().into_iter().find_map(|effect| match effect {
        Effect::LateResult {
            ticket: of, outcome, ..
        } if of == ticket => Some(outcome),
        _ => None,
    });
    let number = Value::Quantity(Quantity::new(1, domain::Unit::Count));
    assert_eq!(late, Some(Ok(Answer::Value(number))));
    let some = all(&mut home, DeviceKind::Gpf, LogKind::Network);
    assert!((5..20).contains(&some.len()), "{}", some.len());
    home.run(SimDuration::from_hours(4));
    let rows = all(&mut home, DeviceKind::Gpf, LogKind::Network);
    assert_eq!(rows.len(), 40);
    assert!(rows.windows(2).all(|pair| pair[1].at.0 - pair[0].at.0 == 360_000));
    assert_eq!(&rows[..some.len()], &some[..]);
    assert!(sum(&rows) > 0);
}

#[test]
fn the_proxy_keeps_the_events_of_the_gas_meter() {
    let mut home = Home::new("2019-04-29T08:00:00Z", config());
    home.run(SimDuration::from_days(4));
    assert_eq!(home.codes(DeviceKind::Gpf, LogKind::GasMeterEvent), [0x8F0A]);
    assert_eq!(home.codes(DeviceKind::Gpf, LogKind::GasMeterSecurity), [0_u16; 0]);
    let of_esme = Operation::ReadLog {
        log: LogKind::GasMeterEvent,
        from: SimInstant(0),
        to: home.now,
    };
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &of_esme, None),
        Err(domain::Refusal::NotSupported)
    );
}

#[test]
fn profiles_leave_out_what_was_dark_or_got_lost() {
    let mut home = Home::new("2019-05-02T00:00:00Z", config());
    home.run(SimDuration::from_hours(10));
    home.act(Installation::cut_power);
    home.run(SimDuration::from_days(2));
    home.act(Installation::restore_power);
    home.run(SimDuration::from_hours(14));
    let from = at("2019-05-02T00:00:01Z");
    let rows = |home: &mut Home| home.log(DeviceKind::Esme, LogKind::ActiveImport, from, home.now);
    let plain = rows(&mut home);
    assert_eq!(plain.len(), 3 * 48);
    home.esme.logs.dark_half_hours = DarkHalfHours::Marked;
    let marked = rows(&mut home).iter().filter(|row| row.code == Some(0x8F57)).count();
    assert_eq!(marked, 96);
    home.esme.logs.dark_half_hours = DarkHalfHours::Missing;
    assert_eq!(rows(&mut home).len(), 48);
    home.esme.logs.emptied_by_outage = Some(SimDuration::from_hours(24));
    assert_eq!(rows(&mut home).len(), 28);
    home.esme = Profile::default();

    let days = all(&mut home, DeviceKind::Esme, LogKind::DailyRead);
    home.esme.logs.skips_dark_days = true;
    let without = all(&mut home, DeviceKind::Esme, LogKind::DailyRead);
    let gone: Vec<_> = days
        .iter()
        .filter(|row| !without.contains(row))
        .map(|row| row.at)
        .collect();
    assert_eq!(gone, [at("2019-05-03T23:00:00Z")]);
    home.esme.logs.midnight = Midnight::Standard;
    let standard = all(&mut home, DeviceKind::Esme, LogKind::DailyRead);
    assert!(standard.iter().all(|row| row.at.0 % 86_400_000 == 0));

    home.esme = Profile::default();
    home.esme.logs.lost_permille = 300;
    let left = rows(&mut home);
    assert!((60..140).contains(&left.len()), "{}", left.len());
    assert_eq!(rows(&mut home), left, "the same ones at every read");
    home.esme.logs.lost_until = Some(SimDuration::from_hours(1));
    assert!(rows(&mut home).len() > 140);
    home.esme.logs.channels_as_configured = true;
    let export = Operation::ReadLog {
        log: LogKind::ActiveExport,
        from,
        to: home.now,
    };
    assert_eq!(
        home.finished(DeviceKind::Esme, S1SP, &export, None),
        Err(domain::Refusal::NotSupported)
    );
}
