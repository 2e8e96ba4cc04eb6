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
    /// MAC of payment tokens (our format).
    Token,
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

    /// The key of one device, epoch and purpose, for an epoch the device was born with. Epochs start at 1 and rise with
    /// each rotation.
    #[must_use]
    pub fn device_key(&self, device: Eui64, epoch: u32, purpose: Purpose) -> DeviceKey {
        self.epoch_key(device, epoch, None, purpose)
    }

    /// The key of one device, epoch and purpose. An epoch that came by hand-over has keys of its own, which also need the
    /// secret that the party got with it: without that nobody can use the epoch, however it was staged.
    #[must_use]
    pub fn epoch_key(
        &self,
        device: Eui64,
        epoch: u32,
        hand_over: Option<&HandOverSecret>,
        purpose: Purpose,
    ) -> DeviceKey {
        let purpose = format!("{purpose:?}");
        let (device, epoch) = (device.to_bytes(), epoch.to_be_bytes());
        let mac = match hand_over {
            None => hmac(&self.0, &[b"s1lab device key", &device, &epoch, purpose.as_bytes()]),
            Some(secret) => hmac(
                &self.0,
                &[b"s1lab handed key", &device, &epoch, purpose.as_bytes(), &secret.0],
            ),
        };
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        DeviceKey(key)
    }

    /// What the operator of a device gives to `recipient` with the epoch it stages for it. It comes from the relation of
    /// the operator and the device, so the device needs to keep nothing; it is another one with every epoch.
    #[must_use]
    pub fn hand_over_secret(&self, device: Eui64, epoch: u32, recipient: Party) -> HandOverSecret {
        HandOverSecret(hmac(
            &self.0,
            &[
                b"s1lab hand-over",
                &device.to_bytes(),
                &epoch.to_be_bytes(),
                recipient.as_str().as_bytes(),
            ],
        ))
    }
}

/// The secret that goes with a staged key epoch, one for each party that gets a say. Prints as `<redacted>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HandOverSecret([u8; 32]);

impl HandOverSecret {
    /// From its octets.
    #[must_use]
    pub fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets; only sealed files and custody files have a reason to ask.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for HandOverSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
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
        let handed = secret.hand_over_secret(Eui64(1), 1, Party::S1sp);
        assert_eq!(
            format!("{base:?} {secret:?} {handed:?}"),
            "<redacted> <redacted> <redacted>"
        );
    }

    #[test]
    fn an_epoch_that_was_handed_over_needs_the_secret_that_came_with_it() {
        let (smso, s1sp) = (RelationSecret::new([1; 32]), RelationSecret::new([2; 32]));
        let secret = |device, epoch, party| smso.hand_over_secret(Eui64(device), epoch, party);
        let key = |secret: Option<&HandOverSecret>| s1sp.epoch_key(Eui64(1), 2, secret, Purpose::WakeUp);
        let right = secret(1, 2, Party::S1sp);
        assert_ne!(key(None), key(Some(&right)));
        for wrong in [
            secret(1, 2, Party::Dco),
            secret(1, 3, Party::S1sp),
            secret(2, 2, Party::S1sp),
        ] {
            assert_ne!(key(Some(&wrong)), key(Some(&right)));
        }
        assert_ne!(
            smso.epoch_key(Eui64(1), 2, Some(&right), Purpose::WakeUp),
            key(Some(&right)),
            "who staged it cannot use it"
        );
    }
}
