//! What a request permits: judged from the request alone, without the planner.
//!
//! Nothing here is shared with `plan`: not the reading of arguments, not the lists. The DCO asks this before it approves.

mod arguments;
mod commands;
mod forms;
mod han;
mod prepayment;
mod reads;
mod settings;
mod tariff;

use domain::operation::Operation;
use domain::{DataItem, DeviceKind, Eui64};
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
    if matches!(operation, Operation::Read(item) if SUPPORTING.contains(item)) {
        return Ok(());
    }
    let case = Case {
        service: &service,
        body: &request.body,
        counter: request.id.counter,
        kind,
    };
    // Each group of requests has a file of its own.
    let groups = [
        reads::permits,
        commands::permits,
        han::permits,
        prepayment::permits,
        tariff::permits,
        settings::permits,
    ];
    groups
        .into_iter()
        .find_map(|group| group(&case, operation))
        .unwrap_or_else(|| {
            Err(NotPermitted::OtherOperation {
                request: service.clone(),
                asked: operation.to_string(),
            })
        })
}

/// A request as the groups judge it: it applies to the device, and its body belongs to its service.
struct Case<'a> {
    service: &'a str,
    body: &'a Element,
    /// Of its RequestID.
    counter: u64,
    kind: DeviceKind,
}

const SUPPORTING: [DataItem; 4] = [
    DataItem::Clock,
    DataItem::FirmwareVersion,
    DataItem::PaymentMode,
    DataItem::SupplyState,
];

fn same(permitted: &Operation, asked: &Operation) -> Result<(), NotPermitted> {
    if permitted == asked {
        return Ok(());
    }
    Err(NotPermitted::OtherArguments {
        permitted: permitted.to_string(),
        asked: asked.to_string(),
    })
}
