//! The least HTTP there is, at both ends: a supplier's listener that answers 204, and a POST.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use crate::PATIENCE_S;

/// A supplier's listener on a free port of loopback. It answers each POST with 204 and keeps its body.
pub struct Listener {
    address: SocketAddr,
    posts: Receiver<Vec<u8>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts one.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start() -> anyhow::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").context("listen on a free port")?;
        let address = socket.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (sender, posts) = mpsc::channel();
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || serve(&socket, &stop, &sender));
        Ok(Self {
            address,
            posts,
            stopping,
            thread: Some(thread),
        })
    }

    /// What a lab's configuration calls it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/smartdcc/duis", self.address)
    }

    /// The next body posted.
    ///
    /// # Errors
    /// When none comes for long.
    pub fn next(&self) -> anyhow::Result<String> {
        let body = self
            .posts
            .recv_timeout(Duration::from_secs(PATIENCE_S))
            .context("nothing was posted to the listener")?;
        String::from_utf8(body).context("a delivery that is no text")
    }

    /// What was posted and not yet taken, without waiting.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        let bodies = self.posts.try_iter();
        bodies.map(|body| String::from_utf8_lossy(&body).into_owned()).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread from `accept`; where it is gone already, there is nothing to wake.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(socket: &TcpListener, stopping: &AtomicBool, posts: &Sender<Vec<u8>>) {
    for stream in socket.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        // A peer that breaks off has delivered nothing.
        let Ok((_, body)) = message(&stream) else { continue };
        if posts.send(body).is_err() {
            return;
        }
        drop(stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
    }
}

/// Posts `body` and gives status and body of the answer.
///
/// # Errors
/// When the peer cannot be reached or answers no HTTP.
pub fn post(address: &str, path: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let (start, body) = message(&stream)?;
    let status = start.split(' ').nth(1).and_then(|text| text.parse().ok());
    Ok((
        status.with_context(|| format!("a status line, found {start:?}"))?,
        String::from_utf8(body)?,
    ))
}

/// First line and body of one HTTP message; a body without a length reaches to the end.
fn message(stream: &TcpStream) -> anyhow::Result<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(Duration::from_secs(PATIENCE_S)))?;
    let mut reader = BufReader::new(stream);
    let mut start = String::new();
    reader.read_line(&mut start)?;
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
        }
        None => {
            reader.read_to_end(&mut body)?;
        }
    }
    Ok((start, body))
}
