//! Both ends of an installation's face with nothing but octets between them: what a carrier of the WAN would see of an
//! operation.

use std::collections::BTreeMap;

use dialects::{FaceProfile, HeadEndEvent, HeadEndSession, Keys, MeterSession};
use domain::keys::{DeviceKey, Purpose, RelationSecret};
use domain::{Association, DeviceKind, Eui64, Operation};
use meter::{Context, Installation};

use crate::face::Face;

/// Carries out an operation over the face, from the first octet of a new connection. Gives what the installation said, a
/// piece for each time it spoke.
///
/// # Errors
/// In words, where the two ends do not understand each other.
pub fn talk(
    face: &FaceProfile,
    (installation, context): (&mut Installation, &Context<'_>),
    slot: DeviceKind,
    association: Association,
    operation: &Operation,
) -> Result<Vec<Vec<u8>>, String> {
    let devices: BTreeMap<DeviceKind, Eui64> = DeviceKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, installation.device(kind)?)))
        .collect();
    let epoch = installation.epoch(slot);
    let mut keys = Custody::new(context.relations.s1sp.clone(), epoch);
    let mut meter = MeterSession::new(face);
    let mut head_end = HeadEndSession::new(face, devices);
    let start = head_end.start(&mut keys, slot, association, operation, None);
    let mut to_meter = start.map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    while !to_meter.is_empty() {
        let output = meter.input(&to_meter, &mut Face::new((&mut *installation, *context)));
        to_meter.clear();
        let events = head_end.input(&mut keys, &output.octets);
        said.push(output.octets);
        for event in events.map_err(|error| error.to_string())? {
            if let HeadEndEvent::Send(octets) = event {
                to_meter.extend(octets);
            }
        }
    }
    Ok(said)
}

/// What head ends of such a line call themselves.
pub const TITLE: [u8; 8] = *b"LABHEAD\x01";

/// An operator's keys of one installation, for one connection: for tests, looks and benchmarks that have no journal.
#[derive(Debug)]
pub struct Custody {
    secret: RelationSecret,
    epoch: u32,
    counter: u32,
}

impl Custody {
    /// The keys of a key epoch, before anything was said with them.
    #[must_use]
    pub fn new(secret: RelationSecret, epoch: u32) -> Self {
        Self {
            secret,
            epoch,
            counter: 0,
        }
    }
}

impl Keys for Custody {
    fn key(&self, device: Eui64, purpose: Purpose) -> DeviceKey {
        self.secret.device_key(device, self.epoch, purpose)
    }

    fn next_counter(&mut self, _: Eui64, _: Association) -> u32 {
        self.counter += 1;
        self.counter
    }

    fn resume_counter_at(&mut self, _: Eui64, _: Association, next: u32) {
        self.counter = self.counter.max(next.saturating_sub(1));
    }

    fn note_device_counter(&mut self, _: Eui64, _: Association, _: u32) -> bool {
        true
    }

    fn note_text_counter(&mut self, _: Eui64, _: Association, _: u32) -> bool {
        true
    }

    fn system_title(&self) -> [u8; 8] {
        TITLE
    }

    fn challenge(&mut self) -> [u8; 16] {
        [0xC5; 16]
    }
}
