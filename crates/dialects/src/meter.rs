use crate::{FaceProfile, Host, Notification};

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
pub struct MeterSession {
    profile: FaceProfile,
}

impl MeterSession {
    /// A session on a fresh connection.
    #[must_use]
    pub fn new(profile: &FaceProfile) -> Self {
        Self {
            profile: profile.clone(),
        }
    }

    /// What a device sends first on a connection that it opened itself: who it is.
    ///
    /// Not to be called where a client connected first.
    pub fn open(&mut self, host: &mut dyn Host) -> Vec<u8> {
        let _ = (&self.profile, host.now());
        Vec::new()
    }

    /// Takes octets from the link, in pieces of any size, and answers the complete messages among them.
    pub fn input(&mut self, octets: &[u8], host: &mut dyn Host) -> SessionOutput {
        let _ = (octets, host.now());
        SessionOutput::default()
    }

    /// The octets of something said unasked.
    pub fn notify(&mut self, notification: &Notification, host: &mut dyn Host) -> Vec<u8> {
        let _ = (notification, host.now());
        Vec::new()
    }
}
