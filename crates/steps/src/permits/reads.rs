//! What the requests permit that only read a device.

use domain::{DataItem, LogKind, Operation};

use super::arguments::{part, time};
use super::{Case, NotPermitted, same};

/// Judges an operation of a reading request; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    match operation {
        // The registers by time of use are the consumption of 4.1.1 in parts.
        Operation::Read(DataItem::TouRegister(_)) if case.service == "4.1.1" && !case.kind.is_gas() => Some(Ok(())),
        Operation::Read(item) => items(case.service, case.kind.is_gas()).contains(item).then_some(Ok(())),
        Operation::ReadLog { log, .. } => {
            (*log == log_in_period(case.service)?).then(|| within_period(case, *log, operation))
        }
        _ => None,
    }
}

/// The items a request is about.
fn items(service: &str, gas: bool) -> &'static [DataItem] {
    use DataItem as I;
    match (service, gas) {
        ("4.1.1", true) => &[I::GasConsumption],
        ("4.1.1", false) => &[I::ActiveImport, I::ReactiveImport, I::SecondaryActiveImport],
        ("4.2", false) => &[I::ActiveExport, I::ReactiveExport],
        ("4.3", _) => &[
            I::AccumulatedDebt,
            I::EmergencyCreditBalance,
            I::MeterBalance,
            I::PaymentDebt,
            I::TimeDebt(1),
            I::TimeDebt(2),
        ],
        ("4.13", _) => &[
            I::DebtRecoveryPerPayment,
            I::DebtRecoveryRateCap,
            I::DisablementThreshold,
            I::EmergencyCreditLimit,
            I::EmergencyCreditThreshold,
            I::LowCreditThreshold,
            I::MaximumCredit,
            I::MaximumMeterBalance,
            I::SuspendDebtDisabled,
            I::SuspendDebtEmergency,
        ],
        ("7.4", true) => &[I::BatteryRemaining],
        ("8.9", _) => &[I::DeviceLog],
        _ => &[],
    }
}

/// The log a request is about, of which it states a period.
fn log_in_period(service: &str) -> Option<LogKind> {
    match service {
        "4.6.1" => Some(LogKind::DailyRead),
        "4.8.1" => Some(LogKind::ActiveImport),
        _ => None,
    }
}

fn within_period(case: &Case<'_>, log: LogKind, operation: &Operation) -> Result<(), NotPermitted> {
    let period = part(case.body, "ReadLogPeriod")?;
    let (from, to) = (
        time(part(period, "StartDateTime")?)?,
        time(part(period, "EndDateTime")?)?,
    );
    same(&Operation::ReadLog { log, from, to }, operation)
}
