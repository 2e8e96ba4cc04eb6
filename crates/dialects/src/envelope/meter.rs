use domain::keys::Party;
use domain::operation::octets;
use domain::{Access, Answer, Association, DeviceKind, Execution, Operation, Refusal, SecurityEvent, Value};

use super::frame::{COPIED, Fault, Framer, Header, Kind};
use super::{
    ORDER_MAX, ORDER_PART, ORDER_SUBMISSION, ORDER_ZCL, PART_MAX, REFUSED_COUNTER, REFUSED_MALFORMED,
    REFUSED_NO_DEVICE, REFUSED_NOT_AUTHENTIC, REFUSED_TOO_LARGE, speaker, zcl,
};
use crate::compact::association_of;
use crate::sealing::{SEAL_LEN, Unsealed, open_at_device, party_of, seal_by_device, tells_under};
use crate::submission::split_submission;
use crate::{FaceProfile, Host, Notification, SessionOutput};

/// The hub's side of one connection.
#[derive(Debug)]
pub(crate) struct Device {
    /// Whose head-end is at the other end; whoever has the device's keys in force where that is not known.
    party: Option<Party>,
    framer: Framer,
    part: usize,
    /// Job and beginning of an order that comes in parts.
    begun: Option<(Header, Vec<u8>)>,
    /// What the hub said unasked.
    said: u32,
    closed: bool,
}

/// An order that was opened.
struct Order {
    header: Header,
    association: Association,
    content: Vec<u8>,
}

impl Device {
    pub(crate) fn new(profile: &FaceProfile, party: Option<Party>) -> Self {
        let pdu_max = usize::from(profile.pdu_max.max(64));
        Self {
            party,
            framer: Framer::new(pdu_max + SEAL_LEN + COPIED),
            part: pdu_max.clamp(64, PART_MAX),
            begun: None,
            said: 0,
            closed: false,
        }
    }

    pub(crate) fn open(&mut self, host: &mut dyn Host) -> Vec<u8> {
        let mut out = Vec::new();
        self.header(Kind::Hello, DeviceKind::Chf, 0, Association::Public, host)
            .write(&[], &mut out);
        out
    }

    pub(crate) fn input(&mut self, octets: &[u8], host: &mut dyn Host) -> SessionOutput {
        let mut output = SessionOutput::default();
        if !self.closed {
            self.framer.push(octets);
        }
        while !self.closed {
            match self.framer.frame() {
                Ok(None) => break,
                Ok(Some((header, body))) => self.frame(header, &body, host, &mut output.octets),
                Err(Fault::Oversized(header)) => {
                    host.security_event(DeviceKind::Chf, SecurityEvent::OversizedMessage);
                    refuse(&header, &[REFUSED_TOO_LARGE], &mut output.octets);
                    self.closed = true;
                }
                Err(Fault::NoFrame) => {
                    host.security_event(DeviceKind::Chf, SecurityEvent::MalformedMessage);
                    self.closed = true;
                }
            }
        }
        output.close = self.closed;
        output
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
                let body = octets::write(&(code, at, description));
                self.say(Kind::Event, *slot, &body, host, &mut out);
            }
            Notification::Readings { slot, row } => {
                self.say(Kind::Readings, *slot, &octets::write(row), host, &mut out);
            }
            Notification::LateResult { ticket, outcome } => {
                let outcome = octets::of_outcome(outcome);
                if let Some(association) = tells_under(host, DeviceKind::Chf, self.party) {
                    let header = self.header(Kind::LateResult, DeviceKind::Chf, *ticket, association, host);
                    self.parts(&header, &outcome, host, &mut out);
                }
            }
        }
        out
    }

    fn header(&self, kind: Kind, device: DeviceKind, job: u32, association: Association, host: &dyn Host) -> Header {
        Header {
            kind,
            hub: host.device(DeviceKind::Chf).unwrap_or_default(),
            device,
            job,
            seal: crate::compact::seal_of(association),
        }
    }

    fn say(&mut self, kind: Kind, slot: DeviceKind, content: &[u8], host: &mut dyn Host, out: &mut Vec<u8>) {
        self.said = self.said.wrapping_add(1);
        let Some(association) = tells_under(host, speaker(slot), self.party) else {
            return;
        };
        let header = self.header(kind, slot, self.said, association, host);
        send(&header, content, host, out);
    }

    fn frame(&mut self, header: Header, body: &[u8], host: &mut dyn Host, out: &mut Vec<u8>) {
        match header.kind {
            Kind::Order => match open(&header, body, host) {
                Ok(order) => self.ordered(order, host, out),
                Err(reason) => refuse(&header, &reason, out),
            },
            Kind::Bye => header.write(&[], out),
            _ => {
                host.security_event(DeviceKind::Chf, SecurityEvent::MalformedMessage);
                refuse(&header, &[REFUSED_MALFORMED], out);
            }
        }
    }

    /// Puts an order's parts together.
    fn ordered(&mut self, mut order: Order, host: &mut dyn Host, out: &mut Vec<u8>) {
        let mut begun = match self.begun.take() {
            Some((header, begun)) if header == order.header => begun,
            _ => Vec::new(),
        };
        match order.content.split_first() {
            Some((&ORDER_PART, part)) => {
                if begun.len() + part.len() > ORDER_MAX {
                    refuse(&order.header, &[REFUSED_TOO_LARGE], out);
                    return;
                }
                begun.extend_from_slice(part);
                self.begun = Some((order.header, begun));
            }
            Some((form, rest)) => {
                order.content = [&[*form], begun.as_slice(), rest].concat();
                self.order(&order, host, out);
            }
            None => self.misunderstood(&order, host, out),
        }
    }

    fn order(&self, order: &Order, host: &mut dyn Host, out: &mut Vec<u8>) {
        let slot = order.header.device;
        let party = party_of(host, slot, order.association);
        let access = Access {
            association: order.association,
            party,
        };
        let stored = Header {
            kind: Kind::Stored,
            ..order.header
        };
        let result = Header {
            kind: Kind::Result,
            ..order.header
        };
        match order.content.split_first() {
            Some((&ORDER_SUBMISSION, submitted)) => {
                let Some((operation, approval)) = split_submission(submitted) else {
                    return self.misunderstood(order, host, out);
                };
                match host.execute(slot, access, &operation, approval.as_ref()) {
                    Execution::Queued(ticket) => {
                        let content = [&[1], ticket.to_be_bytes().as_slice()].concat();
                        send(&stored, &content, host, out);
                    }
                    Execution::Finished(outcome) => {
                        send(&stored, &[0], host, out);
                        self.parts(&result, &octets::of_outcome(&outcome), host, out);
                    }
                }
            }
            Some((&ORDER_ZCL, [high, low, frame @ ..])) if slot == DeviceKind::Gpf => {
                let cluster = u16::from_be_bytes([*high, *low]);
                let answer = zcl::answer(cluster, frame, |item| {
                    match host.execute(slot, access, &Operation::Read(item), None) {
                        Execution::Finished(Ok(Answer::Value(value))) => Ok::<Value, Refusal>(value),
                        Execution::Finished(Err(refusal)) => Err(refusal),
                        Execution::Finished(Ok(_)) | Execution::Queued(_) => Err(Refusal::Busy),
                    }
                });
                match answer {
                    Some(answer) => {
                        send(&stored, &[0], host, out);
                        self.parts(&result, &answer, host, out);
                    }
                    None => self.misunderstood(order, host, out),
                }
            }
            _ => self.misunderstood(order, host, out),
        }
    }

    fn misunderstood(&self, order: &Order, host: &mut dyn Host, out: &mut Vec<u8>) {
        host.security_event(order.header.device, SecurityEvent::MalformedMessage);
        refuse(&order.header, &[REFUSED_MALFORMED], out);
    }

    fn parts(&self, header: &Header, whole: &[u8], host: &mut dyn Host, out: &mut Vec<u8>) {
        let total = whole.len().div_ceil(self.part).max(1);
        for number in 0..total {
            let part = whole.chunks(self.part).nth(number).unwrap_or_default();
            let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
            let mut content = vec![high, low, u8::from(number + 1 == total)];
            content.extend_from_slice(part);
            send(header, &content, host, out);
        }
    }
}

fn open(header: &Header, body: &[u8], host: &mut dyn Host) -> Result<Order, Vec<u8>> {
    let slot = header.device;
    if host.device(slot).is_none() || Some(header.hub) != host.device(DeviceKind::Chf) {
        return Err(vec![REFUSED_NO_DEVICE]);
    }
    let association = association_of(header.seal).ok_or(vec![REFUSED_MALFORMED])?;
    if association == Association::Public {
        return Ok(Order {
            header: *header,
            association,
            content: body.to_vec(),
        });
    }
    let forged = |host: &mut dyn Host| {
        host.security_event(slot, SecurityEvent::AuthenticationFailed);
        vec![REFUSED_NOT_AUTHENTIC]
    };
    match open_at_device(host, slot, association, body) {
        Ok(plain) => match plain.strip_prefix(&header.copied()) {
            Some(content) => Ok(Order {
                header: *header,
                association,
                content: content.to_vec(),
            }),
            None => Err(forged(host)),
        },
        Err(Unsealed::NotAuthentic) => Err(forged(host)),
        Err(Unsealed::Replay(next)) => {
            host.security_event(slot, SecurityEvent::Replay);
            Err([&[REFUSED_COUNTER], next.to_be_bytes().as_slice()].concat())
        }
    }
}

/// Appends a frame sealed as its header says. What a device without keys would have to seal is not said at all.
fn send(header: &Header, content: &[u8], host: &mut dyn Host, out: &mut Vec<u8>) {
    let association = association_of(header.seal).unwrap_or(Association::Public);
    if association == Association::Public {
        return header.write(content, out);
    }
    let plain = [header.copied().as_slice(), content].concat();
    let mut body = Vec::new();
    if seal_by_device(host, speaker(header.device), association, &plain, &mut body) {
        header.write(&body, out);
    }
}

fn refuse(header: &Header, reason: &[u8], out: &mut Vec<u8>) {
    Header {
        kind: Kind::Refused,
        seal: 0,
        ..*header
    }
    .write(reason, out);
}
