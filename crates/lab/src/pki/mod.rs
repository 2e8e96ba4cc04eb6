//! The lab's own PKI: a root, an issuing authority for XML signatures, and an authority of its own for the tunnel.
//!
//! Certificates have the shape of the published test certificates (issuer `OU=07`, subject `OU` = role in hex followed by
//! the EUI-64 as unique identifier), but claim no policy: they are a lab's. Keys are drawn at random; serial numbers come
//! from the seed, so that a message which names its signer has the same octets in every run.

mod authority;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};

use domain::{Eui64, Seed, UserRole};
use rcgen::DnType;
use serde::{Deserialize, Serialize};
use world::sealed::OpeningKey;

use crate::config::{Config, ConfigError};
use crate::files::{FileError, read_text, write_public, write_secret};
use crate::tunnel::Credentials;
use authority::Authority;
use users::{UserEntry, UsersFile};

pub use users::load_users;

/// Role number of parties that sign XML: 0x87.
pub const XML_SIGNING: u8 = 0x87;
/// Role number of the DCC's own XML signatures: 0x89.
pub const DSP_XML_SIGNING: u8 = 0x89;
/// Role number of suppliers' organisation certificates.
pub const SUPPLIER: u8 = 2;
/// Role number of network operators' organisation certificates.
pub const NETWORK_OPERATOR: u8 = 3;
/// EUI-64 of the lab's S1SP as a signer of XML.
pub const S1SP_EUI: Eui64 = Eui64(0x90B3_D51F_3000_0051);
/// EUI-64 of the lab's requesting party as a signer of migration files.
pub const RP_EUI: Eui64 = Eui64(0x90B3_D51F_3000_0061);
/// EUI-64 of the lab's commissioning party as a signer of migration files.
pub const CP_EUI: Eui64 = Eui64(0x90B3_D51F_3000_0062);
/// Name of the lab in the certificate its call-backs show.
pub const TLS_CLIENT: &str = "call-back.s1lab.invalid";
/// Name of the core in its tunnel certificate.
pub const TUNNEL_CORE: &str = "core.s1lab.invalid";
/// Name of the fleet in its tunnel certificate.
pub const TUNNEL_FLEET: &str = "fleet.s1lab.invalid";

/// A certificate with its private key. Prints without the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The private key as PKCS#8, PEM.
    key_pem: String,
}

impl Identity {
    /// From a certificate and its key, both PEM.
    #[must_use]
    pub fn new(certificate_pem: String, key_pem: String) -> Self {
        Self {
            certificate_pem,
            key_pem,
        }
    }

    /// The private key, PEM; only signers and key files have a reason to ask.
    #[must_use]
    pub fn expose_key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Identity({} octets of certificate, key <redacted>)",
            self.certificate_pem.len()
        )
    }
}

/// One user: who it is, what proves its signatures and, for the lab's own users, what makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// A plainly fake name.
    pub name: String,
    /// Its EUI-64.
    pub eui: Eui64,
    /// Roles it may send in.
    pub roles: Vec<UserRole>,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Certificate and key, for users the lab plays itself.
    pub identity: Option<Identity>,
    /// The organisation's certificates that devices' records name, for users that are suppliers or network operators.
    pub organisation: Option<Organisation>,
    /// Where its responses are posted.
    pub listener: Option<String>,
}

/// The certificates of an organisation that a device's record may name, PEM. Nothing in the lab is signed with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// For signatures: the critical one.
    pub signing: String,
    /// For key agreement: the non-critical one.
    pub agreement: String,
}

/// Everything the lab's authorities have issued.
#[derive(Clone, Debug)]
pub struct Pki {
    /// Root of the XML signing certificates.
    pub root: Identity,
    /// Issuing authority, `CN=L1,OU=07`.
    pub issuer: Identity,
    /// The DCC's signing certificate.
    pub dcc: Identity,
    /// The S1SP's signing certificate.
    pub s1sp: Identity,
    /// The requesting party's signing certificate.
    pub rp: Identity,
    /// The commissioning party's signing certificate.
    pub cp: Identity,
    /// Opens what is sealed to the S1SP.
    pub s1sp_opening: Opening,
    /// Opens what is sealed to the DCO.
    pub dco_opening: Opening,
    /// Opens what is sealed to the requesting party.
    pub rp_opening: Opening,
    /// Authority of the tunnel.
    pub tunnel_ca: Identity,
    /// The core's end of the tunnel.
    pub tunnel_core: Identity,
    /// The fleet's end of the tunnel.
    pub tunnel_fleet: Identity,
    /// What the front door shows over TLS: for localhost, issued by the tunnel's authority. None in a PKI made before there
    /// was one.
    pub tls_server: Option<Identity>,
    /// What call-backs show over TLS; likewise.
    pub tls_client: Option<Identity>,
    /// Users, in the order of the configuration.
    pub users: Vec<User>,
}

/// A private key that opens what is sealed to its owner: 32 octets. Prints as `<redacted>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opening([u8; world::sealed::PRIVATE_KEY_LEN]);

impl Opening {
    fn generate() -> Result<Self, Error> {
        let key = OpeningKey::generate().and_then(|key| key.expose());
        key.map(Self).map_err(|_| Error::Opening("draw a key".into()))
    }

    fn from_hex(name: &str, text: &str) -> Result<Self, Error> {
        let octets = hex::decode(text.trim()).ok().and_then(|octets| octets.try_into().ok());
        let opening = octets.map(Self).filter(|opening| opening.key().is_ok());
        opening.ok_or_else(|| Error::Opening(format!("{name} is not a private key of 64 hex digits")))
    }

    /// The key.
    ///
    /// # Errors
    /// [`Error::Opening`], which only a damaged file can cause.
    pub fn key(&self) -> Result<OpeningKey, Error> {
        OpeningKey::from_octets(&self.0).map_err(|error| Error::Opening(error.to_string()))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A PKI that could not be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The certificate could not be made: our bug, or a name the encoding does not permit.
    #[error("make the certificate of {subject}")]
    Certificate {
        /// Whose.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A file of users that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key for what is sealed that cannot be made or used.
    #[error("use a key that opens sealed files: {0}")]
    Opening(String),
}

impl Pki {
    /// Makes authorities, the parties' and the users' certificates.
    ///
    /// # Errors
    /// [`Error::Certificate`], which only a bug can cause.
    pub fn generate(config: &Config) -> Result<Self, Error> {
        let seed = Seed::root(config.seed).child("pki");
        let root = Authority::new(
            &seed,
            "root",
            &[(DnType::OrganizationalUnitName, "00"), (DnType::CommonName, "L0")],
            None,
        )?;
        let issuer = Authority::new(
            &seed,
            "issuer",
            &[(DnType::OrganizationalUnitName, "07"), (DnType::CommonName, "L1")],
            Some(&root),
        )?;
        let tunnel = Authority::new(&seed, "tunnel", &[(DnType::CommonName, "s1lab tunnel authority")], None)?;
        let mut users = Vec::with_capacity(config.users.len());
        for user in &config.users {
            users.push(User::issue(&seed, &issuer, user)?);
        }
        Ok(Self {
            dcc: issuer.signer(&seed, DSP_XML_SIGNING, config.dcc.eui)?,
            s1sp: issuer.signer(&seed, XML_SIGNING, S1SP_EUI)?,
            rp: issuer.signer(&seed, XML_SIGNING, RP_EUI)?,
            cp: issuer.signer(&seed, XML_SIGNING, CP_EUI)?,
            s1sp_opening: Opening::generate()?,
            dco_opening: Opening::generate()?,
            rp_opening: Opening::generate()?,
            tunnel_core: tunnel.tunnel_end(&seed, TUNNEL_CORE)?,
            tunnel_fleet: tunnel.tunnel_end(&seed, TUNNEL_FLEET)?,
            tls_server: Some(tunnel.tls_end(&seed, "localhost")?),
            tls_client: Some(tunnel.tls_end(&seed, TLS_CLIENT)?),
            root: root.identity,
            issuer: issuer.identity,
            tunnel_ca: tunnel.identity,
            users,
        })
    }

    /// Writes every certificate and key below `folder`, and `users.toml`; keys with mode 0600. Gives the files written.
    ///
    /// # Errors
    /// When a file exists already or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut written = Vec::new();
        let mut identity = |name: &str, identity: &Identity| -> Result<(), Error> {
            let certificate = folder.join(format!("{name}.crt.pem"));
            write_public(&certificate, &identity.certificate_pem)?;
            let key = folder.join(format!("{name}.key.pem"));
            write_secret(&key, identity.expose_key_pem())?;
            written.extend([certificate, key]);
            Ok(())
        };
        for (name, of) in self.parties() {
            identity(name, of)?;
        }
        for (name, of) in [("tls-server", &self.tls_server), ("tls-client", &self.tls_client)] {
            if let Some(of) = of {
                identity(name, of)?;
            }
        }
        for user in &self.users {
            if let Some(own) = &user.identity {
                identity(&user_file(user.eui), own)?;
            }
        }
        for (name, opening) in self.openings() {
            let key = folder.join(opening_file(name));
            write_secret(&key, &format!("{}\n", hex::encode(opening.0)))?;
            written.push(key);
        }
        let users = folder.join("users.toml");
        write_public(&users, &self.users_toml())?;
        written.push(users);
        Ok(written)
    }

    /// Reads what [`Pki::write`] wrote.
    ///
    /// # Errors
    /// When a file is missing or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let identity = |name: &str| -> Result<Identity, Error> {
            Ok(Identity::new(
                read_text(&folder.join(format!("{name}.crt.pem")))?,
                read_text(&folder.join(format!("{name}.key.pem")))?,
            ))
        };
        let opening = |name: &str| -> Result<Opening, Error> {
            let file = opening_file(name);
            Opening::from_hex(&file, &read_text(&folder.join(&file))?)
        };
        let optional = |name: &str| -> Result<Option<Identity>, Error> {
            let there = folder.join(format!("{name}.crt.pem")).exists();
            there.then(|| identity(name)).transpose()
        };
        let mut users = load_users(&folder.join("users.toml"))?;
        for user in &mut users {
            let key = folder.join(format!("{}.key.pem", user_file(user.eui)));
            if key.exists() {
                user.identity = Some(Identity::new(user.certificate_pem.clone(), read_text(&key)?));
            }
        }
        Ok(Self {
            root: identity("root-ca")?,
            issuer: identity("issuing-ca")?,
            dcc: identity("dcc")?,
            s1sp: identity("s1sp")?,
            rp: identity("rp")?,
            cp: identity("cp")?,
            s1sp_opening: opening("s1sp")?,
            dco_opening: opening("dco")?,
            rp_opening: opening("rp")?,
            tunnel_ca: identity("tunnel-ca")?,
            tunnel_core: identity("tunnel-core")?,
            tunnel_fleet: identity("tunnel-fleet")?,
            tls_server: optional("tls-server")?,
            tls_client: optional("tls-client")?,
            users,
        })
    }

    /// Writes what a fleet elsewhere needs of the PKI below `folder`: the tunnel's authority and the fleet's own end.
    ///
    /// # Errors
    /// When a file exists already or cannot be written.
    pub fn write_fleet(&self, folder: &Path) -> Result<(), Error> {
        write_public(&folder.join("tunnel-ca.crt.pem"), &self.tunnel_ca.certificate_pem)?;
        write_public(&folder.join("tunnel-fleet.crt.pem"), &self.tunnel_fleet.certificate_pem)?;
        write_secret(&folder.join("tunnel-fleet.key.pem"), self.tunnel_fleet.expose_key_pem())?;
        Ok(())
    }

    fn openings(&self) -> [(&'static str, &Opening); 3] {
        [
            ("s1sp", &self.s1sp_opening),
            ("dco", &self.dco_opening),
            ("rp", &self.rp_opening),
        ]
    }

    fn parties(&self) -> [(&'static str, &Identity); 9] {
        [
            ("root-ca", &self.root),
            ("issuing-ca", &self.issuer),
            ("dcc", &self.dcc),
            ("s1sp", &self.s1sp),
            ("rp", &self.rp),
            ("cp", &self.cp),
            ("tunnel-ca", &self.tunnel_ca),
            ("tunnel-core", &self.tunnel_core),
            ("tunnel-fleet", &self.tunnel_fleet),
        ]
    }

    fn users_toml(&self) -> String {
        let file = UsersFile {
            ca: Some(self.issuer.certificate_pem.clone()),
            user: self
                .users
                .iter()
                .map(|user| UserEntry {
                    name: user.name.clone(),
                    eui: user.eui.to_string(),
                    roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
                    listener: user.listener.clone(),
                    certificate: user.certificate_pem.clone(),
                    organisation: user.organisation.clone(),
                })
                .collect(),
        };
        let text = toml::to_string(&file).unwrap_or_default();
        format!("# DCC users of the lab: EUI-64, roles, certificate. No private keys.\n{text}")
    }
}

fn opening_file(name: &str) -> String {
    format!("{name}.opening-key.hex")
}

/// A certificate as requests carry it: base64 of its DER, out of its PEM.
#[must_use]
pub fn base64_of(pem: &str) -> String {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
}

/// The fleet's credentials from a folder that [`Pki::write`] or [`Pki::write_fleet`] filled.
///
/// # Errors
/// When a file is missing.
pub fn load_fleet_credentials(folder: &Path) -> Result<Credentials, Error> {
    let text = |name: &str| read_text(&folder.join(name));
    Ok(Credentials {
        authority_pem: text("tunnel-ca.crt.pem")?,
        identity: Identity::new(text("tunnel-fleet.crt.pem")?, text("tunnel-fleet.key.pem")?),
    })
}

fn user_file(eui: Eui64) -> String {
    format!("user-{eui}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn subject_and_serial(pem: &str) -> (String, Vec<u8>, String) {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        let (_, certificate) = X509Certificate::from_der(&pem.contents).expect("DER");
        let last = certificate
            .subject()
            .iter_attributes()
            .last()
            .expect("a name")
            .as_slice()
            .to_vec();
        (
            certificate.issuer().to_string(),
            last,
            certificate.tbs_certificate.serial.to_string(),
        )
    }

    #[test]
    fn certificates_have_the_published_shape_and_verify() {
        let config = Config::default();
        let pki = Pki::generate(&config).expect("made");
        let (issuer, unique, serial) = subject_and_serial(&pki.users[0].certificate_pem);
        assert_eq!(issuer, "OU=07, CN=L1");
        assert_eq!(unique, [&[0u8][..], &config.users[0].eui.to_bytes()].concat());
        let again = Pki::generate(&config).expect("made");
        assert_eq!(
            subject_and_serial(&again.users[0].certificate_pem).2,
            serial,
            "serials come from the seed"
        );
        assert_ne!(
            again.users[0].certificate_pem, pki.users[0].certificate_pem,
            "keys do not"
        );

        let der = |pem: &str| {
            x509_parser::pem::parse_x509_pem(pem.as_bytes())
                .expect("PEM")
                .1
                .contents
        };
        let (user, issuer, root) = (
            der(&pki.users[0].certificate_pem),
            der(&pki.issuer.certificate_pem),
            der(&pki.root.certificate_pem),
        );
        let parse = |der| X509Certificate::from_der(der).expect("DER").1;
        let verifies = |child: &X509Certificate<'_>, parent: &X509Certificate<'_>| {
            let key = aws_lc_rs::signature::UnparsedPublicKey::new(
                &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
                &parent.public_key().subject_public_key.data,
            );
            key.verify(child.tbs_certificate.as_ref(), &child.signature_value.data)
                .is_ok()
        };
        assert!(verifies(&parse(&user), &parse(&issuer)));
        assert!(verifies(&parse(&issuer), &parse(&root)));
    }

    #[test]
    fn files_read_back_as_written_and_keys_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Pki::generate(&Config::default()).expect("made");
        let files = pki.write(folder.path()).expect("written");
        // Certificates and keys of nine parties, of the two ends of TLS and of the users, three keys for sealed files, and the list of users.
        assert_eq!(files.len(), 18 + 4 + 2 * pki.users.len() + 3 + 1);
        let back = Pki::load(folder.path()).expect("read");
        let fleet = tempfile::tempdir().expect("a folder");
        pki.write_fleet(fleet.path()).expect("written");
        assert_eq!(
            load_fleet_credentials(fleet.path()).expect("read").identity,
            pki.tunnel_fleet
        );
        assert_eq!(back.users, pki.users);
        assert_eq!(back.dcc, pki.dcc);
        assert!(back.dco_opening == pki.dco_opening && back.s1sp_opening != back.dco_opening);
        #[cfg(unix)]
        for file in files.iter().filter(|file| file.to_string_lossy().contains("key.")) {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(file).expect("there").permissions().mode() & 0o777,
                0o600
            );
        }
        assert!(pki.write(folder.path()).is_err(), "nothing is overwritten");
        assert!(!format!("{pki:?}").contains("PRIVATE"));
    }
}
