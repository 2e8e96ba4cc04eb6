//! A party's end of its link with the control centre: each instruction is done once, and reported as often as it is asked.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;

use proto::{Envelope, Kind, Message, MigrationInstruction, MigrationReport};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::LinkEnd;

use super::wire;
use crate::machine::model::Installation;
use crate::machine::{Instruction, Report};
use crate::party::{Cp, Rp};

/// Reports kept for being asked again; of an older instruction the work is given again, which its own references make
/// harmless.
const KEPT: usize = 1_024;

/// Somebody who does what the control centre says.
pub trait Works: Clone + Send + Sync + 'static {
    /// Does one instruction about installations as they stand.
    fn work<'a>(
        &'a self,
        instruction: &'a Instruction,
        known: &'a [Installation],
    ) -> impl Future<Output = Vec<Report>> + Send + 'a;
}

impl Works for Rp {
    fn work<'a>(
        &'a self,
        instruction: &'a Instruction,
        known: &'a [Installation],
    ) -> impl Future<Output = Vec<Report>> + Send + 'a {
        Self::work(self, instruction, known)
    }
}

impl Works for Cp {
    fn work<'a>(
        &'a self,
        instruction: &'a Instruction,
        known: &'a [Installation],
    ) -> impl Future<Output = Vec<Report>> + Send + 'a {
        Self::work(self, instruction, known)
    }
}

/// Takes instructions on a link and has the party do them, until cancelled or the link closes. What is under way then ends
/// as by a crash.
pub async fn answer<P: Works>(party: P, link: LinkEnd, shutdown: CancellationToken) {
    let (sender, mut receiver) = link.split();
    let mut work: JoinSet<MigrationReport> = JoinSet::new();
    // Who waits for the report on an instruction that is under way.
    let mut asked: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
    let mut kept = Kept::default();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            Some(done) = work.join_next(), if !work.is_empty() => {
                // Work that ended badly is asked for again.
                let Ok(report) = done else { continue };
                let octets = report.encode_to_vec();
                for envelope in asked.remove(&report.reference).unwrap_or_default() {
                    // The control centre is gone: nobody waits any more.
                    let _gone = sender.reply(&envelope, Kind::MigrationReport, &octets).await;
                }
                kept.keep(report.reference, octets);
            }
            envelope = receiver.recv() => {
                let Some(envelope) = envelope else { return };
                if envelope.kind() != Kind::MigrationInstruction {
                    continue;
                }
                let message = MigrationInstruction::decode(envelope.body.clone()).map_err(wire::WireFault::from);
                let (instruction, known) = match message.and_then(|message| wire::errand(&message)) {
                    Ok(read) => read,
                    Err(problem) => {
                        tracing::warn!(trace_id = envelope.trace_id, %problem, "an instruction that cannot be read");
                        continue;
                    }
                };
                if let Some(octets) = kept.of(&instruction.reference) {
                    let _gone = sender.reply(&envelope, Kind::MigrationReport, octets).await;
                    continue;
                }
                let waiting = asked.entry(instruction.reference.clone()).or_default();
                waiting.push(envelope);
                if waiting.len() == 1 {
                    let party = party.clone();
                    work.spawn(async move {
                        let reports = party.work(&instruction, &known).await;
                        wire::report(instruction.reference, &reports)
                    });
                }
            }
        }
    }
}

/// The last reports, by reference.
#[derive(Default)]
struct Kept {
    reports: BTreeMap<String, Vec<u8>>,
    oldest_first: VecDeque<String>,
}

impl Kept {
    fn of(&self, reference: &str) -> Option<&[u8]> {
        self.reports.get(reference).map(Vec::as_slice)
    }

    fn keep(&mut self, reference: String, octets: Vec<u8>) {
        self.oldest_first.push_back(reference.clone());
        self.reports.insert(reference, octets);
        while self.oldest_first.len() > KEPT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.reports.remove(&oldest);
        }
    }
}
