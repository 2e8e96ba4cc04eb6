//! Keys and who owns them.
//!
//! A device shares one key family with each party that may speak to it. A family is derived from the *relation secret*
//! of that party, which only that party's custody file and the device side hold: no party can derive another's keys.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Eui64;

/// A party whose keys a device may hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Party {
    /// The operator before enrolment.
    Smso,
    /// The SMETS1 Service Provider after enrolment.
    S1sp,
    /// The Dual Control Organisation: approvals only, it opens no session.
    Dco,
}

impl Party {
    /// The word files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Smso => "smso",
            Self::S1sp => "s1sp",
            Self::Dco => "dco",
        }
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// MAC of the DCO's approvals.
    Approval,
    /// DLMS authentication key of the critical association.
    CriticalAuthentication,
    /// DLMS unicast encryption key of the critical association.
    CriticalEncryption,
    /// DLMS authentication key of the management association.
    ManagementAuthentication,
    /// DLMS unicast encryption key of the management association.
    ManagementEncryption,
    /// LLS secret of the reader association.
    ReaderPassword,
    /// Truncated MAC of the wake-up text message (our format).
    WakeUp,
}

/// A 16-octet device key. Prints as `<redacted>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceKey([u8; 16]);

impl DeviceKey {
    /// From its octets.
    #[must_use]
    pub fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets; only codecs and custody files have a reason to ask.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// The secret that one party and the device side share, from which each device's keys come. Prints as `<redacted>`.
#[derive(Clone, PartialEq, Eq)]
pub struct RelationSecret([u8; 32]);

impl RelationSecret {
    /// From its octets.
    #[must_use]
    pub fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets; only custody files have a reason to ask.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of one device, epoch and purpose. Epochs start at 1 and rise with each rotation.
    #[must_use]
    pub fn device_key(&self, device: Eui64, epoch: u32, purpose: Purpose) -> DeviceKey {
        let mac = hmac(
            &self.0,
            &[
                b"s1lab device key",
                &device.to_bytes(),
                &epoch.to_be_bytes(),
                format!("{purpose:?}").as_bytes(),
            ],
        );
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        DeviceKey(key)
    }
}

impl fmt::Debug for RelationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// HMAC-SHA-256 over the parts, each preceded by its length.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coordinate_changes_the_key_and_nothing_prints_it() {
        let secret = RelationSecret::new([7; 32]);
        let base = secret.device_key(Eui64(1), 1, Purpose::ManagementEncryption);
        assert_ne!(base, secret.device_key(Eui64(2), 1, Purpose::ManagementEncryption));
        assert_ne!(base, secret.device_key(Eui64(1), 2, Purpose::ManagementEncryption));
        assert_ne!(base, secret.device_key(Eui64(1), 1, Purpose::ManagementAuthentication));
        assert_ne!(
            base,
            RelationSecret::new([8; 32]).device_key(Eui64(1), 1, Purpose::ManagementEncryption)
        );
        assert_eq!(format!("{base:?} {secret:?}"), "<redacted> <redacted>");
    }
}
