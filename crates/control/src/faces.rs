//! Programs that provide faces, as a service: what is heard goes to the lab, what the lab tells goes back.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lab::faces::{Faces as Attached, Program};
use proto::v1 as m;
use proto::v1::faces_server::{Faces, FacesServer};
use proto::v1::from_face::Said;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Response, Status, Streaming};

use crate::server::{MESSAGE_MAX, status};

/// Messages heard before it is looked whether there is something to tell.
const HEARD_AT_ONCE: usize = 64;

pub(crate) struct Service {
    pub(crate) faces: Attached,
    /// Ends every attachment.
    pub(crate) stop: CancellationToken,
}

/// The service for faces alone, where no lab's control service stands: in the process of a fleet.
pub struct FacesOnly {
    listener: TcpListener,
    address: SocketAddr,
    faces: Attached,
}

impl FacesOnly {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, faces: Attached) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            faces,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, which detaches every program.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), tonic::transport::Error> {
        let service = Service {
            faces: self.faces,
            stop: shutdown.clone(),
        };
        tonic::transport::Server::builder()
            .add_service(served(service))
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), shutdown.cancelled_owned())
            .await
    }
}

/// The service with the limits of the control service.
pub(crate) fn served(service: Service) -> FacesServer<Service> {
    FacesServer::new(service)
        .max_decoding_message_size(MESSAGE_MAX)
        .max_encoding_message_size(MESSAGE_MAX)
}

/// One attached program: dropping it, as when the program goes, detaches it.
pub(crate) struct Attachment {
    heard: Streaming<m::FromFace>,
    program: Program,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[tonic::async_trait]
impl Faces for Service {
    type AttachStream = Attachment;

    async fn attach(&self, request: Request<Streaming<m::FromFace>>) -> Result<Response<Attachment>, Status> {
        let mut heard = request.into_inner();
        let first = heard.message().await?;
        let Some(Said::Attach(attach)) = first.and_then(|first| first.said) else {
            return Err(Status::invalid_argument(
                "the first message says under which name to attach",
            ));
        };
        let program = self.faces.attach(&attach).map_err(status)?;
        let stop = self.stop.clone();
        Ok(Response::new(Attachment {
            heard,
            program,
            stop: Box::pin(stop.cancelled_owned()),
        }))
    }
}

impl Stream for Attachment {
    type Item = Result<m::ToFace, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { heard, program, stop } = &mut *self;
        if stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        for _ in 0..HEARD_AT_ONCE {
            match Pin::new(&mut *heard).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Err(error) = program.hear(message) {
                        return Poll::Ready(Some(Err(status(error))));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return program.poll_told(context).map(|told| told.map(Ok)),
            }
        }
        // The program says much at once: others have a turn.
        context.waker().wake_by_ref();
        program.poll_told(context).map(|told| told.map(Ok))
    }
}
