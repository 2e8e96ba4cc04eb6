use std::collections::BTreeMap;

use domain::operation::octets;
use domain::{Answer, Approval, Association, DataItem, DeviceKind, Eui64, Operation};

use super::frame::{Framer, Header, Kind};
use super::{
    ORDER_PART, ORDER_SUBMISSION, ORDER_ZCL, PART_MAX, REFUSED_COUNTER, REFUSED_NO_DEVICE, REFUSED_NOT_AUTHENTIC,
    speaker, zcl,
};
use crate::compact::{association_of, seal_of};
use crate::late::LateResults;
use crate::sealing::{open_at_operator, seal_by_operator};
use crate::submission::submission;
use crate::{FaceError, FaceProfile, HeadEndEvent, Keys, Notification};

/// Most octets of one result put together from parts.
const RESULT_MAX: usize = 8 * 1024 * 1024;

/// The head end's side of one connection.
#[derive(Debug)]
pub(crate) struct Operator {
    devices: BTreeMap<DeviceKind, Eui64>,
    framer: Framer,
    part: usize,
    orders: u32,
    job: Option<Job>,
    late: LateResults,
    /// Something was ordered on this connection.
    used: bool,
}

#[derive(Debug)]
struct Job {
    header: Header,
    association: Association,
    content: Vec<u8>,
    /// The item that a ZCL order asked for.
    item: Option<DataItem>,
    result: Vec<u8>,
    parts: u16,
    /// A refused counter was made good; once per order.
    retried: bool,
}

impl Operator {
    pub(crate) fn new(profile: &FaceProfile, devices: BTreeMap<DeviceKind, Eui64>) -> Self {
        Self {
            devices,
            framer: Framer::new(usize::from(u16::MAX)),
            part: usize::from(profile.pdu_max).saturating_sub(1).clamp(16, PART_MAX),
            orders: 0,
            job: None,
            late: LateResults::default(),
            used: false,
        }
    }

    pub(crate) fn start(
        &mut self,
        keys: &mut dyn Keys,
        slot: DeviceKind,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Result<Vec<u8>, FaceError> {
        if self.job.is_some() {
            return Err(FaceError::Busy);
        }
        if !self.devices.contains_key(&slot) || speaker(slot) != slot {
            return Err(FaceError::NoDevice(slot));
        }
        let association = if approval.is_some() {
            association.critical()
        } else {
            association
        };
        self.orders = self.orders.wrapping_add(1);
        let header = Header {
            kind: Kind::Order,
            hub: self.devices.get(&DeviceKind::Chf).copied().unwrap_or_default(),
            device: slot,
            job: self.orders,
            seal: seal_of(association),
        };
        let sequence = self.orders.to_be_bytes()[3];
        let asked = match operation {
            Operation::Read(item) if slot == DeviceKind::Gpf => zcl::ask(*item, sequence).map(|asked| (*item, asked)),
            _ => None,
        };
        let (item, content) = match asked {
            Some((item, (cluster, frame))) => {
                let [high, low] = cluster.to_be_bytes();
                (Some(item), [&[ORDER_ZCL, high, low], frame.as_slice()].concat())
            }
            None => (
                None,
                [&[ORDER_SUBMISSION], submission(operation, approval).as_slice()].concat(),
            ),
        };
        let job = Job {
            header,
            association,
            content,
            item,
            result: Vec::new(),
            parts: 0,
            retried: false,
        };
        let octets = self.order(keys, &job);
        self.job = Some(job);
        self.used = true;
        Ok(octets)
    }

    fn order(&self, keys: &mut dyn Keys, job: &Job) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(device) = self.devices.get(&job.header.device) else {
            return out;
        };
        let (form, content) = job.content.split_first().unwrap_or((&ORDER_SUBMISSION, &[]));
        let mut parts = content.chunks(self.part).peekable();
        while let Some(part) = parts.next() {
            let form = if parts.peek().is_some() { ORDER_PART } else { *form };
            let content = [&[form], part].concat();
            let plain = [job.header.copied().as_slice(), &content].concat();
            let mut body = Vec::new();
            if !seal_by_operator(keys, *device, job.association, &plain, &mut body) {
                body = content;
            }
            job.header.write(&body, &mut out);
        }
        out
    }

    pub(crate) fn input(&mut self, keys: &mut dyn Keys, octets: &[u8]) -> Result<Vec<HeadEndEvent>, FaceError> {
        let mut events = Vec::new();
        self.framer.push(octets);
        loop {
            let taken = match self.framer.frame() {
                Ok(None) => return Ok(events),
                Ok(Some((header, body))) => self.frame(keys, &header, &body, &mut events),
                Err(_) => Err(FaceError::Malformed("no frame of the envelope".into())),
            };
            if let Err(error) = taken {
                self.job = None;
                return Err(error);
            }
        }
    }

    pub(crate) fn release(&mut self, _: &mut dyn Keys) -> Vec<u8> {
        let mut out = Vec::new();
        if self.used {
            self.used = false;
            Header {
                kind: Kind::Bye,
                hub: self.devices.get(&DeviceKind::Chf).copied().unwrap_or_default(),
                device: DeviceKind::Chf,
                job: 0,
                seal: 0,
            }
            .write(&[], &mut out);
        }
        out
    }

    fn frame(
        &mut self,
        keys: &mut dyn Keys,
        header: &Header,
        body: &[u8],
        events: &mut Vec<HeadEndEvent>,
    ) -> Result<(), FaceError> {
        let malformed = |what: &str| FaceError::Malformed(format!("{what} that says nothing known"));
        match header.kind {
            Kind::Hello => events.push(HeadEndEvent::Identified(header.hub)),
            Kind::Bye => events.push(HeadEndEvent::Released),
            Kind::Refused => return self.refused(keys, header, body, events),
            Kind::Order => return Err(malformed("an order from a hub")),
            Kind::Stored => {
                let content = self.open(keys, header, body)?;
                if self.job.as_ref().is_none_or(|job| job.header.job != header.job) {
                    return Ok(());
                }
                match content.as_slice() {
                    [0] => {}
                    [1, a, b, c, d] => {
                        self.job = None;
                        events.push(HeadEndEvent::Queued(u32::from_be_bytes([*a, *b, *c, *d])));
                    }
                    _ => return Err(malformed("a confirmation")),
                }
            }
            Kind::Result => {
                let content = self.open(keys, header, body)?;
                let part = part(&content).ok_or_else(|| malformed("a result"))?;
                self.result(header, part, events)?;
            }
            Kind::LateResult => {
                let content = self.open(keys, header, body)?;
                let (number, last, octets) = part(&content).ok_or_else(|| malformed("a late result"))?;
                let late = self.late.part(header.job, number.into(), last, octets)?;
                events.extend(late.map(HeadEndEvent::Notification));
            }
            Kind::Event => {
                let content = self.open(keys, header, body)?;
                let (code, at, description) =
                    octets::read(&content, "event").map_err(|error| FaceError::Malformed(error.to_string()))?;
                events.push(HeadEndEvent::Notification(Notification::Alert {
                    slot: header.device,
                    code,
                    description,
                    at,
                }));
            }
            Kind::Readings => {
                let content = self.open(keys, header, body)?;
                let row = octets::read(&content, "row").map_err(|error| FaceError::Malformed(error.to_string()))?;
                let slot = header.device;
                events.push(HeadEndEvent::Notification(Notification::Readings { slot, row }));
            }
        }
        Ok(())
    }

    /// The content of a frame, believed.
    fn open(&self, keys: &mut dyn Keys, header: &Header, body: &[u8]) -> Result<Vec<u8>, FaceError> {
        let association = association_of(header.seal).ok_or(FaceError::NotAuthentic)?;
        if association == Association::Public {
            // Only the answers to an order that was not sealed either.
            let ours = self.job.as_ref().filter(|job| job.association == association);
            return match (header.kind, ours) {
                (Kind::Stored | Kind::Result, Some(_)) => Ok(body.to_vec()),
                _ => Err(FaceError::NotAuthentic),
            };
        }
        let device = *self
            .devices
            .get(&speaker(header.device))
            .ok_or(FaceError::NotAuthentic)?;
        let plain = open_at_operator(keys, device, association, body).ok_or(FaceError::NotAuthentic)?;
        let content = plain.strip_prefix(&header.copied()).ok_or(FaceError::NotAuthentic)?;
        Ok(content.to_vec())
    }

    fn result(
        &mut self,
        header: &Header,
        (number, last, octets): (u16, bool, &[u8]),
        events: &mut Vec<HeadEndEvent>,
    ) -> Result<(), FaceError> {
        let malformed = |what: &str| FaceError::Malformed(what.into());
        let Some(job) = self.job.as_mut().filter(|job| job.header.job == header.job) else {
            return Ok(());
        };
        if number != job.parts || job.result.len() + octets.len() > RESULT_MAX {
            return Err(malformed("a result out of order or beyond the limits"));
        }
        job.parts = job.parts.wrapping_add(1);
        job.result.extend_from_slice(octets);
        if !last {
            return Ok(());
        }
        let outcome = match job.item {
            None => octets::outcome(&job.result).map_err(|error| FaceError::Malformed(error.to_string()))?,
            Some(item) => zcl::answered(item, &job.result)
                .ok_or_else(|| malformed("no answer to a read of an attribute"))?
                .map(Answer::Value),
        };
        self.job = None;
        events.push(HeadEndEvent::Finished(outcome));
        Ok(())
    }

    fn refused(
        &mut self,
        keys: &mut dyn Keys,
        header: &Header,
        body: &[u8],
        events: &mut Vec<HeadEndEvent>,
    ) -> Result<(), FaceError> {
        let Some(mut job) = self.job.take_if(|job| job.header.job == header.job) else {
            return Ok(());
        };
        match body {
            [REFUSED_COUNTER, a, b, c, d] if !job.retried => {
                let next = u32::from_be_bytes([*a, *b, *c, *d]);
                let device = *self
                    .devices
                    .get(&job.header.device)
                    .ok_or(FaceError::NoDevice(job.header.device))?;
                // Refused before anything happened, so the same can be ordered again with a fresh counter.
                keys.resume_counter_at(device, job.association, next);
                job.retried = true;
                events.push(HeadEndEvent::Send(self.order(keys, &job)));
                self.job = Some(job);
                Ok(())
            }
            [REFUSED_NOT_AUTHENTIC] => Err(FaceError::AssociationRefused {
                result: 1,
                diagnostic: 13,
            }),
            [REFUSED_NO_DEVICE] => Err(FaceError::NoDevice(job.header.device)),
            [reason, ..] => Err(FaceError::Exception {
                state: 0,
                service: *reason,
            }),
            [] => Err(FaceError::Malformed("a refusal without a reason".into())),
        }
    }
}

fn part(content: &[u8]) -> Option<(u16, bool, &[u8])> {
    match content {
        [high, low, last @ (0 | 1), octets @ ..] => Some((u16::from_be_bytes([*high, *low]), *last == 1, octets)),
        _ => None,
    }
}
