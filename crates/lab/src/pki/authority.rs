//! Authorities and the certificates they issue.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::{Eui64, Seed};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};

use super::{Error, Identity};

/// An authority: what it issues it signs.
pub(super) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(super) identity: Identity,
}

impl Authority {
    pub(super) fn new(seed: &Seed, label: &str, name: &[(DnType, &str)], above: Option<&Self>) -> Result<Self, Error> {
        let failed = |source| Error::Certificate {
            subject: label.to_owned(),
            source,
        };
        let mut params = params(seed, label);
        for (kind, text) in name {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &Issuer::from_params(&above.params, &above.key)),
        }
        .map_err(failed)?;
        let identity = Identity::new(certificate.pem(), key.serialize_pem());
        Ok(Self { params, key, identity })
    }

    /// A certificate for XML signatures: `OU` = role in hex, then the EUI-64 as unique identifier, which must come last.
    pub(super) fn signer(&self, seed: &Seed, role: u8, eui: Eui64) -> Result<Identity, Error> {
        self.subject(
            seed,
            &format!("{role:02X} {eui}"),
            (role, eui),
            KeyUsagePurpose::DigitalSignature,
        )
    }

    /// A certificate of an organisation. Its key is not kept: the lab signs nothing with it.
    pub(super) fn party(&self, seed: &Seed, role: u8, eui: Eui64, usage: KeyUsagePurpose) -> Result<String, Error> {
        let label = format!("{role:02X} {eui} {usage:?}");
        Ok(self.subject(seed, &label, (role, eui), usage)?.certificate_pem)
    }

    pub(super) fn subject(
        &self,
        seed: &Seed,
        label: &str,
        (role, eui): (u8, Eui64),
        usage: KeyUsagePurpose,
    ) -> Result<Identity, Error> {
        let failed = |source| Error::Certificate {
            subject: eui.to_string(),
            source,
        };
        let mut params = params(seed, label);
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, format!("{role:02X}"));
        params
            .distinguished_name
            .push(DnType::CustomDnType(UNIQUE_IDENTIFIER.to_vec()), PLACEHOLDER);
        params.key_usages = vec![usage];
        let key = KeyPair::generate().map_err(failed)?;
        let patching = Patching { key: &self.key, eui };
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&self.params, patching))
            .map_err(failed)?;
        let der = with_unique_identifier(certificate.der(), eui);
        Ok(Identity::new(pem("CERTIFICATE", &der), key.serialize_pem()))
    }

    /// For TLS between the front door and users on this machine.
    pub(super) fn tls_end(&self, seed: &Seed, name: &str) -> Result<Identity, Error> {
        self.end(seed, name, &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    pub(super) fn tunnel_end(&self, seed: &Seed, name: &str) -> Result<Identity, Error> {
        self.end(seed, name, &[])
    }

    pub(super) fn end(&self, seed: &Seed, name: &str, addresses: &[IpAddr]) -> Result<Identity, Error> {
        let failed = |source| Error::Certificate {
            subject: name.to_owned(),
            source,
        };
        let mut params = params(seed, name);
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.to_owned().try_into().map_err(failed)?)];
        let addresses = addresses.iter().copied().map(rcgen::SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&self.params, &self.key))
            .map_err(failed)?;
        Ok(Identity::new(certificate.pem(), key.serialize_pem()))
    }
}

/// Signs the certificate body with the EUI-64 in place of the placeholder.
///
/// rcgen writes names as strings only, while a unique identifier is a BIT STRING; both encodings have the same length.
struct Patching<'a> {
    key: &'a KeyPair,
    eui: Eui64,
}

impl PublicKeyData for Patching<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl SigningKey for Patching<'_> {
    fn sign(&self, body: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(&with_unique_identifier(body, self.eui))
    }
}

/// Valid from 2018 to 2118, with a serial number of eight octets that comes from the seed.
fn params(seed: &Seed, label: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2018, 1, 1);
    params.not_after = rcgen::date_time_ymd(2118, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    // The top bit clear keeps it positive, the next one set keeps its length.
    let serial = seed.child(label).number() & 0x3FFF_FFFF_FFFF_FFFF | 0x4000_0000_0000_0000;
    params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
    params.use_authority_key_identifier_extension = true;
    params
}

/// The placeholder's encoding (UTF8String, nine octets) replaced by BIT STRING, no unused bits, EUI-64.
fn with_unique_identifier(der: &[u8], eui: Eui64) -> Vec<u8> {
    let mut wanted = vec![0x0C, 9];
    wanted.extend_from_slice(PLACEHOLDER.as_bytes());
    let mut out = der.to_vec();
    if let Some(at) = der.windows(wanted.len()).position(|window| window == wanted) {
        let mut identifier = vec![0x03, 9, 0];
        identifier.extend_from_slice(&eui.to_bytes());
        out.splice(at..at + wanted.len(), identifier);
    }
    out
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

const UNIQUE_IDENTIFIER: [u64; 4] = [2, 5, 4, 45];
const PLACEHOLDER: &str = "EUI-64...";
