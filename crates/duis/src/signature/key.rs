//! The key that signs.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use x509_parser::pem::parse_x509_pem;

use super::scheme::{Scheme, stand_in};
use super::{Certificate, CertificateError, SignError};

/// A private key with the certificate that names its owner. Prints without the key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    certificate: Certificate,
}

/// A key that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The certificate cannot be used.
    #[error("read the certificate of the signing key")]
    Certificate(#[from] CertificateError),
    /// Not PEM with a PKCS#8 private key.
    #[error("expected a PEM block \"PRIVATE KEY\" (PKCS#8), found {found}")]
    Pem {
        /// Label of the block, or that there is none; never its content.
        found: String,
    },
    /// Not a P-256 key.
    #[error("expected a PKCS#8 key on curve P-256: {problem}")]
    Key {
        /// What the crypto library says.
        problem: String,
    },
    /// Key and certificate are not a pair.
    #[error("the private key does not belong to certificate {serial} of {eui}")]
    Pair {
        /// Serial number of the certificate.
        serial: String,
        /// Whose certificate it is.
        eui: domain::Eui64,
    },
}

impl SigningKey {
    /// From a PKCS#8 private key and its certificate, both PEM.
    ///
    /// # Errors
    /// When either cannot be read, the key is not on P-256, or the two are not a pair.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, KeyError> {
        let none = || KeyError::Pem {
            found: "no PEM block".to_owned(),
        };
        let (_, pem) = parse_x509_pem(key_pem.as_bytes()).map_err(|_| none())?;
        if pem.label != "PRIVATE KEY" {
            return Err(KeyError::Pem {
                found: format!("a block {:?}", pem.label.chars().take(40).collect::<String>()),
            });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pem.contents).map_err(|error| {
            KeyError::Key {
                problem: error.to_string(),
            }
        })?;
        let certificate = Certificate::from_pem(certificate_pem)?;
        if pair.public_key().as_ref() != certificate.public_key() {
            return Err(KeyError::Pair {
                serial: certificate.serial().to_owned(),
                eui: certificate.eui(),
            });
        }
        Ok(Self {
            pair,
            random: SystemRandom::new(),
            certificate,
        })
    }

    /// The certificate that names the owner.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The same key and certificate, signing and proving by a scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.certificate = self.certificate.with_scheme(scheme);
        self
    }

    pub(super) fn sign(&self, octets: &[u8]) -> Result<[u8; 64], SignError> {
        if self.certificate.scheme() == Scheme::None {
            return Ok(stand_in(self.certificate.public_key(), octets));
        }
        let value = self.pair.sign(&self.random, octets).map_err(|_| SignError::Key)?;
        value.as_ref().try_into().map_err(|_| SignError::Key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("certificate", &self.certificate)
            .field("key", &"<redacted>")
            .finish()
    }
}
