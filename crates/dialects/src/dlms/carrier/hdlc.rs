//! DLMS in HDLC frames over TCP: a connection of the link layer for every client and logical device.

use cosem::hdlc::{
    Address, Control, FRAME_MAX, Framer, Parameters, Primary, PrimaryEvent, Secondary, SecondaryEvent, Unnumbered,
    put_unnumbered,
};
use cosem::server::Caller;

use super::{Asked, Heard, Lost};
use crate::FaceError;
use crate::profile::Hdlc;

/// Connections of the link layer kept at once; the one used longest ago makes room.
const LINKS_MAX: usize = 8;

fn parameters(profile: &Hdlc) -> Parameters {
    Parameters::symmetric(profile.information_max, profile.window)
}

fn server_address(profile: &Hdlc, sap: u16) -> Address {
    Address::four(sap, profile.physical)
}

#[derive(Debug)]
pub(crate) struct DeviceEnd {
    profile: Hdlc,
    apdu_max: usize,
    framer: Framer,
    links: Vec<Secondary>,
}

impl DeviceEnd {
    pub(super) fn new(profile: &Hdlc, apdu_max: usize) -> Self {
        Self {
            profile: *profile,
            apdu_max,
            framer: Framer::new(FRAME_MAX),
            links: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.framer.push(octets);
    }

    pub(super) fn next(&mut self, apdu: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Option<Asked>, Lost> {
        let Self {
            profile,
            apdu_max,
            framer,
            links,
        } = self;
        loop {
            let frame = match framer.frame() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame,
                Err(_) => return Err(Lost::Frame),
            };
            if !frame.destination.reaches(profile.physical) {
                // For another station on the line.
                continue;
            }
            let at = links
                .iter()
                .position(|link| (link.server(), link.client()) == (frame.destination, frame.source));
            let at = match at {
                Some(at) => at,
                None => {
                    if links.len() >= LINKS_MAX {
                        links.remove(0);
                    }
                    let limits = parameters(profile);
                    links.push(Secondary::new(frame.destination, frame.source, limits, *apdu_max));
                    links.len() - 1
                }
            };
            // Most recently used at the end.
            let mut link = links.remove(at);
            let caller = caller(&link);
            let event = link.input(&frame, out);
            links.push(link);
            match event {
                None => {}
                Some(SecondaryEvent::Apdu(whole)) => {
                    apdu.extend_from_slice(&whole);
                    return Ok(Some(Asked::Apdu(caller)));
                }
                Some(SecondaryEvent::Connected(_) | SecondaryEvent::Disconnected) => {
                    return Ok(Some(Asked::Reset(caller)));
                }
                Some(SecondaryEvent::Rejected(_)) => return Err(Lost::Frame),
            }
        }
    }

    pub(super) fn end(&mut self, caller: Caller, start: usize, out: &mut Vec<u8>) {
        let apdu = out.split_off(start.min(out.len()));
        // The one that asked is the one used last.
        if let Some(link) = self.links.last_mut().filter(|link| self::caller(link) == caller) {
            link.respond(&apdu, out);
        }
    }

    pub(super) fn say(&self, caller: Caller, apdu: &[u8], out: &mut Vec<u8>) {
        put_unnumbered(
            server_address(&self.profile, caller.server),
            Address::new(caller.client, None),
            apdu,
            self.profile.information_max,
            out,
        );
    }
}

fn caller(link: &Secondary) -> Caller {
    Caller {
        client: link.client().upper(),
        server: link.server().upper(),
    }
}

#[derive(Debug)]
pub(crate) struct OperatorEnd {
    profile: Hdlc,
    apdu_max: usize,
    framer: Framer,
    links: Vec<Link>,
    unasked: Unnumbered,
}

#[derive(Debug)]
struct Link {
    caller: Caller,
    primary: Primary,
    /// Waits for the connection to be open.
    first: Option<Vec<u8>>,
    /// Something was asked and not answered.
    waits: bool,
}

impl OperatorEnd {
    pub(super) fn new(profile: &Hdlc, apdu_max: usize) -> Self {
        Self {
            profile: *profile,
            apdu_max,
            framer: Framer::new(FRAME_MAX),
            links: Vec::new(),
            unasked: Unnumbered::new(apdu_max),
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.framer.push(octets);
    }

    pub(super) fn send(&mut self, caller: Caller, apdu: &[u8], out: &mut Vec<u8>) -> Result<(), FaceError> {
        let at = match self.links.iter().position(|link| link.caller == caller) {
            Some(at) => at,
            None => {
                let primary = Primary::new(
                    Address::new(caller.client, None),
                    server_address(&self.profile, caller.server),
                    // The device's limits are its own to state.
                    Parameters::symmetric(self.profile.information_max, self.profile.window),
                    self.apdu_max,
                );
                self.links.push(Link {
                    caller,
                    primary,
                    first: None,
                    waits: false,
                });
                self.links.len() - 1
            }
        };
        let Some(link) = self.links.get_mut(at) else {
            return Ok(());
        };
        link.waits = true;
        if link.primary.is_connected() {
            return link.primary.send(apdu, out).map_err(malformed);
        }
        link.first = Some(apdu.to_vec());
        link.primary.connect(out);
        Ok(())
    }

    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Heard>, FaceError> {
        loop {
            let frame = match self.framer.frame() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame,
                Err(_) => {
                    // Whatever it was, the device says it again; a link that never gets better is given up by its limit.
                    for link in self.links.iter_mut().filter(|link| link.waits) {
                        link.primary.poll(out);
                    }
                    continue;
                }
            };
            let caller = Caller {
                client: frame.destination.upper(),
                server: frame.source.upper(),
            };
            if matches!(frame.control, Control::Unnumbered { .. }) {
                match self.unasked.input(&frame).map_err(malformed)? {
                    Some(apdu) => return Ok(Some(Heard::Unasked(caller, apdu))),
                    None => continue,
                }
            }
            let Some(link) = self.links.iter_mut().find(|link| link.caller == caller) else {
                continue;
            };
            match link.primary.input(&frame, out).map_err(malformed)? {
                None => {}
                Some(PrimaryEvent::Apdu(apdu)) => {
                    link.waits = false;
                    return Ok(Some(Heard::Answer(caller, apdu)));
                }
                Some(PrimaryEvent::Connected(_)) => {
                    if let Some(first) = link.first.take() {
                        link.primary.send(&first, out).map_err(malformed)?;
                    }
                }
                Some(PrimaryEvent::Disconnected) if !link.waits => {}
                Some(PrimaryEvent::Disconnected) => return Ok(Some(Heard::Nobody(caller))),
                Some(PrimaryEvent::Rejected) => {
                    return Err(FaceError::Malformed("the device rejects the link's frames".into()));
                }
            }
        }
    }

    pub(super) fn hang_up(&mut self, caller: Caller, out: &mut Vec<u8>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.caller == caller)
            && link.primary.is_connected()
        {
            link.waits = false;
            link.primary.disconnect(out);
        }
    }
}

fn malformed(error: cosem::hdlc::LinkError) -> FaceError {
    FaceError::Malformed(error.to_string())
}
