//! The devices' records of notified certificates and counters, and what they permit.

use std::collections::BTreeMap;

use domain::{Credentials, Eui64, RemoteParty};
use duis::Request;
use steps::credentials::{CHANGE_OF_SUPPLIER, HANDOVER, UPDATE_KRP};
use steps::{Failure, Row};

use crate::Inventory;
use crate::directory::User;
use crate::front_door::Denied;
use crate::inventory::Device;

/// All records, by device. Devices without one take critical requests of every user with authority, as during
/// commissioning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Eui64, Credentials>);

impl Records {
    /// The record of a device.
    #[must_use]
    pub fn of(&self, device: Eui64) -> Option<&Credentials> {
        self.0.get(&device)
    }

    /// Sets or replaces one.
    pub fn set(&mut self, device: Eui64, record: Credentials) {
        self.0.insert(device, record);
    }

    pub(crate) fn of_mut(&mut self, device: Eui64) -> Option<&mut Credentials> {
        self.0.get_mut(&device)
    }
}

impl FromIterator<(Eui64, Credentials)> for Records {
    fn from_iter<T: IntoIterator<Item = (Eui64, Credentials)>>(records: T) -> Self {
        Self(records.into_iter().collect())
    }
}

/// Which remote party a user acts as with a request: its supplier's, or the network operator's.
pub(crate) fn acting_as(user: &User, row: &Row) -> RemoteParty {
    let acts = |test: fn(domain::UserRole) -> bool| user.roles.iter().any(|role| row.allows(*role) && test(*role));
    if acts(domain::UserRole::is_network_operator) && !acts(domain::UserRole::is_supplier) {
        RemoteParty::NetworkOperator
    } else {
        RemoteParty::Supplier
    }
}

/// What a device's record has against a request: that it is about a remote party the record does not have, that somebody
/// else is notified for critical requests, that its counter was used.
pub(crate) fn check(
    records: &Records,
    inventory: &Inventory,
    user: &User,
    row: &Row,
    request: &Request,
    device: &Device,
) -> Result<(), Denied> {
    let acting = acting_as(user, row);
    let party = steps::credentials::party(request).map_err(|refused| Denied(refused.failure, refused.text))?;
    match (request.srv, party) {
        (UPDATE_KRP, Some(party)) if party != acting => {
            let detail = format!("{} changes certificates of the {}", user.eui, party.as_str());
            return Err(Denied(Failure::NoAuthority, detail));
        }
        (CHANGE_OF_SUPPLIER, _) => of_its_point(inventory, request, device)?,
        _ => {}
    }
    let Some(record) = records.of(device.id) else {
        return Ok(());
    };
    let counter = request.id.counter;
    let stale = |name: &str, last: u64| {
        let detail = format!("the {name} of {} stands at {last}", device.id);
        Err(Denied(Failure::ReplayCounter, detail))
    };
    if request.srv == CHANGE_OF_SUPPLIER && counter <= record.cos_counter && record.cos_counter > 0 {
        return stale("CoS Execution Counter", record.cos_counter);
    }
    if !row.critical {
        return Ok(());
    }
    let of = record.of(acting);
    if let Some(notified) = of.critical.as_ref().filter(|notified| notified.party != user.eui) {
        let detail = format!(
            "the Notified Critical {} of {} is {} (certificate {})",
            acting.as_str(),
            device.id,
            notified.party,
            notified.id
        );
        return Err(Denied(Failure::NotNotified, detail));
    }
    if counter <= of.execution_counter && of.execution_counter > 0 {
        return stale("Execution Counter", of.execution_counter);
    }
    Ok(())
}

/// 6.23 names the metering point it is for.
fn of_its_point(inventory: &Inventory, request: &Request, device: &Device) -> Result<(), Denied> {
    let named = request.body.child_text("ImportMPxN").unwrap_or_default().trim();
    let points = inventory.metering_points(device);
    let same = points.is_empty() || points.iter().any(|point| point.to_string() == named);
    if same {
        return Ok(());
    }
    let detail = format!("ImportMPxN {named} is not the metering point of {}", device.id);
    Err(Denied(Failure::NoAuthority, detail))
}

/// Notes the counter of an admitted request. Gives whether the record changed.
pub(crate) fn count(record: &mut Credentials, acting: RemoteParty, row: &Row, counter: u64) -> bool {
    if row.srv == CHANGE_OF_SUPPLIER {
        record.cos_counter = record.cos_counter.max(counter);
        return true;
    }
    if row.critical {
        let of = record.of_mut(acting);
        of.execution_counter = of.execution_counter.max(counter);
    }
    row.critical
}

/// A record as it was before a request with this counter: the counters of the requests that came after it, which may have
/// been executed before it, do not count against it.
pub(crate) fn before(record: &Credentials, counter: u64) -> Credentials {
    let mut record = record.clone();
    let last = counter.saturating_sub(1);
    record.cos_counter = record.cos_counter.min(last);
    for party in [RemoteParty::Supplier, RemoteParty::NetworkOperator] {
        let of = record.of_mut(party);
        of.execution_counter = of.execution_counter.min(last);
    }
    record
}

/// Whether the S1SP and the DCO need the record with a request.
pub(crate) fn goes_along(row: &Row) -> bool {
    row.critical || steps::credentials::concerns(row.srv)
}

/// Whether a request changes whose certificate somebody else is told of.
pub(crate) fn is_handover(srv: domain::Srv) -> bool {
    srv == HANDOVER
}
