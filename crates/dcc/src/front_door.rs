//! What a request must be before anything else happens, checked in one fixed order:
//!
//! 1. size, by the limit of its service request;
//! 2. XML: well formed, no document type or entity, not too deep;
//! 3. structure by the schema;
//! 4. form of the signature, certificate known, signature value;
//! 5. certificate not expired, not revoked, of a signing role;
//! 6. signer known as a user with a role (E1) and this certificate, not suspended (E3); originator is the signer; schema
//!    version by the user's policy; a request for a device of another system is passed on here;
//! 7. path (E13) and command variant (E12);
//! 8. room for one more request;
//! 9. counter of the RequestID;
//! 10. role (E2);
//! 11. target known (E19);
//! 12. authority by registration at the date needed (E4);
//! 13. SMI status (E5);
//! 14. applicability to the device (E11);
//! 15. the device's record of certificates: the party notified for critical requests, and the counters against replay;
//! 16. what it names beyond its device, its date and its sequence.
//!
//! A request wrong in two ways gets the code of the earlier check; a test goes through the pairs. A counter is used up by
//! the first authentic request that reaches check 9 with it, whatever becomes of it. The audit record keeps the request as
//! it came.

use std::collections::BTreeMap;

use domain::{Eui64, RequestId, SimInstant, Srv};
use duis::signature::Certificates;
use duis::{ReadError, ReadErrorKind, Request};
use steps::table::{Applicability, Mode, State};
use steps::{Failure, Row, ServicePath};

use crate::access::Access;
use crate::credentials::{self, Records};
use crate::directory::User;
use crate::inventory::Device;
use crate::options::Trust;
use crate::schema_policy::OtherVersions;
use crate::signer::Signers;
use crate::{Directory, Inventory, Limits};

/// What the checks look at.
pub(crate) struct FrontDoor<'a> {
    pub(crate) eui: Eui64,
    pub(crate) certificates: &'a (dyn Certificates + Send + Sync),
    pub(crate) trust: &'a Trust,
    pub(crate) credentials: &'a Records,
    pub(crate) directory: &'a Directory,
    pub(crate) inventory: &'a Inventory,
    pub(crate) counters: &'a BTreeMap<(Eui64, Eui64), u64>,
    pub(crate) limits: &'a Limits,
    /// Acknowledged requests without outcome.
    pub(crate) open_requests: usize,
    /// Whether this very request is one of them.
    pub(crate) is_open: &'a dyn Fn(RequestId) -> bool,
    pub(crate) now: SimInstant,
}

/// A check that failed, and what in particular.
#[derive(Debug)]
pub(crate) struct Denied(pub(crate) Failure, pub(crate) String);

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) request: Request,
    /// The target; none for requests to the DCC itself.
    pub(crate) device: Option<&'a Device>,
    /// For the audit trail, where there is something to say.
    pub(crate) warning: Option<String>,
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
        self.check_size(xml)?;
        let (request, proof) = duis::read_request_and_proof(xml).map_err(|error| unreadable(xml, &error))?;
        let refuse = |Denied(failure, detail), counter_used| Refused {
            failure,
            request: Some(request.id),
            srv: Some(request.srv),
            detail,
            counter_used,
        };
        let before = |denied| refuse(denied, false);
        let signers = Signers {
            certificates: self.certificates,
            trust: self.trust,
            directory: self.directory,
        };
        let user = signers.user(&proof, request.id.originator, self.now).map_err(before)?;
        let warning = version(user, &request).map_err(before)?;
        if self.is_elsewhere(&request) {
            let detail = format!("{} is for another system", request.id.target);
            return Err(before(Denied(Failure::ForwardFailed, detail)));
        }
        let row = on_path(path, &request).map_err(before)?;
        if self.open_requests >= self.limits.open_requests_max {
            let detail = format!("{} requests are open", self.open_requests);
            return Err(before(Denied(Failure::Busy, detail)));
        }
        self.check_counter(request.id).map_err(before)?;
        match self.authorise(user, row, &request) {
            Ok(device) => Ok(Admitted {
                request,
                device,
                warning,
            }),
            Err(denied) => Err(refuse(denied, true)),
        }
    }

    /// Whether it is for a device of another system, where there is one: command variants and paths are then that system's
    /// to judge.
    fn is_elsewhere(&self, request: &Request) -> bool {
        let row = steps::table().row(request.srv);
        self.limits.forward_unknown
            && row.is_some_and(|row| row.mode == Mode::Device)
            && request.id.target != self.eui
            && self.inventory.device(request.id.target).is_none()
    }

    /// The limit of its service request, as far as its header can be read: only firmware may be large.
    fn check_size(&self, xml: &[u8]) -> Result<(), Refused> {
        let octets = xml.len();
        if octets <= self.limits.request_octets_max {
            return Ok(());
        }
        let (request, srv) = if octets > self.limits.firmware_octets_max {
            (None, None)
        } else {
            duis::salvage_header(xml)
        };
        let limit = match srv {
            Some(srv) if FIRMWARE.contains(&srv) => self.limits.firmware_octets_max,
            _ => self.limits.request_octets_max,
        };
        if octets <= limit {
            return Ok(());
        }
        Err(Refused {
            failure: Failure::Oversized,
            request,
            srv,
            detail: format!("{octets} octets where {limit} are the limit"),
            counter_used: false,
        })
    }

    fn check_counter(&self, id: RequestId) -> Result<(), Denied> {
        let last = self.counters.get(&(id.originator, id.target)).copied();
        let denied = |failure, detail: String| Err(Denied(failure, detail));
        match last {
            _ if (self.is_open)(id) => denied(Failure::RequestRepeated, "it is still open".to_owned()),
            Some(last) if last == id.counter => denied(Failure::RequestRepeated, format!("the last counter is {last}")),
            Some(last) if last > id.counter => denied(Failure::RequestStale, format!("the last counter is {last}")),
            _ => Ok(()),
        }
    }

    fn authorise(&self, user: &User, row: &Row, request: &Request) -> Result<Option<&'a Device>, Denied> {
        Access::role(user, row)?;
        let target = request.id.target;
        if row.mode == Mode::DccOnly {
            return match target {
                target if target != self.eui => Err(Denied(Failure::UnknownDevice, format!("{target} is not the DCC"))),
                _ if row.smets1 == Applicability::No => {
                    Err(Denied(Failure::NotSmets1, format!("{} {}", row.srv, row.name)))
                }
                _ if row.state != State::Dcc => Err(Denied(Failure::NotEmulated, format!("{} {}", row.srv, row.name))),
                _ => Ok(None),
            };
        }
        let Some(device) = self.inventory.device(target) else {
            let detail = format!("the inventory has no device {target}");
            return Err(Denied(Failure::UnknownDevice, detail));
        };
        let access = Access {
            directory: self.directory,
            inventory: self.inventory,
            enforce_registration: self.limits.enforce_registration,
            commissioning_max: self.limits.commissioning_max,
        };
        access.authority(user, row, device, needed_at(request, self.now))?;
        if let Some(status) = device.status.filter(|status| !status.accepts(row.srv)) {
            return Err(Denied(Failure::DeviceStatus, format!("the device is {status}")));
        }
        row.applies_to(device.kind)
            .map_err(|failure| Denied(failure, format!("{} to a {}", row.srv, device.kind)))?;
        credentials::check(self.credentials, self.inventory, user, row, request, device)?;
        Ok(Some(device))
    }
}

/// When a request needs its authority: when it is to be executed. A date that cancels one needs it now.
fn needed_at(request: &Request, now: SimInstant) -> SimInstant {
    let executed = steps::execution_at(request).ok().flatten();
    executed.filter(|at| *at < NEVER).unwrap_or(now).max(now)
}

/// 3000-01-01T00:00:00Z: later dates cancel.
pub(crate) const NEVER: SimInstant = SimInstant(32_503_680_000_000);
/// 11.1 and 11.4 carry firmware images.
const FIRMWARE: [Srv; 2] = [Srv::new(11, 1, 0), Srv::new(11, 4, 0)];

/// Path and command variant by the table; gives the row of the request.
fn on_path(path: &str, request: &Request) -> Result<&'static Row, Denied> {
    let Some(row) = steps::table().row(request.srv) else {
        return Err(Denied(Failure::NotEmulated, format!("no row for {}", request.srv)));
    };
    let Some(service) = ServicePath::from_path(path) else {
        return Err(Denied(Failure::WrongPath, format!("{path:?} is no service")));
    };
    steps::table()
        .check_variant(row, request.command_variant, service)
        .map_err(|failure| {
            let detail = format!("command variant {} on {}", request.command_variant, service.as_str());
            Denied(failure, detail)
        })?;
    Ok(row)
}

/// What the user's policy says of the request's version: a warning for the audit trail, or a refusal.
fn version(user: &User, request: &Request) -> Result<Option<String>, Denied> {
    let Some(policy) = &user.schema else { return Ok(None) };
    let Some(detail) = policy.differs(&request.schema_version) else {
        return Ok(None);
    };
    match policy.others {
        OtherVersions::Accept => Ok(None),
        OtherVersions::Warn => Ok(Some(detail)),
        OtherVersions::Refuse => Err(Denied(Failure::SchemaVersion, detail)),
    }
}

fn unreadable(xml: &[u8], error: &ReadError) -> Refused {
    // The reader stops at the first fault of any kind; those of the XML itself come first in the order of the checks.
    let of_xml = duis::check_well_formed(xml).err();
    let error = of_xml.as_ref().unwrap_or(error);
    let failure = match error.kind {
        ReadErrorKind::Depth => Failure::TooDeep,
        ReadErrorKind::Forbidden => Failure::Entity,
        ReadErrorKind::Limit => Failure::Oversized,
        ReadErrorKind::Encoding | ReadErrorKind::Namespace | ReadErrorKind::Syntax => Failure::Malformed,
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
