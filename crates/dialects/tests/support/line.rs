//! Head end and meter of one installation, and a link between them that carries nothing but octets.

use std::collections::BTreeMap;

use dialects::{FaceError, FaceProfile, HeadEndEvent, HeadEndSession, MeterSession};
use domain::{Approval, Association, DataItem, DeviceKind, Operation, Outcome};

use super::{Custody, ESME, GPF, GSME, HUB, Toy};

pub(crate) struct Line {
    pub(crate) face: FaceProfile,
    pub(crate) toy: Toy,
    pub(crate) custody: Custody,
    pub(crate) meter: MeterSession,
    pub(crate) head_end: HeadEndSession,
    /// Octets per piece in which the link delivers.
    pub(crate) piece: usize,
    pub(crate) closed: bool,
}

impl Line {
    pub(crate) fn new(face: &FaceProfile) -> Self {
        let devices = BTreeMap::from([
            (DeviceKind::Chf, HUB),
            (DeviceKind::Esme, ESME),
            (DeviceKind::Gpf, GPF),
            (DeviceKind::Gsme, GSME),
        ]);
        Self {
            face: face.clone(),
            toy: Toy::new(),
            custody: Custody::new(),
            meter: MeterSession::new(face),
            head_end: HeadEndSession::new(face, devices),
            piece: usize::MAX,
            closed: false,
        }
    }

    pub(crate) fn run(
        &mut self,
        slot: DeviceKind,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Result<Vec<HeadEndEvent>, FaceError> {
        let first = self
            .head_end
            .start(&mut self.custody, slot, association, operation, approval)?;
        self.exchange(first)
    }

    /// Carries octets to and fro until nothing more is sent; gives what the head end saw.
    pub(crate) fn exchange(&mut self, mut to_meter: Vec<u8>) -> Result<Vec<HeadEndEvent>, FaceError> {
        let mut seen = Vec::new();
        while !to_meter.is_empty() {
            let mut to_head_end = Vec::new();
            for piece in to_meter.chunks(self.piece.min(to_meter.len())) {
                let output = self.meter.input(piece, &mut self.toy);
                to_head_end.extend(output.octets);
                self.closed |= output.close;
            }
            to_meter.clear();
            for event in self.receive(&to_head_end)? {
                match event {
                    HeadEndEvent::Send(octets) => to_meter.extend(octets),
                    other => seen.push(other),
                }
            }
        }
        Ok(seen)
    }

    pub(crate) fn receive(&mut self, octets: &[u8]) -> Result<Vec<HeadEndEvent>, FaceError> {
        let mut events = Vec::new();
        for piece in octets.chunks(self.piece.min(octets.len()).max(1)) {
            events.extend(self.head_end.input(&mut self.custody, piece)?);
        }
        Ok(events)
    }

    pub(crate) fn outcome(&mut self, slot: DeviceKind, association: Association, operation: &Operation) -> Outcome {
        one(self.run(slot, association, operation, None))
    }

    pub(crate) fn read(&mut self, slot: DeviceKind, item: DataItem) -> Outcome {
        self.outcome(slot, Association::Management, &Operation::Read(item))
    }
}

pub(crate) fn one(events: Result<Vec<HeadEndEvent>, FaceError>) -> Outcome {
    match events.expect("a session that goes on").as_slice() {
        [HeadEndEvent::Finished(outcome)] => outcome.clone(),
        other => panic!("expected one outcome, found {other:?}"),
    }
}
