//! Octets for the eyes of one party: ECDH P-256 with a fresh key each time, HKDF-SHA-256, AES-256-GCM.
//!
//! What is sealed belongs to a context (the header of the file it travels in, say): it opens only with the same context.
//!
//! ```
//! use world::sealed::{OpeningKey, seal};
//! let key = OpeningKey::generate().unwrap();
//! let sealed = seal(b"a secret", &key.public_key(), b"header").unwrap();
//! assert_eq!(key.open(&sealed, b"header").unwrap(), b"a secret");
//! assert!(key.open(&sealed, b"another header").is_err());
//! ```

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use bytes::Bytes;
use proto::Sealed;

/// Octets of a public key: an uncompressed point.
pub const PUBLIC_KEY_LEN: usize = 65;

/// Octets of the private key.
pub const PRIVATE_KEY_LEN: usize = 32;

/// Separates the keys made here from all others.
const INFO: &[u8] = b"s1lab sealed file v1";

/// The public half of an [`OpeningKey`]: an uncompressed point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_LEN]);

/// A party's private key for what is sealed to it. Prints as `<redacted>`.
pub struct OpeningKey {
    private: PrivateKey,
    public: PublicKey,
}

/// What could not be sealed or opened. It does not say more: whoever sealed wrongly learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Octets that are no key.
    #[error("not a P-256 key")]
    Key,
    /// Sealed to somebody else, in another context, or changed on the way.
    #[error("it does not open with this key in this context")]
    Open,
    /// The library refused; our own fault.
    #[error("it could not be sealed")]
    Seal,
}

impl PublicKey {
    /// From the octets of an uncompressed point. Whether it is on the curve shows when it is used.
    ///
    /// # Errors
    /// [`SealError::Key`] when it has another length or form.
    pub fn from_octets(octets: &[u8]) -> Result<Self, SealError> {
        let point: [u8; PUBLIC_KEY_LEN] = octets.try_into().map_err(|_| SealError::Key)?;
        if point[0] == 4 {
            Ok(Self(point))
        } else {
            Err(SealError::Key)
        }
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

impl OpeningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn generate() -> Result<Self, SealError> {
        Self::of(PrivateKey::generate(&ECDH_P256).map_err(|_| SealError::Key)?)
    }

    /// From the 32 octets of a private key, big-endian.
    ///
    /// # Errors
    /// [`SealError::Key`] when they are none.
    pub fn from_octets(octets: &[u8]) -> Result<Self, SealError> {
        Self::of(PrivateKey::from_private_key(&ECDH_P256, octets).map_err(|_| SealError::Key)?)
    }

    /// The 32 octets; only custody files have a reason to ask.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn expose(&self) -> Result<[u8; PRIVATE_KEY_LEN], SealError> {
        let octets: EcPrivateKeyBin<'_> = self.private.as_be_bytes().map_err(|_| SealError::Key)?;
        octets.as_ref().try_into().map_err(|_| SealError::Key)
    }

    /// The public half, to be given to everybody.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Opens what was sealed to this key in this context.
    ///
    /// # Errors
    /// [`SealError::Open`].
    pub fn open(&self, sealed: &Sealed, context: &[u8]) -> Result<Vec<u8>, SealError> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, sealed.ephemeral_key.as_ref());
        agreement::agree(&self.private, peer, SealError::Open, |shared| {
            let key = derive(shared, &sealed.ephemeral_key, self.public.octets())?;
            let mut octets = sealed.ciphertext.to_vec();
            let plain = key
                .open_in_place(nonce(), Aad::from(context), &mut octets)
                .map_err(|_| SealError::Open)?
                .len();
            octets.truncate(plain);
            Ok(octets)
        })
    }

    fn of(private: PrivateKey) -> Result<Self, SealError> {
        let public = private.compute_public_key().map_err(|_| SealError::Key)?;
        Ok(Self {
            public: PublicKey::from_octets(public.as_ref())?,
            private,
        })
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey({:?}, <redacted>)", self.public)
    }
}

/// Seals `plain` to the owner of `recipient`, bound to `context`.
///
/// # Errors
/// [`SealError::Key`] when the recipient's key is no point of the curve.
pub fn seal(plain: &[u8], recipient: &PublicKey, context: &[u8]) -> Result<Sealed, SealError> {
    let ephemeral = PrivateKey::generate(&ECDH_P256).map_err(|_| SealError::Seal)?;
    let public = ephemeral.compute_public_key().map_err(|_| SealError::Seal)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, recipient.octets());
    agreement::agree(&ephemeral, peer, SealError::Key, |shared| {
        let key = derive(shared, public.as_ref(), recipient.octets())?;
        let mut octets = plain.to_vec();
        key.seal_in_place_append_tag(nonce(), Aad::from(context), &mut octets)
            .map_err(|_| SealError::Seal)?;
        Ok(Sealed {
            ephemeral_key: Bytes::copy_from_slice(public.as_ref()),
            ciphertext: octets.into(),
        })
    })
}

/// Each key seals one text only, so the nonce may be constant.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn derive(shared: &[u8], ephemeral: &[u8], recipient: &[u8]) -> Result<LessSafeKey, SealError> {
    let secret = Salt::new(HKDF_SHA256, &[]).extract(shared);
    let info = [INFO, ephemeral, recipient];
    let key: UnboundKey = secret.expand(&info, &AES_256_GCM).map_err(|_| SealError::Seal)?.into();
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_opens_it_and_only_unchanged() {
        let (mine, other) = (
            OpeningKey::generate().expect("a key"),
            OpeningKey::generate().expect("a key"),
        );
        let sealed = seal(b"secret", &mine.public_key(), b"header").expect("sealed");
        assert_eq!(mine.open(&sealed, b"header").as_deref(), Ok(&b"secret"[..]));
        assert_eq!(other.open(&sealed, b"header"), Err(SealError::Open));
        for at in 0..sealed.ciphertext.len() {
            let mut octets = sealed.ciphertext.to_vec();
            octets[at] ^= 1;
            let changed = Sealed {
                ciphertext: octets.into(),
                ..sealed.clone()
            };
            assert_eq!(mine.open(&changed, b"header"), Err(SealError::Open), "octet {at}");
        }
        let again = seal(b"secret", &mine.public_key(), b"header").expect("sealed");
        assert_ne!(sealed, again, "a fresh key each time");
        assert_eq!(mine.open(&Sealed::default(), b""), Err(SealError::Open));
    }

    #[test]
    fn a_key_comes_back_from_its_octets() {
        let key = OpeningKey::generate().expect("a key");
        let same = OpeningKey::from_octets(&key.expose().expect("octets")).expect("the same key");
        assert_eq!(key.public_key(), same.public_key());
        assert!(OpeningKey::from_octets(&[0; 32]).is_err());
        assert!(PublicKey::from_octets(&[4; 64]).is_err());
        assert!(format!("{key:?}").ends_with(", <redacted>)"));
    }
}
