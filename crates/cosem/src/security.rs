//! Security suite 0: AES-128-GCM with tags of 12 octets.
//!
//! One [`Cipher`] holds the expanded key schedules of an association, so that an APDU costs no key set-up.
//! Nothing here keeps a counter: whoever owns the keys owns the counters.

use std::fmt;

use aes_gcm::aead::consts::U12;
use aes_gcm::aes::Aes128;
use aes_gcm::{AeadInOut, AesGcm, Key, KeyInit, Nonce, Tag};
use subtle::ConstantTimeEq;

type Gcm = AesGcm<Aes128, U12, U12>;

/// Length of a system title in octets.
pub const TITLE_LEN: usize = 8;
/// Length of an authentication tag of suite 0 in octets.
pub const TAG_LEN: usize = 12;
/// Length of the security header: control octet and invocation counter.
pub const HEADER_LEN: usize = 5;

/// Who speaks: the eight octets that open every nonce.
pub type SystemTitle = [u8; TITLE_LEN];

/// The security control octet of a protected APDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecurityControl(pub u8);

impl SecurityControl {
    /// Suite 0, authenticated only: also the form of HLS-5's proofs.
    pub const AUTHENTICATED: Self = Self(0x10);
    /// Suite 0, authenticated and encrypted.
    pub const AUTHENTICATED_ENCRYPTED: Self = Self(0x30);

    /// The suite in bits 0 to 3.
    #[must_use]
    pub fn suite(self) -> u8 {
        self.0 & 0x0F
    }

    /// Whether the content carries a tag.
    #[must_use]
    pub fn authenticated(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Whether the content is encrypted.
    #[must_use]
    pub fn encrypted(self) -> bool {
        self.0 & 0x20 != 0
    }
}

/// Why a protected APDU was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// Keys, title, counter or octets do not fit the tag: someone does not hold the keys, or the octets were changed.
    #[error("the authentication tag does not fit")]
    Tag,
    /// Shorter than security header and tag.
    #[error("{0} octets are too few for a protected APDU")]
    TooShort(usize),
    /// A suite, key set or compression that this codec does not have.
    #[error("security control {0:#04x} is not supported")]
    Unsupported(u8),
}

/// The keys of one association, expanded. Prints as `<redacted>`.
#[derive(Clone)]
pub struct Cipher {
    gcm: Gcm,
    authentication_key: [u8; 16],
}

impl Cipher {
    /// From the unicast encryption key and the authentication key.
    #[must_use]
    pub fn new(encryption_key: &[u8; 16], authentication_key: &[u8; 16]) -> Self {
        Self {
            gcm: Gcm::new(&Key::<Gcm>::from(*encryption_key)),
            authentication_key: *authentication_key,
        }
    }

    /// Appends security header, content and tag of `plain`.
    pub fn seal(&self, control: SecurityControl, title: &SystemTitle, counter: u32, plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&header(control, counter));
        let content = out.len();
        out.extend_from_slice(plain);
        let nonce = nonce(title, counter);
        let tag = if control.encrypted() {
            let body = out.get_mut(content..).unwrap_or_default();
            self.gcm
                .encrypt_inout_detached(&nonce, &self.short_aad(control), body.into())
        } else {
            self.gcm
                .encrypt_inout_detached(&nonce, &self.long_aad(control, plain), (&mut [][..]).into())
        };
        if control.authenticated() {
            // GCM fails only beyond 64 GiB, which no buffer here reaches.
            out.extend_from_slice(&tag.unwrap_or_default());
        }
    }

    /// Opens security header, content and tag; appends the plain APDU to `out` and returns control and counter.
    ///
    /// `out` is left as it was on any error.
    ///
    /// # Errors
    /// [`SecurityError`]; nothing may then be believed, not even the counter.
    pub fn open(
        &self,
        title: &SystemTitle,
        protected: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(SecurityControl, u32), SecurityError> {
        let (control, counter, body) = split_header(protected)?;
        // Unauthenticated content (0x00, 0x20) proves nothing, and broadcast keys and compression are not in use here.
        if control != SecurityControl::AUTHENTICATED && control != SecurityControl::AUTHENTICATED_ENCRYPTED {
            return Err(SecurityError::Unsupported(control.0));
        }
        let Some((content, tag)) = body.split_last_chunk::<TAG_LEN>() else {
            return Err(SecurityError::TooShort(protected.len()));
        };
        let nonce = nonce(title, counter);
        let tag = Tag::<U12>::from(*tag);
        let start = out.len();
        let opened = if control.encrypted() {
            out.extend_from_slice(content);
            let aad = self.short_aad(control);
            let body = out.get_mut(start..).unwrap_or_default();
            self.gcm.decrypt_inout_detached(&nonce, &aad, body.into(), &tag)
        } else {
            let aad = self.long_aad(control, content);
            let opened = self
                .gcm
                .decrypt_inout_detached(&nonce, &aad, (&mut [][..]).into(), &tag);
            out.extend_from_slice(content);
            opened
        };
        match opened {
            Ok(()) => Ok((control, counter)),
            Err(_) => {
                out.truncate(start);
                Err(SecurityError::Tag)
            }
        }
    }

    /// The tag over `message` alone: what HLS-5 proves with, and what a truncated GMAC is cut from.
    #[must_use]
    pub fn gmac(&self, title: &SystemTitle, counter: u32, message: &[u8]) -> [u8; TAG_LEN] {
        let aad = self.long_aad(SecurityControl::AUTHENTICATED, message);
        let tag = self
            .gcm
            .encrypt_inout_detached(&nonce(title, counter), &aad, (&mut [][..]).into());
        tag.unwrap_or_default().into()
    }

    /// HLS-5's proof of holding the keys: control, counter and GMAC over the other's challenge.
    #[must_use]
    pub fn prove(&self, title: &SystemTitle, counter: u32, challenge: &[u8]) -> [u8; HEADER_LEN + TAG_LEN] {
        let mut proof = [0; HEADER_LEN + TAG_LEN];
        let (head, tag) = proof.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&header(SecurityControl::AUTHENTICATED, counter));
        tag.copy_from_slice(&self.gmac(title, counter, challenge));
        proof
    }

    /// Checks the other end's HLS-5 proof over our challenge, in constant time.
    #[must_use]
    pub fn proves(&self, title: &SystemTitle, challenge: &[u8], proof: &[u8]) -> bool {
        match split_header(proof) {
            Ok((SecurityControl::AUTHENTICATED, counter, tag)) => {
                bool::from(self.gmac(title, counter, challenge).ct_eq(tag))
            }
            _ => false,
        }
    }

    fn short_aad(&self, control: SecurityControl) -> [u8; 17] {
        let mut aad = [0; 17];
        aad[0] = control.0;
        aad[1..].copy_from_slice(&self.authentication_key);
        aad
    }

    fn long_aad(&self, control: SecurityControl, content: &[u8]) -> Vec<u8> {
        let mut aad = Vec::with_capacity(17 + content.len());
        aad.extend_from_slice(&self.short_aad(control));
        aad.extend_from_slice(content);
        aad
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Control, counter and the rest of a protected APDU, without opening it.
///
/// # Errors
/// [`SecurityError::TooShort`].
pub fn split_header(protected: &[u8]) -> Result<(SecurityControl, u32, &[u8]), SecurityError> {
    match protected.split_first_chunk::<HEADER_LEN>() {
        Some(([control, a, b, c, d], body)) => {
            Ok((SecurityControl(*control), u32::from_be_bytes([*a, *b, *c, *d]), body))
        }
        None => Err(SecurityError::TooShort(protected.len())),
    }
}

fn header(control: SecurityControl, counter: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = counter.to_be_bytes();
    [control.0, a, b, c, d]
}

fn nonce(title: &SystemTitle, counter: u32) -> Nonce<U12> {
    let mut nonce = [0; 12];
    nonce[..TITLE_LEN].copy_from_slice(title);
    nonce[TITLE_LEN..].copy_from_slice(&counter.to_be_bytes());
    nonce.into()
}
