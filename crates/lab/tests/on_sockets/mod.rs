//! A lab on sockets of the loopback, and the simplest client of it.

use std::net::SocketAddr;
use std::path::Path;

use domain::{DeviceKind, Eui64, RequestId};
use lab::up::{self, Running};
use lab::{ClockMode, Config, LabHandle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use users::Order;

pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn config(state: &Path) -> Config {
    let mut config = Config::default();
    config.clock.mode = ClockMode::Real;
    config.clock.latency = 0.001;
    config.listen.duis = LOOPBACK;
    config.lookup.listen = LOOPBACK;
    config.folders.state = Some(state.to_owned());
    config
}

/// A lab on sockets.
pub(crate) struct Up {
    pub(crate) handle: LabHandle,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), up::UpError>>,
}

pub(crate) async fn start(config: Config) -> Up {
    let running: Running = up::start(config).await.expect("started");
    let (handle, shutdown) = (running.handle().clone(), CancellationToken::new());
    let task = tokio::spawn(running.run(shutdown.clone()));
    Up { handle, shutdown, task }
}

impl Up {
    pub(crate) fn address(&self, name: &str) -> String {
        self.handle.status().addresses[name].clone()
    }

    pub(crate) fn meter(&self) -> Eui64 {
        let devices = self.handle.parts().estate.devices().collect::<Vec<_>>();
        let found = devices
            .iter()
            .find(|device| device.kind == DeviceKind::Esme && device.enrolled);
        found.expect("a meter").device
    }

    /// Signed by the first user.
    pub(crate) fn signed(&self, order: &Order, counter: u64) -> Vec<u8> {
        let parts = self.handle.parts();
        let user = &parts.pki.users[0];
        let id = RequestId {
            originator: user.eui,
            target: order.target,
            counter,
        };
        let request = duis::Request::new(id, order.srv)
            .with_command_variant(order.command_variant)
            .with_body(order.body.clone());
        let xml = duis::write::request(&request).expect("written");
        let identity = user.identity.as_ref().expect("a key");
        let key = parts.signing_key("the user", identity).expect("usable");
        duis::signature::sign(&xml, &key).expect("signed")
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("ended").expect("well");
    }
}

/// Posts over a stream and gives the whole answer.
pub(crate) async fn post(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str, body: &[u8]) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/xml\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    // A server that wants a certificate may hang up at any point.
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = exchange.await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn plain(address: &str) -> TcpStream {
    TcpStream::connect(address).await.expect("listens")
}
