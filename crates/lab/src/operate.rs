//! The semantic device interface over a running lab.

use domain::operation::Token;
use domain::{Approval, DeviceKind, Eui64, Execution};
use fleet::{AskError, ConsumerAct};
use meter::{Acted, DisplayAct};
use proto::v1::act_reply::Result as ActDone;
use proto::v1::act_request::Act;
use proto::v1::operate_reply::Result as Done;
use proto::v1::{ActReply, ActRequest, OperateReply, OperateRequest};

use crate::view::{LabHandle, ViewError};

impl LabHandle {
    /// Does what a person in the home would do at a device; a refusal of the device is in the reply.
    ///
    /// # Errors
    /// When there is no such device here, or what is asked is no act.
    pub async fn act(&self, request: ActRequest) -> Result<ActReply, ViewError> {
        let bad = |problem: String| ViewError::BadQuestion(problem);
        let device: Eui64 = request
            .device
            .trim()
            .parse()
            .map_err(|error: domain::ParseError| bad(error.to_string()))?;
        let fleet = self.fleet()?;
        let display = fleet.screen(device).await?.is_some();
        let meter: DeviceKind = match request.meter.trim() {
            "" => DeviceKind::Esme,
            kind => kind
                .parse()
                .map_err(|error: domain::ParseError| bad(error.to_string()))?,
        };
        let at_display = |act| ConsumerAct::AtDisplay(meter, act);
        let act = match request.act.ok_or_else(|| bad("no act was given".into()))? {
            Act::ActivateEmergencyCredit(_) if display => at_display(DisplayAct::ActivateEmergencyCredit),
            Act::ActivateEmergencyCredit(_) => ConsumerAct::ActivateEmergencyCredit,
            Act::EnterToken(digits) if display => at_display(DisplayAct::EnterToken(Token(digits))),
            Act::EnterToken(digits) => ConsumerAct::EnterToken(Token(digits)),
            Act::RestoreSupply(_) if display => at_display(DisplayAct::RestoreSupply),
            Act::RestoreSupply(_) => ConsumerAct::PressRestoreSupply,
            Act::AcknowledgeMessages(_) => ConsumerAct::AcknowledgeMessages,
            Act::SwitchDisplay(on) => ConsumerAct::SwitchDisplay(on),
            Act::Mains(true) => ConsumerAct::RestorePower,
            Act::Mains(false) => ConsumerAct::CutPower,
        };
        let result = match fleet.act(device, act).await {
            Ok(Acted::Done) => ActDone::Done(true),
            Ok(Acted::Waits) => ActDone::Waits(true),
            Err(AskError::Refused(refusal)) => ActDone::Refusal(world::semantic::refusal_name(&refusal)),
            Err(error) => return Err(error.into()),
        };
        Ok(ActReply { result: Some(result) })
    }

    /// Executes one operation on one device, around WAN and head-end.
    ///
    /// # Errors
    /// When there is no such device here, or what is asked is no operation.
    pub async fn operate(&self, request: OperateRequest) -> Result<OperateReply, ViewError> {
        let bad = |problem: String| ViewError::BadQuestion(problem);
        let device: Eui64 = request
            .device
            .trim()
            .parse()
            .map_err(|error: domain::ParseError| bad(error.to_string()))?;
        let operation = request.operation.ok_or_else(|| bad("no operation was given".into()))?;
        let operation = world::semantic::operation_from_proto(&operation).map_err(|error| bad(error.to_string()))?;
        let approval = match request.approval.as_ref() {
            [] => None,
            octets => Some(
                Approval::from_bytes(octets)
                    .ok_or_else(|| bad(format!("{} octets that are no approval", octets.len())))?,
            ),
        };
        let result = match self.fleet()?.operate(device, operation, approval).await? {
            Execution::Finished(outcome) => Done::Outcome(world::semantic::outcome_to_proto(&outcome)),
            Execution::Queued(ticket) => Done::Ticket(ticket),
        };
        Ok(OperateReply { result: Some(result) })
    }
}
