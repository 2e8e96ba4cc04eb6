//! Signatures of DUIS documents, and of octets.
//!
//! One profile only: an enveloped signature as the last child of the root, exclusive canonical form of `SignedInfo`,
//! inclusive canonical form of the content, SHA-256, ECDSA P-256 with the value as r and s side by side, the signer named by
//! issuer and serial number. Anything else is refused, so that what is verified is what is read.

mod certificate;
pub(crate) mod enveloped;
mod key;
mod scheme;

use domain::Eui64;

use self::enveloped::Survey;

pub use certificate::{Certificate, CertificateBook, CertificateError, Certificates};
pub use key::{KeyError, SigningKey};
pub use scheme::{Scheme, UnknownScheme};

/// Who signed a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// Serial number of the certificate, decimal.
    pub serial: String,
    /// Issuer, in the form of RFC 2253.
    pub issuer: String,
    /// Whose certificate it is.
    pub eui: Eui64,
    /// The role number in the certificate: 0x87 for users and S1SP, 0x89 for the DCC.
    pub role: Option<u8>,
}

/// A document that cannot be signed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It cannot be read.
    #[error("read the document to sign")]
    Read(#[from] crate::ReadError),
    /// The key refused: our bug, or no randomness.
    #[error("the signing key gave no signature")]
    Key,
}

/// A signature that proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The document cannot be read.
    #[error("read the signed document")]
    Read(#[from] crate::ReadError),
    /// There is none where it must be: last child of the root.
    #[error("no signature as the last child of the root")]
    Missing,
    /// It is not of the one profile that DUIS permits.
    #[error("signature outside the profile at {place}: expected {expected}, found {found}")]
    Profile {
        /// Where in the signature.
        place: &'static str,
        /// What the profile has.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// No certificate of that serial number is known.
    #[error("no certificate with serial number {serial} is known")]
    UnknownSigner {
        /// As the signature names it.
        serial: String,
    },
    /// The certificate of that serial number has another issuer.
    #[error("the certificate with serial number {serial} was issued by {known}, not by {found}")]
    Issuer {
        /// As the signature names it.
        serial: String,
        /// Issuer of the certificate.
        known: String,
        /// As the signature names it.
        found: String,
    },
    /// The content was changed after signing.
    #[error("the content is not what was signed: its digest differs")]
    Digest,
    /// The signature value does not fit the certificate's key.
    #[error("the signature value does not belong to certificate {serial}")]
    Value {
        /// Serial number of the certificate.
        serial: String,
    },
}

/// Adds the signature as last child of the root; one that stands there already is replaced, as templates need.
///
/// # Errors
/// When the document cannot be read, or holds a signature of the root anywhere else.
pub fn sign(xml: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignError> {
    enveloped::sign(xml, key)
}

/// Proves the signature of the root and says who made it. Signatures inside the content are content.
///
/// # Errors
/// The first reason why it proves nothing.
pub fn verify(xml: &[u8], certificates: &dyn Certificates) -> Result<Signer, SignatureError> {
    enveloped::verify(xml, certificates)
}

/// What the signature of a document covers and states, gathered while the document was read. It proves nothing until
/// [`Proof::verify`] says so.
pub struct Proof(Result<Survey, SignatureError>);

impl Proof {
    pub(crate) fn new(gathered: Result<Survey, SignatureError>) -> Self {
        Self(gathered)
    }

    /// Proves the signature of the root and says who made it, as [`verify`] does.
    ///
    /// # Errors
    /// The first reason why it proves nothing.
    pub fn verify(&self, certificates: &dyn Certificates) -> Result<Signer, SignatureError> {
        self.0.as_ref().map_err(Clone::clone)?.prove(certificates)
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof")
    }
}

/// Signs octets by the key's [`Scheme`]: ECDSA P-256 over their SHA-256, r and s side by side.
///
/// # Errors
/// When the key gives no signature.
pub fn sign_octets(octets: &[u8], key: &SigningKey) -> Result<[u8; 64], SignError> {
    key.sign(octets)
}

/// Proves a signature of [`sign_octets`].
#[must_use]
pub fn verify_octets(octets: &[u8], signature: &[u8], certificate: &Certificate) -> bool {
    certificate.proves(octets, signature)
}
