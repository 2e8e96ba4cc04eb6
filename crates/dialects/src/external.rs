//! The face that a program outside provides: an owner of a real protocol turns octets into operations, and back, at either
//! end or at both. Here are the words in which the two sides speak; how they reach each other is the lab's business.
//!
//! The lab believes what the program says of who spoke and whether that was authentic. What an operation may do is still
//! the device's decision: its rights, and the approval where it needs one.

use std::collections::BTreeMap;
use std::fmt::Debug;

use domain::keys::{DeviceKey, Party, Purpose};
use domain::{Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, Outcome};

use crate::{FaceError, HeadEndEvent, Host, Keys, Notification, SessionOutput};

/// Which end of a connection a program stands at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// The devices' end.
    Device,
    /// The operator's end.
    HeadEnd,
}

/// What a program is told.
#[derive(Clone, PartialEq, Debug)]
pub enum ToFace {
    /// A connection began. At the devices' end: the hub opened it, and says who it is first.
    Opened {
        /// The hub.
        hub: Eui64,
        /// The operator on the other side.
        party: Option<Party>,
        /// The devices of the installation.
        devices: BTreeMap<DeviceKind, Eui64>,
    },
    /// Octets came, in pieces of any size.
    Octets(Vec<u8>),
    /// At the devices' end: what became of [`FromFace::Operate`].
    Executed {
        /// The number it was asked under.
        call: u64,
        /// What became of it.
        execution: Execution,
    },
    /// A key that was asked for.
    Key {
        /// The number it was asked under.
        call: u64,
        /// `None` where there is none.
        key: Option<DeviceKey>,
    },
    /// At the devices' end: something to be said unasked.
    Notify(Notification),
    /// At the operator's end: an operation to carry out; one at a time.
    Start {
        /// On this device.
        slot: DeviceKind,
        /// With these rights.
        association: Association,
        /// What.
        operation: Operation,
        /// The DCO's approval, where one is needed.
        approval: Option<Approval>,
    },
    /// At the operator's end: nothing more will be asked on this connection.
    Release,
}

/// What a program says.
#[derive(Clone, PartialEq, Debug)]
pub enum FromFace {
    /// Send these octets.
    Send(Vec<u8>),
    /// End the connection.
    Close,
    /// At the devices' end: execute this.
    Operate {
        /// A number of the program's, given back with the outcome.
        call: u64,
        /// On this device.
        slot: DeviceKind,
        /// With these rights, of the operator on the other side.
        association: Association,
        /// What.
        operation: Operation,
        /// The approval that came with it.
        approval: Option<Approval>,
    },
    /// Give a key of a device: at its own end of the epoch in force, at the operator's of the epoch it has there. Keys of
    /// approvals and tokens are not given: no protocol on a connection has to do with them.
    AskKey {
        /// A number of the program's, given back with the key.
        call: u64,
        /// The device.
        slot: DeviceKind,
        /// What for.
        purpose: Purpose,
    },
    /// At the operator's end: the hub said who it is.
    Identified(Eui64),
    /// At the operator's end: the operation ended.
    Finished(Outcome),
    /// At the operator's end: the operation is held for a sleeping device.
    Queued(u32),
    /// At the operator's end: the device said something unasked.
    Notified(Notification),
    /// At the operator's end: it is released.
    Released,
    /// What came is no message, or not one that answers; the connection is given up.
    Failed(String),
}

/// Where programs are attached. Implemented by whatever they reach the lab through.
pub trait Attached: Send + Sync + Debug {
    /// Begins a connection with the program under this name; `back` takes each of its messages, and `None` when it has
    /// gone. `None` where no program is attached for this end.
    fn open(&self, name: &str, end: End, back: Back) -> Option<Box<dyn Line>>;
}

/// Takes what a program says; `false` when nobody listens any more.
pub type Back = Box<dyn Fn(Option<FromFace>) -> bool + Send + Sync>;

/// One connection with a program. Dropping it tells the program that it is over.
pub trait Line: Send + Sync {
    /// Tells the program; `false` when it does not keep up or has gone: the connection is then over.
    fn tell(&self, message: ToFace) -> bool;
}

/// The devices' end: passes on what it is given, and does what it is told.
#[derive(Debug, Default)]
pub(crate) struct Device {
    party: Option<Party>,
    told: Vec<ToFace>,
}

impl Device {
    pub(crate) fn new(party: Option<Party>) -> Self {
        Self {
            party,
            told: Vec::new(),
        }
    }

    pub(crate) fn open(&mut self, host: &dyn Host) -> Vec<u8> {
        let devices: BTreeMap<_, _> = DeviceKind::ALL
            .into_iter()
            .filter_map(|slot| Some((slot, host.device(slot)?)))
            .collect();
        self.told.push(ToFace::Opened {
            hub: devices.get(&DeviceKind::Chf).copied().unwrap_or_default(),
            party: self.party,
            devices,
        });
        Vec::new()
    }

    pub(crate) fn input(&mut self, octets: &[u8]) -> SessionOutput {
        self.told.push(ToFace::Octets(octets.to_vec()));
        SessionOutput::default()
    }

    pub(crate) fn notify(&mut self, notification: &Notification) -> Vec<u8> {
        self.told.push(ToFace::Notify(notification.clone()));
        Vec::new()
    }

    pub(crate) fn take_told(&mut self) -> Vec<ToFace> {
        std::mem::take(&mut self.told)
    }

    /// Does what the program says.
    pub(crate) fn said(&mut self, message: FromFace, host: &mut dyn Host) -> SessionOutput {
        let mut output = SessionOutput::default();
        match message {
            FromFace::Send(octets) => output.octets = octets,
            FromFace::Operate {
                call,
                slot,
                association,
                operation,
                approval,
            } => {
                let party = self.party.unwrap_or_else(|| host.active_party(slot));
                let staged = host.staged_party(slot) == Some(party) && host.active_party(slot) != party;
                let access = Access {
                    association: if staged { association.staged() } else { association },
                    party: (association != Association::Public).then_some(party),
                };
                let execution = host.execute(slot, access, &operation, approval.as_ref());
                self.told.push(ToFace::Executed { call, execution });
            }
            FromFace::AskKey { call, slot, purpose } => {
                let staged = self.party.is_some() && host.staged_party(slot) == self.party;
                let key = match staged {
                    _ if !is_given(purpose) => None,
                    true => host.staged_key(slot, purpose),
                    false => host.key(slot, purpose),
                };
                self.told.push(ToFace::Key { call, key });
            }
            // The rest is said at the other end.
            _ => output.close = true,
        }
        output
    }
}

/// The operator's end.
#[derive(Debug)]
pub(crate) struct Operator {
    devices: BTreeMap<DeviceKind, Eui64>,
    busy: bool,
    told: Vec<ToFace>,
}

impl Operator {
    pub(crate) fn new(devices: BTreeMap<DeviceKind, Eui64>) -> Self {
        let opened = ToFace::Opened {
            hub: devices.get(&DeviceKind::Chf).copied().unwrap_or_default(),
            party: None,
            devices: devices.clone(),
        };
        Self {
            devices,
            busy: false,
            told: vec![opened],
        }
    }

    pub(crate) fn start(
        &mut self,
        slot: DeviceKind,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Result<Vec<u8>, FaceError> {
        if self.busy {
            return Err(FaceError::Busy);
        }
        if !self.devices.contains_key(&slot) {
            return Err(FaceError::NoDevice(slot));
        }
        self.busy = true;
        self.told.push(ToFace::Start {
            slot,
            association,
            operation: operation.clone(),
            approval: approval.cloned(),
        });
        Ok(Vec::new())
    }

    pub(crate) fn input(&mut self, octets: &[u8]) {
        self.told.push(ToFace::Octets(octets.to_vec()));
    }

    /// Asks the program to say good-bye; what it says of that is [`FromFace::Released`].
    pub(crate) fn release(&mut self) {
        self.told.push(ToFace::Release);
    }

    pub(crate) fn take_told(&mut self) -> Vec<ToFace> {
        std::mem::take(&mut self.told)
    }

    /// What follows from what the program says.
    pub(crate) fn said(&mut self, message: FromFace, keys: &dyn Keys) -> Result<Vec<HeadEndEvent>, FaceError> {
        let event = match message {
            FromFace::Send(octets) => HeadEndEvent::Send(octets),
            FromFace::Identified(hub) => HeadEndEvent::Identified(hub),
            FromFace::Notified(notification) => HeadEndEvent::Notification(notification),
            FromFace::Released => HeadEndEvent::Released,
            FromFace::Finished(outcome) if self.busy => {
                self.busy = false;
                HeadEndEvent::Finished(outcome)
            }
            FromFace::Queued(ticket) if self.busy => {
                self.busy = false;
                HeadEndEvent::Queued(ticket)
            }
            FromFace::AskKey { call, slot, purpose } => {
                let device = self.devices.get(&slot).filter(|_| is_given(purpose));
                let key = device.map(|device| keys.key(*device, purpose));
                self.told.push(ToFace::Key { call, key });
                return Ok(Vec::new());
            }
            FromFace::Failed(reason) => return Err(FaceError::Malformed(reason)),
            FromFace::Close => {
                return Err(FaceError::Malformed(
                    "the attached program gave the connection up".into(),
                ));
            }
            FromFace::Finished(_) | FromFace::Queued(_) => {
                return Err(FaceError::Malformed("an outcome of nothing that was asked".into()));
            }
            FromFace::Operate { .. } => {
                return Err(FaceError::Malformed(
                    "an operation is executed at the devices' end".into(),
                ));
            }
        };
        Ok(vec![event])
    }
}

/// Whether a key for this purpose is a program's business.
fn is_given(purpose: Purpose) -> bool {
    !matches!(purpose, Purpose::Approval | Purpose::Token)
}
