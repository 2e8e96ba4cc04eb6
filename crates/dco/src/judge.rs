//! The decision itself: plain data in, an approval or a reason out. Every check is the DCO's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::keys::{DeviceKey, HandOverSecret, Purpose, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{Approval, DeviceKind, Eui64, Operation, RemoteParty, RequestId, SimDuration, SimInstant};
use duis::Request;
use duis::signature::{self, Certificates};
use proto::{ApprovalRequest, Countersigned, Message};
use world::{Store, StoreError, semantic};

use crate::audit::{self, Record};
use crate::used::{Again, Used};

/// How many approvals may be given, so that a system gone astray cannot cut off a town. `None`: as many as are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Thresholds {
    /// Per user and hour of the lab's calendar.
    pub per_user_and_hour: Option<u32>,
    /// Per device and hour of the lab's calendar.
    pub per_device_and_hour: Option<u32>,
}

/// What a DCO is made of. Prints without its secret.
#[derive(Clone)]
pub struct Options {
    /// Certificates of users and of the DCC.
    pub certificates: Arc<dyn Certificates + Send + Sync>,
    /// The one party whose countersignature counts.
    pub dcc: Eui64,
    /// The secret shared with the device side.
    pub relation: RelationSecret,
    /// Epoch of the DCO's own keys.
    pub key_epoch: u32,
    /// The operations that need an approval; any other is refused one.
    pub critical: CriticalOperations,
    /// How long a device may accept an approval; by default 75 minutes, enough for a sleeping gas meter.
    pub approval_lifetime: SimDuration,
    /// How old a countersigned request may be; by default 90 minutes, since the S1SP may have waited for a gas meter
    /// before the critical step.
    pub request_window: SimDuration,
    /// How far ahead of the DCO's clock the DCC's may be.
    pub clock_tolerance: SimDuration,
    /// Limits on how many.
    pub thresholds: Thresholds,
}

impl Options {
    /// With the default times, the critical operations of the service request table and no thresholds.
    #[must_use]
    pub fn new(certificates: Arc<dyn Certificates + Send + Sync>, dcc: Eui64, relation: RelationSecret) -> Self {
        Self {
            certificates,
            dcc,
            relation,
            key_epoch: 1,
            critical: steps::critical_operations(),
            approval_lifetime: SimDuration::from_mins(75),
            request_window: SimDuration::from_mins(90),
            clock_tolerance: SimDuration::from_secs(60),
            thresholds: Thresholds::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("dcc", &self.dcc)
            .field("approval_lifetime", &self.approval_lifetime)
            .field("request_window", &self.request_window)
            .field("thresholds", &self.thresholds)
            .finish_non_exhaustive()
    }
}

/// Why no approval was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// This request has had an approval for this step or this operation.
    #[error("step {step} or its operation was approved for this request before")]
    AlreadyApproved {
        /// Position in the plan.
        step: u32,
    },
    /// The countersignature is missing, wrong, or not the DCC's.
    #[error("countersignature: {0}")]
    Countersignature(String),
    /// The device is not the one that the request and the DCC's countersigned facts name.
    #[error("asked for device {asked}, countersigned for {countersigned}")]
    Device {
        /// Device in the approval request.
        asked: Eui64,
        /// Device in the countersigned facts.
        countersigned: Eui64,
    },
    /// A part is missing or is none.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The operation needs no approval.
    #[error("{0} is not a critical operation")]
    NotCritical(Operation),
    /// The countersigned request is too old, or from the future.
    #[error("countersigned at {0}, which is not fresh")]
    NotFresh(SimInstant),
    /// The user's request does not permit this operation with these arguments on this device.
    #[error("{0}")]
    NotPermitted(String),
    /// Somebody else is notified for critical requests to this device.
    #[error("{0}")]
    NotNotified(String),
    /// The user's XML is not a request.
    #[error("the user's request: {0}")]
    Request(String),
    /// The journal refuses: without it nothing can be approved.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An anomaly detection threshold is reached.
    #[error("threshold: {0}")]
    Threshold(String),
    /// The user's signature is missing or wrong, or the signer is not the originator.
    #[error("the user's signature: {0}")]
    UserSignature(String),
}

/// The state of one DCO: what it approved, under which counters. All of it is in the journal.
pub struct Judge {
    options: Options,
    store: Box<dyn Store>,
    used: Used,
    counters: BTreeMap<Eui64, u32>,
    /// Epochs that came by hand-over, with their secrets.
    handed: BTreeMap<Eui64, (u32, HandOverSecret)>,
    per_user: BTreeMap<Eui64, Hour>,
    per_device: BTreeMap<Eui64, Hour>,
    /// Whose critical requests count as the supplier's, by device, as far as a change was noted; and by which request.
    suppliers: BTreeMap<Eui64, (Eui64, RequestId)>,
}

/// Approvals in one hour of the calendar.
#[derive(Clone, Copy, Default)]
struct Hour {
    number: i64,
    given: u32,
}

/// What was found out about an approval request before it was judged, for the audit record.
#[derive(Default)]
struct Case {
    request: Option<RequestId>,
    operation: Option<Operation>,
}

impl Judge {
    /// A DCO on its journal.
    ///
    /// # Errors
    /// When the journal cannot be read: starting without it could approve something twice.
    pub fn open(options: Options, store: Box<dyn Store>) -> Result<Self, StoreError> {
        let mut judge = Self {
            options,
            used: Used::default(),
            counters: BTreeMap::new(),
            handed: BTreeMap::new(),
            per_user: BTreeMap::new(),
            per_device: BTreeMap::new(),
            suppliers: BTreeMap::new(),
            store,
        };
        for record in &audit::read(judge.store.as_ref())? {
            let noted = record.noted.filter(|supplier| *supplier > 0);
            if let (Some(supplier), Ok(request)) = (noted, record.request_id.parse()) {
                judge.suppliers.insert(Eui64(record.device), (Eui64(supplier), request));
            }
            if !record.approved() {
                continue;
            }
            let Ok(request) = record.request_id.parse::<RequestId>() else {
                continue;
            };
            judge.used.note(request, record.step, record.operation_mark);
            let last = judge.counters.entry(Eui64(record.device)).or_insert(0);
            *last = record.counter.max(*last);
            judge.count(request, Eui64(record.device), record.at());
        }
        Ok(judge)
    }

    /// Judges one approval request at `now`. The decision is in the journal when this returns.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn decide(&mut self, asked: &ApprovalRequest, now: SimInstant) -> Result<Approval, Denied> {
        let mut case = Case::default();
        let device = Eui64(asked.device);
        let decision = self.examine(asked, now, &mut case).and_then(|(request, operation)| {
            let last = self.counters.get(&device).copied().unwrap_or(0);
            let counter = last.checked_add(1).ok_or_else(|| {
                Denied::Threshold(format!("the approval counter of {device} is used up: rotate its keys"))
            })?;
            let key = self.key(device);
            let expires_at = now + self.options.approval_lifetime;
            Ok((
                Approval::make(&key, device, &operation, request, counter, expires_at),
                operation,
            ))
        });
        let mark = case.operation.as_ref().map_or(0, |operation| mark(device, operation));
        let mut record = Record {
            at_ms: now.0,
            request_id: case.request.map(|request| request.to_string()).unwrap_or_default(),
            step: asked.step,
            device: device.0,
            operation: case.operation.as_ref().map(ToString::to_string).unwrap_or_default(),
            operation_mark: mark,
            ..Record::default()
        };
        match decision {
            Ok((approval, _)) => {
                record.counter = approval.counter;
                record.expires_at_ms = approval.expires_at.0;
                self.write(&record)?;
                self.counters.insert(device, approval.counter);
                self.used.note(approval.request, asked.step, mark);
                self.count(approval.request, device, now);
                Ok(approval)
            }
            Err(denied) => {
                record.refused = denied.to_string();
                self.write(&record)?;
                Err(denied)
            }
        }
    }

    /// Notes a change of certificates, after the same checks of both signatures. The note is in the journal when this
    /// returns; the same request may come again.
    ///
    /// # Errors
    /// [`Denied`] says why not.
    pub fn note(&mut self, asked: &ApprovalRequest, now: SimInstant) -> Result<(), Denied> {
        let mut case = Case::default();
        let device = Eui64(asked.device);
        let noted = self.believe(asked, now, &mut case).and_then(|(request, kind)| {
            let row = steps::table().row(request.srv);
            if row.is_none_or(|row| row.applies_to(kind).is_err()) {
                return Err(Denied::NotPermitted(format!(
                    "{} does not apply to a {kind}",
                    request.srv
                )));
            }
            let change = steps::credentials::change(&request, now).map_err(|bad| Denied::Request(bad.to_string()))?;
            change.ok_or_else(|| Denied::NotPermitted(format!("{} changes no certificates", request.srv)))
        });
        let mut record = Record {
            at_ms: now.0,
            request_id: case.request.map(|request| request.to_string()).unwrap_or_default(),
            device: device.0,
            operation: "note a change of certificates".to_owned(),
            ..Record::default()
        };
        match noted {
            Ok(change) => {
                let supplier = change
                    .critical
                    .filter(|_| change.party == RemoteParty::Supplier)
                    .map(|notified| notified.party);
                record.noted = Some(supplier.unwrap_or_default().0);
                self.write(&record)?;
                if let (Some(supplier), Some(request)) = (supplier, case.request) {
                    self.suppliers.insert(device, (supplier, request));
                }
                Ok(())
            }
            Err(denied) => {
                record.refused = denied.to_string();
                self.write(&record)?;
                Err(denied)
            }
        }
    }

    /// The key that approvals for this device are made with.
    fn key(&self, device: Eui64) -> DeviceKey {
        let relation = &self.options.relation;
        match self.handed.get(&device) {
            Some((epoch, secret)) => relation.epoch_key(device, *epoch, Some(secret), Purpose::Approval),
            None => relation.device_key(device, self.options.key_epoch, Purpose::Approval),
        }
    }

    /// A device was handed over in this epoch, or is about to be.
    pub(crate) fn learn(&mut self, device: Eui64, epoch: u32, secret: HandOverSecret) {
        self.handed.insert(device, (epoch, secret));
    }

    /// The hand-over of a device came to nothing.
    pub(crate) fn unlearn(&mut self, device: Eui64) {
        self.handed.remove(&device);
    }

    /// The counter of the next approval for a device.
    pub(crate) fn next_counter(&self, device: Eui64) -> u32 {
        self.counters.get(&device).copied().unwrap_or(0).saturating_add(1)
    }

    /// Approves an operation of the hand-over itself, asked for by `cp`; `None` when it is about another epoch than the one
    /// that was handed over. On record when this returns.
    pub(crate) fn approve_hand_over(
        &mut self,
        device: Eui64,
        epoch: u32,
        operation: &Operation,
        cp: Eui64,
        now: SimInstant,
    ) -> Result<Option<Approval>, StoreError> {
        if self.handed.get(&device).is_none_or(|(handed, _)| *handed != epoch) {
            return Ok(None);
        }
        let counter = self.next_counter(device);
        let request = RequestId {
            originator: cp,
            target: device,
            counter: counter.into(),
        };
        let expires_at = now + self.options.approval_lifetime;
        let approval = Approval::make(&self.key(device), device, operation, request, counter, expires_at);
        self.write(&Record {
            at_ms: now.0,
            request_id: request.to_string(),
            step: 1,
            device: device.0,
            operation: operation.to_string(),
            operation_mark: mark(device, operation),
            counter,
            expires_at_ms: expires_at.0,
            ..Record::default()
        })?;
        self.counters.insert(device, counter);
        Ok(Some(approval))
    }

    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        self.store.append(&record.encode_to_vec())?;
        self.store.commit()
    }

    /// Everything that can be said against it, cheapest first; nothing the S1SP says is believed.
    fn examine(
        &self,
        asked: &ApprovalRequest,
        now: SimInstant,
        case: &mut Case,
    ) -> Result<(RequestId, Operation), Denied> {
        let missing = |what: &str| Denied::Malformed(format!("{what} is missing"));
        let operation = asked.operation.as_ref().ok_or_else(|| missing("operation"))?;
        let operation = semantic::operation_from_proto(operation).map_err(|e| Denied::Malformed(e.to_string()))?;
        case.operation = Some(operation.clone());
        if !self.options.critical.contains(&operation) {
            return Err(Denied::NotCritical(operation));
        }
        if asked.step == 0 {
            return Err(missing("position of the step"));
        }
        let (request, kind) = self.believe(asked, now, case)?;
        let device = Eui64(asked.device);
        steps::permits(&request, device, kind, &operation).map_err(|error| Denied::NotPermitted(error.to_string()))?;
        match self.used.check(request.id, asked.step, mark(device, &operation)) {
            Ok(()) => {}
            Err(Again::Approved | Again::TooOld) => return Err(Denied::AlreadyApproved { step: asked.step }),
            Err(Again::TooMany) => return Err(Denied::Threshold("too many steps of one request".into())),
        }
        self.below_thresholds(request.id, device, now)?;
        Ok((request.id, operation))
    }

    /// The user's request and the kind of its device, once both signatures, the time and the device are as they must be.
    fn believe(
        &self,
        asked: &ApprovalRequest,
        now: SimInstant,
        case: &mut Case,
    ) -> Result<(Request, DeviceKind), Denied> {
        let missing = |what: &str| Denied::Malformed(format!("{what} is missing"));
        let message = asked.request.as_ref().ok_or_else(|| missing("countersigned request"))?;
        self.countersigned_by_dcc(message)?;
        let countersigned = Countersigned::decode(message.countersigned.clone())
            .map_err(|error| Denied::Malformed(format!("countersigned request: {error}")))?;
        self.fresh(SimInstant(countersigned.countersigned_at_ms), now)?;

        let xml = &countersigned.request_xml;
        let (request, proof) = duis::read_request_and_proof(xml).map_err(|error| Denied::Request(error.to_string()))?;
        let signer = proof
            .verify(self.options.certificates.as_ref())
            .map_err(|error| Denied::UserSignature(error.to_string()))?;
        if signer.eui != request.id.originator {
            let (signer, originator) = (signer.eui, request.id.originator);
            return Err(Denied::UserSignature(format!("{signer} signed for {originator}")));
        }
        case.request = Some(request.id);

        // What the DCC says of the target is inside the octets that it signed; the S1SP's word for it counts nothing.
        let facts = countersigned.target.as_ref().ok_or_else(|| missing("target"))?;
        let device = Eui64(asked.device);
        if facts.device != asked.device || request.id.target != device {
            return Err(Denied::Device {
                asked: device,
                countersigned: Eui64(facts.device),
            });
        }
        let kind: DeviceKind = facts
            .device_kind
            .parse()
            .map_err(|error| Denied::Malformed(format!("{error}")))?;
        self.notified(
            &request,
            device,
            countersigned.target.and_then(|facts| facts.credentials),
        )?;
        Ok((request, kind))
    }

    /// A critical request of a supplier must be that of the notified one: the one noted here, or else the one that the DCC
    /// countersigned. A change of supplier is the new one's.
    fn notified(
        &self,
        request: &Request,
        device: Eui64,
        countersigned: Option<proto::Credentials>,
    ) -> Result<(), Denied> {
        let Some(row) = steps::table().row(request.srv).filter(|row| row.critical) else {
            return Ok(());
        };
        let of_supplier = row.roles.iter().any(|role| role.is_supplier());
        let of_operator =
            steps::credentials::party(request).is_ok_and(|party| party == Some(RemoteParty::NetworkOperator));
        if !of_supplier || of_operator {
            return Ok(());
        }
        let record = countersigned.map(world::credentials::from_proto).unwrap_or_default();
        let noted = self.suppliers.get(&device);
        if noted.is_some_and(|(_, by)| *by == request.id) {
            // It was noted before, and comes again after a restart of the S1SP.
            return Ok(());
        }
        let noted = noted.map(|(supplier, _)| *supplier);
        match noted.or(record.critical_party(RemoteParty::Supplier)) {
            Some(notified) if notified != request.id.originator => {
                let originator = request.id.originator;
                Err(Denied::NotNotified(format!(
                    "{notified} is notified for {device}, not {originator}"
                )))
            }
            _ => Ok(()),
        }
    }

    fn countersigned_by_dcc(&self, message: &proto::CountersignedServiceRequest) -> Result<(), Denied> {
        let refused = |why: String| Denied::Countersignature(why);
        let certificate = self.options.certificates.by_serial(&message.signer_serial);
        let certificate = certificate.ok_or_else(|| {
            refused(format!(
                "no certificate with serial number {} is known",
                message.signer_serial
            ))
        })?;
        if certificate.eui() != self.options.dcc {
            return Err(refused(format!("made by {}, not by the DCC", certificate.eui())));
        }
        if signature::verify_octets(&message.countersigned, &message.signature, certificate) {
            Ok(())
        } else {
            Err(refused("it does not fit the octets it came with".into()))
        }
    }

    fn fresh(&self, countersigned_at: SimInstant, now: SimInstant) -> Result<(), Denied> {
        let too_old = now.since(countersigned_at) > self.options.request_window;
        let too_new = countersigned_at.since(now) > self.options.clock_tolerance;
        if too_old || too_new {
            Err(Denied::NotFresh(countersigned_at))
        } else {
            Ok(())
        }
    }

    fn below_thresholds(&self, request: RequestId, device: Eui64, now: SimInstant) -> Result<(), Denied> {
        let limits = self.options.thresholds;
        let number = hour(now);
        let given = |of: &BTreeMap<Eui64, Hour>, who: Eui64| {
            of.get(&who)
                .filter(|hour| hour.number == number)
                .map_or(0, |hour| hour.given)
        };
        if limits
            .per_user_and_hour
            .is_some_and(|limit| given(&self.per_user, request.originator) >= limit)
        {
            return Err(Denied::Threshold(format!(
                "user {} has had enough in this hour",
                request.originator
            )));
        }
        if limits
            .per_device_and_hour
            .is_some_and(|limit| given(&self.per_device, device) >= limit)
        {
            return Err(Denied::Threshold(format!(
                "device {device} has had enough in this hour"
            )));
        }
        Ok(())
    }

    fn count(&mut self, request: RequestId, device: Eui64, at: SimInstant) {
        let number = hour(at);
        let limits = self.options.thresholds;
        for (of, who, limit) in [
            (&mut self.per_user, request.originator, limits.per_user_and_hour),
            (&mut self.per_device, device, limits.per_device_and_hour),
        ] {
            if limit.is_some() {
                let hour = of.entry(who).or_default();
                if hour.number != number {
                    *hour = Hour { number, given: 0 };
                }
                hour.given += 1;
            }
        }
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Judge({} devices)", self.counters.len())
    }
}

fn hour(at: SimInstant) -> i64 {
    at.0.div_euclid(3_600_000)
}

/// Tells operations with their arguments on one device apart within a request. Not a secret, and not a security
/// boundary by itself: a collision could only refuse.
fn mark(device: Eui64, operation: &Operation) -> u64 {
    domain::Seed::root(device.0).child(operation.canonical_bytes()).number()
}
