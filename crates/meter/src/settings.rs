//! What a meter was told: settings as they stand, in the form in which they are written.
//!
//! A setting with an effect of its own lives where that effect is (payment mode and limits in the account, tariffs in
//! the registers); the others are kept here. A home in which nobody ever set anything keeps nothing.

use domain::operation::{
    AlertBehaviour, GasFlow, LoadLimit, NonDisablementCalendar, PaymentMode, PaymentSetting, PrepaymentConfiguration,
    Setting, SettingKind, VoltageSettings,
};
use domain::{Answer, DeviceKind, Outcome, Refusal, SimInstant};
use serde::{Deserialize, Serialize};

use crate::effects::Outbox;
use crate::meter::Meter;
use crate::prepayment::AccountSettings;
use crate::profile::Profile;
use crate::supply::Cause;

/// Everything about a meter that in most homes nobody changes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Settings that have no other place, one of a kind, in the order of their kinds.
    pub(crate) kept: Vec<Setting>,
    /// When supply is not cut for lack of credit.
    pub(crate) non_disablement: NonDisablementCalendar,
}

impl Changed {
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
        check(setting)?;
        match setting {
            Setting::PaymentMode(payment) => self.set_payment_mode(now, powered, payment, profile, out),
            Setting::PrepaymentConfiguration(configuration) => self.set_prepayment(configuration)?,
            Setting::AlertBehaviour(change) => {
                let Some(Setting::AlertBehaviour(held)) = self.setting(SettingKind::AlertBehaviour) else {
                    return Err(Refusal::NotSupported);
                };
                self.keep(Setting::AlertBehaviour(merged(held, change)));
            }
            other => self.keep(other.clone()),
        }
        Ok(Answer::Done)
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
            K::DailyBlockReset => Setting::DailyBlockReset(false),
            K::ExportMpan => Setting::ExportMpan(String::new()),
            K::GasConversion => Setting::GasConversion((CALORIFIC_VALUE_MILLI, CONVERSION_FACTOR)),
            K::GasFlow => Setting::GasFlow(GasFlow {
                uncontrolled_flow_milli: 10,
                depletion_locks: false,
                tamper_locks: false,
                stabilisation: 10,
                measurement: 30,
            }),
            K::ImportMpxn => {
                let point = self.point.map(|point| point.to_string());
                Setting::ImportMpxn((point.unwrap_or_default(), None))
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
            | K::PaymentMode
            | K::PrepaymentConfiguration
            | K::Prices
            | K::SecondaryPrices
            | K::SecondaryTariff
            | K::Tariff => return None,
        })
    }

    fn payment_setting(&self) -> PaymentSetting {
        let settings = &self.account.settings;
        PaymentSetting {
            mode: self.mode,
            suspend_debt_disabled: settings.suspend_debt_disabled,
            suspend_debt_emergency: settings.suspend_debt_emergency,
            disablement_threshold_mp: i64::from(settings.disablement_threshold_mp),
        }
    }

    /// Supply stays on; one that is off for lack of credit is armed when credit no longer matters (Secure, sourced).
    fn set_payment_mode(
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
        self.mode = payment.mode;
        if payment.mode == PaymentMode::Prepayment {
            self.changed.get_or_insert_default();
            let settings = &mut self.account.settings;
            settings.suspend_debt_disabled = payment.suspend_debt_disabled;
            settings.suspend_debt_emergency = payment.suspend_debt_emergency;
            settings.disablement_threshold_mp =
                i32::try_from(payment.disablement_threshold_mp).unwrap_or(settings.disablement_threshold_mp);
            self.review(profile, out);
        } else if self.supply.has(Cause::Credit) {
            self.release_credit(now, powered, profile, out);
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
        Setting::Voltage(voltage) => matches!(voltage.averages.len(), 1 | 3),
        _ => true,
    };
    if fine { Ok(()) } else { Err(Refusal::OutOfRange) }
}

/// The later word on each code counts; codes nobody named stay as they are.
fn merged(mut held: AlertBehaviour, change: &AlertBehaviour) -> AlertBehaviour {
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
/// 39.5 MJ per cubic metre, a usual figure.
pub(crate) const CALORIFIC_VALUE_MILLI: u64 = 39_500;
/// 1.02264, the usual figure, in hundred-thousandths.
pub(crate) const CONVERSION_FACTOR: u64 = 102_264;
