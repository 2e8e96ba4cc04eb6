//! The front door towards real clients: TLS, call-backs, certificate look-up, forwarding.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS in front of DUIS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Whether DUIS is served over TLS; else over plain HTTP, as DCC Boxed does.
    pub enabled: bool,
    /// Certificate chain, PEM. Without one the lab's own for localhost is used (`tls-server.crt.pem` of its PKI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PKCS#8 PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub clients: ClientCertificates,
    /// Authorities of clients' certificates, PEM. Without them the lab's own (`tunnel-ca.crt.pem`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
}

/// Whether clients of the front door show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    None,
    /// Who shows one must show a good one.
    Optional,
    /// Without a good one there is no connection.
    Required,
}

/// How the lab shows itself when it posts to a listener over TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallBackConfig {
    /// Client certificate, PEM. Without one the lab's own (`tls-client.crt.pem`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PKCS#8 PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Authorities of listeners' certificates, PEM. Without them the lab's own (`tunnel-ca.crt.pem`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
}

/// Certificate look-up over HTTP, as clients of DCC Boxed expect it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookupConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// Where.
    pub listen: SocketAddr,
    /// The `apikey` that must be in the query. Without one any is taken; anything but loopback needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8083)),
            key: None,
        }
    }
}

/// Where requests for devices go that the inventory does not have: another system, for example for SMETS2 devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardConfig {
    /// Its address without a path, for example `http://192.0.2.7:8079`; without one nothing is forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Path on the DUIS listener to which that system posts what comes later; it is passed on to the user's listener.
    pub receive: String,
}

impl LookupConfig {
    /// What is wrong, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.enabled && !self.listen.ip().is_loopback() && self.key.is_none() {
            return Err(format!("lookup.listen is {}, which needs a lookup.key", self.listen));
        }
        Ok(())
    }
}

impl TlsConfig {
    /// What is wrong, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.certificate, &self.key) {
            (Some(_), None) | (None, Some(_)) => Err("tls.certificate and tls.key go together".to_owned()),
            _ => Ok(()),
        }
    }
}

impl CallBackConfig {
    /// What is wrong, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.certificate, &self.key) {
            (Some(_), None) | (None, Some(_)) => Err("call_back.certificate and call_back.key go together".to_owned()),
            _ => Ok(()),
        }
    }
}
