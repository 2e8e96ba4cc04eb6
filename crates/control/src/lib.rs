//! The gRPC control service over a running lab, and the client that the commands use to find and ask it.
//!
//! This crate deliberately knows no role's inside: it passes questions to [`lab::LabHandle`] and its answers back. It
//! listens on loopback unless told otherwise: whoever reaches it can have test keys shown.
//!
//! [`up`] runs a lab with its control service; [`Client`] asks one.

mod campaigns;
mod client;
mod devices;
mod faces;
mod server;
mod state;

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

pub use campaigns::{CampaignClient, CampaignServer};
pub use client::{Client, ClientError};
pub use faces::FacesOnly;
pub use proto::v1 as messages;
pub use server::Server;
pub use state::{StateError, StateFile};

/// What keeps a lab with its control service from starting, or ends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] lab::up::UpError),
    /// The control service cannot listen, or its listener failed.
    #[error("listen for the control service on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The gRPC server failed.
    #[error("the control service failed")]
    Server(#[source] tonic::transport::Error),
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Builds a lab on sockets, serves it and its control service until `shutdown` or until somebody asks it to stop.
///
/// `ready` is called once everything listens; [`lab::LabHandle::status`] then has the bound addresses. Where the
/// configuration names a state folder, the lab's address stands in it while it runs.
///
/// # Errors
/// [`UpError`].
pub async fn up(
    config: lab::Config,
    shutdown: CancellationToken,
    ready: impl FnOnce(&lab::LabHandle),
) -> Result<(), UpError> {
    let address = config.listen.control;
    let folder = config.folders.state.clone();
    let running = lab::up::start(config).await?;
    let server = Server::bind(address, running.handle().clone())
        .await
        .map_err(|source| UpError::Listen { address, source })?;
    running.handle().note_address("control", server.address());
    let state = folder
        .map(|folder| StateFile::write(&folder, server.address()))
        .transpose()?;
    ready(running.handle());
    let stop = running.handle().stopping().clone();
    let serving = async {
        let served = server.run(stop.clone()).await.map_err(UpError::Server);
        stop.cancel();
        served
    };
    let (ran, served) = tokio::join!(running.run(shutdown), serving);
    drop(state);
    ran?;
    served
}
