//! What a meter was told: settings as they stand, in the form in which they are written.
//!
//! A setting with an effect of its own lives where that effect is (payment mode and limits in the account, tariffs in
//! the registers); the others are kept here. A home in which nobody ever set anything keeps nothing.

use std::sync::Arc;

use domain::operation::{
    AlertBehaviour, BillingPeriod, Counter, GasFlow, LoadLimit, NonDisablementCalendar, PaymentMode, PaymentSetting,
    PrepaymentConfiguration, Setting, SettingKind, VoltageSettings,
};
use domain::{Answer, DeviceKind, Outcome, Refusal, SimDuration, SimInstant, SupplyState};
use serde::{Deserialize, Serialize};

use crate::acts::Shown;
use crate::alerts::{self, AlertCode};
use crate::calendar::LocalDay;
use crate::effects::Outbox;
use crate::load_limit::Watch;
use crate::meter::{Meter, NO_POINT, next_billing};
use crate::prepayment::AccountSettings;
use crate::profile::{Profile, TariffRules};
use crate::quirks::MODE_REFUSED;
use crate::supply::Cause;
use crate::tariff::{Tariff, bounds};
use crate::tokens::Tokens;

/// Everything about a meter that in most homes nobody changes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Settings that have no other place, one of a kind, in the order of their kinds.
    pub(crate) kept: Vec<Setting>,
    /// When supply is not cut for lack of credit.
    pub(crate) non_disablement: NonDisablementCalendar,
    /// Settings that take force later, in the order in which they came.
    pub(crate) delayed: Vec<(SimInstant, Setting)>,
    /// What it shows and hides.
    pub(crate) shown: Shown,
    /// How far load limiting has come.
    pub(crate) watch: Option<Watch>,
    /// What it remembers of payment tokens.
    pub(crate) tokens: Tokens,
    /// Supply stays on without credit until there has been some: prepayment began without any.
    pub(crate) kept_on: bool,
    /// It is in the mode it had before it was configured, which is neither of the two.
    pub(crate) unconfigured: bool,
}

impl Changed {
    /// The alerts and log entries that a supplier has switched, where one has.
    pub(crate) fn alert_behaviour(&self) -> Option<&AlertBehaviour> {
        let place = self
            .kept
            .binary_search_by_key(&SettingKind::AlertBehaviour, Setting::kind)
            .ok()?;
        match self.kept.get(place) {
            Some(Setting::AlertBehaviour(behaviour)) => Some(behaviour),
            _ => None,
        }
    }

    /// Keeps a setting for later, in the place of another of its kind.
    pub(crate) fn delay(&mut self, at: SimInstant, setting: Setting) {
        self.delayed.retain(|(_, other)| other.kind() != setting.kind());
        self.delayed.push((at, setting));
    }

    /// The next setting whose time has come by `to`. Without mains no payment mode changes.
    fn due(&mut self, to: SimInstant, powered: bool) -> Option<(SimInstant, Setting)> {
        let due = |(at, setting): &(SimInstant, Setting)| *at <= to && begins(setting, powered);
        let place = self.delayed.iter().position(due)?;
        Some(self.delayed.remove(place))
    }

    /// Octets it takes, those of lists within settings left out.
    pub(crate) fn octets(&self) -> usize {
        size_of::<Self>() + self.kept.capacity() * size_of::<Setting>()
    }
}

/// Whether a kind of meter has this setting at all.
pub(crate) fn has(kind: DeviceKind, setting: SettingKind) -> bool {
    use SettingKind as K;
    match setting {
        K::AlertBehaviour
        | K::BillingCalendar
        | K::ImportMpxn
        | K::PaymentMode
        | K::PrepaymentConfiguration
        | K::Prices
        | K::SupplierName
        | K::Tariff => matches!(kind, DeviceKind::Esme | DeviceKind::Gsme),
        K::GasConversion | K::GasFlow => kind == DeviceKind::Gsme,
        K::DailyBlockReset
        | K::ExportMpan
        | K::LoadLimit
        | K::MaximumDemandPeriod
        | K::PowerThresholds
        | K::RandomisedOffsetLimit
        | K::SecondaryPrices
        | K::SecondaryTariff
        | K::SupplyTamperLocks
        | K::Voltage => kind == DeviceKind::Esme,
    }
}

impl Meter {
    /// A setting as it stands; `None` where this meter has no such thing.
    pub(crate) fn setting(&self, kind: SettingKind) -> Option<Setting> {
        use SettingKind as K;
        if !has(self.kind(), kind) {
            return None;
        }
        match kind {
            K::BillingCalendar => Some(Setting::BillingCalendar(self.tariff.billing.clone())),
            K::DailyBlockReset => Some(Setting::DailyBlockReset(self.tariff.daily_reset)),
            K::GasConversion => Some(Setting::GasConversion(self.tariff.conversion)),
            K::Prices => Some(Setting::Prices(self.tariff.main.prices.as_ref().clone())),
            K::SecondaryPrices if self.second_element => {
                Some(Setting::SecondaryPrices(self.tariff.second.prices.as_ref().clone()))
            }
            K::SecondaryTariff if self.second_element => Some(Setting::SecondaryTariff(self.tariff.second.tables())),
            K::Tariff => Some(Setting::Tariff(self.tariff.main.tables())),
            K::PaymentMode => Some(Setting::PaymentMode(self.payment_setting())),
            K::PrepaymentConfiguration => Some(Setting::PrepaymentConfiguration(self.prepayment_configuration())),
            _ => self.kept(kind).cloned().or_else(|| self.as_fitted(kind)),
        }
    }

    /// Takes a setting; rights and approval are checked, the account is settled.
    pub(crate) fn write(
        &mut self,
        now: SimInstant,
        powered: bool,
        setting: &Setting,
        profile: &Profile,
        out: &mut Outbox,
    ) -> Outcome {
        let known = has(self.kind(), setting.kind()) && self.setting(setting.kind()).is_some();
        if !known {
            return Err(Refusal::NotSupported);
        }
        if let Err(refusal) = check(setting) {
            if setting.kind() == SettingKind::PaymentMode {
                let pushed = profile.prepayment.mode_refusal_alerts;
                self.note(now, profile, out, AlertCode { pushed, ..MODE_REFUSED });
            }
            return Err(refusal);
        }
        match setting {
            Setting::PaymentMode(payment) => self.set_payment_mode(now, powered, payment, profile, out),
            Setting::PrepaymentConfiguration(configuration) => self.set_prepayment(configuration)?,
            Setting::AlertBehaviour(change) => {
                let Some(Setting::AlertBehaviour(held)) = self.setting(SettingKind::AlertBehaviour) else {
                    return Err(Refusal::NotSupported);
                };
                self.keep(Setting::AlertBehaviour(merged(held, change)));
            }
            other => match self.with_tariff_setting(other, &profile.tariff)? {
                Some(_) if profile.tariff.starts_at_midnight && starts_later(other.kind()) => {
                    let midnight = LocalDay::of(now).next().midnight();
                    self.changed.get_or_insert_default().delay(midnight, other.clone());
                }
                Some(tariff) => self.adopt(now, tariff, other.kind(), profile),
                None => self.keep_plain(now, other, profile)?,
            },
        }
        Ok(Answer::Done)
    }

    /// Keeps a setting that has no other place, and lets what depends on it begin anew.
    fn keep_plain(&mut self, now: SimInstant, setting: &Setting, profile: &Profile) -> Result<(), Refusal> {
        match setting {
            Setting::LoadLimit(limit) => {
                let rules = &profile.load_limit;
                let period = SimDuration::from_secs(u64::from(limit.period_s));
                let inside = (rules.window_min..=rules.window_max).contains(&period);
                if limit.threshold_w > rules.limit_max_w || limit.threshold_w > 0 && !inside {
                    return Err(Refusal::OutOfRange);
                }
                if !rules.counter_by_command {
                    self.reset_load_limit_counter();
                }
                self.watch_load_from(now);
            }
            Setting::Voltage(voltage) => {
                let minutes = &profile.power.voltage_periods_min;
                let known = |seconds: u32| {
                    minutes.is_empty() || minutes.iter().any(|minute| u32::from(*minute) * 60 == seconds)
                };
                // None of ours has three phases.
                if voltage.averages.len() != 1 || !voltage.averages.iter().all(|(.., period)| known(*period)) {
                    return Err(Refusal::OutOfRange);
                }
                let period = |of: &VoltageSettings| of.averages.first().map(|(.., period)| *period);
                let before = match self.setting(SettingKind::Voltage) {
                    Some(Setting::Voltage(before)) => period(&before),
                    _ => None,
                };
                if profile.power.voltage_period_empties_log && before != period(voltage) {
                    self.history.get_or_insert_default().voltages_from = Some(now);
                }
                if !voltage.keep_counters {
                    self.history.get_or_insert_default().reset(Counter::RmsVoltage, now);
                }
            }
            _ => {}
        }
        self.keep(setting.clone());
        Ok(())
    }

    /// Whether supply stays on without credit.
    pub(crate) fn kept_on(&self) -> bool {
        self.changed.as_ref().is_some_and(|changed| changed.kept_on)
    }

    pub(crate) fn keep_on(&mut self, on: bool) {
        if on || self.changed.is_some() {
            self.changed.get_or_insert_default().kept_on = on;
        }
    }

    /// The tariff that a setting makes of the one in force; `None` where the setting has nothing to do with it.
    fn with_tariff_setting(&self, setting: &Setting, rules: &TariffRules) -> Result<Option<Tariff>, Refusal> {
        let old = self.tariff.as_ref().clone();
        let (first, second) = (bounds(rules, self.gas, false), bounds(rules, self.gas, true));
        let (blocks, step) = (rules.blocks_max, rules.price_step_mp);
        Ok(Some(match setting {
            Setting::Tariff(tables) => Tariff {
                main: old.main.with_tables(tables, &first, blocks)?,
                ..old
            },
            Setting::Prices(prices) => Tariff {
                main: old.main.with_prices(prices, &first, blocks, step)?,
                ..old
            },
            Setting::SecondaryTariff(tables) => Tariff {
                second: old.second.with_tables(tables, &second, 1)?,
                ..old
            },
            Setting::SecondaryPrices(prices) => Tariff {
                second: old.second.with_prices(prices, &second, 1, step)?,
                ..old
            },
            Setting::BillingCalendar(billing) => Tariff {
                billing: billing.clone(),
                ..old
            },
            Setting::DailyBlockReset(daily_reset) => Tariff {
                daily_reset: *daily_reset,
                ..old
            },
            Setting::GasConversion(conversion) => Tariff {
                conversion: *conversion,
                ..old
            },
            _ => return Ok(None),
        }))
    }

    /// Another tariff is in force from `at` on.
    pub(crate) fn adopt(&mut self, at: SimInstant, tariff: Tariff, because: SettingKind, profile: &Profile) {
        let tables = matches!(because, SettingKind::Tariff | SettingKind::SecondaryTariff);
        if tables {
            self.keep_change(at, profile);
        }
        let (main, old, next) = (self.main_channel(), Arc::clone(&self.tariff), Arc::new(tariff));
        let anew = tables && profile.tariff.write_resets_blocks;
        self.metering.change_tariff(main, &old, Arc::clone(&next), at, anew);
        self.tariff = next;
        self.next_billing = next_billing(&self.tariff, at);
    }

    /// Puts in force what was written for a time that has come; the account is charged up to there first.
    pub(crate) fn begin_delayed(&mut self, to: SimInstant, powered: bool, profile: &Profile, out: &mut Outbox) {
        while let Some((at, setting)) = self.changed.as_mut().and_then(|changed| changed.due(to, powered)) {
            self.settle(at, profile, out);
            if let Setting::PaymentMode(payment) = &setting {
                self.set_payment_mode(at, powered, payment, profile, out);
                continue;
            }
            // It fitted when it was written; what was written since may have made another of it.
            if let Ok(Some(tariff)) = self.with_tariff_setting(&setting, &profile.tariff) {
                self.adopt(at, tariff, setting.kind(), profile);
            }
        }
    }

    /// When the next of them takes force.
    pub(crate) fn next_delayed(&self, powered: bool) -> Option<SimInstant> {
        let delayed = self.changed.iter().flat_map(|changed| &changed.delayed);
        delayed
            .filter(|(_, setting)| begins(setting, powered))
            .map(|(at, _)| *at)
            .min()
    }

    pub(crate) fn kept(&self, kind: SettingKind) -> Option<&Setting> {
        let kept = &self.changed.as_ref()?.kept;
        let place = kept.binary_search_by_key(&kind, Setting::kind).ok()?;
        kept.get(place)
    }

    fn keep(&mut self, setting: Setting) {
        let kept = &mut self.changed.get_or_insert_default().kept;
        match kept.binary_search_by_key(&setting.kind(), Setting::kind) {
            Ok(place) => kept[place] = setting,
            Err(place) => kept.insert(place, setting),
        }
    }

    /// What nobody has set. Where a figure is in it, it is ours (invented).
    fn as_fitted(&self, kind: SettingKind) -> Option<Setting> {
        use SettingKind as K;
        Some(match kind {
            K::AlertBehaviour => Setting::AlertBehaviour(AlertBehaviour::default()),
            K::ExportMpan => Setting::ExportMpan(String::new()),
            K::GasFlow => Setting::GasFlow(GasFlow {
                uncontrolled_flow_milli: 10,
                depletion_locks: false,
                tamper_locks: false,
                stabilisation: 10,
                measurement: 30,
            }),
            K::ImportMpxn => {
                let point = match self.point {
                    NO_POINT => String::new(),
                    point if self.gas => point.to_string(),
                    point => format!("{point:013}"),
                };
                Setting::ImportMpxn((point, None))
            }
            K::LoadLimit => Setting::LoadLimit(LoadLimit::default()),
            K::MaximumDemandPeriod => Setting::MaximumDemandPeriod((0, 0)),
            K::PowerThresholds => Setting::PowerThresholds((500, 2_000)),
            K::RandomisedOffsetLimit => Setting::RandomisedOffsetLimit(0),
            K::SupplierName => Setting::SupplierName((String::new(), String::new())),
            K::SupplyTamperLocks => Setting::SupplyTamperLocks(false),
            // The statutory band of 230 V, +10 % and -6 %, averaged over half-hours.
            K::Voltage => Setting::Voltage(VoltageSettings {
                extremes: [(1, 2_760), (1, 1_840), (1, 2_070), (1, 2_645)],
                averages: vec![(2_530, 2_162, 1_800)],
                keep_counters: false,
            }),
            K::BillingCalendar
            | K::DailyBlockReset
            | K::GasConversion
            | K::PaymentMode
            | K::PrepaymentConfiguration
            | K::Prices
            | K::SecondaryPrices
            | K::SecondaryTariff
            | K::Tariff => return None,
        })
    }

    pub(crate) fn payment_setting(&self) -> PaymentSetting {
        let settings = &self.account.settings;
        PaymentSetting {
            mode: self.mode,
            suspend_debt_disabled: settings.suspend_debt_disabled,
            suspend_debt_emergency: settings.suspend_debt_emergency,
            disablement_threshold_mp: i64::from(settings.disablement_threshold_mp),
        }
    }

    /// Supply stays on; one that is off for lack of credit is armed when credit no longer matters (Secure, sourced).
    pub(crate) fn set_payment_mode(
        &mut self,
        now: SimInstant,
        powered: bool,
        payment: &PaymentSetting,
        profile: &Profile,
        out: &mut Outbox,
    ) {
        if payment.mode != self.mode && profile.logs.billing_on_mode_change {
            self.keep_change(now, profile);
        }
        let changes = payment.mode != self.mode;
        self.mode = payment.mode;
        if let Some(changed) = &mut self.changed {
            changed.unconfigured = false;
        }
        if payment.mode == PaymentMode::Prepayment {
            self.changed.get_or_insert_default();
            let settings = &mut self.account.settings;
            settings.suspend_debt_disabled = payment.suspend_debt_disabled;
            settings.suspend_debt_emergency = payment.suspend_debt_emergency;
            settings.disablement_threshold_mp =
                i32::try_from(payment.disablement_threshold_mp).unwrap_or(settings.disablement_threshold_mp);
            if self.account.available() <= 0 {
                let rules = &profile.prepayment;
                self.keep_on(rules.mode_change_keeps_supply);
                if rules.mode_change_grants_emergency && self.account.grant_emergency() {
                    self.note(now, profile, out, alerts::EMERGENCY_CREDIT_ACTIVATED);
                }
            }
            self.review(profile, out);
        } else if self.supply.has(Cause::Credit) {
            let armed = changes && profile.prepayment.mode_change_arms;
            let to = if armed {
                SupplyState::Armed
            } else {
                profile.credit_restores_to
            };
            self.release_credit(now, powered, to, profile, out);
        }
        self.follow_supply(now, powered);
    }

    fn prepayment_configuration(&self) -> PrepaymentConfiguration {
        let settings = &self.account.settings;
        PrepaymentConfiguration {
            debt_recovery_rate_cap_mp: i64::from(settings.debt_cap_mp),
            emergency_credit_limit_mp: i64::from(settings.emergency_limit_mp),
            emergency_credit_threshold_mp: i64::from(settings.emergency_threshold_mp),
            low_credit_threshold_mp: i64::from(settings.low_credit_mp),
            maximum_balance_mp: i64::from(settings.maximum_balance_mp),
            maximum_credit_mp: i64::from(settings.maximum_credit_mp),
            non_disablement: self
                .changed
                .as_ref()
                .map(|changed| changed.non_disablement.clone())
                .unwrap_or_default(),
        }
    }

    /// All of it or nothing.
    fn set_prepayment(&mut self, configuration: &PrepaymentConfiguration) -> Result<(), Refusal> {
        let amount = |milli_pence: i64| u32::try_from(milli_pence).map_err(|_| Refusal::OutOfRange);
        let settings = AccountSettings {
            debt_cap_mp: amount(configuration.debt_recovery_rate_cap_mp)?,
            emergency_limit_mp: amount(configuration.emergency_credit_limit_mp)?,
            emergency_threshold_mp: amount(configuration.emergency_credit_threshold_mp)?,
            low_credit_mp: amount(configuration.low_credit_threshold_mp)?,
            maximum_balance_mp: amount(configuration.maximum_balance_mp)?,
            maximum_credit_mp: amount(configuration.maximum_credit_mp)?,
            ..self.account.settings
        };
        self.account.configure(settings);
        self.changed.get_or_insert_default().non_disablement = configuration.non_disablement.clone();
        Ok(())
    }
}

/// Whether a setting whose time has come takes force with or without mains.
fn begins(setting: &Setting, powered: bool) -> bool {
    powered || setting.kind() != SettingKind::PaymentMode
}

/// Whether a profile that lets tariffs begin at midnight means this setting.
fn starts_later(kind: SettingKind) -> bool {
    use SettingKind as K;
    matches!(kind, K::Prices | K::SecondaryPrices | K::SecondaryTariff | K::Tariff)
}

/// What no meter takes, whatever its model.
fn check(setting: &Setting) -> Result<(), Refusal> {
    let text = |text: &str, max: usize| text.len() <= max && text.bytes().all(|b| (0x20..0x7F).contains(&b));
    let digits = |text: &str, max: usize| text.len() <= max && text.bytes().all(|b| b.is_ascii_digit());
    let fine = match setting {
        Setting::SupplierName((name, number)) => text(name, 15) && text(number, 18),
        Setting::ExportMpan(point) => digits(point, 13),
        Setting::ImportMpxn((first, second)) => {
            !first.is_empty() && digits(first, 13) && second.as_ref().is_none_or(|second| digits(second, 13))
        }
        Setting::MaximumDemandPeriod((from, to)) => *from < DAY_MINUTES && *to < DAY_MINUTES,
        Setting::PowerThresholds((low, high)) => low <= high,
        Setting::GasConversion((calorific, factor)) => *calorific > 0 && *factor > 0,
        Setting::PaymentMode(payment) => i32::try_from(payment.disablement_threshold_mp).is_ok(),
        Setting::BillingCalendar(calendar) => calendar.minute < DAY_MINUTES && period_is_right(calendar.period),
        Setting::Voltage(voltage) => !voltage.averages.is_empty(),
        _ => true,
    };
    if fine { Ok(()) } else { Err(Refusal::OutOfRange) }
}

fn period_is_right(period: BillingPeriod) -> bool {
    let day = |day: u8| (1..=28).contains(&day);
    let month = |month: u8| (1..=12).contains(&month);
    match period {
        BillingPeriod::Daily => true,
        BillingPeriod::Monthly(of) => day(of),
        BillingPeriod::Quarterly(of, first)
        | BillingPeriod::SixMonthly(of, first)
        | BillingPeriod::Yearly(of, first) => day(of) && month(first),
        BillingPeriod::Weekly(of) => (1..=7).contains(&of),
    }
}

/// With each list in the order of its codes.
pub(crate) fn sorted(mut behaviour: AlertBehaviour) -> AlertBehaviour {
    for list in [
        &mut behaviour.wan,
        &mut behaviour.han,
        &mut behaviour.alarm,
        &mut behaviour.logged,
    ] {
        list.sort_unstable();
    }
    behaviour
}

/// The later word on each code counts; codes nobody named stay as they are.
pub(crate) fn merged(mut held: AlertBehaviour, change: &AlertBehaviour) -> AlertBehaviour {
    let lists = [
        (&mut held.wan, &change.wan),
        (&mut held.han, &change.han),
        (&mut held.alarm, &change.alarm),
        (&mut held.logged, &change.logged),
    ];
    for (held, change) in lists {
        for (code, on) in change {
            match held.binary_search_by_key(code, |(code, _)| *code) {
                Ok(place) => held[place].1 = *on,
                Err(place) => held.insert(place, (*code, *on)),
            }
        }
    }
    held
}

const DAY_MINUTES: u16 = 1_440;
