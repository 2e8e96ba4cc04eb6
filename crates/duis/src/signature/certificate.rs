//! Certificates of those who sign XML.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use domain::{Eui64, SimInstant};
use x509_parser::der_parser::ber::Tag;
use x509_parser::oid_registry::Oid;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::scheme::{Scheme, stand_in};

/// Where a verifier finds certificates. The signature names them by serial number only.
pub trait Certificates {
    /// The certificate with that serial number, decimal without leading zeros.
    fn by_serial(&self, decimal: &str) -> Option<&Certificate>;
}

/// The certificate of a party: serial number, issuer, EUI-64, role, validity and P-256 key.
///
/// Validity, policy and chain are read and not judged here: published test certificates are out of date, and who is trusted is the
/// business of whoever fills the [`CertificateBook`].
#[derive(Clone)]
pub struct Certificate {
    serial: String,
    issuer: String,
    issuer_common_name: Option<String>,
    eui: Eui64,
    role: Option<u8>,
    validity: (SimInstant, SimInstant),
    key_agreement: bool,
    fingerprint: [u8; 20],
    key: ParsedPublicKey,
    scheme: Scheme,
}

/// A certificate that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not PEM with one certificate.
    #[error("expected a PEM block \"CERTIFICATE\", found {found}")]
    Pem {
        /// Label of the block, or that there is none.
        found: String,
    },
    /// Not an X.509 certificate.
    #[error("expected an X.509 certificate in DER: {problem}")]
    Der {
        /// What the parser says.
        problem: String,
    },
    /// Its key is on another curve or of another kind.
    #[error("certificate {serial} has no P-256 key")]
    Key {
        /// Serial number, decimal.
        serial: String,
    },
    /// It does not say whose it is.
    #[error("certificate {serial} names no EUI-64: neither as unique identifier (2.5.4.45) nor as common name")]
    Eui {
        /// Serial number, decimal.
        serial: String,
    },
    /// Another certificate has the same serial number, so a signature could not say which it means.
    #[error("two certificates have serial number {serial}: of {first} and of {second}")]
    Serial {
        /// Serial number, decimal.
        serial: String,
        /// Whose came first.
        first: Eui64,
        /// Whose came second.
        second: Eui64,
    },
}

impl Certificate {
    /// From the first PEM block of a text.
    ///
    /// # Errors
    /// When it is no certificate, names no EUI-64 or has no P-256 key.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let none = || CertificateError::Pem {
            found: "no PEM block".to_owned(),
        };
        let (_, pem) = parse_x509_pem(text.as_bytes()).map_err(|_| none())?;
        if pem.label != "CERTIFICATE" {
            let found = format!("a block {:?}", pem.label.chars().take(40).collect::<String>());
            return Err(CertificateError::Pem { found });
        }
        Self::from_der(&pem.contents)
    }

    /// From DER.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let der_error = |problem: String| CertificateError::Der { problem };
        let (rest, x509) = X509Certificate::from_der(der).map_err(|error| der_error(error.to_string()))?;
        if !rest.is_empty() {
            return Err(der_error(format!("{} octets follow the certificate", rest.len())));
        }
        let serial = decimal(x509.raw_serial());
        let point = x509.public_key().subject_public_key.data.as_ref();
        let on_curve = x509
            .public_key()
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.clone().oid().ok());
        if point.len() != 65 || on_curve.map(|oid| oid.to_id_string()).as_deref() != Some(P256) {
            return Err(CertificateError::Key { serial });
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .map_err(|_| CertificateError::Key { serial: serial.clone() })?;
        let eui = eui(x509.subject()).ok_or_else(|| CertificateError::Eui { serial: serial.clone() })?;
        Ok(Self {
            serial,
            issuer: rfc2253(x509.issuer()),
            issuer_common_name: attribute(x509.issuer(), COMMON_NAME)
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
            eui,
            role: role(x509.subject()),
            validity: (
                instant(&x509.validity().not_before),
                instant(&x509.validity().not_after),
            ),
            key_agreement: x509
                .key_usage()
                .ok()
                .flatten()
                .is_some_and(|usage| usage.value.key_agreement()),
            fingerprint: sha1(der),
            key,
            scheme: Scheme::default(),
        })
    }

    /// Serial number, decimal.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Issuer in the form of RFC 2253, for example `CN=Z1,OU=07`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Common name of the issuer, for example `Z1`: with the serial number it identifies the certificate in the Smart
    /// Energy Code's sense.
    #[must_use]
    pub fn issuer_common_name(&self) -> Option<&str> {
        self.issuer_common_name.as_deref()
    }

    /// First and last instant of its validity.
    #[must_use]
    pub fn validity(&self) -> (SimInstant, SimInstant) {
        self.validity
    }

    /// Whether it is for key agreement rather than for signatures.
    #[must_use]
    pub fn is_for_key_agreement(&self) -> bool {
        self.key_agreement
    }

    /// SHA-1 of the certificate, as responses about credentials name it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 20] {
        self.fingerprint
    }

    /// Whose it is.
    #[must_use]
    pub fn eui(&self) -> Eui64 {
        self.eui
    }

    /// Role number out of the subject's OU, which is hexadecimal: 0x87 for XML signing, 0x89 for the DCC's.
    #[must_use]
    pub fn role(&self) -> Option<u8> {
        self.role
    }

    /// The P-256 point, 65 octets.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.key.as_ref()
    }

    /// The same certificate, proving by a scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// What it proves by: [`Scheme::P256`] until [`Certificate::with_scheme`] says otherwise.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(super) fn proves(&self, octets: &[u8], signature: &[u8]) -> bool {
        match self.scheme {
            Scheme::P256 => self.key.verify_sig(octets, signature).is_ok(),
            Scheme::None => stand_in(self.public_key(), octets) == signature,
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {} issued by {})", self.serial, self.eui, self.issuer)
    }
}

/// Certificates by serial number.
#[derive(Clone, Debug, Default)]
pub struct CertificateBook {
    by_serial: BTreeMap<String, Certificate>,
}

impl CertificateBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate; adding the same once more changes nothing.
    ///
    /// # Errors
    /// [`CertificateError::Serial`] when another certificate with that serial number is in the book.
    pub fn add(&mut self, certificate: Certificate) -> Result<(), CertificateError> {
        if let Some(first) = self.by_serial.get(&certificate.serial)
            && (first.public_key() != certificate.public_key()
                || first.eui != certificate.eui
                || first.issuer != certificate.issuer)
        {
            return Err(CertificateError::Serial {
                serial: certificate.serial,
                first: first.eui,
                second: certificate.eui,
            });
        }
        self.by_serial.insert(certificate.serial.clone(), certificate);
        Ok(())
    }

    /// All certificates, by serial number.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.by_serial.values()
    }
}

impl Certificates for CertificateBook {
    fn by_serial(&self, decimal: &str) -> Option<&Certificate> {
        self.by_serial.get(decimal)
    }
}

/// One certificate is a book too.
impl Certificates for Certificate {
    fn by_serial(&self, decimal: &str) -> Option<&Certificate> {
        (self.serial == decimal).then_some(self)
    }
}

const P256: &str = "1.2.840.10045.3.1.7";
const COMMON_NAME: &str = "2.5.4.3";
const ORGANISATIONAL_UNIT: &str = "2.5.4.11";
const UNIQUE_IDENTIFIER: &str = "2.5.4.45";

fn attribute<'a>(name: &'a X509Name<'a>, oid: &str) -> Option<&'a AttributeTypeAndValue<'a>> {
    name.iter_attributes()
        .find(|attribute| attribute.attr_type().to_id_string() == oid)
}

/// The EUI-64: a BIT STRING of 64 bits as unique identifier, else a common name that is one.
fn eui(subject: &X509Name<'_>) -> Option<Eui64> {
    if let Some(unique) = attribute(subject, UNIQUE_IDENTIFIER) {
        let value = unique.attr_value();
        let octets = match (value.tag(), value.data) {
            // The first content octet of a BIT STRING counts the unused bits.
            (Tag::BitString, [0, octets @ ..]) => octets,
            _ => return None,
        };
        return octets.try_into().ok().map(Eui64::from_bytes);
    }
    let name = attribute(subject, COMMON_NAME)?.as_str().ok()?;
    name.parse().ok().or_else(|| {
        let plain = name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u64::from_str_radix(name, 16).ok().map(Eui64)).flatten()
    })
}

fn instant(at: &x509_parser::time::ASN1Time) -> SimInstant {
    SimInstant(at.timestamp().saturating_mul(1000))
}

fn sha1(der: &[u8]) -> [u8; 20] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    digest.as_ref().try_into().unwrap_or([0; 20])
}

fn role(subject: &X509Name<'_>) -> Option<u8> {
    let unit = attribute(subject, ORGANISATIONAL_UNIT)?.as_str().ok()?;
    u8::from_str_radix(unit, 16).ok()
}

/// Last name part first, joined by commas, special characters escaped.
fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let values: Vec<String> = rdn
                .iter()
                .map(|attribute| {
                    let value = match attribute.as_str() {
                        Ok(text) => escaped(text),
                        Err(_) => attribute.as_slice().iter().fold("#".to_owned(), |mut hex, octet| {
                            let _ = write!(hex, "{octet:02x}");
                            hex
                        }),
                    };
                    format!("{}={value}", short_name(attribute.attr_type()))
                })
                .collect();
            values.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn short_name(oid: &Oid<'_>) -> String {
    let dotted = oid.to_id_string();
    match dotted.as_str() {
        COMMON_NAME => "CN".to_owned(),
        "2.5.4.6" => "C".to_owned(),
        "2.5.4.7" => "L".to_owned(),
        "2.5.4.8" => "ST".to_owned(),
        "2.5.4.10" => "O".to_owned(),
        ORGANISATIONAL_UNIT => "OU".to_owned(),
        _ => dotted,
    }
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        let edge_space = c == ' ' && (at == 0 || at == last);
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || edge_space || (c == '#' && at == 0) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A big-endian number as decimal text.
fn decimal(octets: &[u8]) -> String {
    // Limbs of nine decimal digits, least significant first; serial numbers have at most 20 octets.
    let mut limbs: Vec<u32> = vec![0];
    for octet in octets {
        let mut carry = u64::from(*octet);
        for limb in &mut limbs {
            let value = u64::from(*limb) * 256 + carry;
            *limb = (value % 1_000_000_000) as u32;
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let mut out = String::new();
    for (at, limb) in limbs.iter().rev().enumerate() {
        let _ = if at == 0 {
            write!(out, "{limb}")
        } else {
            write!(out, "{limb:09}")
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 0]), "0");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&[0x3b, 0x9a, 0xca, 0x00]), "1000000000");
        let serial = [
            0x7d, 0xac, 0x72, 0x83, 0xaa, 0xd2, 0x9b, 0xdd, 0x23, 0xc9, 0xef, 0xbf, 0xdd, 0xb5, 0x2a, 0x41,
        ];
        assert_eq!(decimal(&serial), "167048897159233642262001557408276884033");
    }

    #[test]
    fn names_escape_what_rfc_2253_says() {
        assert_eq!(escaped("a,b"), "a\\,b");
        assert_eq!(escaped(" a "), "\\ a\\ ");
        assert_eq!(escaped("#a#"), "\\#a#");
    }
}
