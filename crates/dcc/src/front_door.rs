//! What a request must be before anything else happens, checked in one fixed order:
//!
//! 1. size; 2. XML and structure; 3. form of the signature; 4. certificate known; 5. signature value; 6. signer known as a
//!    user, with this certificate, not suspended; 7. originator is the signer; 8. path and command variant; 9. room for one
//!    more request; 10. counter of the RequestID; 11. role; 12. target known; 13. authority over the device; 14. SMI status;
//!    15. applicability to the device, and what this lab does not have: sequences and future dates.
//!
//! A counter is used up by the first authentic request that reaches check 10 with it, whatever becomes of it.

use std::collections::BTreeMap;

use domain::{DeviceKind, Eui64, RequestId, Srv, UserRole};
use duis::signature::{Certificates, SignatureError};
use duis::{ReadError, ReadErrorKind, Request};
use steps::table::{Mode, State};
use steps::{Failure, Row, ServicePath};

use crate::directory::{User, role_fits};
use crate::inventory::Device;
use crate::{Directory, Inventory, Limits};

/// What the checks look at.
pub(crate) struct FrontDoor<'a> {
    pub(crate) eui: Eui64,
    pub(crate) certificates: &'a (dyn Certificates + Send + Sync),
    pub(crate) directory: &'a Directory,
    pub(crate) inventory: &'a Inventory,
    pub(crate) counters: &'a BTreeMap<(Eui64, Eui64), u64>,
    pub(crate) limits: &'a Limits,
    /// Acknowledged requests without outcome.
    pub(crate) open_requests: usize,
    /// Whether this very request is one of them.
    pub(crate) is_open: &'a dyn Fn(RequestId) -> bool,
}

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) request: Request,
    /// The target; none for requests to the DCC itself.
    pub(crate) device: Option<&'a Device>,
}

/// A request that may not.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// As far as it could be read.
    pub(crate) request: Option<RequestId>,
    pub(crate) srv: Option<Srv>,
    pub(crate) detail: String,
    /// Whether the request used up its counter.
    pub(crate) counter_used: bool,
}

impl<'a> FrontDoor<'a> {
    /// Runs all checks.
    pub(crate) fn admit(&self, path: &str, xml: &[u8]) -> Result<Admitted<'a>, Refused> {
        if xml.len() > self.limits.request_octets_max {
            let detail = format!(
                "{} octets where {} are the limit",
                xml.len(),
                self.limits.request_octets_max
            );
            return Err(Refused {
                failure: Failure::Oversized,
                request: None,
                srv: None,
                detail,
                counter_used: false,
            });
        }
        let request = duis::read_request(xml).map_err(|error| unreadable(xml, &error))?;
        let refuse = |failure, detail: String, counter_used| Refused {
            failure,
            request: Some(request.id),
            srv: Some(request.srv),
            detail,
            counter_used,
        };
        let before = |(failure, detail)| refuse(failure, detail, false);
        let user = self.authenticate(xml, request.id.originator).map_err(before)?;
        let row = on_path(path, &request).map_err(before)?;
        if self.open_requests >= self.limits.open_requests_max {
            return Err(before((
                Failure::Busy,
                format!("{} requests are open", self.open_requests),
            )));
        }
        self.check_counter(request.id).map_err(before)?;
        match self.authorise(user, row, &request) {
            Ok(device) => Ok(Admitted { request, device }),
            Err((failure, detail)) => Err(refuse(failure, detail, true)),
        }
    }

    fn authenticate(&self, xml: &[u8], originator: Eui64) -> Result<&'a User, (Failure, String)> {
        let signer =
            duis::signature::verify(xml, self.certificates).map_err(|error| (unproved(&error), said(&error)))?;
        let Some(user) = self.directory.user(signer.eui) else {
            return Err((Failure::UnknownUser, format!("no user has the EUI-64 {}", signer.eui)));
        };
        if !user.certificates.is_empty() && !user.certificates.contains(&signer.serial) {
            let detail = format!("certificate {} is not one of user {}", signer.serial, user.eui);
            return Err((Failure::CertificateUnknown, detail));
        }
        if user.suspended {
            return Err((Failure::UserStatus, format!("user {} is suspended", user.eui)));
        }
        if signer.eui != originator {
            let detail = format!("signed by {}, sent for {originator}", signer.eui);
            return Err((Failure::OriginatorMismatch, detail));
        }
        Ok(user)
    }

    fn check_counter(&self, id: RequestId) -> Result<(), (Failure, String)> {
        let last = self.counters.get(&(id.originator, id.target)).copied();
        match last {
            _ if (self.is_open)(id) => Err((Failure::RequestRepeated, "it is still open".to_owned())),
            Some(last) if last == id.counter => Err((Failure::RequestRepeated, format!("the last counter is {last}"))),
            Some(last) if last > id.counter => Err((Failure::RequestStale, format!("the last counter is {last}"))),
            _ => Ok(()),
        }
    }

    fn authorise(&self, user: &User, row: &Row, request: &Request) -> Result<Option<&'a Device>, (Failure, String)> {
        if !user.roles.iter().any(|role| row.allows(*role)) {
            return Err((
                Failure::WrongRole,
                format!("no role of user {} may send {}", user.eui, row.srv),
            ));
        }
        let target = request.id.target;
        if row.mode == Mode::DccOnly {
            return match target {
                target if target != self.eui => Err((Failure::UnknownDevice, format!("{target} is not the DCC"))),
                _ if row.state != State::Dcc => Err((Failure::NotEmulated, format!("{} {}", row.srv, row.name))),
                _ => in_time(request).map(|()| None),
            };
        }
        let Some(device) = self.inventory.device(target) else {
            return Err((Failure::UnknownDevice, format!("the inventory has no device {target}")));
        };
        self.check_authority(user, device)?;
        if let Some(status) = device.status.filter(|status| !status.accepts(row.srv)) {
            return Err((Failure::DeviceStatus, format!("the device is {status}")));
        }
        row.applies_to(device.kind)
            .map_err(|failure| (failure, format!("{} to a {}", row.srv, device.kind)))?;
        in_time(request)?;
        Ok(Some(device))
    }

    /// A role of the device's fuel, and, for suppliers and network operators, the registration of its metering point.
    fn check_authority(&self, user: &User, device: &Device) -> Result<(), (Failure, String)> {
        // All roles of the user, not only those that may send this request: whether it fits the device is check 15.
        let fitting = || user.roles.iter().copied().filter(|role| role_fits(*role, device.kind));
        if fitting().next().is_none() {
            let detail = format!("no role of user {} has to do with a {}", user.eui, device.kind);
            return Err((Failure::NoAuthority, detail));
        }
        if !self.limits.enforce_registration {
            return Ok(());
        }
        let points = self.inventory.metering_points(device);
        let has = |role: UserRole| {
            // Other users and agents act on the consumer's behalf, which no registration shows.
            let open = matches!(role, UserRole::OtherUser | UserRole::RegisteredSupplierAgent);
            let mut registered = points
                .iter()
                .filter_map(|mpxn| self.directory.registered(*mpxn, role))
                .peekable();
            open || registered.peek().is_none() || registered.any(|eui| eui == user.eui)
        };
        if fitting().any(has) {
            return Ok(());
        }
        Err((
            Failure::NoAuthority,
            format!("another user is registered for device {}", device.id),
        ))
    }
}

/// Path and command variant by the table; gives the row of the request.
fn on_path(path: &str, request: &Request) -> Result<&'static Row, (Failure, String)> {
    let Some(row) = steps::table().row(request.srv) else {
        return Err((Failure::NotEmulated, format!("no row for {}", request.srv)));
    };
    let Some(service) = ServicePath::from_path(path) else {
        return Err((Failure::WrongPath, format!("{path:?} is no service")));
    };
    steps::table()
        .check_variant(row, request.command_variant, service)
        .map_err(|failure| {
            (
                failure,
                format!("command variant {} on {}", request.command_variant, service.as_str()),
            )
        })?;
    Ok(row)
}

/// What would make a request wait for something: not in this lab yet, and refused rather than ignored.
fn in_time(request: &Request) -> Result<(), (Failure, String)> {
    if let Some(date) = request.body.child_text("ExecutionDateTime") {
        return Err((Failure::NotEmulated, format!("future dated to {date}")));
    }
    if let Some(preceding) = request.preceding {
        return Err((Failure::NotEmulated, format!("to follow {preceding}")));
    }
    Ok(())
}

fn unreadable(xml: &[u8], error: &ReadError) -> Refused {
    let failure = match error.kind {
        ReadErrorKind::Limit => Failure::Oversized,
        ReadErrorKind::Encoding | ReadErrorKind::Forbidden | ReadErrorKind::Namespace | ReadErrorKind::Syntax => {
            Failure::Malformed
        }
        _ => Failure::Schema,
    };
    let (request, srv) = duis::salvage_header(xml);
    Refused {
        failure,
        request,
        srv,
        detail: error.to_string(),
        counter_used: false,
    }
}

fn unproved(error: &SignatureError) -> Failure {
    match error {
        SignatureError::Missing => Failure::SignatureMissing,
        SignatureError::Issuer { .. } | SignatureError::UnknownSigner { .. } => Failure::CertificateUnknown,
        SignatureError::Read(_) => Failure::Malformed,
        _ => Failure::SignatureBad,
    }
}

/// An error with its sources, for the audit trail.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Kinds of device that 12.2 can announce and this inventory can hold.
pub(crate) fn announced_kind(text: &str) -> Result<DeviceKind, Failure> {
    match text {
        // Not SMETS1 (HCALCS), or without a place in this inventory (CAD).
        "HCALCS" => Err(Failure::NotSmets1),
        "CAD" => Err(Failure::NotEmulated),
        _ => text.parse().map_err(|_| Failure::Schema),
    }
}
