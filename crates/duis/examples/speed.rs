//! Prints what a message costs: reading with check, writing, signing and verifying, at about 3 kB.
//!
//! `cargo run --release -p duis --example speed`

#![allow(clippy::disallowed_methods, reason = "a stopwatch reads the machine's clock")]
#![allow(clippy::print_stdout, reason = "printing is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use domain::{SimInstant, Srv};
use duis::signature::{SigningKey, sign, sign_octets, verify, verify_octets};
use duis::{Element, Request, SignedBody, SignedHeader, read_request, read_signed_response, write};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "90-B3-D5-1F-30-01-00-00");
    let key = SigningKey::from_pem(&pair.serialize_pem(), &params.self_signed(&pair)?.pem())?;
    let certificate = key.certificate();

    let id = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000".parse()?;
    let request = Request::new(id, Srv::new(7, 4, 0)).with_body(Element::sr("ReadSupplyStatus"));
    let header = SignedHeader::answering(&request, SimInstant(1_553_900_000_000));
    let registers = (0..12).fold(Element::ra("SMETS1Debug"), |debug, at| {
        let position = (at + 1).to_string();
        let line = Element::ra("SMETS1Response")
            .with_attribute("ResponseCode", "0")
            .with_attribute("Position", position)
            .with_leaf(
                "Error",
                "a line of about a hundred characters, so that the message has a usual size",
            );
        debug.with(line)
    });
    let payload = Element::ra("ReadSupplyStatusRsp").with_attribute("MessageSuccess", "true");
    let body = SignedBody::Response {
        payload: Some(payload),
        debug: Some(Element::ra("DebugInfo").with(registers)),
    };
    let unsigned = write::smets1_signed_response(&header, &body)?;
    let signed = sign(&unsigned, &key)?;
    let small = sign(&write::request(&request)?, &key)?;
    let octets_signed = sign_octets(&unsigned, &key)?;

    println!("response {} octets, request {} octets", signed.len(), small.len());
    time("raw P-256 sign", || drop(black_box(sign_octets(&unsigned, &key))));
    time("raw P-256 verify", || {
        _ = black_box(verify_octets(&unsigned, &octets_signed, certificate))
    });
    time("sign response", || drop(black_box(sign(&unsigned, &key))));
    time("verify response", || drop(black_box(verify(&signed, certificate))));
    time("sign request", || drop(black_box(sign(&small, &key))));
    time("verify request", || drop(black_box(verify(&small, certificate))));
    time("read and check response", || {
        drop(black_box(read_signed_response(&signed)))
    });
    time("read and check request", || drop(black_box(read_request(&small))));
    time("check response", || drop(black_box(duis::check(&signed))));
    time("write response", || {
        drop(black_box(write::smets1_signed_response(&header, &body)))
    });
    Ok(())
}

fn time(what: &str, mut work: impl FnMut()) {
    // Short rounds and the best of many: other work on the machine then hardly shows.
    const ROUNDS: u32 = 20;
    let mut best = f64::INFINITY;
    for _ in 0..400 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    println!("{what:<26} {best:8.2} µs");
}
