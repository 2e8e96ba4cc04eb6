//! How APDUs travel on a connection: what differs between families of the same DLMS, both ends of each.
//!
//! A carrier knows access points and octets; what an APDU says is no concern of it.

mod hdlc;
mod hub_tunnel;

use cosem::server::Caller;
use cosem::wrapper::{self, FrameError, Framer};
use domain::Eui64;

use crate::{FaceError, FaceProfile};

pub(crate) use hub_tunnel::Directory;

/// Which carrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Hdlc,
    HubTunnel,
    Wrapper,
}

/// What the device's end of a carrier heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// An APDU, which stands in the buffer given.
    Apdu(Caller),
    /// The client began anew: what was agreed with it before is over.
    Reset(Caller),
}

/// What the device's end could not follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Damage that the carrier recovers from.
    Frame,
    /// An APDU longer than the device takes, from a client that can still be told; the stream ends.
    Oversized(Caller),
    /// The stream cannot be followed any further.
    Stream,
}

/// The device's end.
#[derive(Debug)]
pub(crate) enum DeviceEnd {
    Hdlc(hdlc::DeviceEnd),
    HubTunnel(hub_tunnel::DeviceEnd),
    Wrapper(Framer),
}

impl DeviceEnd {
    /// Whether clients open and end a link of their own below the association: refusing one then leaves the connection as
    /// it is. Some clients wait for ever for the answer to their disconnection where it has been closed instead.
    pub(crate) fn has_links(&self) -> bool {
        matches!(self, Self::Hdlc(_))
    }

    pub(crate) fn new(framing: Framing, profile: &FaceProfile, apdu_max: usize) -> Self {
        match framing {
            Framing::Hdlc => Self::Hdlc(hdlc::DeviceEnd::new(&profile.hdlc, apdu_max)),
            Framing::HubTunnel => Self::HubTunnel(hub_tunnel::DeviceEnd::new(profile.tunnel, apdu_max)),
            Framing::Wrapper => Self::Wrapper(Framer::new(apdu_max)),
        }
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        match self {
            Self::Hdlc(end) => end.push(octets),
            Self::HubTunnel(end) => end.push(octets),
            Self::Wrapper(framer) => framer.push(octets),
        }
    }

    /// The next thing a client said. Its APDU replaces what stood in `apdu`; what the carrier itself answers goes to `out`.
    pub(crate) fn next(
        &mut self,
        directory: &dyn Directory,
        apdu: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Asked>, Lost> {
        apdu.clear();
        match self {
            Self::Hdlc(end) => end.next(apdu, out),
            Self::HubTunnel(end) => end.next(directory, apdu, out),
            Self::Wrapper(framer) => match framer.frame() {
                Ok(None) => Ok(None),
                Ok(Some(frame)) => {
                    apdu.extend_from_slice(frame.apdu);
                    Ok(Some(Asked::Apdu(Caller {
                        client: frame.source,
                        server: frame.destination,
                    })))
                }
                Err(FrameError::Oversized {
                    frame_source,
                    destination,
                    ..
                }) => Err(Lost::Oversized(Caller {
                    client: frame_source,
                    server: destination,
                })),
                Err(_) => Err(Lost::Stream),
            },
        }
    }

    /// Begins an answer; the APDU is to be appended to `out`, then [`DeviceEnd::end`] called with what this gives.
    pub(crate) fn begin(&mut self, caller: Caller, directory: &dyn Directory, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Hdlc(_) => out.len(),
            Self::HubTunnel(end) => end.begin(caller, directory, out),
            Self::Wrapper(_) => wrapper::begin(out, caller.server, caller.client),
        }
    }

    /// Ends an answer. An empty one says nothing.
    pub(crate) fn end(&mut self, caller: Caller, start: usize, out: &mut Vec<u8>) {
        match self {
            Self::Hdlc(end) => end.end(caller, start, out),
            Self::HubTunnel(end) => end.end(start, out),
            Self::Wrapper(_) => wrapper::end(out, start),
        }
    }

    /// Appends an APDU that the device behind `caller.server` says unasked.
    pub(crate) fn say(&mut self, caller: Caller, directory: &dyn Directory, apdu: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Hdlc(end) => end.say(caller, apdu, out),
            Self::HubTunnel(end) => end.say(caller, directory, apdu, out),
            Self::Wrapper(_) => wrapper::write(out, caller.server, caller.client, apdu),
        }
    }

    /// Appends the carrier's own word for which hub has opened the connection; `false` where it has none and an APDU has
    /// to say it.
    pub(crate) fn identify(&mut self, hub: Eui64, directory: &dyn Directory, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Hdlc(_) | Self::Wrapper(_) => false,
            Self::HubTunnel(end) => {
                end.identify(hub, directory, out);
                true
            }
        }
    }
}

/// What the head end's end of a carrier heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// An answer from a logical device to a client.
    Answer(Caller, Vec<u8>),
    /// A hub said which it is.
    Identified(Eui64),
    /// There is nobody at this access point.
    Nobody(Caller),
    /// Said unasked, or to nobody in particular.
    Unasked(Caller, Vec<u8>),
}

/// The head end's end.
#[derive(Debug)]
pub(crate) enum OperatorEnd {
    Hdlc(hdlc::OperatorEnd),
    HubTunnel(hub_tunnel::OperatorEnd),
    Wrapper(Framer),
}

impl OperatorEnd {
    pub(crate) fn new(framing: Framing, profile: &FaceProfile, apdu_max: usize) -> Self {
        match framing {
            Framing::Hdlc => Self::Hdlc(hdlc::OperatorEnd::new(&profile.hdlc, apdu_max)),
            Framing::HubTunnel => Self::HubTunnel(hub_tunnel::OperatorEnd::new(profile.tunnel, apdu_max)),
            Framing::Wrapper => Self::Wrapper(Framer::new(apdu_max)),
        }
    }

    pub(crate) fn push(&mut self, octets: &[u8]) {
        match self {
            Self::Hdlc(end) => end.push(octets),
            Self::HubTunnel(end) => end.push(octets),
            Self::Wrapper(framer) => framer.push(octets),
        }
    }

    /// Appends an APDU to a logical device, or what has to go before it.
    pub(crate) fn send(
        &mut self,
        caller: Caller,
        directory: &dyn Directory,
        apdu: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FaceError> {
        match self {
            Self::Hdlc(end) => end.send(caller, apdu, out),
            Self::HubTunnel(end) => end.send(caller, directory, apdu, out),
            Self::Wrapper(_) => {
                wrapper::write(out, caller.client, caller.server, apdu);
                Ok(())
            }
        }
    }

    /// The next thing heard; what the carrier itself has to say goes to `out`.
    pub(crate) fn next(&mut self, directory: &dyn Directory, out: &mut Vec<u8>) -> Result<Option<Heard>, FaceError> {
        match self {
            Self::Hdlc(end) => end.next(out),
            Self::HubTunnel(end) => end.next(directory),
            Self::Wrapper(framer) => {
                let frame = framer
                    .frame()
                    .map_err(|error| FaceError::Malformed(error.to_string()))?;
                Ok(frame.map(|frame| {
                    let caller = Caller {
                        client: frame.destination,
                        server: frame.source,
                    };
                    // Here one port carries both; what an APDU is tells which.
                    Heard::Answer(caller, frame.apdu.to_vec())
                }))
            }
        }
    }

    /// Appends what ends the carrier's own connection with a logical device, if it has one.
    pub(crate) fn hang_up(&mut self, caller: Caller, out: &mut Vec<u8>) {
        if let Self::Hdlc(end) = self {
            end.hang_up(caller, out);
        }
    }
}
