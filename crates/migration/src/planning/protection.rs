//! Protection of an authorisation file by the password in its twin (our form: what the real one did is not known).
//!
//! `LAB-PROTECTED 1 <salt, hex> <octets, base64>`: AES-256-GCM under a key from the password by PBKDF2 with SHA-256.

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use crate::strict::FILE_MAX;

const HEAD: &str = "LAB-PROTECTED 1 ";

/// Rounds of the key derivation. A password of this lab guards nothing, so they are few.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// A file that the password does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectionError {
    /// Not a protected file.
    #[error("not a protected file: it does not begin with LAB-PROTECTED 1")]
    Form,
    /// Another password, or a changed file.
    #[error("the password does not open it")]
    Password,
}

/// The salt of a file: another one for another name, so that two files of one password do not share a key.
#[must_use]
pub fn salt_of(name: &str) -> [u8; 16] {
    let digest: [u8; 32] = sha2::Sha256::digest(name.as_bytes()).into();
    let mut salt = [0; 16];
    salt.copy_from_slice(&digest[..16]);
    salt
}

/// Protects a text with a password. `salt` must differ between files of one password.
///
/// # Errors
/// [`ProtectionError::Form`] when the library refuses, which it does not for texts of a sensible length.
pub fn protect(text: &str, password: &str, salt: &[u8; 16]) -> Result<String, ProtectionError> {
    let mut octets = text.as_bytes().to_vec();
    key(password, salt)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut octets)
        .map_err(|_| ProtectionError::Form)?;
    Ok(format!("{HEAD}{} {}\n", hex::encode(salt), STANDARD.encode(octets)))
}

/// Opens a protected text.
///
/// # Errors
/// [`ProtectionError`].
pub fn open(protected: &str, password: &str) -> Result<String, ProtectionError> {
    if protected.len() > FILE_MAX {
        return Err(ProtectionError::Form);
    }
    let rest = protected.trim_end().strip_prefix(HEAD).ok_or(ProtectionError::Form)?;
    let (salt, octets) = rest.split_once(' ').ok_or(ProtectionError::Form)?;
    let mut salt_octets = [0; 16];
    hex::decode_to_slice(salt, &mut salt_octets).map_err(|_| ProtectionError::Form)?;
    let mut octets = STANDARD.decode(octets).map_err(|_| ProtectionError::Form)?;
    let plain = key(password.trim(), &salt_octets)?
        .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut octets)
        .map_err(|_| ProtectionError::Password)?;
    String::from_utf8(plain.to_vec()).map_err(|_| ProtectionError::Form)
}

fn key(password: &str, salt: &[u8; 16]) -> Result<LessSafeKey, ProtectionError> {
    let mut octets = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password.as_bytes(),
        &mut octets,
    );
    let key = UnboundKey::new(&AES_256_GCM, &octets).map_err(|_| ProtectionError::Form)?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_opens_it() {
        let protected = protect("row,import_mpxn\n", "open sesame", &[3; 16]).expect("protected");
        assert_eq!(open(&protected, "open sesame\n").as_deref(), Ok("row,import_mpxn\n"));
        assert_eq!(open(&protected, "open barley"), Err(ProtectionError::Password));
        assert_eq!(open("row,import_mpxn\n", "open sesame"), Err(ProtectionError::Form));
        let cut = &protected[..protected.len() - 9];
        assert!(open(cut, "open sesame").is_err());
    }
}
