//! Encoding and decoding of a typical GET: the value of a register, plain and ciphered.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use cosem::request::{Item, Request};
use cosem::response::{Envelope, Form, Response, put_glo};
use cosem::security::Cipher;
use cosem::{Attribute, Data, Obis};
use fleet::line::TITLE;

use super::machine::micros_per_call;
use super::table::{Against, Table};

const BUDGET: Duration = Duration::from_millis(250);

pub(crate) fn run(table: &mut Table) -> Result<()> {
    let object: Obis = "1.0.1.8.0.255".parse().ok().context("a name")?;
    let request = Request::Get(Item {
        attribute: Attribute {
            class: 3,
            object,
            index: 2,
        },
        selection: None,
    });
    let value = Data::UInt32(12_345_678).to_bytes();
    let response = Response::Get(Ok(&value));
    let mut wire = Vec::new();
    let row = |table: &mut Table, what: &str, micros| {
        table.row(&format!("cosem: {what}"), micros, "µs", Against::Nothing);
    };

    request.encode(0xC1, &mut wire);
    let request_octets = wire.clone();
    wire.clear();
    response.encode(0xC1, &mut wire);
    let response_octets = wire.clone();
    let mut out = Vec::with_capacity(256);
    let encode = micros_per_call(BUDGET, || {
        out.clear();
        black_box(&request).encode(0xC1, &mut out);
        black_box(&response).encode(0xC1, &mut out);
    });
    row(table, "encode GET request and response, plain", encode);
    let decode = micros_per_call(BUDGET, || {
        black_box(Request::decode(black_box(&request_octets)).is_ok());
        black_box(Response::decode(black_box(&response_octets)).is_ok());
    });
    row(table, "decode GET request and response, plain", decode);

    let cipher = Cipher::new(&[1; 16], &[2; 16]);
    let ciphered = |plain: &[u8]| {
        let mut out = Vec::new();
        put_glo(&cipher, Form::General, &TITLE, 7, plain, &mut out);
        out
    };
    let (glo_request, glo_response) = (ciphered(&request_octets), ciphered(&response_octets));
    let mut plain = Vec::with_capacity(64);
    let seal = micros_per_call(BUDGET, || {
        out.clear();
        plain.clear();
        black_box(&request).encode(0xC1, &mut plain);
        put_glo(&cipher, Form::General, &TITLE, 7, &plain, &mut out);
        plain.clear();
        black_box(&response).encode(0xC1, &mut plain);
        put_glo(&cipher, Form::General, &TITLE, 8, &plain, &mut out);
    });
    row(table, "encode GET request and response, general-glo", seal);
    let open = micros_per_call(BUDGET, || {
        for octets in [&glo_request, &glo_response] {
            plain.clear();
            if let Ok(Some(envelope)) = Envelope::decode(black_box(octets)) {
                let opened = cipher.open(&TITLE, envelope.protected, &mut plain);
                black_box(opened.is_ok());
            }
        }
        black_box(Response::decode(&plain).is_ok());
    });
    row(table, "decode GET request and response, general-glo", open);
    Ok(())
}
