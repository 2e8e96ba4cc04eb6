//! What a device's profile says it will not do: the reason, in the words of its rules, for one step of a plan.

use dmc::{DeviceProfile, GasUnit, MeterProfile, Relay, S1spEffect};
use domain::operation::{OperationKind, PaymentMode, Setting, SettingKind, SwitchingTable, TariffAction};
use domain::{DataItem, DeviceKind, LogKind, Operation, SimDuration, SupplyState, Unit};
use fleet::SiteDevice;
use steps::{Plan, Step, Via};

use super::expect::{Ground, State, answering};

/// Why a device that is in `state` does not do a step, or its answer is of no use; `None` where it does it.
pub(crate) fn refusal(
    ground: &Ground<'_>,
    device: &SiteDevice,
    plan: &Plan,
    step: &Step,
    state: State,
) -> Option<String> {
    let profile = ground.profile(answering(ground, device, step))?;
    let operation = &step.operation;
    if profile.meter.unsupported.contains(&operation.kind()) {
        return Some(format!("the profile has no {operation}"));
    }
    not_relayed(ground, step)
        .or_else(|| not_let_in(ground, operation))
        .or_else(|| outside_limits(profile, operation, state))
        .or_else(|| not_now(&profile.meter, operation, state))
        .or_else(|| not_measured(&profile.meter, device.kind, operation))
        .or_else(|| in_another_unit(ground, device, plan, step))
}

/// A hub hands on to the gas meter only what its profile says; where it says nothing, everything.
fn not_relayed(ground: &Ground<'_>, step: &Step) -> Option<String> {
    if step.kind != DeviceKind::Gsme || step.via != Via::Device {
        return None;
    }
    let relays = &ground.profile(DeviceKind::Chf)?.meter.han.relays;
    let relay = relay_of(step.operation.kind()).filter(|_| !relays.is_empty())?;
    (!relays.contains(&relay)).then(|| format!("the hub does not hand on {}", step.operation))
}

/// What a hub calls an operation that it may hand on or not.
fn relay_of(kind: OperationKind) -> Option<Relay> {
    use OperationKind as K;
    Some(match kind {
        K::ArmSupply | K::DisableSupply | K::EnableSupply => Relay::Supply,
        K::SynchroniseClock => Relay::Clock,
        K::ActivateEmergencyCredit | K::AdjustBalance | K::ChangeDebt | K::EnterToken | K::ResetBalance => {
            Relay::Credit
        }
        K::ClearLog(_) => Relay::ClearLog,
        K::RestrictAccess => Relay::SupplierChange,
        K::Write(SettingKind::PaymentMode | SettingKind::PrepaymentConfiguration) => Relay::PaymentMode,
        K::Write(SettingKind::Prices | SettingKind::Tariff) => Relay::Tariff,
        _ => return None,
    })
}

/// A hub lets in as many devices as its profile says, the gas proxy not counted, and as its device log has room for.
fn not_let_in(ground: &Ground<'_>, operation: &Operation) -> Option<String> {
    if !matches!(operation, Operation::AddToHan(_)) {
        return None;
    }
    let hub = &ground.profile(DeviceKind::Chf)?.meter;
    let fitted = |counts: fn(DeviceKind) -> bool| ground.devices.iter().filter(|device| counts(device.kind)).count();
    let in_log = fitted(|kind| kind != DeviceKind::Chf);
    let devices = fitted(|kind| !matches!(kind, DeviceKind::Chf | DeviceKind::Gpf));
    let full = devices >= usize::from(hub.han.devices_max) || in_log >= usize::from(hub.device_log_entries);
    full.then(|| format!("the hub has room for {} devices", hub.han.devices_max))
}

/// Arguments that are more than the device holds.
fn outside_limits(profile: &DeviceProfile, operation: &Operation, state: State) -> Option<String> {
    let meter = &profile.meter;
    match operation {
        Operation::ActivateImage { .. } => {
            let reached = &meter.image.reached_from;
            let unreached = !reached.is_empty() && !reached.contains(&profile.native_firmware);
            unreached.then(|| "this firmware is not reached from itself".into())
        }
        Operation::Write(setting) => match &**setting {
            Setting::SecondaryPrices(_) | Setting::SecondaryTariff(_) if !state.second_element => {
                Some("this installation has one element".into())
            }
            Setting::Tariff(tables) => {
                let (registers, bands) = used(&tables.switching);
                let tariff = &meter.tariff;
                (registers > tariff.tou_max || bands > tariff.block_tou_max.max(u8::from(profile.kind.is_gas())))
                    .then(|| format!("the meter holds {} rates", tariff.tou_max))
            }
            Setting::LoadLimit(limit) => {
                let rules = &meter.load_limit;
                let window = SimDuration::from_secs(u64::from(limit.period_s));
                let inside = (rules.window_min..=rules.window_max).contains(&window);
                (limit.threshold_w > rules.limit_max_w || !inside).then(|| "the limit is none for this meter".into())
            }
            Setting::Voltage(voltage) => {
                let minutes = &meter.power.voltage_periods_min;
                let known = |seconds: u32| minutes.iter().any(|minute| u32::from(*minute) * 60 == seconds);
                let strange = !minutes.is_empty() && voltage.averages.iter().any(|(.., period)| !known(*period));
                strange.then(|| format!("voltages are averaged over {minutes:?} minutes"))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The highest rate and the highest time band of blocks that a switching table uses.
fn used(table: &SwitchingTable) -> (u8, u8) {
    let actions = table.days.iter().flat_map(|day| &day.switches);
    actions.fold((0, 0), |(registers, bands), (_, action)| match action {
        TariffAction::Tou(register) => (registers.max(*register), bands),
        TariffAction::Block(band) => (registers, bands.max(*band)),
    })
}

/// What the device does not do in the state it is in.
fn not_now(meter: &MeterProfile, operation: &Operation, state: State) -> Option<String> {
    match operation {
        Operation::ArmSupply if meter.arm_needs_disabled && state.supply != SupplyState::Disabled => {
            Some("only a disabled supply can be armed".into())
        }
        Operation::ActivateEmergencyCredit if meter.prepayment.emergency_by_consumer => {
            Some("emergency credit is the consumer's to take".into())
        }
        Operation::ActivateEmergencyCredit if state.mode != PaymentMode::Prepayment => {
            Some("there is no emergency credit in credit mode".into())
        }
        Operation::EnterToken(_) if meter.tokens.refused_in_credit_mode && state.mode == PaymentMode::Credit => {
            Some("codes are refused in credit mode".into())
        }
        _ => None,
    }
}

/// What the device does not measure. Homes of an estate generate nothing.
fn not_measured(meter: &MeterProfile, kind: DeviceKind, operation: &Operation) -> Option<String> {
    match operation {
        Operation::ReadLog {
            log: LogKind::ActiveExport | LogKind::ExportDailyRead,
            ..
        } if meter.logs.channels_as_configured => Some("a home that exports nothing has no log of it".into()),
        Operation::Read(DataItem::BlockTouCounters | DataItem::BlockTouRegisters)
            if meter.tariff.block_tou_max == 0 && !kind.is_gas() =>
        {
            Some("the meter has no rates in blocks".into())
        }
        _ => None,
    }
}

/// Payloads have cubic metres for gas; a meter that states energy is understood only where a rule turns it into volume.
fn in_another_unit(ground: &Ground<'_>, device: &SiteDevice, plan: &Plan, step: &Step) -> Option<String> {
    let gas = ground.profile(DeviceKind::Gsme).filter(|_| device.kind.is_gas())?;
    if gas.meter.values.gas_unit != GasUnit::WattHour || !states_consumption(&step.operation) {
        return None;
    }
    let own = ground.profile(device.kind)?;
    let mut rules = own.s1sp.iter().filter(|rule| rule.request == plan.srv);
    let turned = rules.any(|rule| {
        let litres = matches!(
            rule.effect,
            S1spEffect::Map {
                unit: Some(Unit::Litre),
                ..
            }
        );
        litres && step.rules.contains(&rule.rule)
    });
    (!turned).then(|| "the meter states energy where the answer has cubic metres".into())
}

/// Whether what is read says how much gas was used.
fn states_consumption(operation: &Operation) -> bool {
    use DataItem as I;
    match operation {
        Operation::Read(item) => matches!(
            item,
            I::BlockCounters | I::BlockRegister(_) | I::GasConsumption | I::TouRegister(_) | I::TouRegisters
        ),
        Operation::ReadLog { log, .. } => matches!(
            log,
            // The log of changes is empty until the pack changes something.
            LogKind::ActiveImport | LogKind::Billing | LogKind::DailyConsumption | LogKind::DailyRead
        ),
        _ => false,
    }
}
