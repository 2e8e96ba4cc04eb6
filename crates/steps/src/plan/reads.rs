//! Equivalent Steps of the requests that only read a device.

use domain::{DataItem, LogKind, Operation};
use duis::Request;

use super::arguments::{child, instant};
use super::draft::DraftStep;
use super::{Refused, Target};

/// The steps of a reading request; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Result<Option<Vec<DraftStep>>, Refused> {
    use DataItem as I;
    let gas = target.kind.is_gas();
    let steps = match request.body.name {
        "ReadInstantaneousImportRegisters" if gas => reads(&[I::GasConsumption]),
        "ReadInstantaneousImportRegisters" => {
            let mut steps = reads(&[I::ActiveImport, I::ReactiveImport]);
            if target.profile.second_element {
                // The profile says the model can; this installation may not use it.
                steps.push(DraftStep::new(Operation::Read(I::SecondaryActiveImport)).optional());
            }
            steps
        }
        "ReadInstantaneousExportRegisters" => reads(&[I::ActiveExport, I::ReactiveExport]),
        "ReadInstantaneousPrepayValues" => reads(&[
            I::EmergencyCreditBalance,
            I::AccumulatedDebt,
            I::PaymentDebt,
            I::TimeDebt(1),
            I::TimeDebt(2),
            I::MeterBalance,
        ]),
        "RetrieveImportDailyReadLog" => vec![read_log(request, LogKind::DailyRead)?],
        "ReadActiveImportProfileData" => vec![read_log(request, LogKind::ActiveImport)?],
        "ReadPrepaymentConfiguration" => prepayment_configuration(gas),
        "ReadSupplyStatus" => {
            let mut steps = reads(&[I::SupplyState]);
            if gas {
                steps.push(DraftStep::new(Operation::Read(I::BatteryRemaining)).optional());
            }
            steps
        }
        "ReadDeviceLog" => reads(&[I::DeviceLog]),
        "ReadFirmwareVersion" => reads(&[I::FirmwareVersion]),
        _ => return Ok(None),
    };
    Ok(Some(steps))
}

/// Reads all of which have to succeed.
fn reads(items: &[DataItem]) -> Vec<DraftStep> {
    items
        .iter()
        .map(|item| DraftStep::new(Operation::Read(*item)))
        .collect()
}

fn prepayment_configuration(gas: bool) -> Vec<DraftStep> {
    use DataItem as I;
    let mut steps = reads(&[
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
    ]);
    if !gas {
        // Only the electricity part of the payload has a place for it.
        steps.extend(reads(&[I::PaymentMode]));
    }
    steps
}

fn read_log(request: &Request, log: LogKind) -> Result<DraftStep, Refused> {
    let period = child(&request.body, "ReadLogPeriod")?;
    let from = instant(&child(period, "StartDateTime")?.text)?;
    let to = instant(&child(period, "EndDateTime")?.text)?;
    Ok(DraftStep::new(Operation::ReadLog { log, from, to }))
}
