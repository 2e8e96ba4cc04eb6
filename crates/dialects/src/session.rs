use domain::keys::Party;

use crate::dlms::Framing;
use crate::external::{self, FromFace, ToFace};
use crate::{FaceProfile, Family, Host, Notification, dlms, envelope, registers};

/// What a device puts on the link in answer to octets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionOutput {
    /// To be sent, in this order; may be empty.
    pub octets: Vec<u8>,
    /// The device ends the connection after sending.
    pub close: bool,
}

/// The device's side of one connection, whoever opened it.
///
/// Dropping it forgets every association; nothing durable lives here.
#[derive(Debug)]
pub struct MeterSession(Face);

#[derive(Debug)]
enum Face {
    Dlms(Box<dlms::Device>),
    Envelope(Box<envelope::Device>),
    External(Box<external::Device>),
    Registers(Box<registers::Device>),
}

impl MeterSession {
    /// A session on a fresh connection with a client that is not known: what the devices say unasked is protected with
    /// the keys in force.
    #[must_use]
    pub fn new(profile: &FaceProfile) -> Self {
        Self::between(profile, None)
    }

    /// A session on a fresh connection with the head-end of this party, whose keys may be in force or staged: what the
    /// devices say unasked is protected with them.
    #[must_use]
    pub fn with(profile: &FaceProfile, party: Party) -> Self {
        Self::between(profile, Some(party))
    }

    fn between(profile: &FaceProfile, party: Option<Party>) -> Self {
        let dlms = |framing| Face::Dlms(Box::new(dlms::Device::new(framing, profile, party)));
        Self(match profile.family {
            Family::DlmsHdlc => dlms(Framing::Hdlc),
            Family::DlmsHubTunnel => dlms(Framing::HubTunnel),
            Family::DlmsWrapper => dlms(Framing::Wrapper),
            Family::EdmiRegisters => Face::Registers(Box::new(registers::Device::new(profile, party))),
            Family::External => Face::External(Box::new(external::Device::new(party))),
            Family::LabEnvelope => Face::Envelope(Box::new(envelope::Device::new(profile, party))),
        })
    }

    /// What a device sends first on a connection that it opened itself: in plain, which hub it is. It proves nothing; what
    /// follows does. Sent again, it shows that the connection is still there.
    ///
    /// Not to be called where a client connected first.
    pub fn open(&mut self, host: &mut dyn Host) -> Vec<u8> {
        match &mut self.0 {
            Face::Dlms(face) => face.open(host),
            Face::Envelope(face) => face.open(host),
            Face::External(face) => face.open(host),
            Face::Registers(face) => face.open(host),
        }
    }

    /// Takes octets from the link, in pieces of any size, and answers the complete messages among them.
    pub fn input(&mut self, octets: &[u8], host: &mut dyn Host) -> SessionOutput {
        match &mut self.0 {
            Face::Dlms(face) => face.input(octets, host),
            Face::Envelope(face) => face.input(octets, host),
            Face::External(face) => face.input(octets),
            Face::Registers(face) => face.input(octets, host),
        }
    }

    /// The octets of something said unasked, protected with the management keys of the device that says it.
    ///
    /// Late results come from the hub; long ones take several messages.
    pub fn notify(&mut self, notification: &Notification, host: &mut dyn Host) -> Vec<u8> {
        match &mut self.0 {
            Face::Dlms(face) => face.notify(notification, host),
            Face::Envelope(face) => face.notify(notification, host),
            Face::External(face) => face.notify(notification),
            Face::Registers(face) => face.notify(notification, host),
        }
    }
    /// Whether a program outside provides this face.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.0, Face::External(_))
    }

    /// What the program that provides this face is to be told, in order; nothing where none does. After every call of the
    /// others, and not before what they changed is safe.
    pub fn take_told(&mut self) -> Vec<ToFace> {
        match &mut self.0 {
            Face::External(face) => face.take_told(),
            _ => Vec::new(),
        }
    }

    /// Does what the program that provides this face says.
    pub fn said(&mut self, message: FromFace, host: &mut dyn Host) -> SessionOutput {
        match &mut self.0 {
            Face::External(face) => face.said(message, host),
            _ => SessionOutput::default(),
        }
    }
}
