use std::collections::BTreeMap;

use domain::keys::{DeviceKey, Purpose};
use domain::{Approval, Association, DeviceKind, Eui64, Operation, Outcome};

use crate::dlms::Framing;
use crate::external::{self, FromFace, ToFace};
use crate::{FaceProfile, Family, Notification, dlms, envelope, registers};

/// What a head end's side sees of its operator's custody.
pub trait Keys {
    /// The operator's key for this device in the epoch it has there, in force or staged.
    fn key(&self, device: Eui64, purpose: Purpose) -> DeviceKey;

    /// The next invocation counter towards this device; never the same twice, also across restarts. Associations of a
    /// staged epoch share their counters with those of the same keys in force ([`Association::in_force`]).
    fn next_counter(&mut self, device: Eui64, association: Association) -> u32;

    /// The device says that `next` is the first counter it takes: later calls of [`Keys::next_counter`] give at least
    /// that. What the device says here is not authenticated.
    fn resume_counter_at(&mut self, device: Eui64, association: Association, next: u32);

    /// Takes the device's own counter from an authentic message; `false` when it was seen before: the session then ends
    /// with [`FaceError::NotAuthentic`].
    fn note_device_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool;

    /// Takes the device's own counter from an authentic text message; `false` when one with this counter was taken before,
    /// or it is too old to tell. Networks deliver text messages out of order, and messages over a connection may overtake
    /// them: they have a memory of their own.
    fn note_text_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool;

    /// The operator's eight octets in every nonce.
    fn system_title(&self) -> [u8; 8];

    /// 16 fresh octets for an authentication challenge.
    fn challenge(&mut self) -> [u8; 16];
}

/// Why a session cannot go on, or could not begin an operation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// The device does not let these keys or this client in.
    #[error("association refused: result {result}, diagnostic {diagnostic}")]
    AssociationRefused {
        /// The `result` of the answer.
        result: u8,
        /// The `result-source-diagnostic` of the answer.
        diagnostic: u8,
    },
    /// An operation is in progress; one at a time.
    #[error("an operation is in progress")]
    Busy,
    /// The device answered with an exception.
    #[error("exception from the device: state error {state}, service error {service}")]
    Exception {
        /// State error.
        state: u8,
        /// Service error.
        service: u8,
    },
    /// The device sent octets that are no message, or not one that answers the request.
    #[error("malformed message from the device: {0}")]
    Malformed(String),
    /// No device in this slot, or none that this family can address.
    #[error("this installation has no {0}")]
    NoDevice(DeviceKind),
    /// A message that is not protected with the keys it should be, or replayed.
    #[error("a message from the device does not fit its keys")]
    NotAuthentic,
}

/// What happened on a head end's side of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeadEndEvent {
    /// The operation ended.
    Finished(Outcome),
    /// The hub that opened the connection said who it is.
    Identified(Eui64),
    /// The device said something unasked.
    Notification(Notification),
    /// The operation is held for a sleeping device under this ticket; the outcome comes as
    /// [`Notification::LateResult`].
    Queued(u32),
    /// The association was released; the connection may be closed.
    Released,
    /// Octets to send.
    Send(Vec<u8>),
}

/// The head end's side of one connection to one installation.
///
/// One operation at a time. Associations are opened when an operation needs them and kept for the next.
#[derive(Debug)]
pub struct HeadEndSession(Face);

#[derive(Debug)]
enum Face {
    Dlms(Box<dlms::Operator>),
    Envelope(Box<envelope::Operator>),
    External(Box<external::Operator>),
    Registers(Box<registers::Operator>),
}

impl HeadEndSession {
    /// A session on a fresh connection to the installation with these devices.
    #[must_use]
    pub fn new(profile: &FaceProfile, devices: BTreeMap<DeviceKind, Eui64>) -> Self {
        let dlms = |framing, devices| Face::Dlms(Box::new(dlms::Operator::new(framing, profile, devices)));
        Self(match profile.family {
            Family::DlmsHdlc => dlms(Framing::Hdlc, devices),
            Family::DlmsHubTunnel => dlms(Framing::HubTunnel, devices),
            Family::DlmsWrapper => dlms(Framing::Wrapper, devices),
            Family::EdmiRegisters => Face::Registers(Box::new(registers::Operator::new(profile, devices))),
            Family::External => Face::External(Box::new(external::Operator::new(devices))),
            Family::LabEnvelope => Face::Envelope(Box::new(envelope::Operator::new(profile, devices))),
        })
    }

    /// Begins an operation; gives the octets to send first.
    ///
    /// An approval travels on the critical association, whichever is named here, except for a gas meter: its operations
    /// are submitted to a queue together with their approval.
    ///
    /// # Errors
    /// [`FaceError::Busy`] or [`FaceError::NoDevice`]: the session is unchanged.
    pub fn start(
        &mut self,
        keys: &mut dyn Keys,
        slot: DeviceKind,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Result<Vec<u8>, FaceError> {
        match &mut self.0 {
            Face::Dlms(face) => face.start(keys, slot, association, operation, approval),
            Face::Envelope(face) => face.start(keys, slot, association, operation, approval),
            Face::External(face) => face.start(slot, association, operation, approval),
            Face::Registers(face) => face.start(keys, slot, association, operation, approval),
        }
    }

    /// Takes octets from the link, in pieces of any size.
    ///
    /// # Errors
    /// Any [`FaceError`]; the operation in progress, if any, is over and the connection should be closed. Events of
    /// earlier messages in the same octets are lost with it.
    pub fn input(&mut self, keys: &mut dyn Keys, octets: &[u8]) -> Result<Vec<HeadEndEvent>, FaceError> {
        match &mut self.0 {
            Face::Dlms(face) => face.input(keys, octets),
            Face::Envelope(face) => face.input(keys, octets),
            Face::External(face) => {
                face.input(octets);
                Ok(Vec::new())
            }
            Face::Registers(face) => face.input(keys, octets),
        }
    }

    /// The octets that release every association in use; empty when there is none, or when a program outside has to say
    /// good-bye first.
    pub fn release(&mut self, keys: &mut dyn Keys) -> Vec<u8> {
        match &mut self.0 {
            Face::Dlms(face) => face.release(keys),
            Face::Envelope(face) => face.release(keys),
            Face::External(face) => {
                face.release();
                Vec::new()
            }
            Face::Registers(face) => face.release(keys),
        }
    }
    /// Whether a program outside provides this face.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.0, Face::External(_))
    }

    /// What the program that provides this face is to be told, in order; nothing where none does. After every call of the
    /// others.
    pub fn take_told(&mut self) -> Vec<ToFace> {
        match &mut self.0 {
            Face::External(face) => face.take_told(),
            _ => Vec::new(),
        }
    }

    /// Does what the program that provides this face says.
    ///
    /// # Errors
    /// As [`HeadEndSession::input`].
    pub fn said(&mut self, keys: &mut dyn Keys, message: FromFace) -> Result<Vec<HeadEndEvent>, FaceError> {
        match &mut self.0 {
            Face::External(face) => face.said(message, keys),
            _ => Ok(Vec::new()),
        }
    }
}
