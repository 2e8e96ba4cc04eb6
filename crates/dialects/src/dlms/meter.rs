use cosem::response::{DataNotification, Exception, Form, put_glo};
use cosem::server::{After, Association as Link, Caller};
use cosem::write;
use domain::keys::Party;
use domain::operation::octets;
use domain::{DeviceKind, Eui64, SecurityEvent};

use super::carrier::{Asked, DeviceEnd, Directory, Framing, Lost};
use super::device::{CLIENT_PUSH, LogicalDevice, Remembered};
use super::logs::LogCursor;
use super::objects::place;
use super::time::to_wire;
use crate::sealing::{host_cipher, tells_under};
use crate::{FaceProfile, Host, Notification, SessionOutput, compact};

/// Associations kept at once on one connection; the one used longest ago makes room.
const ASSOCIATIONS_MAX: usize = 8;

/// Room for clients that count the agreed size without the ciphering around it.
const ENVELOPE_MAX: usize = 64;

/// Kinds of notification bodies.
pub(crate) const BODY_IDENTIFICATION: u8 = 1;
pub(crate) const BODY_ALERT: u8 = 2;
pub(crate) const BODY_LATE_RESULT: u8 = 3;
pub(crate) const BODY_READINGS: u8 = 4;

/// Most octets of a late result in one notification.
const PART_MAX: usize = 900;

/// The device's side of one connection.
#[derive(Debug)]
pub(crate) struct Device {
    profile: FaceProfile,
    /// Whose head-end is at the other end; whoever has the device's keys in force where that is not known.
    party: Option<Party>,
    carrier: DeviceEnd,
    /// Kept between messages so that a request costs no allocation.
    apdu: Vec<u8>,
    links: Vec<(Link<LogCursor>, Remembered)>,
    notifications: u32,
    closed: bool,
}

impl Device {
    pub(crate) fn new(framing: Framing, profile: &FaceProfile, party: Option<Party>) -> Self {
        Self {
            profile: profile.clone(),
            party,
            carrier: DeviceEnd::new(framing, profile, usize::from(profile.pdu_max.max(64)) + ENVELOPE_MAX),
            apdu: Vec::new(),
            links: Vec::new(),
            notifications: 0,
            closed: false,
        }
    }

    pub(crate) fn open(&mut self, host: &mut dyn Host) -> Vec<u8> {
        let hub = host.device(DeviceKind::Chf).unwrap_or_default();
        let mut out = Vec::new();
        let directory = Devices {
            profile: &self.profile,
            host,
        };
        if self.carrier.identify(hub, &directory, &mut out) {
            return out;
        }
        let mut body = Vec::new();
        write::structure(&mut body, 2);
        write::u8(&mut body, BODY_IDENTIFICATION);
        write::octet_string(&mut body, &hub.to_bytes());
        self.push(DeviceKind::Chf, &body, false, host, &mut out);
        out
    }

    pub(crate) fn input(&mut self, octets: &[u8], host: &mut dyn Host) -> SessionOutput {
        let mut output = SessionOutput {
            octets: Vec::new(),
            close: self.closed,
        };
        if self.closed {
            return output;
        }
        let Self {
            profile,
            carrier,
            apdu,
            links,
            closed,
            ..
        } = self;
        carrier.push(octets);
        while !*closed {
            match carrier.next(&Devices { profile, host }, apdu, &mut output.octets) {
                Ok(None) => break,
                Ok(Some(Asked::Reset(caller))) => links.retain(|(link, _)| link.caller() != caller),
                Ok(Some(Asked::Apdu(caller))) => {
                    let start = carrier.begin(caller, &Devices { profile, host }, &mut output.octets);
                    let after = answer(profile, links, caller, apdu, host, &mut output.octets);
                    carrier.end(caller, start, &mut output.octets);
                    if after == After::Close {
                        // A refused client has nothing any more; over HDLC its link stays, for it to end.
                        links.retain(|(link, _)| link.caller() != caller);
                        *closed = !carrier.has_links();
                    }
                }
                Err(Lost::Frame) => host.security_event(DeviceKind::Chf, SecurityEvent::MalformedMessage),
                Err(Lost::Oversized(caller)) => {
                    *closed = true;
                    let slot = profile.saps.slot(caller.server).unwrap_or(DeviceKind::Chf);
                    host.security_event(slot, SecurityEvent::OversizedMessage);
                    let start = carrier.begin(caller, &Devices { profile, host }, &mut output.octets);
                    Exception::PduTooLong.encode(&mut output.octets);
                    carrier.end(caller, start, &mut output.octets);
                }
                Err(Lost::Stream) => {
                    *closed = true;
                    host.security_event(DeviceKind::Chf, SecurityEvent::MalformedMessage);
                }
            }
        }
        output.close = self.closed;
        output
    }

    pub(crate) fn notify(&mut self, notification: &Notification, host: &mut dyn Host) -> Vec<u8> {
        let mut out = Vec::new();
        let mut body = Vec::new();
        match notification {
            Notification::Alert {
                slot,
                code,
                description,
                at,
            } => {
                write::structure(&mut body, 5);
                write::u8(&mut body, BODY_ALERT);
                write::u8(&mut body, compact::kind_code(*slot));
                write::u16(&mut body, *code);
                write::octet_string(&mut body, &to_wire(*at, 0, &self.profile));
                let description: String = description.chars().take(80).collect();
                write::octet_string(&mut body, description.as_bytes());
                // A device without an access point of its own speaks through the hub.
                let speaker = self.profile.saps.of(*slot).map_or(DeviceKind::Chf, |_| *slot);
                self.push(speaker, &body, true, host, &mut out);
            }
            Notification::Readings { slot, row } => {
                // Each value with the attribute that holds it.
                let values: Vec<_> = row
                    .values
                    .iter()
                    .filter_map(|(item, quantity)| Some((place(*slot, *item)?.attribute, quantity)))
                    .collect();
                write::structure(&mut body, 4);
                write::u8(&mut body, BODY_READINGS);
                write::u8(&mut body, compact::kind_code(*slot));
                write::octet_string(&mut body, &to_wire(row.at, 0, &self.profile));
                write::array(&mut body, values.len());
                for (attribute, quantity) in values {
                    write::structure(&mut body, 4);
                    write::u16(&mut body, attribute.class);
                    write::octet_string(&mut body, &attribute.object.0);
                    write::i8(&mut body, attribute.index);
                    write::i64(&mut body, quantity.value);
                }
                self.push(*slot, &body, true, host, &mut out);
            }
            Notification::LateResult { ticket, outcome } => {
                let octets = octets::of_outcome(outcome);
                let size = usize::from(self.profile.pdu_max)
                    .saturating_sub(100)
                    .clamp(16, PART_MAX);
                let mut parts = octets.chunks(size).enumerate().peekable();
                while let Some((number, part)) = parts.next() {
                    body.clear();
                    write::structure(&mut body, 5);
                    write::u8(&mut body, BODY_LATE_RESULT);
                    write::u32(&mut body, *ticket);
                    write::u32(&mut body, u32::try_from(number).unwrap_or(u32::MAX));
                    write::boolean(&mut body, parts.peek().is_none());
                    write::octet_string(&mut body, part);
                    self.push(DeviceKind::Chf, &body, true, host, &mut out);
                }
            }
        }
        out
    }

    fn push(&mut self, slot: DeviceKind, body: &[u8], protect: bool, host: &mut dyn Host, out: &mut Vec<u8>) {
        let Some(sap) = self.profile.saps.of(slot) else { return };
        self.notifications = self.notifications.wrapping_add(1) & 0x00FF_FFFF;
        let notification = DataNotification {
            long_invoke: self.notifications,
            at: Some(to_wire(host.now(), 0, &self.profile)),
            body,
        };
        let mut plain = Vec::new();
        notification.encode(&mut plain);
        let mut apdu = Vec::new();
        if protect {
            // Without keys nobody could believe it: such a device says nothing.
            let keys = tells_under(host, slot, self.party)
                .and_then(|association| Some((association, host_cipher(host, slot, association)?)));
            let (Some((association, keys)), Some(device)) = (keys, host.device(slot)) else {
                return;
            };
            let counter = host.next_counter(slot, association);
            put_glo(&keys, Form::General, &device.to_bytes(), counter, &plain, &mut apdu);
        } else {
            apdu = plain;
        }
        let caller = Caller {
            client: CLIENT_PUSH,
            server: sap,
        };
        let directory = Devices {
            profile: &self.profile,
            host,
        };
        self.carrier.say(caller, &directory, &apdu, out);
    }
}

/// Where the devices of the installation are.
struct Devices<'a> {
    profile: &'a FaceProfile,
    host: &'a dyn Host,
}

impl Directory for Devices<'_> {
    fn device(&self, sap: u16) -> Option<Eui64> {
        self.host.device(self.profile.saps.slot(sap)?)
    }

    fn sap(&self, device: Eui64) -> Option<u16> {
        let slots = DeviceKind::ALL.into_iter();
        slots
            .filter(|slot| self.host.device(*slot) == Some(device))
            .find_map(|slot| self.profile.saps.of(slot))
    }
}

fn answer(
    profile: &FaceProfile,
    links: &mut Vec<(Link<LogCursor>, Remembered)>,
    caller: Caller,
    apdu: &[u8],
    host: &mut dyn Host,
    out: &mut Vec<u8>,
) -> After {
    let slot = profile
        .saps
        .slot(caller.server)
        .filter(|slot| host.device(*slot).is_some());
    let Some(slot) = slot else {
        // No such logical device; the hub answers for it.
        Exception::NotAllowed.encode(out);
        return After::Keep;
    };
    match links.iter().position(|(link, _)| link.caller() == caller) {
        Some(at) => {
            // Most recently used at the end.
            if at + 1 < links.len() {
                let used = links.remove(at);
                links.push(used);
            }
        }
        None => {
            if links.len() >= ASSOCIATIONS_MAX {
                links.remove(0);
            }
            links.push((Link::new(caller, profile.pdu_max), Remembered::default()));
        }
    }
    let Some((link, remembered)) = links.last_mut() else {
        return After::Close;
    };
    if apdu.first() == Some(&cosem::acse::AARQ) {
        *remembered = Remembered::default();
    }
    link.input(
        apdu,
        &mut LogicalDevice {
            face: profile,
            host,
            slot,
            remembered,
        },
        out,
    )
}
