//! The service itself: questions in, the lab's answers out.

use std::io;
use std::net::SocketAddr;

use lab::{LabHandle, ViewError};
use proto::v1 as m;
use proto::v1::control_server::{Control, ControlServer};
use proto::v1::deliver_again_request::Which;
use proto::v1::devices_server::DevicesServer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Largest message either way, in octets: a firmware image fits.
pub(crate) const MESSAGE_MAX: usize = 32 << 20;
/// Longest wait for an outcome that one question may ask for, in milliseconds: two hours.
pub(crate) const WAIT_MAX_MS: u64 = 7_200_000;

/// The bound control service of one lab.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    lab: LabHandle,
}

impl Server {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, lab: LabHandle) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, lab })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; questions in progress are answered.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), tonic::transport::Error> {
        let stop = shutdown.clone();
        let devices = DevicesServer::new(crate::devices::Service { lab: self.lab.clone() })
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        let faces = crate::faces::served(crate::faces::Service {
            faces: self.lab.parts().faces.clone(),
            stop: self.lab.stopping().clone(),
        });
        let service = ControlServer::new(Service { lab: self.lab, stop })
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        tonic::transport::Server::builder()
            .add_service(service)
            .add_service(devices)
            .add_service(faces)
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), shutdown.cancelled_owned())
            .await
    }
}

struct Service {
    lab: LabHandle,
    stop: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Control for Service {
    async fn status(&self, _: Request<m::StatusRequest>) -> Answer<m::StatusReply> {
        Ok(Response::new(self.lab.status()))
    }

    async fn list_devices(&self, _: Request<m::ListDevicesRequest>) -> Answer<m::ListDevicesReply> {
        Ok(Response::new(m::ListDevicesReply {
            devices: self.lab.devices(),
        }))
    }

    async fn show_device(&self, request: Request<m::ShowDeviceRequest>) -> Answer<m::ShowDeviceReply> {
        let m::ShowDeviceRequest { device, secrets } = request.into_inner();
        let mut shown = self.lab.show(&device, secrets).await.map_err(status)?;
        shown.state = self.lab.state(&device).await.map_err(status)?;
        Ok(Response::new(shown))
    }

    async fn expose_device(&self, request: Request<m::ExposeDeviceRequest>) -> Answer<m::ExposeDeviceReply> {
        let m::ExposeDeviceRequest { device, listen } = request.into_inner();
        let listen = listen.parse().map_err(|_| {
            Status::invalid_argument(format!("expected an address such as 127.0.0.1:4059, found {listen:?}"))
        })?;
        let address = self.lab.expose(&device, listen).await.map_err(status)?;
        Ok(Response::new(m::ExposeDeviceReply {
            address: address.to_string(),
        }))
    }

    async fn audit(&self, request: Request<m::AuditRequest>) -> Answer<m::AuditReply> {
        let entries = self.lab.audit(&request.into_inner().subject).await.map_err(status)?;
        Ok(Response::new(m::AuditReply { entries }))
    }

    async fn inventory(&self, _: Request<m::InventoryRequest>) -> Answer<m::InventoryReply> {
        let devices = self.lab.inventory().await.map_err(status)?;
        Ok(Response::new(m::InventoryReply { devices }))
    }

    async fn dead_letters(&self, _: Request<m::DeadLettersRequest>) -> Answer<m::DeadLettersReply> {
        let letters = self.lab.dead_letters().await.map_err(status)?;
        Ok(Response::new(m::DeadLettersReply { letters }))
    }

    async fn deliver_again(&self, request: Request<m::DeliverAgainRequest>) -> Answer<m::DeliverAgainReply> {
        let m::DeliverAgainRequest { user, which } = request.into_inner();
        let count = match which {
            Some(Which::DeliveryId(id)) => self.lab.deliver_again(&user, id).await.map(|()| 1),
            Some(Which::SinceMs(since)) => self.lab.deliver_since(&user, since).await,
            None => return Err(Status::invalid_argument("say which: delivery_id or since_ms")),
        };
        let count = count.map_err(status)? as u64;
        Ok(Response::new(m::DeliverAgainReply { count }))
    }

    async fn fetch(&self, request: Request<m::FetchRequest>) -> Answer<m::FetchReply> {
        let m::FetchRequest { user, max } = request.into_inner();
        let deliveries = self.lab.fetch(&user, max as usize).await.map_err(status)?;
        Ok(Response::new(m::FetchReply { deliveries }))
    }

    async fn fetched(&self, request: Request<m::FetchedRequest>) -> Answer<m::FetchedReply> {
        let m::FetchedRequest { user, delivery_ids } = request.into_inner();
        let count = self.lab.fetched(&user, delivery_ids).await.map_err(status)? as u64;
        Ok(Response::new(m::FetchedReply { count }))
    }

    async fn reset_counters(&self, request: Request<m::ResetCountersRequest>) -> Answer<m::ResetCountersReply> {
        let user = request.into_inner().user;
        self.lab.reset_counters(&user).await.map_err(status)?;
        Ok(Response::new(m::ResetCountersReply {}))
    }

    async fn quarantine(&self, _: Request<m::QuarantineRequest>) -> Answer<m::QuarantineReply> {
        let requests = self.lab.quarantine().await.map_err(status)?;
        Ok(Response::new(m::QuarantineReply { requests }))
    }

    async fn end_quarantine(&self, request: Request<m::EndQuarantineRequest>) -> Answer<m::EndQuarantineReply> {
        let m::EndQuarantineRequest { reference, release } = request.into_inner();
        self.lab.end_quarantine(reference, release).await.map_err(status)?;
        Ok(Response::new(m::EndQuarantineReply {}))
    }

    async fn send_request(&self, request: Request<m::SendRequestRequest>) -> Answer<m::SendRequestReply> {
        let m::SendRequestRequest { xml, wait_ms, path } = request.into_inner();
        // A lab that stops must not wait for outcomes that will not come.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Status::unavailable("the lab is stopping")),
            sent = self.lab.send(&xml, &path, wait_ms.min(WAIT_MAX_MS)) => sent.map(Response::new).map_err(status),
        }
    }

    async fn vend(&self, request: Request<m::VendRequest>) -> Answer<m::VendReply> {
        let request = request.into_inner();
        let wait_ms = request.wait_ms.min(WAIT_MAX_MS);
        // A lab that stops must not wait for alerts that will not come.
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Status::unavailable("the lab is stopping")),
            vended = self.lab.vend(request, wait_ms) => vended.map(Response::new).map_err(status),
        }
    }

    async fn key_in(&self, request: Request<m::KeyInRequest>) -> Answer<m::KeyInReply> {
        let m::KeyInRequest { device, code, meter } = request.into_inner();
        self.lab
            .key_in(&device, &code, &meter)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn add_devices(&self, request: Request<m::AddDevicesRequest>) -> Answer<m::AddDevicesReply> {
        let request = request.into_inner();
        let tables = lab::Tables {
            devices_file: request.devices_file,
            devices: request.devices_csv,
            registration_file: request.registration_file,
            registration: request.registration_csv,
        };
        let devices = self.lab.add_devices(tables).await.map_err(status)?;
        Ok(Response::new(m::AddDevicesReply { devices }))
    }

    async fn remove_device(&self, request: Request<m::RemoveDeviceRequest>) -> Answer<m::RemoveDeviceReply> {
        let devices = self
            .lab
            .remove_device(&request.into_inner().device)
            .await
            .map_err(status)?;
        Ok(Response::new(m::RemoveDeviceReply { devices }))
    }

    async fn patch_device(&self, request: Request<m::PatchDeviceRequest>) -> Answer<m::PatchDeviceReply> {
        let device = self.lab.patch_device(request.into_inner()).await.map_err(status)?;
        Ok(Response::new(m::PatchDeviceReply { device: Some(device) }))
    }

    async fn stop(&self, _: Request<m::StopRequest>) -> Answer<m::StopReply> {
        self.lab.stop();
        Ok(Response::new(m::StopReply {}))
    }
}

/// A refusal with the whole chain of reasons.
pub(crate) fn status(error: ViewError) -> Status {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    match error {
        ViewError::BadQuestion(_) | ViewError::Estate(_) => Status::invalid_argument(words),
        ViewError::NotFound { .. } => Status::not_found(words),
        ViewError::FleetElsewhere | ViewError::Listen { .. } => Status::failed_precondition(words),
        _ => Status::unavailable(words),
    }
}
