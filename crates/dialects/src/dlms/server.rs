//! What the logical device is to the COSEM server: associations and keys, attributes and methods.

use cosem::acse::Mechanism;
use cosem::security::{Cipher, SystemTitle};
use cosem::server::{Caller, Event, Server};
use cosem::{AccessResult, ActionResult, Attribute, Data, Method, Selection, write};
use domain::keys::Purpose;
use domain::{Approval, Association, Operation, SecurityEvent};

use super::device::{LogicalDevice, association, octets};
use super::logs::{LogCursor, Reader};
use super::methods;
use super::objects::*;
use super::time::from_wire;
use super::values;
use crate::sealing::host_cipher;

impl Server for LogicalDevice<'_> {
    type Cursor = LogCursor;

    fn mechanism(&self, caller: Caller) -> Option<Mechanism> {
        Some(match association(caller.client)? {
            Association::Public => Mechanism::None,
            Association::Reader => Mechanism::Low,
            _ => Mechanism::Gmac,
        })
    }

    fn title(&self, _: Caller) -> SystemTitle {
        self.host.device(self.slot).unwrap_or_default().to_bytes()
    }

    fn cipher(&self, caller: Caller) -> Option<Cipher> {
        host_cipher(self.host, self.slot, association(caller.client)?)
    }

    fn password_matches(&self, _: Caller, offered: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        let key = self.host.key(self.slot, Purpose::ReaderPassword);
        key.is_some_and(|key| bool::from(key.expose().as_slice().ct_eq(offered)))
    }

    fn challenge(&mut self, _: Caller) -> [u8; 16] {
        self.host.challenge()
    }

    fn accept_counter(&mut self, caller: Caller, title: &SystemTitle, counter: u32) -> Result<(), u32> {
        let association = association(caller.client).unwrap_or(Association::Public);
        self.host.accept_counter(self.slot, association, *title, counter)
    }

    fn next_counter(&mut self, caller: Caller) -> u32 {
        let association = association(caller.client).unwrap_or(Association::Public);
        self.host.next_counter(self.slot, association)
    }

    fn event(&mut self, _: Caller, event: Event) {
        let event = match event {
            Event::AuthenticationFailed => SecurityEvent::AuthenticationFailed,
            Event::Malformed => SecurityEvent::MalformedMessage,
            Event::Replay => SecurityEvent::Replay,
        };
        self.host.security_event(self.slot, event);
    }

    fn get(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        selection: Option<&Selection>,
        out: &mut Vec<u8>,
    ) -> Result<Option<LogCursor>, AccessResult> {
        let access = self.rights(caller)?;
        if selection.is_some() && (attribute.class, attribute.index) != (CLASS_PROFILE, 2) {
            return Err(AccessResult::ScopeViolated);
        }
        let mut cursor = None;
        if let Some(place) = item_at(self.slot, attribute) {
            values::encode(&self.read(access, place.item)?, place.shape, self.face, out)?;
        } else if attribute.index == 1 && self.knows(attribute) {
            write::octet_string(out, &attribute.object.0);
        } else if !self.identity(caller, attribute, out)? {
            let open = attribute.class == CLASS_CLOCK || attribute.class == CLASS_REGISTER && attribute.index == 3;
            if access.association == Association::Public && !open {
                return Err(AccessResult::ReadWriteDenied);
            }
            if attribute.class == CLASS_PROFILE {
                cursor = self.profile(access, attribute, selection, out)?;
            } else {
                self.companion(access, attribute, out)?;
            }
        }
        if self.face.surplus_octet && cursor.is_none() {
            out.push(0);
        }
        Ok(cursor)
    }

    fn get_more(&mut self, caller: Caller, cursor: &mut LogCursor, out: &mut Vec<u8>) -> Result<bool, AccessResult> {
        let access = self.rights(caller)?;
        let more = Reader {
            slot: self.slot,
            access,
            face: self.face,
        }
        .more(cursor, self.host, out)?;
        if self.face.surplus_octet && !more {
            out.push(0);
        }
        Ok(more)
    }

    fn set(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        _: Option<&Selection>,
        value: &Data,
    ) -> Result<(), AccessResult> {
        let access = self.rights(caller)?;
        if (attribute.class, attribute.object, attribute.index) == (CLASS_DATA, SUPPLIER_MESSAGE, 2) {
            let text = value.as_octets().and_then(|octets| std::str::from_utf8(octets).ok());
            let text = text.ok_or(AccessResult::TypeUnmatched)?.to_owned();
            return self.execute(access, &Operation::DisplayMessage(text)).map(|_| ());
        }
        if (attribute.class, attribute.object, attribute.index) != (CLASS_CLOCK, CLOCK, 2) {
            return Err(AccessResult::ReadWriteDenied);
        }
        let time = value.as_octets().and_then(|octets| from_wire(octets, self.face));
        let (time, _) = time.ok_or(AccessResult::TypeUnmatched)?;
        self.execute(access, &Operation::SynchroniseClock { time, tolerance_s: 0 })
            .map(|_| ())
    }

    fn action(
        &mut self,
        caller: Caller,
        method: &Method,
        parameter: Option<&Data>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ActionResult> {
        let access = self.rights(caller)?;
        if access.association == Association::Public {
            return Err(AccessResult::ReadWriteDenied);
        }
        let operation = match (method.class, method.object, method.index) {
            (CLASS_CLOCK, CLOCK, index) => return self.clock_method(access, index, parameter).map(|()| false),
            (CLASS_IMAGE, IMAGE_TRANSFER, index) if takes_images(self.slot) => {
                return self.image_method(access, index, parameter).map(|()| false);
            }
            (CLASS_LAB_APPROVAL, LAB_APPROVAL, 1) => {
                if access.association != access.association.critical() {
                    return Err(AccessResult::ReadWriteDenied);
                }
                let approval = Approval::from_bytes(octets(parameter)?).ok_or(AccessResult::TypeUnmatched)?;
                self.remembered.presented_counter = approval.counter;
                self.remembered.approval = Some(approval);
                self.remembered.fault = None;
                return Ok(false);
            }
            (CLASS_LAB_QUEUE, LAB_QUEUE, 1) => return self.submit(access, parameter, out),
            _ => methods::operation(self.slot, method, parameter)?,
        };
        match self.execute(access, &operation)? {
            Some(ticket) => {
                write::u32(out, ticket);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
