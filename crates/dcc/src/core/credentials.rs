//! Changes of the devices' records: prepared when a request is acknowledged, made when the S1SP says that it worked.

use std::collections::BTreeSet;

use domain::{Credentials, CredentialsChange, Eui64, RemoteParty, RequestId, SimInstant, Srv, UserRole};
use duis::alert::{CertificateUse, MeterPoints, SupplierChange};
use duis::{AlertPayload, Request, SignedBody};
use prost::Message;
use prost::bytes::Bytes;
use proto::Countersigned;
use steps::Row;
use steps::codes::AlertTrigger;

use super::Core;
use super::notices::Notice;
use crate::credentials;
use crate::directory::role_fits;
use crate::journal::{CredentialsMessage, Entry};

impl Core {
    /// What goes along with a request of the record as it was before it, and the counters of the record counted on.
    pub(super) fn count_credentials(
        &mut self,
        request: &Request,
        row: &Row,
    ) -> Option<(Credentials, CredentialsMessage)> {
        if !credentials::goes_along(row) {
            return None;
        }
        let device = request.id.target;
        let acting = self
            .options
            .directory
            .user(request.id.originator)
            .map_or(RemoteParty::Supplier, |user| credentials::acting_as(user, row));
        if self.options.credentials.of(device).is_none() && steps::credentials::concerns(row.srv) {
            // A device of which nothing was notified, for example a hub: that is the answer.
            self.options.credentials.set(device, Credentials::default());
        }
        let record = self.options.credentials.of_mut(device)?;
        let before = record.clone();
        credentials::count(record, acting, row, request.id.counter);
        Some((before, CredentialsMessage::of(device, record)))
    }

    /// The change that an acknowledged request asks for, out of the octets in the journal.
    pub(super) fn asked_change(countersigned: &Bytes, srv: Srv, now: SimInstant) -> Option<CredentialsChange> {
        if !steps::credentials::concerns(srv) {
            return None;
        }
        let countersigned = Countersigned::decode(countersigned.clone()).ok()?;
        let request = duis::read_request(&countersigned.request_xml).ok()?;
        steps::credentials::change(&request, now).ok().flatten()
    }

    /// Makes a change that worked, and tells those concerned.
    pub(super) fn change_credentials(&mut self, id: RequestId, srv: Srv, change: &CredentialsChange, now: SimInstant) {
        let device = id.target;
        let mut record = self.options.credentials.of(device).cloned().unwrap_or_default();
        let old = record.critical_party(change.party);
        record.apply(change);
        self.entries.push(Entry {
            credentials: Some(CredentialsMessage::of(device, &record)),
            ..Entry::at(now)
        });
        let new = record.critical_party(change.party);
        self.options.credentials.set(device, record);
        if srv == steps::credentials::CHANGE_OF_SUPPLIER {
            self.tell_change_of_supplier(id, old, now);
        }
        if credentials::is_handover(srv) {
            self.tell_handover(id, change, new, now);
        }
    }

    fn tell_change_of_supplier(&mut self, id: RequestId, old: Option<Eui64>, now: SimInstant) {
        let Some(device) = self.options.inventory.device(id.target) else {
            return;
        };
        let kind = device.kind;
        let points = self.options.inventory.metering_points(device);
        let operators: BTreeSet<Eui64> = [UserRole::ElectricityDistributor, UserRole::GasTransporter]
            .into_iter()
            .filter(|role| role_fits(*role, kind))
            .flat_map(|role| points.iter().map(move |point| (role, *point)))
            .filter_map(|(role, point)| self.options.directory.registered(point, role, now))
            .collect();
        let change = SupplierChange::Device {
            device: id.target,
            kind,
            points: MeterPoints {
                import: points.first().map(ToString::to_string).unwrap_or_default(),
                ..MeterPoints::default()
            },
        };
        let notice = |trigger| Notice {
            trigger,
            payload: AlertPayload::ChangeOfSupplier(change.clone()),
            request: Some(id),
            device: Some(id.target),
        };
        let old = old.filter(|old| *old != id.originator);
        self.notify(old, &notice(AlertTrigger::SupplierChanged), now);
        self.notify(operators, &notice(AlertTrigger::SupplierChangedOthers), now);
    }

    /// The party whose certificates somebody else put in is told of it.
    fn tell_handover(&mut self, id: RequestId, change: &CredentialsChange, new: Option<Eui64>, now: SimInstant) {
        let certificates = [
            (CertificateUse::DigitalSigning, &change.critical),
            (CertificateUse::KeyAgreement, &change.non_critical),
        ];
        let notice = Notice {
            trigger: AlertTrigger::CredentialsUpdated,
            payload: AlertPayload::SecurityCredentialsUpdated {
                device: id.target,
                role: change.party.as_str().to_owned(),
                floors: change.floor.map(|floor| (floor, None)),
                certificates: certificates
                    .into_iter()
                    .filter_map(|(usage, notified)| Some((usage, notified.as_ref()?.fingerprint)))
                    .collect(),
            },
            request: Some(id),
            device: Some(id.target),
        };
        self.notify(new.filter(|new| *new != id.originator), &notice, now);
    }

    /// The parties notified for critical requests of suppliers, of the devices behind the same hub that have a record.
    pub(super) fn notified_suppliers(&self, device: Eui64) -> BTreeSet<Eui64> {
        let inventory = &self.options.inventory;
        let own = self.options.credentials.of(device);
        let hub = inventory.device(device).and_then(|device| device.hub);
        let behind = hub.into_iter().flat_map(|hub| inventory.behind(hub));
        let records: Vec<&Credentials> = match own {
            Some(own) => vec![own],
            None => behind
                .filter_map(|other| self.options.credentials.of(other.id))
                .collect(),
        };
        let party = |record: &&Credentials| record.critical_party(RemoteParty::Supplier);
        records.iter().filter_map(party).collect()
    }
}

/// Whether the S1SP's signed answer says that the request worked.
pub(super) fn worked(signed_response: &[u8]) -> bool {
    let Ok(response) = duis::read_signed_response(signed_response) else {
        return false;
    };
    let SignedBody::Response { payload, .. } = response.body else {
        return false;
    };
    payload.is_some_and(|payload| payload.attribute("MessageSuccess") == Some("true"))
}
