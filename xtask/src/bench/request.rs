//! The floor of a signed request: its raw P-256 operations. Their number is fixed here, not counted from what the code
//! happens to do.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};

use super::machine::micros_per_call;
use super::table::{Against, Table};

/// The user signs the request; the DCC signs acknowledgement, countersignature and response; the S1SP signs its part.
const SIGNED: f64 = 5.0;
/// The DCC verifies the user, the S1SP the user and the DCC, the user all three that come back.
const VERIFIED: f64 = 6.0;
/// The DCO verifies the user and the DCC once more.
const VERIFIED_FOR_CRITICAL: f64 = 2.0;

/// Of an alert: the S1SP signs it once, the DCC once for each user it goes to, and each user verifies both.
const SIGNED_PER_DELIVERY: f64 = 1.0;
const VERIFIED_PER_DELIVERY: f64 = 2.0;

/// Alerts that come with a request, and messages to users that carry them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Alerts {
    pub(crate) raised: f64,
    pub(crate) delivered: f64,
}

/// Microseconds of one P-256 operation.
#[derive(Clone, Copy)]
pub(crate) struct Floor {
    sign: f64,
    verify: f64,
}

impl Floor {
    /// A request that is not critical.
    pub(crate) fn plain(self) -> f64 {
        SIGNED * self.sign + VERIFIED * self.verify
    }

    pub(crate) fn critical(self) -> f64 {
        self.plain() + VERIFIED_FOR_CRITICAL * self.verify
    }

    /// A critical request with the device alerts that it brings about: messages of their own, which the fixed floor leaves
    /// out.
    pub(crate) fn critical_with(self, alerts: Alerts) -> f64 {
        let per_delivery = SIGNED_PER_DELIVERY * self.sign + VERIFIED_PER_DELIVERY * self.verify;
        self.critical() + alerts.raised * self.sign + alerts.delivered * per_delivery
    }

    /// So many signatures made and verified.
    pub(crate) fn signatures(self, made: f64, verified: f64) -> f64 {
        made * self.sign + verified * self.verify
    }

    /// The lower of two measurements.
    pub(crate) fn best(self, other: Self) -> Self {
        Self {
            sign: self.sign.min(other.sign),
            verify: self.verify.min(other.verify),
        }
    }

    pub(crate) fn show(self, table: &mut Table) {
        table.row("P-256 sign, raw aws-lc-rs", self.sign, "µs", Against::Nothing);
        table.row("P-256 verify, raw aws-lc-rs", self.verify, "µs", Against::Nothing);
    }
}

/// Measures raw signing and verifying of 32 octets with aws-lc-rs.
pub(crate) fn floor() -> Result<Floor> {
    let failed = |_| anyhow!("P-256 of aws-lc-rs failed");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let random = SystemRandom::new();
    let octets = [0x5A; 32];
    let signature = pair.sign(&random, &octets).map_err(failed)?;
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
        .map_err(|_| anyhow!("aws-lc-rs does not take its own key"))?;
    key.verify_sig(&octets, signature.as_ref()).map_err(failed)?;
    let budget = Duration::from_millis(500);
    let sign = micros_per_call(budget, || {
        black_box(pair.sign(&random, &octets).is_ok());
    });
    let verify = micros_per_call(budget, || {
        black_box(key.verify_sig(&octets, signature.as_ref()).is_ok());
    });
    Ok(Floor { sign, verify })
}
