//! Serves a toy installation over TCP with the face of a family (`dlms-wrapper` unless another is named), for trying any
//! client.
//!
//! Prints one line of JSON with the port and the test keys, then serves one connection at a time until it is ended.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use dialects::{FaceProfile, Family, Host, MeterSession};
use domain::keys::Purpose;
use domain::{DeviceKind, Operation};

#[path = "../tests/support/mod.rs"]
mod support;

fn main() -> std::io::Result<()> {
    let named = std::env::args().nth(1).unwrap_or_else(|| "dlms-wrapper".into());
    let Some(family) = Family::ALL.into_iter().find(|family| family.as_str() == named) else {
        return Err(std::io::Error::other(format!("no family {named}")));
    };
    let mut toy = support::Toy::new();
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let key = |toy: &support::Toy, purpose| {
        toy.key(DeviceKind::Esme, purpose)
            .map(|key| hex(key.expose()))
            .unwrap_or_default()
    };
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{{\"port\":{port},\"server_title\":\"{}\",\"password\":\"{}\",\"management\":[\"{}\",\"{}\"],\"critical\":[\"{}\",\"{}\"],\"approval_disable\":\"{}\",\"approval_enable\":\"{}\"}}",
        hex(&support::ESME.to_bytes()),
        key(&toy, Purpose::ReaderPassword),
        key(&toy, Purpose::ManagementEncryption),
        key(&toy, Purpose::ManagementAuthentication),
        key(&toy, Purpose::CriticalEncryption),
        key(&toy, Purpose::CriticalAuthentication),
        hex(&toy.approval(&Operation::DisableSupply, 1).to_bytes()),
        hex(&toy.approval(&Operation::EnableSupply, 2).to_bytes()),
    )?;
    out.flush()?;
    for stream in listener.incoming() {
        serve(stream?, family, &mut toy)?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream, family: Family, toy: &mut support::Toy) -> std::io::Result<()> {
    let mut session = MeterSession::new(&FaceProfile {
        family,
        ..FaceProfile::default()
    });
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let output = session.input(buffer.get(..count).unwrap_or_default(), toy);
        stream.write_all(&output.octets)?;
        if output.close {
            return Ok(());
        }
    }
}
