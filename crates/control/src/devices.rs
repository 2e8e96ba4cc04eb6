//! The semantic device interface as a service.

use lab::LabHandle;
use proto::v1 as m;
use proto::v1::devices_server::Devices;
use tonic::{Request, Response, Status};

use crate::server::status;

pub(crate) struct Service {
    pub(crate) lab: LabHandle,
}

#[tonic::async_trait]
impl Devices for Service {
    async fn operate(&self, request: Request<m::OperateRequest>) -> Result<Response<m::OperateReply>, Status> {
        self.lab
            .operate(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn act(&self, request: Request<m::ActRequest>) -> Result<Response<m::ActReply>, Status> {
        self.lab
            .act(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }
}
