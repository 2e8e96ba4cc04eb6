//! What cannot be read, and what proves nothing.

use duis::signature::sign;
use steps::Failure as F;
use users::orders;

use super::{Case, Post, changed, usual};
use crate::bench::*;

/// A good request, altered.
fn altered(bench: &Bench, from: &str, to: &str) -> Vec<Post> {
    let good = bench.signed(1, &orders::read_supply_status(ESME));
    vec![(SEND, changed(&good, from, to))]
}

fn with_body(bench: &Bench, body: &str) -> Vec<Post> {
    altered(bench, "<sr:ReadSupplyStatus/>", body)
}

fn unsigned(bench: &Bench) -> Vec<u8> {
    bench.parties.unsigned(SUPPLIER, 1, &orders::read_supply_status(ESME))
}

fn firmware(bench: &Bench, octets: usize) -> Vec<Post> {
    let order = orders::update_firmware(DCC, &[ESME], "00000002", &vec![7; octets]);
    vec![(NON_DEVICE, bench.signed(1, &order))]
}

pub(super) const CASES: &[Case] = &[
    Case(F::Oversized, usual, |_| vec![(SEND, vec![b' '; 100_001])]),
    Case(F::Oversized, usual, |_| vec![(SEND, vec![b' '; 12_000_001])]),
    // Firmware alone may be large: what the general limit would refuse is read and judged, what its own would is not.
    Case(F::SignatureBad, usual, |bench| {
        let posts = firmware(bench, 7_600_000);
        vec![(NON_DEVICE, changed(&posts[0].1, ">00000002<", ">00000003<"))]
    }),
    Case(
        F::Oversized,
        |bench| bench.limits.firmware_octets_max = 1_000_000,
        |bench| firmware(bench, 760_000),
    ),
    Case(F::Malformed, usual, |_| vec![(SEND, Vec::new())]),
    Case(F::Malformed, usual, |_| vec![(SEND, b"<sr:Request".to_vec())]),
    Case(F::Malformed, usual, |bench| {
        let good = bench.signed(1, &orders::read_supply_status(ESME));
        vec![(SEND, good[..good.len() / 2].to_vec())]
    }),
    Case(F::Entity, usual, |bench| {
        altered(bench, "?>", "?><!DOCTYPE a [<!ENTITY b \"c\">]>")
    }),
    Case(F::Entity, usual, |bench| {
        with_body(bench, "<sr:ReadSupplyStatus>&evil;</sr:ReadSupplyStatus>")
    }),
    Case(F::TooDeep, usual, |bench| {
        with_body(bench, &format!("{}{}", "<a>".repeat(50), "</a>".repeat(50)))
    }),
    Case(F::Schema, usual, |bench| with_body(bench, "<sr:NoSuchElement/>")),
    Case(F::Schema, usual, |bench| altered(bench, ">7.4<", ">7.99<")),
    Case(F::Schema, usual, |bench| {
        altered(bench, "CommandVariant>1<", "CommandVariant>12<")
    }),
    Case(F::SignatureMissing, usual, |bench| vec![(SEND, unsigned(bench))]),
    Case(F::SignatureBad, usual, |bench| altered(bench, ":1<", ":2<")),
    Case(F::SignatureForm, usual, |bench| {
        altered(bench, "exc-c14n#", "exc-c14n#WithComments")
    }),
    Case(F::CertificateUnknown, usual, |bench| {
        vec![(SEND, sign(&unsigned(bench), &bench.parties.unknown).unwrap())]
    }),
    Case(F::CertificateExpired, usual, |bench| {
        vec![(SEND, sign(&unsigned(bench), &bench.parties.expired).unwrap())]
    }),
    Case(
        F::CertificateRevoked,
        |bench| {
            let serial = bench.parties.key(SUPPLIER).certificate().serial().to_owned();
            bench.trust.revoked.insert(serial);
        },
        |bench| vec![(SEND, bench.signed(1, &orders::read_supply_status(ESME)))],
    ),
    Case(F::CertificateRole, usual, |bench| {
        vec![(SEND, sign(&unsigned(bench), &bench.parties.organisation).unwrap())]
    }),
    Case(F::OriginatorMismatch, usual, |bench| {
        vec![(SEND, sign(&unsigned(bench), bench.parties.key(OTHER)).unwrap())]
    }),
];
