use std::collections::BTreeMap;

use cosem::codec::Reader;
use domain::keys::{Party, Purpose};
use domain::operation::{ApprovalFault, octets};
use domain::{
    Access, Answer, Approval, Association, DeviceKind, Execution, Operation, Outcome, Refusal, SecurityEvent,
    SupplyState,
};
use subtle::ConstantTimeEq;

use super::files::survey_register;
use super::frame::{Address, Fault, Frame, Framer};
use super::table;
use super::value::{Form, put, supply, take_time};
use super::{
    ACK, ATTENTION, CAN, CLOCK_STATUS, DATE_TIME, LAB_APPROVAL, LAB_EXECUTE, LAB_FAULT, LAB_REFUSAL, LAB_TOLERANCE,
    RECORDS_MAX, SERIAL_NUMBER, SEVERAL, SEVERAL_WITH_ERRORS, SLOTS, SUPPLY, base, hex, place, proof, role, serial,
    user,
};
use crate::sealing::{host_cipher, party_of, seal_by_device, tells_under};
use crate::submission::{reply, split_submission};
use crate::{FaceProfile, Host, Notification, SessionOutput, compact};

/// Registers in one command at most.
const REGISTERS_MAX: usize = 64;

/// An error code, and what follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Error(pub(super) u8, pub(super) Vec<u8>);

impl Error {
    pub(super) const CANNOT_WRITE: u8 = 1;
    pub(super) const UNIMPLEMENTED: u8 = 2;
    pub(super) const NO_REGISTER: u8 = 3;
    pub(super) const DENIED: u8 = 4;
    pub(super) const LENGTH: u8 = 5;
    pub(super) const INTERNAL: u8 = 6;
    pub(super) const NOT_READY: u8 = 7;
    pub(super) const RANGE: u8 = 8;
    pub(super) const NO_LOGIN: u8 = 9;

    pub(super) fn of(code: u8) -> Self {
        Self(code, Vec::new())
    }
}

/// What a device remembers of one connection.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    association: Option<Association>,
    approval: Option<Approval>,
    fault: Option<ApprovalFault>,
    refusal: Option<Refusal>,
    tolerance_s: u32,
    pub(super) submission: Vec<u8>,
    pub(super) reply: Vec<u8>,
}

/// The devices' side of one connection.
#[derive(Debug)]
pub(crate) struct Device {
    pub(super) face: FaceProfile,
    /// Whose head-end is at the other end; whoever has the device's keys in force where that is not known.
    party: Option<Party>,
    framer: Framer,
    pub(super) remembered: BTreeMap<DeviceKind, Remembered>,
}

impl Device {
    pub(crate) fn new(profile: &FaceProfile, party: Option<Party>) -> Self {
        Self {
            party,
            face: profile.clone(),
            // Every octet may be stuffed.
            framer: Framer::new(2 * (usize::from(profile.pdu_max.max(64)) + 64)),
            remembered: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self, host: &mut dyn Host) -> Vec<u8> {
        let hub = host.device(DeviceKind::Chf).unwrap_or_default();
        let mut out = Vec::new();
        unasked([b"Y".as_slice(), hub.to_bytes().as_slice()].concat(), host).write(&mut out);
        out
    }

    pub(crate) fn input(&mut self, octets: &[u8], host: &mut dyn Host) -> SessionOutput {
        let mut output = SessionOutput::default();
        self.framer.push(octets);
        loop {
            match self.framer.frame() {
                Ok(None) => return output,
                Ok(Some(frame)) => self.frame(&frame, host, &mut output.octets),
                Err(Fault::Check) => host.security_event(DeviceKind::Chf, SecurityEvent::MalformedMessage),
                Err(Fault::Oversized) => host.security_event(DeviceKind::Chf, SecurityEvent::OversizedMessage),
            }
        }
    }

    pub(crate) fn notify(&mut self, notification: &Notification, host: &mut dyn Host) -> Vec<u8> {
        let mut out = Vec::new();
        match notification {
            Notification::Alert {
                slot,
                code,
                description,
                at,
            } => {
                let description: String = description.chars().take(80).collect();
                let body = octets::write(&(1u8, code, at, description));
                self.say(*slot, &body, host, &mut out);
            }
            Notification::Readings { slot, row } => {
                self.say(*slot, &octets::write(&(3u8, row)), host, &mut out);
            }
            Notification::LateResult { ticket, outcome } => {
                let whole = octets::of_outcome(outcome);
                let mut parts = whole.chunks(RECORDS_MAX).enumerate().peekable();
                while let Some((number, part)) = parts.next() {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    let body = octets::write(&(2u8, ticket, number, parts.peek().is_none(), part));
                    self.say(DeviceKind::Chf, &body, host, &mut out);
                }
            }
        }
        out
    }

    fn say(&self, slot: DeviceKind, content: &[u8], host: &mut dyn Host, out: &mut Vec<u8>) {
        let speaker = if base(slot).is_some() { slot } else { DeviceKind::Chf };
        let Some(association) = tells_under(host, speaker, self.party) else {
            return;
        };
        let mut body = vec![b'Z', compact::kind_code(slot), u8::from(association.is_staged())];
        if seal_by_device(host, speaker, association, content, &mut body) {
            unasked(body, host).write(out);
        }
    }

    fn frame(&mut self, frame: &Frame, host: &mut dyn Host, out: &mut Vec<u8>) {
        let own = serial(host.device(DeviceKind::Esme).unwrap_or_default());
        if frame.address.is_some_and(|address| address.destination != own) {
            // For another meter on the line.
            return;
        }
        let body = match self.command(&frame.body, host) {
            Ok(body) => body,
            Err(Error(code, more)) => [&[CAN, code], more.as_slice()].concat(),
        };
        Frame {
            address: frame.address.map(Address::answered),
            body,
        }
        .write(out);
    }

    fn command(&mut self, body: &[u8], host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        let mut reader = Reader::closed(body.get(1..).unwrap_or_default());
        match body.first() {
            None | Some(&ATTENTION) => Ok(vec![ACK]),
            Some(b'L') => self.login(reader.rest(), host),
            Some(b'X') => {
                self.remembered.clear();
                Ok(vec![ACK])
            }
            Some(b'R') => {
                let register = reader.u16().map_err(|_| Error::of(Error::LENGTH))?;
                end(&reader)?;
                let value = self.read(register.into(), host)?;
                Ok([b"R".as_slice(), register.to_be_bytes().as_slice(), &value].concat())
            }
            Some(b'W') => {
                let register = reader.u16().map_err(|_| Error::of(Error::LENGTH))?;
                self.write(register.into(), reader.rest(), host)
            }
            Some(b'M') => self.read_extended(&mut reader, host),
            Some(b'N') => {
                let register = reader.u32().map_err(|_| Error::of(Error::LENGTH))?;
                self.write(register, reader.rest(), host)
            }
            Some(b'F') => self.file(&mut reader, host),
            Some(_) => Err(Error::of(Error::UNIMPLEMENTED)),
        }
    }

    fn login(&mut self, given: &[u8], host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        let text = given
            .strip_suffix(&[0])
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or(Error::of(Error::LENGTH))?;
        let (name, password) = text.split_once(',').ok_or(Error::of(Error::DENIED))?;
        let mut parts = name.split('-');
        let (role_given, slot) = (parts.next().unwrap_or_default(), parts.next());
        let slot = match slot {
            None => Some(DeviceKind::Esme),
            Some(slot) => SLOTS.into_iter().find(|known| known.as_str() == slot),
        };
        let association = Association::ALL
            .into_iter()
            .filter(|association| *association != Association::Public)
            .find(|association| role(*association) == role_given);
        let device = slot.and_then(|slot| host.device(slot));
        let (Some(slot), Some(association), Some(device)) = (slot, association, device) else {
            return Err(Error::of(Error::DENIED));
        };
        let proved = match (association, parts.next(), parts.next()) {
            (Association::Reader, None, None) => host
                .key(slot, Purpose::ReaderPassword)
                .map(|key| (hex(key.expose()), None)),
            (_, Some(title), Some(counter)) => {
                let title = u64::from_str_radix(title, 16).map(u64::to_be_bytes).ok();
                let counter = u32::from_str_radix(counter, 16).ok();
                let cipher = host_cipher(host, slot, association);
                match (title, counter, cipher) {
                    (Some(title), Some(counter), Some(cipher)) if user(association, slot, title, counter) == name => {
                        Some((proof(&cipher, title, counter, name, device), Some((title, counter))))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((_, used)) = proved.filter(|(expected, _)| bool::from(expected.as_bytes().ct_eq(password.as_bytes())))
        else {
            host.security_event(slot, SecurityEvent::AuthenticationFailed);
            return Err(Error::of(Error::DENIED));
        };
        if let Some((title, counter)) = used
            && let Err(next) = host.accept_counter(slot, association, title, counter)
        {
            host.security_event(slot, SecurityEvent::Replay);
            return Err(Error(Error::DENIED, next.to_be_bytes().to_vec()));
        }
        self.remembered.insert(
            slot,
            Remembered {
                association: Some(association),
                ..Remembered::default()
            },
        );
        Ok(vec![ACK])
    }

    pub(super) fn access(&self, slot: DeviceKind, host: &dyn Host) -> Result<Access, Error> {
        let association = self.remembered.get(&slot).and_then(|remembered| remembered.association);
        match association {
            Some(association) => Ok(Access {
                association,
                party: party_of(host, slot, association),
            }),
            None => Err(Error::of(Error::NO_LOGIN)),
        }
    }

    fn read_extended(&self, reader: &mut Reader<'_>, host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        let first = reader.u32().map_err(|_| Error::of(Error::LENGTH))?;
        let mut out = [b"M".as_slice(), first.to_be_bytes().as_slice()].concat();
        if first != SEVERAL && first != SEVERAL_WITH_ERRORS {
            end(reader)?;
            out.extend(self.read(first, host)?);
            return Ok(out);
        }
        let count = reader.rest().len() / 4;
        if count == 0 || count > REGISTERS_MAX || !reader.rest().len().is_multiple_of(4) {
            return Err(Error::of(Error::LENGTH));
        }
        for _ in 0..count {
            let register = reader.u32().map_err(|_| Error::of(Error::LENGTH))?;
            match (self.read(register, host), first) {
                (Ok(value), SEVERAL) => out.extend(value),
                (Ok(value), _) => {
                    out.push(0);
                    out.extend(value);
                }
                (Err(error), SEVERAL) => return Err(error),
                (Err(Error(code, _)), _) => out.push(code),
            }
        }
        Ok(out)
    }

    fn read(&self, register: u32, host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        if let Some((slot, file, within)) = survey_register(register) {
            return self.survey_register(slot, file, within, host);
        }
        let (slot, number) = place(register).ok_or(Error::of(Error::NO_REGISTER))?;
        let device = host.device(slot).ok_or(Error::of(Error::NO_REGISTER))?;
        let remembered = self.remembered.get(&slot);
        match number {
            SERIAL_NUMBER => return Ok([format!("{:010}", serial(device)).as_bytes(), &[0]].concat()),
            LAB_FAULT => {
                let fault = remembered.and_then(|remembered| remembered.fault);
                return Ok(vec![compact::fault_code(fault.map(Refusal::Approval).as_ref())]);
            }
            LAB_REFUSAL => {
                let refusal = remembered.and_then(|remembered| remembered.refusal.clone());
                let outcome: Outcome = refusal.map_or(Ok(Answer::Done), Err);
                return Ok(octets::of_outcome(&outcome));
            }
            _ => {}
        }
        let (item, form) = match table::at(slot, number) {
            Some(register) => (register.item, register.form),
            None if number == CLOCK_STATUS => (domain::DataItem::Clock, Form::ClockStatus),
            None => return Err(Error::of(Error::NO_REGISTER)),
        };
        let access = match self.access(slot, host) {
            Ok(access) => access,
            // Without a login a device tells what anybody may know, and nothing else.
            Err(error) if !matches!(number, DATE_TIME | CLOCK_STATUS | 0x8001) => return Err(error),
            Err(_) => Access {
                association: Association::Public,
                party: None,
            },
        };
        if slot == DeviceKind::Gsme {
            return Err(Error::of(Error::NOT_READY));
        }
        match host.execute(slot, access, &Operation::Read(item), None) {
            Execution::Finished(Ok(Answer::Value(value))) => {
                put(&value, form, &self.face).ok_or(Error::of(Error::INTERNAL))
            }
            Execution::Finished(Err(refusal)) => Err(Error::of(code(&refusal))),
            Execution::Finished(Ok(_)) => Err(Error::of(Error::INTERNAL)),
            Execution::Queued(_) => Err(Error::of(Error::NOT_READY)),
        }
    }

    fn write(&mut self, register: u32, value: &[u8], host: &mut dyn Host) -> Result<Vec<u8>, Error> {
        let (slot, number) = place(register).ok_or(Error::of(Error::NO_REGISTER))?;
        if host.device(slot).is_none() {
            return Err(Error::of(Error::NO_REGISTER));
        }
        let access = self.access(slot, host)?;
        let remembered = self.remembered.entry(slot).or_default();
        match number {
            LAB_APPROVAL => {
                if access.association != access.association.critical() {
                    return Err(Error::of(Error::DENIED));
                }
                remembered.approval = Some(Approval::from_bytes(value).ok_or(Error::of(Error::LENGTH))?);
                remembered.fault = None;
                Ok(vec![ACK])
            }
            LAB_TOLERANCE => {
                let value = value.try_into().map_err(|_| Error::of(Error::LENGTH))?;
                remembered.tolerance_s = u32::from_be_bytes(value);
                Ok(vec![ACK])
            }
            LAB_EXECUTE => {
                let Some((operation, approval)) = split_submission(&std::mem::take(&mut remembered.submission)) else {
                    return Err(Error::of(Error::RANGE));
                };
                let execution = host.execute(slot, access, &operation, approval.as_ref());
                remembered.reply = reply(&execution);
                Ok(vec![ACK])
            }
            SUPPLY => {
                let [code] = value else {
                    return Err(Error::of(Error::LENGTH));
                };
                let operation = match supply(*code) {
                    Some(SupplyState::Disabled) => Operation::DisableSupply,
                    Some(SupplyState::Armed) => Operation::ArmSupply,
                    Some(SupplyState::Enabled) => Operation::EnableSupply,
                    None => return Err(Error::of(Error::RANGE)),
                };
                execute(remembered, slot, access, &operation, host)
            }
            DATE_TIME => {
                let octets = value.try_into().map_err(|_| Error::of(Error::LENGTH))?;
                let time = take_time(octets, &self.face).ok_or(Error::of(Error::RANGE))?;
                let tolerance_s = std::mem::take(&mut remembered.tolerance_s);
                execute(
                    remembered,
                    slot,
                    access,
                    &Operation::SynchroniseClock { time, tolerance_s },
                    host,
                )
            }
            number if table::at(slot, number).is_some() => Err(Error::of(Error::CANNOT_WRITE)),
            _ => Err(Error::of(Error::NO_REGISTER)),
        }
    }
}

/// Executes with the approval presented, which is thereby used up, and remembers why it was refused.
fn execute(
    remembered: &mut Remembered,
    slot: DeviceKind,
    access: Access,
    operation: &Operation,
    host: &mut dyn Host,
) -> Result<Vec<u8>, Error> {
    let approval = remembered.approval.take();
    match host.execute(slot, access, operation, approval.as_ref()) {
        Execution::Finished(Ok(_)) => {
            (remembered.fault, remembered.refusal) = (None, None);
            Ok(vec![ACK])
        }
        Execution::Finished(Err(refusal)) => {
            remembered.fault = match &refusal {
                Refusal::Approval(fault) => Some(*fault),
                _ => None,
            };
            let code = code(&refusal);
            remembered.refusal = Some(refusal);
            Err(Error::of(code))
        }
        // Its ticket can only be told by the files.
        Execution::Queued(ticket) => {
            remembered.reply = reply(&Execution::Queued(ticket));
            Err(Error::of(Error::NOT_READY))
        }
    }
}

pub(super) fn code(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Approval(_) | Refusal::NotPermitted => Error::DENIED,
        Refusal::Busy | Refusal::Unreachable => Error::NOT_READY,
        Refusal::HardwareFault => Error::INTERNAL,
        Refusal::NotSupported => Error::NO_REGISTER,
        Refusal::OutOfRange => Error::RANGE,
        _ => Error::CANNOT_WRITE,
    }
}

pub(super) fn end(reader: &Reader<'_>) -> Result<(), Error> {
    if reader.is_empty() {
        Ok(())
    } else {
        Err(Error::of(Error::LENGTH))
    }
}

/// A frame that nobody asked for.
fn unasked(body: Vec<u8>, host: &dyn Host) -> Frame {
    Frame {
        address: Some(Address {
            destination: 0,
            source: serial(host.device(DeviceKind::Esme).unwrap_or_default()),
            sequence: 0,
        }),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_codes_of_the_protocol() {
        for (refusal, expected) in [
            (Refusal::NotPermitted, 4),
            (Refusal::Busy, 7),
            (Refusal::NotSupported, 3),
            (Refusal::OutOfRange, 8),
            (Refusal::WrongState, 1),
        ] {
            assert_eq!(code(&refusal), expected);
        }
    }
}
