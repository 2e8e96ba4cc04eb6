//! One logical device behind an association: objects, rights, and the way from attributes and methods to operations.

use cosem::acse::Mechanism;
use cosem::server::{Caller, Server};
use cosem::{AccessResult, ActionResult, Attribute, Data, Obis, Selection, write};
use domain::operation::{ImageState, ImageStatus};
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, Eui64, Execution, Operation, Refusal, SimInstant,
    Value,
};

use super::image;
use super::logs::{self, Column, LogCursor, Reader};
use super::objects::*;
use super::time::from_wire;
use super::values::{self, refusal_code};
use crate::sealing::party_of;
use crate::sealing::purposes;
use crate::submission::split_submission;
use crate::{FaceProfile, Host, compact};

/// Client access points.
pub(crate) const CLIENT_PUBLIC: u16 = 16;
pub(crate) const CLIENT_READER: u16 = 17;
pub(crate) const CLIENT_MANAGEMENT: u16 = 1;
pub(crate) const CLIENT_CRITICAL: u16 = 2;
pub(crate) const CLIENT_PUSH: u16 = 3;
/// Ours: management and critical under the keys of a staged epoch.
pub(crate) const CLIENT_STAGED_MANAGEMENT: u16 = 33;
pub(crate) const CLIENT_STAGED_CRITICAL: u16 = 34;

/// Objects that open every object list.
const FIXED: [(u16, Obis); 5] = [
    (CLASS_DATA, LOGICAL_DEVICE_NAME),
    (CLASS_ASSOCIATION, ASSOCIATION),
    (CLASS_SAPS, SAPS),
    (CLASS_DATA, INVOCATION_COUNTER),
    (CLASS_SECURITY, SECURITY),
];
/// Ours, at the end of every object list.
const LAB: [(u16, Obis); 2] = [(CLASS_LAB_APPROVAL, LAB_APPROVAL), (CLASS_LAB_QUEUE, LAB_QUEUE)];

/// What a logical device remembers for one association.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Presented, and not used yet.
    pub(super) approval: Option<Approval>,
    pub(super) presented_counter: u32,
    pub(super) fault: Option<Refusal>,
    /// Time and tolerance set for an adjustment that has not been made.
    preset: Option<(SimInstant, u32)>,
}

/// A logical device for the length of one call.
pub(crate) struct LogicalDevice<'a> {
    pub(crate) face: &'a FaceProfile,
    pub(crate) host: &'a mut dyn Host,
    pub(crate) slot: DeviceKind,
    pub(crate) remembered: &'a mut Remembered,
}

/// The association behind a client access point.
pub(crate) fn association(client: u16) -> Option<Association> {
    Some(match client {
        CLIENT_PUBLIC => Association::Public,
        CLIENT_READER => Association::Reader,
        CLIENT_MANAGEMENT => Association::Management,
        CLIENT_CRITICAL => Association::Critical,
        CLIENT_STAGED_MANAGEMENT => Association::StagedManagement,
        CLIENT_STAGED_CRITICAL => Association::StagedCritical,
        _ => return None,
    })
}

/// The client access point of an association.
pub(crate) fn client(association: Association) -> u16 {
    match association {
        Association::Public => CLIENT_PUBLIC,
        Association::Reader => CLIENT_READER,
        Association::Management => CLIENT_MANAGEMENT,
        Association::Critical => CLIENT_CRITICAL,
        Association::StagedManagement => CLIENT_STAGED_MANAGEMENT,
        Association::StagedCritical => CLIENT_STAGED_CRITICAL,
    }
}

impl LogicalDevice<'_> {
    pub(super) fn access(&self, caller: Caller) -> Option<Access> {
        let association = association(caller.client)?;
        let party = party_of(self.host, self.slot, association);
        Some(Access { association, party })
    }

    pub(super) fn rights(&self, caller: Caller) -> Result<Access, AccessResult> {
        self.access(caller).ok_or(AccessResult::ReadWriteDenied)
    }

    /// Executes with the approval presented, which is thereby used up, and remembers what was wrong with it, or with an image.
    pub(super) fn execute(&mut self, access: Access, operation: &Operation) -> Result<Option<u32>, AccessResult> {
        let approval = self.remembered.approval.take();
        match self.host.execute(self.slot, access, operation, approval.as_ref()) {
            Execution::Finished(Ok(_)) => {
                self.remembered.fault = None;
                Ok(None)
            }
            Execution::Finished(Err(refusal)) => {
                self.remember(&refusal);
                Err(refusal_code(&refusal))
            }
            Execution::Queued(ticket) => Ok(Some(ticket)),
        }
    }

    fn remember(&mut self, refusal: &Refusal) {
        self.remembered.fault = match refusal {
            Refusal::Approval(_) | Refusal::Image(_) => Some(refusal.clone()),
            _ => None,
        };
    }

    pub(super) fn read(&mut self, access: Access, item: DataItem) -> Result<Value, AccessResult> {
        if self.slot == DeviceKind::Gsme {
            // A sleeping device cannot be read at once, and a GET must leave nothing behind in its queue.
            return Err(AccessResult::TemporaryFailure);
        }
        match self.host.execute(self.slot, access, &Operation::Read(item), None) {
            Execution::Finished(Ok(Answer::Value(value))) => Ok(value),
            Execution::Finished(Ok(_)) => Err(AccessResult::OTHER_REASON),
            Execution::Finished(Err(refusal)) => Err(refusal_code(&refusal)),
            Execution::Queued(_) => Err(AccessResult::TemporaryFailure),
        }
    }

    /// Names of all objects with their classes, those the device does not support left out.
    fn objects(&mut self, access: Access) -> Vec<(u16, Obis)> {
        let mut all = FIXED.to_vec();
        for place in places(self.slot) {
            let name = (place.attribute.class, place.attribute.object);
            // Asking a sleeping device would queue; there the table is taken at its word.
            let there =
                self.slot == DeviceKind::Gsme || self.read(access, place.item) != Err(AccessResult::ObjectUndefined);
            if there && !all.contains(&name) {
                all.push(name);
            }
        }
        for log in LOGS {
            let names = log_objects(self.slot, log);
            all.extend(names.iter().map(|name| (CLASS_PROFILE, *name)));
        }
        if self.slot == DeviceKind::Esme {
            all.push((CLASS_SCRIPTS, SUPPLY_SCRIPTS));
        }
        if matches!(self.slot, DeviceKind::Esme | DeviceKind::Gsme) {
            all.extend([(CLASS_SCRIPTS, BLOCK_SCRIPTS), (CLASS_TOKEN_GATEWAY, TOKEN_GATEWAY)]);
        }
        if takes_images(self.slot) && self.read(access, DataItem::ImageStatus).is_ok() {
            all.push((CLASS_IMAGE, IMAGE_TRANSFER));
        }
        all.extend(LAB);
        all
    }

    /// Whether the face has this object, whatever the device behind it supports.
    pub(super) fn knows(&self, attribute: &Attribute) -> bool {
        let name = (attribute.class, attribute.object);
        FIXED.contains(&name)
            || LAB.contains(&name)
            || name == (CLASS_SCRIPTS, SUPPLY_SCRIPTS) && self.slot == DeviceKind::Esme
            || [(CLASS_SCRIPTS, BLOCK_SCRIPTS), (CLASS_TOKEN_GATEWAY, TOKEN_GATEWAY)].contains(&name)
                && matches!(self.slot, DeviceKind::Esme | DeviceKind::Gsme)
            || name == (CLASS_IMAGE, IMAGE_TRANSFER) && takes_images(self.slot)
            || attribute.class == CLASS_PROFILE && log_at(self.slot, attribute.object).is_some()
            || places(self.slot).any(|place| (place.attribute.class, place.attribute.object) == name)
    }

    fn object_list(&mut self, access: Access, out: &mut Vec<u8>) {
        let all = self.objects(access);
        write::array(out, all.len());
        for (class, name) in all {
            let (attributes, methods) = members(class);
            write::structure(out, 4);
            write::u16(out, class);
            write::u8(out, version(class));
            write::octet_string(out, &name.0);
            write::structure(out, 2);
            write::array(out, attributes.len());
            for index in attributes {
                write::structure(out, 3);
                write::i8(out, *index);
                // Read only: what can be written at all is done through methods.
                write::enumerated(out, 1);
                if class == CLASS_PROFILE && *index == 2 {
                    write::array(out, 2);
                    write::i8(out, 1);
                    write::i8(out, 2);
                } else {
                    write::null(out);
                }
            }
            write::array(out, methods.len());
            for index in methods {
                write::structure(out, 2);
                write::i8(out, *index);
                write::boolean(out, access.association != Association::Public);
            }
        }
    }

    fn logical_device_name(&self, slot: DeviceKind) -> Option<Vec<u8>> {
        let Eui64(eui) = self.host.device(slot)?;
        let mut name = self.face.flag_id.to_vec();
        name.extend_from_slice(format!("{:013X}", eui & 0x000F_FFFF_FFFF_FFFF).as_bytes());
        Some(name)
    }

    pub(super) fn identity(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        out: &mut Vec<u8>,
    ) -> Result<bool, AccessResult> {
        let access = self.rights(caller)?;
        match (attribute.class, attribute.object, attribute.index) {
            (CLASS_DATA, LOGICAL_DEVICE_NAME, 2) => {
                let name = self
                    .logical_device_name(self.slot)
                    .ok_or(AccessResult::ObjectUnavailable)?;
                write::octet_string(out, &name);
            }
            (CLASS_DATA, INVOCATION_COUNTER, 2) => write::u32(out, self.host.invocation_counter(self.slot)),
            (CLASS_ASSOCIATION, ASSOCIATION, 2) => self.object_list(access, out),
            (CLASS_ASSOCIATION, ASSOCIATION, 3) => {
                write::structure(out, 2);
                write::i8(out, i8::try_from(caller.client).unwrap_or(0));
                write::u16(out, caller.server);
            }
            (CLASS_ASSOCIATION, ASSOCIATION, 4) => {
                let context = if purposes(access.association).is_some() { 3 } else { 1 };
                write::octet_string(out, &[0x60, 0x85, 0x74, 0x05, 0x08, 0x01, context]);
            }
            (CLASS_ASSOCIATION, ASSOCIATION, 6) => {
                let mechanism = self.mechanism(caller).map_or(0, Mechanism::arc);
                write::octet_string(out, &[0x60, 0x85, 0x74, 0x05, 0x08, 0x02, mechanism]);
            }
            // Associated.
            (CLASS_ASSOCIATION, ASSOCIATION, 8) => write::enumerated(out, 2),
            (CLASS_ASSOCIATION, ASSOCIATION, 9) => write::octet_string(out, &SECURITY.0),
            (CLASS_SAPS, SAPS, 2) => self.saps(out),
            // All messages authenticated and encrypted; suite 0.
            (CLASS_SECURITY, SECURITY, 2) => write::enumerated(out, 3),
            (CLASS_SECURITY, SECURITY, 3) => write::enumerated(out, 0),
            (CLASS_SECURITY, SECURITY, 5) => write::octet_string(out, &self.title(caller)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn saps(&self, out: &mut Vec<u8>) {
        let slots = [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme, DeviceKind::Chf];
        let there: Vec<_> = slots
            .into_iter()
            .filter_map(|slot| Some((self.face.saps.of(slot)?, self.logical_device_name(slot)?)))
            .collect();
        write::array(out, there.len());
        for (sap, name) in there {
            write::structure(out, 2);
            write::u16(out, sap);
            write::octet_string(out, &name);
        }
    }

    /// Attributes beside the one that holds a data item.
    pub(super) fn companion(
        &mut self,
        access: Access,
        attribute: &Attribute,
        out: &mut Vec<u8>,
    ) -> Result<(), AccessResult> {
        match (attribute.class, attribute.index) {
            (CLASS_REGISTER, 3) => {
                let value = Attribute { index: 2, ..*attribute };
                let place = item_at(self.slot, &value).ok_or(AccessResult::ObjectUndefined)?;
                let Shape::Register(_, scaler, unit) = place.shape else {
                    return Err(AccessResult::ObjectUndefined);
                };
                write::structure(out, 2);
                write::i8(out, scaler);
                write::enumerated(out, unit);
            }
            (CLASS_CLOCK, index) if attribute.object == CLOCK => self.clock(access, index, out)?,
            (CLASS_DISCONNECT, 2) if attribute.object == DISCONNECT => {
                let state = self.read(access, DataItem::SupplyState)?;
                write::boolean(out, state == Value::Supply(domain::SupplyState::Enabled));
            }
            // Remote disconnection, remote and local reconnection.
            (CLASS_DISCONNECT, 4) if attribute.object == DISCONNECT => write::enumerated(out, 4),
            (CLASS_SCRIPTS, 2) if attribute.object == SUPPLY_SCRIPTS => {
                scripts(&[SCRIPT_DISABLE, SCRIPT_ENABLE, SCRIPT_ARM], out);
            }
            (CLASS_SCRIPTS, 2) if attribute.object == BLOCK_SCRIPTS => scripts(&[1], out),
            (CLASS_IMAGE, index) if attribute.object == IMAGE_TRANSFER && takes_images(self.slot) => {
                let status = self.image_status(access)?;
                if !image::attribute(&status, index, out) {
                    return Err(AccessResult::ObjectUndefined);
                }
            }
            (CLASS_LAB_APPROVAL, 2) if attribute.object == LAB_APPROVAL => {
                write::u32(out, self.remembered.presented_counter);
            }
            (CLASS_LAB_APPROVAL, 3) if attribute.object == LAB_APPROVAL => {
                write::enumerated(out, compact::fault_code(self.remembered.fault.as_ref()));
            }
            _ => return Err(AccessResult::ObjectUndefined),
        }
        Ok(())
    }

    fn clock(&mut self, access: Access, index: i8, out: &mut Vec<u8>) -> Result<(), AccessResult> {
        match index {
            // UK civil time stands no minutes apart from UTC outside summer.
            3 => write::i16(out, 0),
            4 => {
                let mut time = Vec::new();
                values::encode(&self.read(access, DataItem::Clock)?, Shape::Clock, self.face, &mut time)?;
                write::u8(out, time.last().copied().unwrap_or(0));
            }
            // Last Sundays of March and October at one o'clock UTC, given as standard time.
            5 => write::octet_string(out, &[0xFF, 0xFF, 3, 0xFE, 7, 1, 0, 0, 0, 0x80, 0, 0]),
            6 => write::octet_string(out, &[0xFF, 0xFF, 10, 0xFE, 7, 2, 0, 0, 0, 0x80, 0, 0x80]),
            7 => write::i8(out, 60),
            8 => write::boolean(out, self.face.time_form == crate::TimeForm::London),
            9 => write::enumerated(out, 1),
            _ => return Err(AccessResult::ObjectUndefined),
        }
        Ok(())
    }

    pub(super) fn profile(
        &mut self,
        access: Access,
        attribute: &Attribute,
        selection: Option<&Selection>,
        out: &mut Vec<u8>,
    ) -> Result<Option<LogCursor>, AccessResult> {
        let log = log_at(self.slot, attribute.object).ok_or(AccessResult::ObjectUndefined)?;
        let reader = Reader {
            slot: self.slot,
            access,
            face: self.face,
        };
        match attribute.index {
            2 => return reader.begin(log, selection, self.host, out).map(Some),
            3 => {
                let columns = reader.columns(log, self.host)?;
                let captured: Vec<_> = columns.iter().filter_map(|c| logs::capture(self.slot, *c)).collect();
                write::array(out, captured.len());
                captured.iter().for_each(|each| each.encode(out));
            }
            4 => write::u32(out, period_s(self.slot, log)),
            // First in, first out, by time.
            5 => write::enumerated(out, 1),
            6 => logs::capture(self.slot, Column::Time)
                .iter()
                .for_each(|each| each.encode(out)),
            7 => {
                let entries = reader.entries(log, self.host)?;
                write::u32(out, u32::try_from(entries).unwrap_or(u32::MAX));
            }
            8 => write::u32(out, capacity(self.slot, log)),
            _ => return Err(AccessResult::ObjectUndefined),
        }
        Ok(None)
    }

    pub(super) fn submit(
        &mut self,
        access: Access,
        parameter: Option<&Data>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ActionResult> {
        let octets = octets(parameter)?;
        let (operation, approval) = split_submission(octets).ok_or(AccessResult::TypeUnmatched)?;
        match self.host.execute(self.slot, access, &operation, approval.as_ref()) {
            Execution::Queued(ticket) => write::u32(out, ticket),
            Execution::Finished(outcome) => write::octet_string(out, &domain::operation::octets::of_outcome(&outcome)),
        }
        Ok(true)
    }

    fn image_status(&mut self, access: Access) -> Result<ImageStatus, AccessResult> {
        match self.read(access, DataItem::ImageStatus)? {
            Value::Image(status) => Ok(status),
            _ => Err(AccessResult::OTHER_REASON),
        }
    }

    /// A method of the image transfer object. A check that takes time is a temporary failure until it is done.
    pub(super) fn image_method(
        &mut self,
        access: Access,
        index: i8,
        parameter: Option<&Data>,
    ) -> Result<(), ActionResult> {
        let status = match index {
            image::ACTIVATE => self.image_status(access)?,
            _ => image::unknown(),
        };
        let parameter = parameter.ok_or(AccessResult::TypeUnmatched)?;
        self.execute(access, &image::operation(index, parameter, &status)?)?;
        match index {
            image::VERIFY if self.image_status(access)?.state == ImageState::Verifying => {
                Err(AccessResult::TemporaryFailure)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn clock_method(
        &mut self,
        access: Access,
        index: i8,
        parameter: Option<&Data>,
    ) -> Result<(), ActionResult> {
        match index {
            4 => {
                let (time, tolerance_s) = self.remembered.preset.take().ok_or(AccessResult::OTHER_REASON)?;
                self.execute(access, &Operation::SynchroniseClock { time, tolerance_s })
                    .map(|_| ())
            }
            5 => {
                let part = |data: &Data| data.as_octets().and_then(|octets| from_wire(octets, self.face));
                let Some([time, from, to]) = parameter.and_then(Data::as_list) else {
                    return Err(AccessResult::TypeUnmatched);
                };
                let (Some((time, _)), Some((from, _)), Some((to, _))) = (part(time), part(from), part(to)) else {
                    return Err(AccessResult::TypeUnmatched);
                };
                // The validity interval lies evenly around the time and so carries the tolerance.
                let tolerance_s = u32::try_from(to.since(from).as_millis() / 2000).unwrap_or(u32::MAX);
                self.remembered.preset = Some((time, tolerance_s));
                Ok(())
            }
            _ => Err(AccessResult::ReadWriteDenied),
        }
    }
}

pub(super) fn octets(parameter: Option<&Data>) -> Result<&[u8], AccessResult> {
    parameter.and_then(Data::as_octets).ok_or(AccessResult::TypeUnmatched)
}

fn scripts(scripts: &[u16], out: &mut Vec<u8>) {
    write::array(out, scripts.len());
    for script in scripts {
        // What each script does inside the device is not shown.
        write::structure(out, 2);
        write::u16(out, *script);
        write::array(out, 0);
    }
}

fn period_s(slot: DeviceKind, log: domain::LogKind) -> u32 {
    match log {
        domain::LogKind::DailyRead => 86_400,
        _ if half_hourly(slot, log).is_some() => 1800,
        _ => 0,
    }
}

/// Rows a log can hold, as the face states it: 13 months of half-hours; the other figures are ours.
fn capacity(slot: DeviceKind, log: domain::LogKind) -> u32 {
    match log {
        domain::LogKind::DailyRead => 400,
        domain::LogKind::Billing => 13,
        _ if half_hourly(slot, log).is_some() => 19_056,
        _ => 100,
    }
}
