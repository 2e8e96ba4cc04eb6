//! Settings: written, read back in the same form, kept through a restart.

use super::*;
use domain::Refusal;
use domain::operation::{
    AlertBehaviour, AnyDate, GasFlow, LoadLimit, NonDisablementCalendar, PaymentMode, PaymentSetting,
    PrepaymentConfiguration, Setting, SettingKind, VoltageSettings,
};

fn write(setting: Setting) -> Operation {
    Operation::Write(Box::new(setting))
}

impl Home {
    pub(crate) fn setting(&mut self, slot: DeviceKind, kind: SettingKind) -> Setting {
        match self.value(slot, DataItem::Setting(kind)) {
            Value::Setting(setting) => *setting,
            other => panic!("{kind:?}: {other:?}"),
        }
    }

    /// Writes a setting to the electricity meter.
    pub(crate) fn set(&mut self, setting: Setting) -> Outcome {
        self.finished(DeviceKind::Esme, S1SP, &write(setting), None)
    }

    /// Sends something to the gas meter and waits for its answer.
    pub(crate) fn ask_gas(&mut self, operation: &Operation) -> Outcome {
        match self.execute(DeviceKind::Gsme, S1SP, operation, None) {
            Execution::Queued(ticket) => self.late_result(ticket).1,
            Execution::Finished(outcome) => outcome,
        }
    }
}

fn configuration() -> PrepaymentConfiguration {
    PrepaymentConfiguration {
        debt_recovery_rate_cap_mp: 700_000,
        emergency_credit_limit_mp: 500_000,
        emergency_credit_threshold_mp: 110_000,
        low_credit_threshold_mp: 220_000,
        maximum_balance_mp: 9_000_000,
        maximum_credit_mp: 5_000_000,
        non_disablement: NonDisablementCalendar {
            special_days: vec![(
                AnyDate {
                    year: None,
                    month: Some(12),
                    day: None,
                    day_of_week: None,
                },
                1,
            )],
            ..NonDisablementCalendar::default()
        },
    }
}

fn electricity() -> Vec<Setting> {
    vec![
        Setting::ExportMpan("9900000000777".into()),
        Setting::ImportMpxn(("9900000000888".into(), Some("9900000000999".into()))),
        Setting::LoadLimit(LoadLimit {
            period_s: 300,
            threshold_w: 9_000,
            restoration_s: 600,
            disables: true,
        }),
        Setting::MaximumDemandPeriod((960, 1_140)),
        Setting::PaymentMode(PaymentSetting {
            mode: PaymentMode::Prepayment,
            suspend_debt_disabled: true,
            suspend_debt_emergency: true,
            disablement_threshold_mp: -5_000,
        }),
        Setting::PowerThresholds((400, 3_000)),
        Setting::PrepaymentConfiguration(configuration()),
        Setting::SupplierName(("Example Energy".into(), "01632 960001".into())),
        Setting::SupplyTamperLocks(true),
        Setting::Voltage(VoltageSettings {
            averages: vec![(2_520, 2_170, 600)],
            ..VoltageSettings::default()
        }),
        Setting::RandomisedOffsetLimit(900),
    ]
}

fn gas() -> Vec<Setting> {
    vec![
        Setting::GasConversion((39_100, 102_300)),
        Setting::GasFlow(GasFlow {
            uncontrolled_flow_milli: 5_300,
            depletion_locks: true,
            tamper_locks: true,
            stabilisation: 7,
            measurement: 90,
        }),
        Setting::ImportMpxn(("9000000777".into(), None)),
        Setting::PrepaymentConfiguration(configuration()),
        Setting::SupplierName(("Example Gas".into(), "01632 960002".into())),
    ]
}

#[test]
fn what_is_written_is_read_back_and_survives_a_restart() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    for setting in electricity() {
        assert_eq!(home.set(setting.clone()), Ok(Answer::Done), "{setting:?}");
    }
    for setting in gas() {
        assert_eq!(home.ask_gas(&write(setting.clone())), Ok(Answer::Done), "{setting:?}");
    }
    for restarted in [false, true] {
        if restarted {
            let (config, octets) = (home.config.clone(), home.installation.durable());
            home.installation = home
                .act(|_, context| Installation::restore(&config, context, &octets))
                .expect("ours");
            assert_eq!(home.installation.durable(), octets);
        }
        for setting in electricity() {
            assert_eq!(home.setting(DeviceKind::Esme, setting.kind()), setting);
        }
        for setting in gas() {
            assert_eq!(home.setting(DeviceKind::Gpf, setting.kind()), setting);
        }
    }
}

#[test]
fn a_home_that_nobody_changed_shows_what_it_was_fitted_with() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    assert_eq!(
        home.setting(DeviceKind::Esme, SettingKind::ImportMpxn),
        Setting::ImportMpxn(("9900000000001".into(), None))
    );
    assert_eq!(
        home.setting(DeviceKind::Gpf, SettingKind::ImportMpxn),
        Setting::ImportMpxn(("9000000001".into(), None))
    );
    let fitted = Setting::PaymentMode(PaymentSetting {
        mode: PaymentMode::Credit,
        suspend_debt_disabled: false,
        suspend_debt_emergency: false,
        disablement_threshold_mp: 0,
    });
    assert_eq!(home.setting(DeviceKind::Esme, SettingKind::PaymentMode), fitted);
}

#[test]
fn what_a_meter_has_not_or_cannot_hold_is_refused_and_changes_nothing() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    // That somebody was let through at all is remembered; the rest would show.
    let name = Setting::SupplierName(("Example Energy".into(), String::new()));
    home.set(name).expect("taken");
    let before = home.installation.durable();
    for setting in [
        Setting::SupplierName(("a name longer than fifteen".into(), String::new())),
        Setting::ExportMpan("99000000007770".into()),
        Setting::MaximumDemandPeriod((0, 1_440)),
        Setting::PrepaymentConfiguration(PrepaymentConfiguration {
            maximum_credit_mp: -1,
            ..configuration()
        }),
        Setting::Voltage(VoltageSettings::default()),
    ] {
        assert_eq!(home.set(setting.clone()), Err(Refusal::OutOfRange), "{setting:?}");
    }
    assert_eq!(
        home.set(Setting::GasConversion((39_100, 102_300))),
        Err(Refusal::NotSupported)
    );
    assert_eq!(home.installation.durable(), before);
    let load_limit = write(Setting::LoadLimit(LoadLimit::default()));
    assert_eq!(home.ask_gas(&load_limit), Err(Refusal::NotSupported));
}

#[test]
fn alert_behaviour_is_changed_code_by_code() {
    let mut home = Home::new("2019-05-02T08:00:00Z", config());
    let change = |wan: &[(u16, bool)], logged: &[(u16, bool)]| {
        Setting::AlertBehaviour(AlertBehaviour {
            wan: wan.to_vec(),
            logged: logged.to_vec(),
            ..AlertBehaviour::default()
        })
    };
    home.set(change(&[(0x810E, true), (0x810D, false)], &[]))
        .expect("taken");
    home.set(change(&[(0x810D, true)], &[(0x8161, false)])).expect("taken");
    let Setting::AlertBehaviour(behaviour) = home.setting(DeviceKind::Esme, SettingKind::AlertBehaviour) else {
        panic!("alert behaviour")
    };
    // What nobody named is shown as the profile has it.
    let word = |list: &[(u16, bool)], code| list.iter().find(|(known, _)| *known == code).map(|(_, on)| *on);
    for (code, expected) in [
        (0x810D, Some(true)),
        (0x810E, Some(true)),
        (0x8161, Some(false)),
        (0x81AA, Some(true)),
        (0x8F3D, None),
    ] {
        assert_eq!(word(&behaviour.wan, code), expected, "{code:04X}");
    }
    assert_eq!(word(&behaviour.logged, 0x8161), Some(false));
    assert_eq!(word(&behaviour.logged, 0x810D), Some(true));
    assert!(behaviour.wan.is_sorted_by_key(|(code, _)| *code));
    home.esme.suppressed_alerts.insert(0x81AA);
    let Setting::AlertBehaviour(behaviour) = home.setting(DeviceKind::Esme, SettingKind::AlertBehaviour) else {
        panic!("alert behaviour")
    };
    assert_eq!(word(&behaviour.wan, 0x81AA), Some(false));
}
