//! The control service of a campaign of migration while it runs, and the client of it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use proto::v1 as m;
use proto::v1::campaigns_client::CampaignsClient;
use proto::v1::campaigns_server::{Campaigns, CampaignsServer};
use runs::campaign::{self, Deed, Exception, Live, Operator, Owner, StatusError, Which};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::client::{ClientError, answer, connect};
use crate::server::MESSAGE_MAX;
use crate::state::StateFile;

/// The bound control service of one campaign.
pub struct CampaignServer {
    listener: TcpListener,
    address: SocketAddr,
    live: Live,
}

impl CampaignServer {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, live: Live) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            live,
        })
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
        let service = CampaignsServer::new(Service { live: self.live })
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), shutdown.cancelled_owned())
            .await
    }
}

struct Service {
    live: Live,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Campaigns for Service {
    async fn progress(&self, _: Request<m::CampaignProgressRequest>) -> Answer<m::CampaignProgressReply> {
        let progress = self.live.progress();
        let progress = progress.ok_or_else(|| Status::failed_precondition("no campaign runs here now"))?;
        Ok(Response::new((&progress).into()))
    }

    async fn point_status(&self, request: Request<m::PointStatusRequest>) -> Answer<m::PointStatusReply> {
        let mpxn = request.into_inner().mpxn;
        let mpxn = mpxn
            .parse()
            .map_err(|error: domain::ParseError| Status::invalid_argument(error.to_string()))?;
        // The journal is read for its history: not on a thread that answers others.
        let live = self.live.clone();
        let status = apart(move || live.status(mpxn)).await?;
        Ok(Response::new((&status.map_err(refused)?).into()))
    }

    async fn exceptions(&self, request: Request<m::ExceptionsRequest>) -> Answer<m::ExceptionsReply> {
        let m::ExceptionsRequest { which, all } = request.into_inner();
        let found = self.live.exceptions(&read_which(which)?, all).map_err(refused)?;
        let exceptions = found.iter().map(Into::into).collect();
        Ok(Response::new(m::ExceptionsReply { exceptions }))
    }

    async fn act_on_exceptions(&self, request: Request<m::ActOnExceptionsRequest>) -> Answer<m::ActOnExceptionsReply> {
        let asked = request.into_inner();
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (to, text) = (said(&asked.to), said(&asked.text));
        let which = read_which(asked.which)?;
        if which == Which::default() {
            return Err(Status::invalid_argument(
                "say which cases: their numbers, a code, a cohort or an owner",
            ));
        }
        if asked.by.trim().is_empty() {
            return Err(Status::invalid_argument("say who acts (by)"));
        }
        let role = Owner::from_word(&asked.r#as);
        let role = role.ok_or_else(|| Status::invalid_argument(format!("no owner {:?} to act as", asked.r#as)))?;
        let deed = Deed::read(&asked.deed, to.as_deref(), text.as_deref()).map_err(Status::invalid_argument)?;
        let operator = Operator { name: asked.by, role };
        let live = self.live.clone();
        // The journal is written: not on a thread that answers others.
        let acted = apart(move || live.act(&operator, &which, &deed)).await?;
        let acted = acted.map_err(|error| Status::failed_precondition(words(&error)))?;
        let acted = acted.into_iter().map(|(number, result)| m::ActedOn {
            number,
            refusal: result.err().map(|error| error.to_string()).unwrap_or_default(),
        });
        Ok(Response::new(m::ActOnExceptionsReply { acted: acted.collect() }))
    }
}

fn read_which(which: Option<m::WhichExceptions>) -> Result<Which, Status> {
    let which = which.unwrap_or_default();
    (&which)
        .try_into()
        .map_err(|unknown: campaign::Unknown| Status::invalid_argument(unknown.to_string()))
}

fn refused(error: StatusError) -> Status {
    let code = match error {
        StatusError::Unknown(_) => Code::NotFound,
        _ => Code::FailedPrecondition,
    };
    Status::new(code, words(&error))
}

/// An error with the whole chain of reasons.
fn words(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A connection to a campaign that runs.
#[derive(Clone, Debug)]
pub struct CampaignClient(CampaignsClient<Channel>);

impl CampaignClient {
    /// Connects to the campaign at `address`, or else to the one that runs on the state folder. None when none runs there:
    /// its journals can then be read.
    ///
    /// # Errors
    /// [`ClientError`] when an address is given and nobody answers there.
    pub async fn find(address: Option<&str>, state: &Path) -> Result<Option<Self>, ClientError> {
        match address {
            Some(address) => Self::connect(address).await.map(Some),
            None => Ok(match StateFile::address(state) {
                // What a run left behind that was killed leads nowhere.
                Ok(address) => Self::connect(&address).await.ok(),
                Err(_) => None,
            }),
        }
    }

    /// Connects to the campaign at `address`, for example `http://127.0.0.1:40123`.
    ///
    /// # Errors
    /// When it is no address or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, ClientError> {
        let client = CampaignsClient::new(connect(address).await?).max_decoding_message_size(MESSAGE_MAX);
        Ok(Self(client.max_encoding_message_size(MESSAGE_MAX)))
    }

    /// Where the campaign is.
    ///
    /// # Errors
    /// [`ClientError::Refused`] before it has begun.
    pub async fn progress(&mut self) -> Result<m::CampaignProgressReply, ClientError> {
        answer(self.0.progress(m::CampaignProgressRequest {}).await)
    }

    /// Where a metering point stands.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the campaign does not have it.
    pub async fn status(&mut self, mpxn: &str) -> Result<campaign::Status, ClientError> {
        let request = m::PointStatusRequest { mpxn: mpxn.into() };
        let reply = answer(self.0.point_status(request).await)?;
        (&reply).try_into().map_err(strange)
    }

    /// The exception queue: open cases that fit, or all.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn exceptions(&mut self, which: &Which, all: bool) -> Result<Vec<Exception>, ClientError> {
        let which = Some(which.into());
        let reply = answer(self.0.exceptions(m::ExceptionsRequest { which, all }).await)?;
        let each = reply.exceptions.iter().map(|entry| entry.try_into().map_err(strange));
        each.collect()
    }

    /// Does something about cases. Gives what came of it for each, a refusal in words.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when what is asked makes no sense, or the campaign takes no more acts.
    pub async fn act(
        &mut self,
        request: m::ActOnExceptionsRequest,
    ) -> Result<Vec<(u64, Result<(), String>)>, ClientError> {
        let reply = answer(self.0.act_on_exceptions(request).await)?;
        let each = reply.acted.into_iter().map(|acted| {
            let refused = (!acted.refusal.is_empty()).then_some(acted.refusal);
            (acted.number, refused.map_or(Ok(()), Err))
        });
        Ok(each.collect())
    }
}

fn strange(unknown: campaign::Unknown) -> ClientError {
    ClientError::Refused(format!("the campaign's answer is of another version: {unknown}"))
}

/// Work that reads or writes the disk, on a thread that answers nobody. Dropping the future does not stop it.
#[expect(
    clippy::disallowed_methods,
    reason = "this service has a runtime of its own beside those of the worlds: no virtual clock waits for its threads"
)]
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(error.to_string()))
}
