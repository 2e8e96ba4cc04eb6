use std::collections::BTreeMap;

use domain::keys::Purpose;
use domain::operation::octets;
use domain::{Approval, Association, DeviceKind, Eui64, Operation};

use super::frame::{Address, Frame, Framer};
use super::job::{Job, Next, Step};
use super::{ACK, CAN, base, hex, proof, role, serial, user};
use crate::late::LateResults;
use crate::sealing::{open_at_operator, operator_cipher};
use crate::{FaceError, FaceProfile, HeadEndEvent, Keys, Notification, compact};

/// The head end's own serial number: "S1LB".
const OWN_SERIAL: u32 = 0x5331_4C42;

/// The head end's side of one connection.
#[derive(Debug)]
pub(crate) struct Operator {
    face: FaceProfile,
    devices: BTreeMap<DeviceKind, Eui64>,
    framer: Framer,
    sequence: u16,
    logins: BTreeMap<DeviceKind, Association>,
    job: Option<Job>,
    releasing: bool,
    late: LateResults,
}

impl Operator {
    pub(crate) fn new(profile: &FaceProfile, devices: BTreeMap<DeviceKind, Eui64>) -> Self {
        Self {
            face: profile.clone(),
            devices,
            framer: Framer::new(1 << 20),
            sequence: 0,
            logins: BTreeMap::new(),
            job: None,
            releasing: false,
            late: LateResults::default(),
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
        let device = *self.devices.get(&slot).ok_or(FaceError::NoDevice(slot))?;
        base(slot).ok_or(FaceError::NoDevice(slot))?;
        let association = if approval.is_some() {
            association.critical()
        } else {
            association
        };
        let mut job = Job {
            slot,
            association,
            operation: operation.clone(),
            approval: approval.cloned(),
            step: Step::Login,
            retried: false,
        };
        let body = if association == Association::Public || self.logins.get(&slot) == Some(&association) {
            let (step, body) = job.first(&self.face);
            job.step = step;
            body
        } else {
            login(keys, slot, association, device)
        };
        self.job = Some(job);
        Ok(self.send(body))
    }

    fn send(&mut self, body: Vec<u8>) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let destination = serial(self.devices.get(&DeviceKind::Esme).copied().unwrap_or_default());
        let mut out = Vec::new();
        Frame {
            address: Some(Address {
                destination,
                source: OWN_SERIAL,
                sequence: self.sequence,
            }),
            body,
        }
        .write(&mut out);
        out
    }

    pub(crate) fn input(&mut self, keys: &mut dyn Keys, octets: &[u8]) -> Result<Vec<HeadEndEvent>, FaceError> {
        let mut events = Vec::new();
        self.framer.push(octets);
        loop {
            let taken = match self.framer.frame() {
                Ok(None) => return Ok(events),
                Ok(Some(frame)) => self.frame(keys, &frame, &mut events),
                Err(_) => Err(FaceError::Malformed("a damaged frame".into())),
            };
            if let Err(error) = taken {
                self.job = None;
                return Err(error);
            }
        }
    }

    pub(crate) fn release(&mut self, _: &mut dyn Keys) -> Vec<u8> {
        if self.logins.is_empty() {
            return Vec::new();
        }
        self.logins.clear();
        self.releasing = true;
        self.send(vec![b'X'])
    }

    fn frame(&mut self, keys: &mut dyn Keys, frame: &Frame, events: &mut Vec<HeadEndEvent>) -> Result<(), FaceError> {
        let malformed = || FaceError::Malformed("a frame that answers nothing".into());
        let address = frame.address.ok_or_else(malformed)?;
        match frame.body.split_first() {
            Some((b'Y', hub)) => {
                let hub = hub.try_into().map_err(|_| malformed())?;
                events.push(HeadEndEvent::Identified(Eui64::from_bytes(hub)));
                return Ok(());
            }
            Some((b'Z', said)) => {
                let said = self.said(keys, said)?;
                events.extend(said.map(HeadEndEvent::Notification));
                return Ok(());
            }
            _ => {}
        }
        if (address.destination, address.sequence) != (OWN_SERIAL, self.sequence) {
            // The answer to something that was given up.
            return Ok(());
        }
        if std::mem::take(&mut self.releasing) {
            events.push(HeadEndEvent::Released);
            return Ok(());
        }
        let Some(mut job) = self.job.take() else {
            return Err(malformed());
        };
        let next = if job.step == Step::Login {
            self.logged_in(keys, &mut job, &frame.body)?
        } else {
            job.answered(&frame.body, &self.face)?
        };
        match next {
            Next::Ask(step, body) => {
                job.step = step;
                self.job = Some(job);
                let octets = self.send(body);
                events.push(HeadEndEvent::Send(octets));
            }
            Next::Finished(outcome) => events.push(HeadEndEvent::Finished(outcome)),
            Next::Queued(ticket) => events.push(HeadEndEvent::Queued(ticket)),
        }
        Ok(())
    }

    fn logged_in(&mut self, keys: &mut dyn Keys, job: &mut Job, body: &[u8]) -> Result<Next, FaceError> {
        let device = *self.devices.get(&job.slot).ok_or(FaceError::NoDevice(job.slot))?;
        match body {
            [ACK] => {
                self.logins.insert(job.slot, job.association);
                let (step, body) = job.first(&self.face);
                Ok(Next::Ask(step, body))
            }
            [CAN, _, a, b, c, d] if !job.retried => {
                job.retried = true;
                // Refused before anything happened, so the same can be asked again with a fresh counter.
                keys.resume_counter_at(device, job.association, u32::from_be_bytes([*a, *b, *c, *d]));
                Ok(Next::Ask(Step::Login, login(keys, job.slot, job.association, device)))
            }
            [CAN, code, ..] => Err(FaceError::AssociationRefused {
                result: 1,
                diagnostic: *code,
            }),
            _ => Err(FaceError::Malformed("no answer to a login".into())),
        }
    }

    fn said(&mut self, keys: &mut dyn Keys, said: &[u8]) -> Result<Option<Notification>, FaceError> {
        let malformed = || FaceError::Malformed("a message that says nothing known".into());
        let [kind, staged, sealed @ ..] = said else {
            return Err(malformed());
        };
        let slot = compact::kind_of(*kind).ok_or_else(malformed)?;
        let association = match staged {
            0 => Association::Management,
            _ => Association::StagedManagement,
        };
        let speaker = if base(slot).is_some() { slot } else { DeviceKind::Chf };
        let device = *self.devices.get(&speaker).ok_or(FaceError::NotAuthentic)?;
        let content = open_at_operator(keys, device, association, sealed).ok_or(FaceError::NotAuthentic)?;
        match content.split_first() {
            Some((1, rest)) => {
                let (code, at, description) = octets::read(rest, "alert").map_err(|_| malformed())?;
                Ok(Some(Notification::Alert {
                    slot,
                    code,
                    description,
                    at,
                }))
            }
            Some((2, rest)) => {
                let (ticket, number, last, part): (u32, u32, bool, Vec<u8>) =
                    octets::read(rest, "late result").map_err(|_| malformed())?;
                self.late.part(ticket, number, last, &part)
            }
            Some((3, rest)) => {
                let row = octets::read(rest, "row").map_err(|_| malformed())?;
                Ok(Some(Notification::Readings { slot, row }))
            }
            _ => Err(malformed()),
        }
    }
}

fn login(keys: &mut dyn Keys, slot: DeviceKind, association: Association, device: Eui64) -> Vec<u8> {
    let (user, password) = match operator_cipher(keys, device, association) {
        Some(cipher) => {
            let title = keys.system_title();
            let counter = keys.next_counter(device, association);
            let user = user(association, slot, title, counter);
            let password = proof(&cipher, title, counter, &user, device);
            (user, password)
        }
        None => {
            let key = keys.key(device, Purpose::ReaderPassword);
            (format!("{}-{slot}", role(association)), hex(key.expose()))
        }
    };
    [b"L", user.as_bytes(), b",", password.as_bytes(), &[0]].concat()
}
