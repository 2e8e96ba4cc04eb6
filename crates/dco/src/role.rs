//! The role on its link: one approval request in, one reply out.

use proto::{ApprovalReply, ApprovalRequest, Envelope, Kind, Message, approval_reply};
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, Store, StoreError, World};

use crate::judge::{Judge, Options};

/// The DCO at work.
#[derive(Debug)]
pub struct Dco {
    world: World,
    s1sp: LinkEnd,
    judge: Judge,
}

impl Dco {
    /// A DCO on the link with its S1SP and on its own journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(world: World, s1sp: LinkEnd, options: Options, store: Box<dyn Store>) -> Result<Self, StoreError> {
        let judge = Judge::open(options, store)?;
        Ok(Self { world, s1sp, judge })
    }

    /// Runs until cancelled or the link closes. Requests are judged one after the other; what waits in the link at
    /// shutdown gets no reply.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                envelope = self.s1sp.recv() => {
                    let Some(envelope) = envelope else { return };
                    let Some(reply) = self.judge_envelope(&envelope) else { continue };
                    if self.s1sp.sender().reply(&envelope, Kind::ApprovalReply, &reply.encode_to_vec()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn judge_envelope(&mut self, envelope: &Envelope) -> Option<ApprovalReply> {
        if envelope.kind() != Kind::ApprovalRequest {
            tracing::warn!(from = %envelope.from, kind = ?envelope.kind(), "a message to the dco that asks for no approval");
            return None;
        }
        let result = match ApprovalRequest::decode(envelope.body.clone()) {
            Err(error) => approval_reply::Result::Refused(format!("malformed: {error}")),
            Ok(asked) if asked.credentials => match self.judge.note(&asked, self.world.clock.now()) {
                Ok(()) => approval_reply::Result::Noted(true),
                Err(denied) => {
                    tracing::info!(request_id = %envelope.trace_id, leg = "dco", %denied, "not noted");
                    approval_reply::Result::Refused(denied.to_string())
                }
            },
            Ok(asked) => match self.judge.decide(&asked, self.world.clock.now()) {
                Ok(approval) => approval_reply::Result::Approval(approval.to_bytes().to_vec().into()),
                Err(denied) => {
                    tracing::info!(request_id = %envelope.trace_id, leg = "dco", %denied, "no approval");
                    approval_reply::Result::Refused(denied.to_string())
                }
            },
        };
        Some(ApprovalReply { result: Some(result) })
    }
}
