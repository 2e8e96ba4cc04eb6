//! Users with their certificates: issued by the lab, or read from a file.

use std::path::Path;

use domain::Seed;
use rcgen::KeyUsagePurpose;
use serde::{Deserialize, Serialize};

use super::authority::Authority;
use super::{Error, NETWORK_OPERATOR, Organisation, SUPPLIER, User, XML_SIGNING};
use crate::config::{ConfigError, UserConfig, strict};
use crate::files::read_text;

/// Reads users with their certificates from one file, as `pki init` writes it or as given from elsewhere.
///
/// # Errors
/// When the file cannot be read, has an unknown key, or an EUI-64 or role that is none.
pub fn load_users(path: &Path) -> Result<Vec<User>, Error> {
    let file = path.display().to_string();
    let entries: UsersFile = strict(&file, &read_text(path)?)?;
    let wrong = |problem: String| ConfigError {
        file: file.clone(),
        line: None,
        problem,
        hint: None,
    };
    let mut users = Vec::with_capacity(entries.user.len());
    for entry in entries.user {
        let eui = entry
            .eui
            .parse()
            .map_err(|error| wrong(format!("user {}: {error}", entry.name)))?;
        let mut roles = Vec::with_capacity(entry.roles.len());
        for role in &entry.roles {
            roles.push(
                role.parse()
                    .map_err(|error| wrong(format!("user {}: {error}", entry.name)))?,
            );
        }
        users.push(User {
            name: entry.name,
            eui,
            roles,
            certificate_pem: entry.certificate,
            identity: None,
            organisation: entry.organisation,
            listener: entry.listener,
        });
    }
    Ok(users)
}

impl User {
    pub(super) fn issue(seed: &Seed, issuer: &Authority, config: &UserConfig) -> Result<Self, Error> {
        let identity = issuer.signer(seed, XML_SIGNING, config.eui)?;
        let number = if config.roles.iter().any(|role| role.is_supplier()) {
            Some(SUPPLIER)
        } else {
            let operates = config.roles.iter().any(|role| role.is_network_operator());
            operates.then_some(NETWORK_OPERATOR)
        };
        let organisation = number
            .map(|number| {
                Ok::<_, Error>(Organisation {
                    signing: issuer.party(seed, number, config.eui, KeyUsagePurpose::DigitalSignature)?,
                    agreement: issuer.party(seed, number, config.eui, KeyUsagePurpose::KeyAgreement)?,
                })
            })
            .transpose()?;
        Ok(Self {
            name: config.name.clone(),
            eui: config.eui,
            roles: config.roles.clone(),
            certificate_pem: identity.certificate_pem.clone(),
            identity: Some(identity),
            organisation,
            listener: config.listener.clone(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<String>,
    #[serde(default)]
    pub(super) user: Vec<UserEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) name: String,
    pub(super) eui: String,
    pub(super) roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listener: Option<String>,
    pub(super) certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) organisation: Option<Organisation>,
}
