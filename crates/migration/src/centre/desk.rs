//! Where the control centre speaks with the parties of one world.

use std::collections::VecDeque;

use domain::SimDuration;
use proto::{Envelope, Kind, Message, MigrationReport};
use tokio::task::JoinSet;
use world::call::{self, Router};
use world::{CallError, Caller, Clock, LinkEnd, World};

use super::{Errand, wire};
use crate::machine::Report;
use crate::machine::work::Party;

/// Instructions that the parties of one world are at, at once; others wait for one of them to be reported on.
const AT_ONCE: usize = 8_192;
/// After so long without a report the party is asked again, under the same reference: instruction or report may be lost.
const ASKED_AGAIN: SimDuration = SimDuration::from_mins(30);

/// The control centre's end of its links with the two parties. It owns what is under way; dropping it ends that as a crash
/// would.
pub struct Desk {
    clock: Clock,
    rp: Caller,
    cp: Caller,
    waiting: VecDeque<Errand>,
    under_way: JoinSet<Vec<Report>>,
    _routers: JoinSet<()>,
}

impl Desk {
    /// A desk on its links with the requesting and the commissioning party. Must be called inside a runtime.
    #[must_use]
    pub fn new(world: &World, [rp, cp]: [LinkEnd; 2]) -> Self {
        let (rp, from_rp) = call::split(rp);
        let (cp, from_cp) = call::split(cp);
        let mut routers = JoinSet::new();
        routers.spawn(route(from_rp));
        routers.spawn(route(from_cp));
        Self {
            clock: world.clock.clone(),
            rp,
            cp,
            waiting: VecDeque::new(),
            under_way: JoinSet::new(),
            _routers: routers,
        }
    }

    /// Sends an instruction to the party that does it, in its turn.
    pub fn send(&mut self, errand: Errand) {
        self.waiting.push_back(errand);
        self.fill();
    }

    /// The next reports that come; waits for ever while nothing is under way. Safe to cancel.
    pub async fn reported(&mut self) -> Vec<Report> {
        match self.under_way.join_next().await {
            // An errand that ended badly is found again by a restart; its instruction stays in flight.
            Some(done) => {
                self.fill();
                done.unwrap_or_default()
            }
            None => std::future::pending().await,
        }
    }

    fn fill(&mut self) {
        while self.under_way.len() < AT_ONCE
            && let Some(errand) = self.waiting.pop_front()
        {
            let party = match errand.instruction.work.party() {
                Party::Rp => self.rp.clone(),
                Party::Cp => self.cp.clone(),
            };
            self.under_way.spawn(ask(self.clock.clone(), party, errand));
        }
    }
}

/// Asks until there is a report. None where the party is gone.
async fn ask(clock: Clock, party: Caller, errand: Errand) -> Vec<Report> {
    let body = wire::instruction(&errand).encode_to_vec();
    let reference = errand.instruction.reference;
    drop(errand.known);
    loop {
        let envelope = Envelope {
            trace_id: reference.clone(),
            ..Envelope::default()
        };
        let reply = party
            .call(envelope, Kind::MigrationInstruction, &body, ASKED_AGAIN)
            .await;
        match reply {
            Ok(reply) if reply.kind() == Kind::MigrationReport => {
                let report = MigrationReport::decode(reply.body).map_err(wire::WireFault::from);
                match report.and_then(|report| wire::reports(&report)) {
                    Ok(reports) => return reports,
                    Err(problem) => tracing::warn!(reference, %problem, "a report that cannot be read"),
                }
                clock.sleep(ASKED_AGAIN).await;
            }
            Ok(other) => {
                tracing::warn!(reference, kind = ?other.kind(), "no report came in reply to an instruction");
                clock.sleep(ASKED_AGAIN).await;
            }
            Err(CallError::Closed(_)) => return Vec::new(),
            Err(CallError::NoReply { .. }) => {}
            Err(_) => clock.sleep(ASKED_AGAIN).await,
        }
    }
}

async fn route(mut router: Router) {
    // What answers no call came too late: the party is asked again.
    while router.recv().await.is_some() {}
}
