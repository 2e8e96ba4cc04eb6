//! What proves a message: an ECDSA signature, or its stand-in.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

/// How keys sign and certificates prove. It is a property of the key and the certificate in the hands of a party, chosen once
/// when a lab's are made; nothing in a message or in a certificate's octets chooses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scheme {
    /// ECDSA P-256 over SHA-256: what DUIS has.
    #[default]
    P256,
    /// No asymmetric signatures: in the place of each stands a digest over the certificate's public key and what is signed,
    /// twice to fill the 64 octets. It shows that nothing was altered and whose certificate is meant; anybody could have made it. It is
    /// for measuring what everything else costs, and whoever runs it names it in every result.
    None,
}

/// A word that names no scheme.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scheme of signatures {0:?}: expected p256 or none")]
pub struct UnknownScheme(String);

impl Scheme {
    /// The word of files and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::None => "none",
        }
    }

    /// What every result of a run must say; nothing where signatures are what they should be.
    #[must_use]
    pub fn label(self) -> Option<&'static str> {
        match self {
            Self::P256 => None,
            Self::None => Some("WITHOUT ASYMMETRIC SIGNATURES"),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(word: &str) -> Result<Self, UnknownScheme> {
        let all = [Self::P256, Self::None];
        let found = all.into_iter().find(|scheme| scheme.as_str() == word);
        found.ok_or_else(|| UnknownScheme(word.chars().take(40).collect()))
    }
}

/// What stands in for a signature over these octets, made with the key behind this public key.
pub(super) fn stand_in(public_key: &[u8], octets: &[u8]) -> [u8; 64] {
    let mut digest = Context::new(&SHA256);
    digest.update(b"s1lab stand-in for a signature v1");
    digest.update(public_key);
    digest.update(octets);
    let half = digest.finish();
    let mut out = [0; 64];
    out.chunks_exact_mut(32)
        .for_each(|part| part.copy_from_slice(half.as_ref()));
    out
}
