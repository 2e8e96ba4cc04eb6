//! Vends: a supplier has a code made for a meter, on the DCC's side.
//!
//! For an enrolled SMETS1 meter every code is made behind the DCC (sourced). How a supplier asks for one is not public. Here
//! the DCC makes a top-up request of its own in the supplier's place, with a UTRN of its own; the S1SP makes the meter's code
//! of it, tells the supplier by alert and, unless the code is only to be given away, tries the meter.

use domain::utrn::Utrn;
use domain::{DeviceKind, RequestId, SimInstant, Srv};
use duis::{Element, Request};
use steps::Failure;

use super::Core;
use crate::access::Access;
use crate::audit::{Event, Record};
use crate::front_door::Denied;
use crate::journal::Entry;
use crate::service::Vend;

impl Core {
    /// Begins a vend. Gives the DCC's own request about it: alert and outcome name it.
    pub(super) fn vend(&mut self, vend: &Vend, now: SimInstant) -> Result<RequestId, Denied> {
        let last = self.counters.get(&(self.options.eui, vend.device)).copied();
        let id = RequestId {
            originator: self.options.eui,
            target: vend.device,
            counter: last.unwrap_or(0) + 1,
        };
        let utrn = Utrn::of_pence(vend.pence, counter_bits(id.counter), low_bits(id.counter))
            .map_err(|error| Denied(Failure::Schema, error.to_string()))?;
        let body = Element::sr("TopUpDevice").with_leaf("UTRN", utrn.to_string());
        let request = Request::new(id, TOP_UP)
            .with_command_variant(if vend.for_the_keys { FOR_THE_KEYS } else { OVER_THE_AIR })
            .with_body(body);
        self.may_vend(vend, &request, now)?;
        let mut entry = Entry::at(now);
        self.take_own(&mut entry, &request, vend.user, None, now)
            .map_err(|error| Denied(Failure::Internal, error))?;
        let record = Record {
            detail: format!(
                "{}.{:02} pounds, {}",
                vend.pence / 100,
                vend.pence % 100,
                if vend.for_the_keys {
                    "to be given away"
                } else {
                    "to be sent to the meter"
                }
            ),
            ..self.about(Event::Vended, id, now)
        };
        entry.audits.push(record.to_message());
        self.hand_over(&mut entry, id, now);
        self.write(entry, now);
        self.send_to_s1sp(id, now);
        Ok(id)
    }

    /// The checks of a top-up by that supplier, in the order of the front door.
    fn may_vend(&mut self, vend: &Vend, request: &Request, now: SimInstant) -> Result<(), Denied> {
        let row = steps::table().row(TOP_UP);
        let row = row.ok_or_else(|| Denied(Failure::Internal, format!("the table has no {TOP_UP}")))?;
        let user = self.options.directory.user(vend.user);
        let user = user.ok_or_else(|| Denied(Failure::UnknownUser, vend.user.to_string()))?;
        if user.suspended {
            return Err(Denied(Failure::UserStatus, format!("user {} is suspended", user.eui)));
        }
        Access::role(user, row)?;
        let device = self.options.inventory.device(vend.device);
        let device = device.ok_or_else(|| Denied(Failure::UnknownDevice, vend.device.to_string()))?;
        if !matches!(device.kind, DeviceKind::Esme | DeviceKind::Gsme) {
            return Err(Denied(
                Failure::NotApplicable,
                format!("a {} takes no codes", device.kind),
            ));
        }
        self.access().authority(user, row, device, now)?;
        if let Some(status) = device.status.filter(|status| !status.accepts(TOP_UP)) {
            return Err(Denied(Failure::DeviceStatus, format!("the device is {status}")));
        }
        if self.open.len() >= self.options.limits.open_requests_max {
            return Err(Denied(Failure::Busy, format!("{} requests are open", self.open.len())));
        }
        // Vends count with the supplier's own top-ups; there is no waiting for a decision about one.
        let mut counted = request.clone();
        counted.id.originator = vend.user;
        match self.anomaly(&counted, now) {
            Some(anomaly) => Err(Denied(Failure::Quarantined, anomaly.detail)),
            None => Ok(()),
        }
    }
}

/// Ten bits of a counter, above those of [`low_bits`].
fn counter_bits(counter: u64) -> u16 {
    u16::try_from(counter >> 32 & 0x3FF).unwrap_or_default()
}

/// In the place of an authentication code, which for a SMETS1 meter nobody checks: what makes each code another one.
fn low_bits(counter: u64) -> u32 {
    u32::try_from(counter & 0xFFFF_FFFF).unwrap_or_default()
}

const TOP_UP: Srv = Srv::new(2, 2, 0);
const OVER_THE_AIR: u8 = 1;
/// The schema's number for local delivery; that a vend uses it is ours.
const FOR_THE_KEYS: u8 = 2;
