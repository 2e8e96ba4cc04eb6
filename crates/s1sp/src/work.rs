//! One request from its verified form to its one outcome: plan, approvals, steps, response.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{Approval, DeviceKind, RequestId, SimInstant};
use duis::signature::SigningKey;
use duis::{S1spAlert as AlertXml, SignedBody, SignedHeader};
use head_end::{Custody, Directory, Handle, Models};
use proto::{
    ApprovalReply, ApprovalRequest, CountersignedServiceRequest, Envelope, Kind, Message, S1spAlert, S1spResponse,
    approval_reply,
};
use steps::errors::Hop;
use steps::{Failure, Plan, Smets1Payload, Step, StepOutcome, StepResult, Target};
use tokio::sync::mpsc;
use world::{CallError, Caller, World, semantic};

use crate::codes::FOR_THE_KEYS;
use crate::hand_over::Held;
use crate::journal::Journal;
use crate::options::{Limits, Vending};
use crate::verify::Verified;

/// What all requests have in common.
pub(crate) struct Context {
    pub(crate) world: World,
    pub(crate) engine: Handle,
    pub(crate) dco: Caller,
    pub(crate) signing_key: SigningKey,
    pub(crate) directory: Directory,
    /// What devices may become when their firmware changes.
    pub(crate) models: Models,
    /// Installations that are not released to users yet.
    pub(crate) held: Held,
    /// For the tokens of the devices it operates.
    pub(crate) custody: Custody,
    pub(crate) limits: Limits,
    pub(crate) vending: Vending,
    /// Alerts that do not wait for the outcome of their request.
    pub(crate) at_once: mpsc::Sender<S1spAlert>,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) cache: Mutex<steps::Cache>,
}

/// A request and what came with it.
pub(crate) struct Task {
    pub(crate) verified: Verified,
    /// As it came, for the DCO.
    pub(crate) message: CountersignedServiceRequest,
    pub(crate) accepted_at: SimInstant,
    /// Steps that change the device and were begun before a restart.
    pub(crate) began: Vec<u32>,
}

/// The one outcome of a request, and the alert that goes with it.
pub(crate) struct Outcome {
    pub(crate) id: RequestId,
    pub(crate) response: S1spResponse,
    /// Whether the device did what was asked.
    pub(crate) worked: bool,
    pub(crate) alert: Option<S1spAlert>,
    /// Whether the alert goes before the response.
    pub(crate) alert_first: bool,
}

impl Context {
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a request to its outcome. Not to be cancelled but at shutdown: a restart then resumes it.
    pub(crate) async fn work(&self, task: Task) -> Outcome {
        let code = match self.code(&task.verified) {
            Ok(code) => code,
            Err(error) => return self.failed(&task.verified, Failure::Internal, &error.to_string()),
        };
        if let Some(code) = code.clone().filter(|_| self.told_first(&task.verified)) {
            // After a restart it may be told once more; it is the same code.
            let text = "made for this top-up: the meter is tried next, and the customer can enter it";
            if let Some(alert) = self.code_alert(&task.verified, code, text) {
                // A role that stops tells it with the next start.
                let _ = self.at_once.send(alert).await;
            }
        }
        let mut outcome = self.bring_to_an_end(&task, code.as_deref()).await;
        if let Some(code) = code {
            self.tell_code(&task.verified, code, &mut outcome);
        }
        outcome
    }

    async fn bring_to_an_end(&self, task: &Task, code: Option<&str>) -> Outcome {
        let id = task.verified.request.id;
        if !task.began.is_empty() {
            let began: Vec<String> = task.began.iter().map(ToString::to_string).collect();
            let text = format!(
                "the S1SP was restarted while step {} was under way: what it did is not known",
                began.join(" and ")
            );
            return self.failed(&task.verified, Failure::Deadline, &text);
        }
        if self.held.contains(task.verified.hub) {
            let text = format!(
                "the installation behind hub {} is not released to users yet",
                task.verified.hub
            );
            return self.failed(&task.verified, Failure::S1spRejected, &text);
        }
        let site = self.directory.site(task.verified.hub);
        let device = site.as_ref().and_then(|site| site.device(id.target));
        let Some(device) = device.filter(|device| device.slot == task.verified.kind) else {
            let text = format!(
                "no {} {} behind hub {}",
                task.verified.kind, id.target, task.verified.hub
            );
            return self.failed(&task.verified, Failure::S1spRejected, &text);
        };
        let target = Target {
            device: device.id,
            kind: device.slot,
            hub: task.verified.hub,
            profile: device.profile.as_ref(),
            asked_by: task.verified.asked_by,
        };
        let plan = match steps::plan(&task.verified.request, &target) {
            Ok(plan) => plan,
            Err(refused) => {
                let mut outcome = self.failed(&task.verified, refused.failure, &refused.text);
                outcome.response.rules.extend(refused.rule);
                return outcome;
            }
        };
        if code.is_some() && task.verified.request.command_variant == FOR_THE_KEYS {
            return Outcome {
                worked: true,
                ..Outcome::of(id, made_only(id))
            };
        }
        let due = match self.due(task, &target).await {
            Ok(due) => due,
            Err((failure, text)) => return self.failed(&task.verified, failure, &text),
        };
        if steps::credentials::concerns(task.verified.request.srv) {
            return self.about_credentials(task, &plan).await;
        }
        let outcomes = self.execute(task, &plan, due, code).await;
        let now = self.world.clock.now();
        self.learn_from(&plan, &outcomes);
        let site = self.directory.site(task.verified.hub);
        let device = site.as_ref().and_then(|site| site.device(id.target)).unwrap_or(device);
        let target = Target {
            profile: device.profile.as_ref(),
            ..target
        };
        let payload = steps::respond(&task.verified.request, &target, &plan, &outcomes, now);
        self.respond(&task.verified, payload, &outcomes)
    }

    /// When the request is to be worked on: now, or at the time it names where the S1SP is to hold it until then.
    async fn due(&self, task: &Task, target: &Target<'_>) -> Result<SimInstant, (Failure, String)> {
        let request = &task.verified.request;
        let at = steps::execution_at(request).map_err(|refused| (refused.failure, refused.text))?;
        let Some(at) = at.filter(|at| *at > self.world.clock.now()) else {
            return Ok(task.accepted_at);
        };
        match steps::holder(request.srv, target.profile) {
            steps::Holder::S1sp => {
                self.world.clock.sleep_until(at).await;
                Ok(at)
            }
            steps::Holder::Dcc => {
                let text = format!(
                    "{} is dated {at}, and for this device the DCC holds dated requests",
                    request.srv
                );
                Err((Failure::NotEmulated, text))
            }
        }
    }

    /// Answers from the record that came with the request. A change is noted by the DCO first: it checks later critical
    /// requests against what it noted.
    async fn about_credentials(&self, task: &Task, plan: &Plan) -> Outcome {
        let verified = &task.verified;
        let now = self.world.clock.now();
        let Some(record) = &verified.credentials else {
            let text = "the DCC has no record of the device's certificates";
            return self.failed(verified, Failure::S1spRejected, text);
        };
        let payload = steps::credentials::respond(&verified.request, plan, record, now);
        let changes = steps::credentials::changes(verified.request.srv);
        if changes
            && payload.success
            && let Err((failure, reason)) = self.note_credentials(task).await
        {
            return self.failed(verified, failure, &reason);
        }
        self.respond(verified, payload, &[])
    }

    /// Has the DCO note a change of certificates. Asking once more about the same request gives the same answer.
    async fn note_credentials(&self, task: &Task) -> Result<(), (Failure, String)> {
        let ask = ApprovalRequest {
            request: Some(task.message.clone()),
            device: task.verified.request.id.target.0,
            credentials: true,
            ..ApprovalRequest::default()
        };
        match self.ask_dco(task, &ask).await? {
            Some(approval_reply::Result::Noted(true)) => Ok(()),
            Some(approval_reply::Result::Refused(why)) => Err((Failure::DcoRefused, why)),
            _ => Err((Failure::DcoRefused, "an answer to another question".into())),
        }
    }

    async fn ask_dco(
        &self,
        task: &Task,
        ask: &ApprovalRequest,
    ) -> Result<Option<approval_reply::Result>, (Failure, String)> {
        let envelope = Envelope {
            trace_id: task.verified.request.id.to_string(),
            ..Envelope::default()
        };
        let within = self.limits.approval_within;
        let reply = self
            .dco
            .call(envelope, Kind::ApprovalRequest, &ask.encode_to_vec(), within)
            .await;
        let reply = reply.map_err(|error| match error {
            CallError::NoReply { .. } => (Failure::DcoTimeout, error.to_string()),
            _ => (Failure::DcoUnreachable, error.to_string()),
        })?;
        let reply = ApprovalReply::decode(reply.body)
            .map_err(|error| (Failure::DcoRefused, format!("malformed reply: {error}")))?;
        Ok(reply.result)
    }

    /// Asks the DCO, once.
    pub(crate) async fn approval(&self, task: &Task, step: &Step) -> Result<Approval, (Failure, String)> {
        let ask = ApprovalRequest {
            request: Some(task.message.clone()),
            device: step.device.0,
            operation: Some(semantic::operation_to_proto(&step.operation)),
            step: step.position,
            ..ApprovalRequest::default()
        };
        let refused = |why: String| (Failure::DcoRefused, why);
        match self.ask_dco(task, &ask).await? {
            Some(approval_reply::Result::Approval(octets)) => {
                Approval::from_bytes(&octets).ok_or_else(|| refused("an approval that is none".into()))
            }
            Some(approval_reply::Result::Refused(why)) => Err(refused(why)),
            Some(approval_reply::Result::Noted(_)) => Err(refused("an answer to another question".into())),
            None => Err(refused("an empty reply".into())),
        }
    }

    /// The outcome when some or all steps were tried.
    fn respond(&self, verified: &Verified, payload: Smets1Payload, outcomes: &[StepOutcome]) -> Outcome {
        let broken = outcomes.iter().find_map(|outcome| match &outcome.result {
            StepResult::Failed(failure, reason) => Some((*failure, reason.as_str())),
            _ => None,
        });
        if let Some(failure) = payload.failure {
            let reason = broken.map_or("", |(_, reason)| reason);
            let mut outcome = self.failed(verified, failure, reason);
            outcome.response.rules = payload.rules;
            outcome.response.confidence = payload.confidence.as_str().into();
            return outcome;
        }
        let header = SignedHeader {
            supplementary_remote_party: Some(verified.remote_party),
            supplementary_remote_party_counter: Some(verified.remote_party_counter),
            supplementary_originator_counter: Some(verified.originator_counter),
            message_code: payload.message_code,
            from_gsme: (verified.kind == DeviceKind::Gsme).then_some(true),
            ..SignedHeader::answering(&verified.request, payload.at)
        };
        let body = SignedBody::Response {
            payload: payload.payload,
            debug: payload.debug,
        };
        let signed = duis::write::smets1_signed_response(&header, &body)
            .map_err(|error| error.to_string())
            .and_then(|xml| self.sign(&xml));
        let signed = match signed {
            Ok(signed) => signed,
            Err(reason) => {
                tracing::error!(request_id = %verified.request.id, leg = "s1sp", reason, "response not made");
                return self.failed(verified, Failure::Internal, &reason);
            }
        };
        let response = S1spResponse {
            request_id: verified.request.id.to_string(),
            signed_response_xml: signed.into(),
            response_code: payload.response_code.as_str().into(),
            failed_hop: broken.map(|(failure, _)| hop(failure).into()).unwrap_or_default(),
            reason: broken.map(|(_, reason)| reason.to_owned()).unwrap_or_default(),
            confidence: payload.confidence.as_str().into(),
            rules: payload.rules,
        };
        let alert = broken.and_then(|(failure, reason)| self.alert(verified, failure, reason));
        Outcome {
            worked: payload.success,
            alert,
            ..Outcome::of(verified.request.id, response)
        }
    }

    /// The outcome when no device had a word in it.
    pub(crate) fn failed(&self, verified: &Verified, failure: Failure, reason: &str) -> Outcome {
        let id = verified.request.id;
        Outcome {
            alert: self.alert(verified, failure, reason),
            ..Outcome::of(id, failure_response(&id.to_string(), failure, reason))
        }
    }

    /// The S1SP alert that the error table wants with this failure. Its counter is given when it is journalled.
    fn alert(&self, verified: &Verified, failure: Failure, reason: &str) -> Option<S1spAlert> {
        let code = failure.entry().lab_alert?;
        let information: String = format!("{}: {reason}", failure.entry().text)
            .chars()
            .take(250)
            .collect();
        self.signed_alert(verified, code, &information, None)
    }

    pub(crate) fn signed_alert(
        &self,
        verified: &Verified,
        code: &str,
        information: &str,
        utrn: Option<String>,
    ) -> Option<S1spAlert> {
        let id = verified.request.id;
        let alert = AlertXml {
            schema_version: duis::Request::SCHEMA_VERSION.to_owned(),
            request_id: Some(id),
            device: Some(id.target),
            code: code.to_owned(),
            information: Some(information.to_owned()),
            utrn,
            at: self.world.clock.now(),
        };
        let signed = duis::write::s1sp_alert(&alert)
            .map_err(|error| error.to_string())
            .and_then(|xml| self.sign(&xml));
        match signed {
            Ok(signed) => Some(S1spAlert {
                device: id.target.0,
                signed_xml: signed.into(),
                is_s1sp_alert: true,
                counter: 0,
                ..S1spAlert::default()
            }),
            Err(reason) => {
                tracing::error!(request_id = %id, leg = "s1sp", reason, "alert not made");
                None
            }
        }
    }

    pub(crate) fn sign(&self, xml: &[u8]) -> Result<Vec<u8>, String> {
        duis::signature::sign(xml, &self.signing_key).map_err(|error| error.to_string())
    }
}

impl Outcome {
    /// One without an alert, of which nothing says that it worked.
    pub(crate) fn of(id: RequestId, response: S1spResponse) -> Self {
        Self {
            id,
            response,
            worked: false,
            alert: None,
            alert_first: false,
        }
    }
}

/// The response to a vend for the keys of the meter: no device had a word in it.
fn made_only(id: RequestId) -> S1spResponse {
    S1spResponse {
        request_id: id.to_string(),
        response_code: duis::ResponseCode::I0.as_str().into(),
        reason: "a code was made; the meter was not tried".to_owned(),
        ..S1spResponse::default()
    }
}

/// A response without anything a device said.
pub(crate) fn failure_response(request_id: &str, failure: Failure, reason: &str) -> S1spResponse {
    let entry = failure.entry();
    S1spResponse {
        request_id: request_id.to_owned(),
        response_code: failure.response_code().as_str().into(),
        failed_hop: hop(failure).into(),
        reason: format!("{}: {reason}", entry.text),
        confidence: entry.confidence.as_str().into(),
        ..S1spResponse::default()
    }
}

/// The hop under the name that its role has on links: hubs live in the role "fleet".
fn hop(failure: Failure) -> &'static str {
    match failure.entry().hop {
        Hop::Hub => "fleet",
        hop => hop.as_str(),
    }
}
