//! The semantic device interface over a running lab.

use domain::{Approval, Eui64, Execution};
use proto::v1::operate_reply::Result as Done;
use proto::v1::{OperateReply, OperateRequest};

use crate::view::{LabHandle, ViewError};

impl LabHandle {
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
