use std::collections::BTreeMap;

use cosem::client::{Client, ClientError, Credentials, Event, Password};
use cosem::response::{DATA_NOTIFICATION, DataNotification, Envelope, Exception, Form, GENERAL_GLO};
use cosem::server::Caller;
use cosem::{Attribute, Data, DecodeError, Obis};
use domain::keys::Purpose;
use domain::{Approval, Association, DeviceKind, Eui64, LogRow, Operation, Quantity};

use super::carrier::{Directory, Framing, Heard, OperatorEnd};
use super::device::{CLIENT_PUSH, client};
use super::job::{Job, Next};
use super::meter::{BODY_ALERT, BODY_IDENTIFICATION, BODY_LATE_RESULT, BODY_READINGS};
use super::objects::{Shape, item_at};
use super::time::from_wire;
use crate::late::LateResults;
use crate::sealing::operator_cipher;
use crate::{FaceError, FaceProfile, HeadEndEvent, Keys, Notification, compact};

/// What an operator's end takes from the link in one APDU.
const APDU_MAX: usize = u16::MAX as usize;

/// The head end's side of one connection to one installation.
#[derive(Debug)]
pub(crate) struct Operator {
    profile: FaceProfile,
    devices: BTreeMap<DeviceKind, Eui64>,
    carrier: OperatorEnd,
    clients: Vec<(DeviceKind, Association, Client)>,
    job: Option<Job>,
    late: LateResults,
}

impl Operator {
    pub(crate) fn new(framing: Framing, profile: &FaceProfile, devices: BTreeMap<DeviceKind, Eui64>) -> Self {
        Self {
            profile: profile.clone(),
            devices,
            carrier: OperatorEnd::new(framing, profile, APDU_MAX),
            clients: Vec::new(),
            job: None,
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
        self.profile.saps.of(slot).ok_or(FaceError::NoDevice(slot))?;
        let association = match approval {
            Some(_) if slot != DeviceKind::Gsme => association.critical(),
            _ => association,
        };
        let job = Job::new(slot, association, operation, approval, &self.profile);
        let mut out = Vec::new();
        let known = self
            .clients
            .iter()
            .position(|(s, a, client)| (*s, *a) == (slot, association) && client.is_idle());
        let apdu = match known {
            Some(at) => {
                let Some((_, _, client)) = self.clients.get_mut(at) else {
                    return Err(FaceError::Busy);
                };
                let ask = job.ask();
                client
                    .ask(
                        &ask,
                        &mut Borrowed {
                            keys,
                            device,
                            association,
                        },
                    )
                    .map_err(face_error)?
            }
            None => {
                self.clients.retain(|(s, a, _)| (*s, *a) != (slot, association));
                let mut client = Client::new(credentials(keys, device, association), self.profile.pdu_max);
                let apdu = client.associate(&mut Borrowed {
                    keys,
                    device,
                    association,
                });
                self.clients.push((slot, association, client));
                apdu
            }
        };
        self.frame(slot, association, &apdu, &mut out)?;
        self.job = Some(job);
        Ok(out)
    }

    pub(crate) fn input(&mut self, keys: &mut dyn Keys, octets: &[u8]) -> Result<Vec<HeadEndEvent>, FaceError> {
        let mut events = Vec::new();
        self.carrier.push(octets);
        loop {
            let mut out = Vec::new();
            let directory = Devices {
                profile: &self.profile,
                devices: &self.devices,
            };
            let taken = match self.carrier.next(&directory, &mut out) {
                Ok(None) => {
                    push_send(&mut events, out);
                    return Ok(events);
                }
                Ok(Some(heard)) => self.heard(keys, heard, &mut events),
                Err(error) => Err(error),
            };
            push_send(&mut events, out);
            if let Err(error) = taken {
                self.job = None;
                return Err(error);
            }
        }
    }

    fn heard(&mut self, keys: &mut dyn Keys, heard: Heard, events: &mut Vec<HeadEndEvent>) -> Result<(), FaceError> {
        let (caller, apdu, unasked) = match heard {
            Heard::Answer(caller, apdu) => (caller, apdu, false),
            Heard::Unasked(caller, apdu) => (caller, apdu, true),
            Heard::Identified(hub) => {
                events.push(HeadEndEvent::Identified(hub));
                return Ok(());
            }
            Heard::Nobody(caller) => {
                let slot = self.profile.saps.slot(caller.server).unwrap_or(DeviceKind::Chf);
                return Err(FaceError::NoDevice(slot));
            }
        };
        let Some(slot) = self.profile.saps.slot(caller.server) else {
            return Ok(());
        };
        let notifies = matches!(apdu.first(), Some(&(DATA_NOTIFICATION | GENERAL_GLO)));
        if unasked || caller.client == CLIENT_PUSH && notifies {
            self.notification(keys, slot, &apdu).map(|event| events.extend(event))
        } else {
            self.answer(keys, slot, caller.client, &apdu, events)
        }
    }

    pub(crate) fn release(&mut self, _: &mut dyn Keys) -> Vec<u8> {
        let mut out = Vec::new();
        let mut clients = std::mem::take(&mut self.clients);
        clients.retain(|(_, _, client)| client.is_idle());
        for (slot, association, client) in &mut clients {
            // A device without an access point has no association either.
            let _framed = self.frame(*slot, *association, &client.release(), &mut out);
        }
        self.clients = clients;
        out
    }

    fn frame(
        &mut self,
        slot: DeviceKind,
        association: Association,
        apdu: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FaceError> {
        let caller = self.caller(slot, association)?;
        let directory = Devices {
            profile: &self.profile,
            devices: &self.devices,
        };
        self.carrier.send(caller, &directory, apdu, out)
    }

    fn caller(&self, slot: DeviceKind, association: Association) -> Result<Caller, FaceError> {
        Ok(Caller {
            client: client(association),
            server: self.profile.saps.of(slot).ok_or(FaceError::NoDevice(slot))?,
        })
    }

    fn answer(
        &mut self,
        keys: &mut dyn Keys,
        slot: DeviceKind,
        port: u16,
        apdu: &[u8],
        events: &mut Vec<HeadEndEvent>,
    ) -> Result<(), FaceError> {
        let unasked = || FaceError::Malformed(format!("an answer from the {slot} that was not asked for"));
        let device = *self.devices.get(&slot).ok_or_else(unasked)?;
        let at = self
            .clients
            .iter()
            .position(|(s, a, _)| *s == slot && client(*a) == port)
            .ok_or_else(unasked)?;
        let (_, association, client) = self.clients.get_mut(at).ok_or_else(unasked)?;
        let association = *association;
        let mut borrowed = Borrowed {
            keys,
            device,
            association,
        };
        let event = client.input(apdu, &mut borrowed).map_err(face_error)?;
        if event == Event::Released {
            self.clients.remove(at);
            let mut out = Vec::new();
            let caller = self.caller(slot, association)?;
            self.carrier.hang_up(caller, &mut out);
            push_send(events, out);
            if self.clients.is_empty() {
                events.push(HeadEndEvent::Released);
            }
            return Ok(());
        }
        let job = self
            .job
            .as_mut()
            .filter(|job| (job.slot, job.association) == (slot, association));
        let next = match (event, job) {
            (Event::Send(apdu), _) => Next::Send(apdu),
            (_, None) => return Err(unasked()),
            (Event::Associated, Some(job)) => Next::Send(client.ask(&job.ask(), &mut borrowed).map_err(face_error)?),
            (Event::Exception(Exception::InvocationCounter(next)), Some(job)) if !job.retried => {
                job.retried = true;
                // Refused before anything happened, so the same can be asked again with a fresh counter.
                borrowed.keys.resume_counter_at(device, association, next);
                Next::Send(if client.is_idle() {
                    client.ask(&job.ask(), &mut borrowed).map_err(face_error)?
                } else {
                    client.associate(&mut borrowed)
                })
            }
            (Event::Exception(exception), _) => {
                let (state, service) = exception.codes();
                return Err(FaceError::Exception { state, service });
            }
            (Event::Refused(result, diagnostic), _) => {
                return Err(FaceError::AssociationRefused { result, diagnostic });
            }
            (event, Some(job)) => match job.answered(event, &self.profile)? {
                Next::Ask => Next::Send(client.ask(&job.ask(), &mut borrowed).map_err(face_error)?),
                next => next,
            },
        };
        match next {
            Next::Ask => {}
            Next::Finished(outcome) => {
                self.job = None;
                events.push(HeadEndEvent::Finished(outcome));
            }
            Next::Queued(ticket) => {
                self.job = None;
                events.push(HeadEndEvent::Queued(ticket));
            }
            Next::Send(apdu) => {
                let mut out = Vec::new();
                self.frame(slot, association, &apdu, &mut out)?;
                events.push(HeadEndEvent::Send(out));
            }
        }
        Ok(())
    }

    fn notification(
        &mut self,
        keys: &mut dyn Keys,
        slot: DeviceKind,
        apdu: &[u8],
    ) -> Result<Option<HeadEndEvent>, FaceError> {
        let malformed = |error: DecodeError| FaceError::Malformed(error.to_string());
        let mut opened = Vec::new();
        let plain = match Envelope::decode(apdu).map_err(malformed)? {
            None => apdu,
            Some(envelope) => {
                let device = *self.devices.get(&slot).ok_or(FaceError::NotAuthentic)?;
                let cipher = operator_cipher(keys, device, Association::Management).ok_or(FaceError::NotAuthentic)?;
                let (_, counter) = cipher
                    .open(&device.to_bytes(), envelope.protected, &mut opened)
                    .map_err(|_| FaceError::NotAuthentic)?;
                if !keys.note_device_counter(device, Association::Management, counter) {
                    return Err(FaceError::NotAuthentic);
                }
                opened.as_slice()
            }
        };
        let protected = !opened.is_empty();
        let notification = DataNotification::decode(plain).map_err(malformed)?;
        let body = Data::decode_all(notification.body).map_err(malformed)?;
        let unknown = || FaceError::Malformed("a notification of an unknown kind".into());
        match (body.as_list().ok_or_else(unknown)?, protected) {
            ([Data::UInt8(BODY_IDENTIFICATION), Data::OctetString(hub)], _) => {
                let hub = hub.as_slice().try_into().map_err(|_| unknown())?;
                Ok(Some(HeadEndEvent::Identified(Eui64::from_bytes(hub))))
            }
            // Everything but the identification must prove where it comes from.
            (_, false) => Err(FaceError::NotAuthentic),
            (
                [
                    Data::UInt8(BODY_ALERT),
                    Data::UInt8(kind),
                    Data::UInt16(code),
                    at,
                    description,
                ],
                true,
            ) => {
                let (at, _) = at
                    .as_octets()
                    .and_then(|at| from_wire(at, &self.profile))
                    .ok_or_else(unknown)?;
                let description = description.as_octets().ok_or_else(unknown)?;
                Ok(Some(HeadEndEvent::Notification(Notification::Alert {
                    slot: compact::kind_of(*kind).ok_or_else(unknown)?,
                    code: *code,
                    description: String::from_utf8_lossy(description).into_owned(),
                    at,
                })))
            }
            (
                [
                    Data::UInt8(BODY_LATE_RESULT),
                    Data::UInt32(ticket),
                    Data::UInt32(part),
                    Data::Boolean(last),
                    octets,
                ],
                true,
            ) => {
                let octets = octets.as_octets().ok_or_else(unknown)?;
                let late = self.late.part(*ticket, *part, *last, octets)?;
                Ok(late.map(HeadEndEvent::Notification))
            }
            ([Data::UInt8(BODY_READINGS), Data::UInt8(kind), at, values], true) => {
                let slot = compact::kind_of(*kind).ok_or_else(unknown)?;
                let row = self.readings(slot, at, values).ok_or_else(unknown)?;
                Ok(Some(HeadEndEvent::Notification(Notification::Readings { slot, row })))
            }
            _ => Err(unknown()),
        }
    }

    fn readings(&self, slot: DeviceKind, at: &Data, values: &Data) -> Option<LogRow> {
        let (at, _) = from_wire(at.as_octets()?, &self.profile)?;
        let mut row = LogRow {
            at,
            values: Vec::new(),
            code: None,
        };
        for value in values.as_list()? {
            let [Data::UInt16(class), Data::OctetString(name), Data::Int8(index), value] = value.as_list()? else {
                return None;
            };
            let attribute = Attribute {
                class: *class,
                object: Obis(name.as_slice().try_into().ok()?),
                index: *index,
            };
            let place = item_at(slot, &attribute)?;
            let (Shape::Register(unit, ..) | Shape::Number(unit)) = place.shape else {
                return None;
            };
            row.values.push((place.item, Quantity::new(value.as_i64()?, unit)));
        }
        Some(row)
    }
}

/// Where the devices of the installation are.
struct Devices<'a> {
    profile: &'a FaceProfile,
    devices: &'a BTreeMap<DeviceKind, Eui64>,
}

impl Directory for Devices<'_> {
    fn device(&self, sap: u16) -> Option<Eui64> {
        self.devices.get(&self.profile.saps.slot(sap)?).copied()
    }

    fn sap(&self, device: Eui64) -> Option<u16> {
        let found = self.devices.iter().filter(|(_, known)| **known == device);
        found.map(|(slot, _)| *slot).find_map(|slot| self.profile.saps.of(slot))
    }
}

fn push_send(events: &mut Vec<HeadEndEvent>, out: Vec<u8>) {
    if !out.is_empty() {
        events.push(HeadEndEvent::Send(out));
    }
}

/// One device's keys and counters on one association, for the length of a call.
struct Borrowed<'a> {
    keys: &'a mut dyn Keys,
    device: Eui64,
    association: Association,
}

impl cosem::client::Keys for Borrowed<'_> {
    fn next_counter(&mut self) -> u32 {
        self.keys.next_counter(self.device, self.association)
    }

    fn note_counter(&mut self, counter: u32) -> bool {
        self.keys.note_device_counter(self.device, self.association, counter)
    }
}

fn credentials(keys: &mut dyn Keys, device: Eui64, association: Association) -> Credentials {
    match (operator_cipher(keys, device, association), association) {
        (Some(cipher), _) => Credentials::Gmac {
            cipher: Box::new(cipher),
            title: keys.system_title(),
            challenge: keys.challenge().to_vec(),
            form: Form::Service,
        },
        (None, Association::Reader) => {
            Credentials::Password(Password(keys.key(device, Purpose::ReaderPassword).expose().to_vec()))
        }
        (None, _) => Credentials::None,
    }
}

fn face_error(error: ClientError) -> FaceError {
    match error {
        ClientError::NotAuthentic => FaceError::NotAuthentic,
        other => FaceError::Malformed(other.to_string()),
    }
}
