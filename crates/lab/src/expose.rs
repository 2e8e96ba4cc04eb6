//! A plain TCP port for one meter: any DLMS client can connect to it, around the WAN.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use domain::Eui64;
use fleet::DirectSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections to one exposed device at a time; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 16;

/// A bound port of one device.
pub struct Exposed {
    listener: TcpListener,
    fleet: fleet::Handle,
    device: Eui64,
}

impl Exposed {
    /// Binds a port for `device`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, fleet: fleet::Handle, device: Eui64) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            fleet,
            device,
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Carries connections to the device until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(device = %self.device, %error, "an exposed port failed");
                        return;
                    }
                },
            };
            if connections.len() >= CONNECTIONS_MAX {
                tracing::info!(device = %self.device, "too many connections to an exposed device");
                continue;
            }
            match self.fleet.direct(self.device).await {
                Ok(session) => {
                    connections.spawn(carry(stream, session));
                }
                Err(error) => tracing::warn!(device = %self.device, %error, "no session to an exposed device"),
            }
        }
    }
}

/// Octets both ways until either side ends.
async fn carry(stream: TcpStream, mut session: DirectSession) {
    // An answer is one small piece; waiting to fill a packet would only delay it.
    let _kept_delay = stream.set_nodelay(true);
    let (mut from_client, mut to_client) = stream.into_split();
    let to_device = session.to_device;
    let up = async {
        let mut buffer = BytesMut::with_capacity(PIECE);
        while matches!(from_client.read_buf(&mut buffer).await, Ok(n) if n > 0) {
            let piece: Bytes = buffer.split().freeze();
            if to_device.send(piece).await.is_err() {
                return;
            }
            buffer.reserve(PIECE);
        }
    };
    let down = async {
        while let Some(piece) = session.from_device.recv().await {
            if to_client.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _already_gone = to_client.shutdown().await;
    };
    tokio::select! {
        biased;
        () = down => {}
        () = up => {}
    }
}

/// Octets read at a time.
const PIECE: usize = 4096;
