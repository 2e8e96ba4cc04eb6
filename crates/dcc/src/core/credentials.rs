//! Changes of the devices' records: prepared when a request is acknowledged, made when the S1SP says that it worked.

use std::collections::BTreeSet;

use domain::{Credentials, CredentialsChange, Eui64, RemoteParty, RequestId, SimInstant};
use duis::alert::{CertificateUse, MeterPoints, SupplierChange};
use duis::{AlertPayload, Request};
use steps::codes::AlertTrigger;

use super::Core;
use super::alerts::Notice;
use crate::credentials;
use crate::journal::{CredentialsMessage, Entry};

impl Core {
    /// Counts the counters of a device's record on, where the request counts. Gives what the journal is to have of it.
    pub(super) fn count_credentials(&mut self, request: &Request) -> Option<CredentialsMessage> {
        let row = steps::table().row(request.srv)?;
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
        credentials::count(record, acting, row, request.id.counter);
        Some(CredentialsMessage::of(device, record))
    }

    /// The change of a device's record that a request asks for.
    pub(super) fn asked_change(request: &Request, now: SimInstant) -> Option<Box<CredentialsChange>> {
        if !steps::credentials::concerns(request.srv) {
            return None;
        }
        steps::credentials::change(request, now).ok().flatten().map(Box::new)
    }

    /// Makes the change of a request that worked, as part of the entry that ends it, and tells those concerned.
    pub(super) fn apply_credentials(&mut self, entry: &mut Entry, id: RequestId, succeeded: bool, now: SimInstant) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let srv = open.srv;
        let Some(change) = open.credentials.take().filter(|_| succeeded) else {
            return;
        };
        let device = id.target;
        let mut record = self.options.credentials.of(device).cloned().unwrap_or_default();
        let old = record.critical_party(change.party);
        record.apply(&change);
        entry.credentials = Some(CredentialsMessage::of(device, &record));
        let new = record.critical_party(change.party);
        self.options.credentials.set(device, record);
        if srv == steps::credentials::CHANGE_OF_SUPPLIER {
            self.change_supplier(entry, id, old.filter(|old| *old != id.originator), now);
        }
        if credentials::is_handover(srv) {
            self.tell_handover(entry, id, &change, new.filter(|new| *new != id.originator), now);
        }
    }

    /// The old supplier is told, and what of its requests and schedules still waits ends.
    fn change_supplier(&mut self, entry: &mut Entry, id: RequestId, old: Option<Eui64>, now: SimInstant) {
        let Some(device) = self.options.inventory.device(id.target) else {
            return;
        };
        let points = self.options.inventory.metering_points(device);
        let payload = AlertPayload::ChangeOfSupplier(SupplierChange::Device {
            device: id.target,
            kind: device.kind,
            points: MeterPoints {
                import: points.first().map(ToString::to_string).unwrap_or_default(),
                ..MeterPoints::default()
            },
        });
        if let Some(old) = old {
            let notice = Notice::new(AlertTrigger::SupplierChanged, payload.clone()).to(old);
            self.raise(entry, &notice.about(id.target).because_of(id), now);
        }
        let others = Notice::new(AlertTrigger::SupplierChangedOthers, payload);
        self.raise(entry, &others.about(id.target).because_of(id), now);
        let Some(old) = old else { return };
        let schedules = self
            .schedules
            .of_device(id.target)
            .filter(|schedule| schedule.owner == old);
        let schedules: Vec<_> = schedules.map(|schedule| schedule.id).collect();
        for schedule in schedules {
            self.remove_schedule(entry, schedule, Some(AlertTrigger::ScheduleRemovedSupplier), now);
        }
        self.cancel_for(entry, id.target, Some(old), AlertTrigger::HeldCancelledSupplier, now);
    }

    /// The party whose certificates somebody else put in is told of it.
    fn tell_handover(
        &mut self,
        entry: &mut Entry,
        id: RequestId,
        change: &CredentialsChange,
        new: Option<Eui64>,
        now: SimInstant,
    ) {
        let Some(new) = new else { return };
        let certificates = [
            (CertificateUse::DigitalSigning, &change.critical),
            (CertificateUse::KeyAgreement, &change.non_critical),
        ];
        let payload = AlertPayload::SecurityCredentialsUpdated {
            device: id.target,
            role: change.party.as_str().to_owned(),
            floors: change.floor.map(|floor| (floor, None)),
            certificates: certificates
                .into_iter()
                .filter_map(|(usage, notified)| Some((usage, notified.as_ref()?.fingerprint)))
                .collect(),
        };
        let notice = Notice::new(AlertTrigger::CredentialsUpdated, payload).to(new);
        self.raise(entry, &notice.about(id.target).because_of(id), now);
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
