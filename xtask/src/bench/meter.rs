//! One meter behind its face: over loopback TCP, and without any link.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cosem::client::{Ask, Client, Credentials, Event, Keys, Password};
use cosem::request::{Item, Request};
use cosem::response::{Form, put_glo};
use cosem::security::Cipher;
use cosem::wrapper::{self, Framer};
use cosem::{Attribute, Obis};
use dialects::MeterSession;
use domain::DeviceKind;
use domain::keys::Purpose;
use fleet::line::TITLE;

use super::house::House;
use super::machine::{Stretch, micros_per_call};
use super::table::{Against, Table};

/// Logical device of the electricity meter.
const ESME: u16 = 1;
const READER: u16 = 17;
const MANAGEMENT: u16 = 1;

const GETS: u32 = 30_000;

pub(crate) fn run(table: &mut Table) -> Result<()> {
    for (sap, what, aim) in [(READER, "plain", 40_000.0), (MANAGEMENT, "ciphered", 15_000.0)] {
        let spent = over_tcp(sap)?;
        table.row(
            &format!("meter over TCP: {what} GET of a register, one request at a time"),
            f64::from(GETS) / spent,
            "GET/core-s",
            Against::AtLeast(aim, "aim; processor time of the meter's thread, system calls included"),
        );
        table.row(
            &format!("meter without a link: {what} GET of a register"),
            without_link(sap)?,
            "µs",
            Against::Nothing,
        );
    }
    Ok(())
}

/// Processor seconds of the meter's thread for [`GETS`] requests.
fn over_tcp(sap: u16) -> Result<f64> {
    let mut house = House::new()?;
    let mut talk = Talk::new(&house, sap);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> Result<f64> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut session = MeterSession::new(&house.face_profile().clone());
        let mut octets = [0; 4096];
        let start = Stretch::begin();
        loop {
            let count = stream.read(&mut octets)?;
            if count == 0 {
                return Ok(start.seconds());
            }
            let output = session.input(octets.get(..count).unwrap_or_default(), &mut house.face());
            stream.write_all(&output.octets)?;
        }
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut read = [0; 4096];
    let mut exchange = |octets: &[u8], framer: &mut Framer| -> Result<()> {
        stream.write_all(octets)?;
        let count = stream.read(&mut read)?;
        framer.push(read.get(..count).unwrap_or_default());
        Ok(())
    };
    talk.open(&mut exchange)?;
    for _ in 0..GETS {
        talk.get(&mut exchange)?;
    }
    drop(stream);
    server.join().ok().context("the meter's thread")?
}

/// Microseconds per GET of the meter's end alone: requests are made beforehand.
fn without_link(sap: u16) -> Result<f64> {
    let mut house = House::new()?;
    let mut talk = Talk::new(&house, sap);
    let mut session = MeterSession::new(&house.face_profile().clone());
    talk.open(&mut |octets, framer| {
        framer.push(&session.input(octets, &mut house.face()).octets);
        Ok(())
    })?;
    let requests = talk.requests(&house, 100_000);
    // Without counters the same request may come again.
    let mut next = requests.iter();
    let mut refused = false;
    let micros = micros_per_call(Duration::from_millis(50), || {
        let request = match next.next() {
            Some(request) => request,
            None => {
                next = requests.iter();
                refused |= sap != READER;
                return;
            }
        };
        let answer = session.input(request, &mut house.face()).octets;
        refused |= answer.get(8) == Some(&0xD8);
        black_box(answer);
    });
    if refused {
        bail!("a GET was refused");
    }
    Ok(micros)
}

#[derive(Default)]
struct Counters(u32);

impl Keys for Counters {
    fn next_counter(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    fn note_counter(&mut self, _: u32) -> bool {
        true
    }
}

/// A client of the meter.
struct Talk {
    client: Client,
    counters: Counters,
    framer: Framer,
    sap: u16,
    ask: Ask,
}

type Exchange<'a> = dyn FnMut(&[u8], &mut Framer) -> Result<()> + 'a;

impl Talk {
    fn new(house: &House, sap: u16) -> Self {
        let credentials = if sap == READER {
            let password = house.key(DeviceKind::Esme, Purpose::ReaderPassword);
            Credentials::Password(Password(password.expose().to_vec()))
        } else {
            Credentials::Gmac {
                cipher: Box::new(cipher(house)),
                title: TITLE,
                challenge: vec![1; 16],
                form: Form::General,
            }
        };
        let attribute = Attribute {
            class: 3,
            object: Obis([1, 0, 1, 8, 0, 255]),
            index: 2,
        };
        Self {
            client: Client::new(credentials, 0xFFFF),
            counters: Counters::default(),
            framer: Framer::new(0xFFFF),
            sap,
            ask: Ask::Get(Item {
                attribute,
                selection: None,
            }),
        }
    }

    fn open(&mut self, exchange: &mut Exchange<'_>) -> Result<()> {
        let aarq = self.client.associate(&mut self.counters);
        match self.run(aarq, exchange)? {
            Event::Associated => Ok(()),
            other => bail!("not associated: {other:?}"),
        }
    }

    fn get(&mut self, exchange: &mut Exchange<'_>) -> Result<()> {
        let apdu = self.client.ask(&self.ask, &mut self.counters)?;
        match self.run(apdu, exchange)? {
            Event::Got(Ok(_)) => Ok(()),
            other => bail!("not read: {other:?}"),
        }
    }

    /// Requests made beforehand, each with a counter of its own.
    fn requests(&mut self, house: &House, count: usize) -> Vec<Vec<u8>> {
        let Ask::Get(item) = &self.ask else { return Vec::new() };
        let mut plain = Vec::new();
        Request::Get(item.clone()).encode(0xC1, &mut plain);
        if self.sap == READER {
            return vec![framed(self.sap, &plain)];
        }
        let cipher = cipher(house);
        let one = |_| {
            let mut apdu = Vec::new();
            put_glo(
                &cipher,
                Form::General,
                &TITLE,
                self.counters.next_counter(),
                &plain,
                &mut apdu,
            );
            framed(self.sap, &apdu)
        };
        (0..count).map(one).collect()
    }

    fn run(&mut self, mut apdu: Vec<u8>, exchange: &mut Exchange<'_>) -> Result<Event> {
        loop {
            exchange(&framed(self.sap, &apdu), &mut self.framer)?;
            loop {
                if let Some(frame) = self.framer.frame()? {
                    match self.client.input(frame.apdu, &mut self.counters)? {
                        Event::Send(next) => apdu = next,
                        event => return Ok(event),
                    }
                    break;
                }
                // The rest of the answer is still on its way.
                exchange(&[], &mut self.framer)?;
            }
        }
    }
}

fn cipher(house: &House) -> Cipher {
    let key = |purpose| house.key(DeviceKind::Esme, purpose);
    Cipher::new(
        key(Purpose::ManagementEncryption).expose(),
        key(Purpose::ManagementAuthentication).expose(),
    )
}

fn framed(sap: u16, apdu: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(apdu.len() + 8);
    wrapper::write(&mut octets, sap, ESME, apdu);
    octets
}
