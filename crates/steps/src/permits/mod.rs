//! What a request permits: judged from the request alone, without the planner.
//!
//! Nothing here is shared with `plan`: not the reading of arguments, not the lists. The DCO asks this before it approves.

use std::num::IntErrorKind;

use domain::operation::{LogKind, Operation};
use domain::{DataItem, DeviceKind, Eui64, SimInstant};
use duis::{Element, Request};

use crate::table::table;

/// Why a request does not permit an operation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// The operation has other arguments than the request.
    #[error("the request permits {permitted}, not {asked}")]
    OtherArguments {
        /// What the request says.
        permitted: String,
        /// What was to be done.
        asked: String,
    },
    /// The operation is for another device than the request.
    #[error("the request is for {permitted}, not for {asked}")]
    OtherDevice {
        /// The request's target.
        permitted: Eui64,
        /// The operation's.
        asked: Eui64,
    },
    /// The request stands for other operations.
    #[error("{request} does not permit to {asked}")]
    OtherOperation {
        /// The request's service.
        request: String,
        /// What was to be done.
        asked: String,
    },
    /// The request does not apply to this kind of device.
    #[error("{request} does not apply to a {kind}")]
    OtherKind {
        /// The request's service.
        request: String,
        /// The device's kind.
        kind: DeviceKind,
    },
    /// The request's arguments cannot be read, or its header and body do not fit together.
    #[error("the request cannot be judged: {0}")]
    Unreadable(String),
}

/// Whether `request` permits `operation` on `device`, which is a `kind`.
///
/// Beside the operations a service request stands for, four supporting reads are permitted with every request: clock,
/// firmware version, payment mode and supply state. They change nothing.
///
/// # Errors
/// Why it does not.
pub fn permits(request: &Request, device: Eui64, kind: DeviceKind, operation: &Operation) -> Result<(), NotPermitted> {
    if device != request.id.target {
        return Err(NotPermitted::OtherDevice {
            permitted: request.id.target,
            asked: device,
        });
    }
    let service = request.srv.to_string();
    let Some(row) = table().row(request.srv) else {
        return Err(NotPermitted::Unreadable(format!(
            "there is no service request {service}"
        )));
    };
    if request.body.name != row.body {
        return Err(NotPermitted::Unreadable(format!(
            "{service} with the body of {}",
            request.body.name
        )));
    }
    if row.applies_to(kind).is_err() {
        return Err(NotPermitted::OtherKind { request: service, kind });
    }
    let other = || NotPermitted::OtherOperation {
        request: service.clone(),
        asked: operation.to_string(),
    };
    match operation {
        Operation::Read(item) => {
            if reads(&service, kind.is_gas()).contains(item) || SUPPORTING.contains(item) {
                Ok(())
            } else {
                Err(other())
            }
        }
        Operation::ReadLog { log, .. } => {
            let permitted = match service.as_str() {
                "4.6.1" => LogKind::DailyRead,
                "4.8.1" => LogKind::ActiveImport,
                _ => return Err(other()),
            };
            if *log != permitted {
                return Err(other());
            }
            let period = part(&request.body, "ReadLogPeriod")?;
            let (from, to) = (
                time(part(period, "StartDateTime")?)?,
                time(part(period, "EndDateTime")?)?,
            );
            same(
                &Operation::ReadLog {
                    log: permitted,
                    from,
                    to,
                },
                operation,
            )
        }
        Operation::SynchroniseClock { .. } if service == "6.11" => {
            let permitted = Operation::SynchroniseClock {
                time: time(part(&request.body, "CurrentDateTime")?)?,
                tolerance_s: seconds(part(&request.body, "TolerancePeriod")?)?,
            };
            same(&permitted, operation)
        }
        Operation::EnableSupply if service == "7.1" => Ok(()),
        Operation::DisableSupply if service == "7.2" => Ok(()),
        Operation::ArmSupply if service == "7.3" => Ok(()),
        _ => Err(other()),
    }
}

const SUPPORTING: [DataItem; 4] = [
    DataItem::Clock,
    DataItem::FirmwareVersion,
    DataItem::PaymentMode,
    DataItem::SupplyState,
];

/// The items a read request is about.
fn reads(service: &str, gas: bool) -> &'static [DataItem] {
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

fn same(permitted: &Operation, asked: &Operation) -> Result<(), NotPermitted> {
    if permitted == asked {
        return Ok(());
    }
    Err(NotPermitted::OtherArguments {
        permitted: permitted.to_string(),
        asked: asked.to_string(),
    })
}

/// The only child of that name: two of them would leave open which one counts.
fn part<'e>(element: &'e Element, name: &str) -> Result<&'e Element, NotPermitted> {
    let mut found = element.children.iter().filter(|child| child.name == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(NotPermitted::Unreadable(format!(
            "{} without exactly one {name}",
            element.name
        ))),
    }
}

fn time(element: &Element) -> Result<SimInstant, NotPermitted> {
    let text = element.text.trim();
    let clock = text.split_once('T').map_or("", |(_, clock)| clock);
    let zoned = clock.contains(['Z', '+', '-']);
    let full = if zoned { text.to_owned() } else { format!("{text}Z") };
    full.parse()
        .map_err(|_| NotPermitted::Unreadable(format!("{}: {text:?} is no date and time", element.name)))
}

fn seconds(element: &Element) -> Result<u32, NotPermitted> {
    element.text.trim().parse::<u32>().map_err(|error| {
        let what = match error.kind() {
            IntErrorKind::PosOverflow => "too many seconds",
            _ => "no number of seconds",
        };
        NotPermitted::Unreadable(format!("{}: {:?} is {what}", element.name, element.text))
    })
}
