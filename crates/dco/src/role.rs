//! The role on its link: one approval request in, one reply out.

use std::pin::pin;

use proto::{ApprovalReply, ApprovalRequest, Envelope, Kind, Message, approval_reply};
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, Store, StoreError, World};

use crate::hand_over::{HandOver, HandOverOptions};
use crate::judge::{Judge, Options};

/// The DCO at work.
#[derive(Debug)]
pub struct Dco {
    world: World,
    s1sp: LinkEnd,
    judge: Judge,
    hand_over: Option<(HandOver, LinkEnd)>,
}

impl Dco {
    /// A DCO on the link with its S1SP and on its own journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn new(world: World, s1sp: LinkEnd, options: Options, store: Box<dyn Store>) -> Result<Self, StoreError> {
        let judge = Judge::open(options, store)?;
        Ok(Self {
            world,
            s1sp,
            judge,
            hand_over: None,
        })
    }

    /// The same DCO, which also takes part in migrations: `cp` is its link with the commissioning party.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn with_hand_over(mut self, cp: LinkEnd, options: HandOverOptions) -> Result<Self, StoreError> {
        let desk = HandOver::open(options, &mut self.judge)?;
        self.hand_over = Some((desk, cp));
        Ok(self)
    }

    /// Runs until cancelled or the link closes. Requests are judged one after the other; what waits in the link at
    /// shutdown gets no reply.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => return,
                envelope = self.s1sp.recv() => {
                    let Some(envelope) = envelope else { return };
                    let Some(reply) = self.judge_envelope(&envelope) else { continue };
                    if self.s1sp.sender().reply(&envelope, Kind::ApprovalReply, &reply.encode_to_vec()).await.is_err() {
                        return;
                    }
                }
                envelope = from_cp(&mut self.hand_over), if self.hand_over.is_some() => {
                    let now = self.world.clock.now();
                    match (&mut self.hand_over, envelope) {
                        (Some((desk, cp)), Some(envelope)) => {
                            if let Some((kind, body)) = desk.answer(&envelope, &mut self.judge, now) {
                                // A closed link shows when it is asked for the next message.
                                let _ = cp.sender().reply(&envelope, kind, &body).await;
                            }
                        }
                        _ => self.hand_over = None,
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

/// The next message of the commissioning party; `None` when its link is closed.
async fn from_cp(hand_over: &mut Option<(HandOver, LinkEnd)>) -> Option<Envelope> {
    hand_over.as_mut()?.1.recv().await
}
