//! Custody: who holds which relation secret. One file per role; no role can derive another's.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use domain::Seed;
use domain::keys::{Party, RelationSecret};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError, strict};
use crate::files::{FileError, read_text, write_secret};

/// The three relation secrets, as the device side holds them. Every other role gets only its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    /// What the operator before enrolment shares with devices.
    pub smso: RelationSecret,
    /// What the S1SP shares with devices.
    pub s1sp: RelationSecret,
    /// What the DCO shares with devices.
    pub dco: RelationSecret,
}

/// Custody that could not be made, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine gives no random octets.
    #[error("the machine gives no random octets")]
    Random,
    /// A custody file that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Custody {
    /// Custody of a run that must repeat: from the run's seed, by a branch that no role is given.
    #[must_use]
    pub fn of_run(config: &Config) -> Self {
        let branch = Seed::root(config.seed).child("custody");
        let secret = |party: Party| RelationSecret::new(*branch.child(party.as_str()).bytes());
        Self {
            smso: secret(Party::Smso),
            s1sp: secret(Party::S1sp),
            dco: secret(Party::Dco),
        }
    }

    /// Custody drawn at random.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn random() -> Result<Self, Error> {
        let secret = || {
            let mut octets = [0; 32];
            SystemRandom::new().fill(&mut octets).map_err(|_| Error::Random)?;
            Ok::<_, Error>(RelationSecret::new(octets))
        };
        Ok(Self {
            smso: secret()?,
            s1sp: secret()?,
            dco: secret()?,
        })
    }

    /// Writes one file per role below `folder`, mode 0600: three with one secret each, and the device side's with all.
    ///
    /// # Errors
    /// When a file exists already or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut written = vec![self.write_fleet(folder)?];
        for (role, party) in [("smso", Party::Smso), ("s1sp", Party::S1sp), ("dco", Party::Dco)] {
            let path = custody_file(folder, role);
            write_secret(&path, &self.text(role, &[party]))?;
            written.push(path);
        }
        Ok(written)
    }

    /// Writes the device side's file alone, for a fleet elsewhere.
    ///
    /// # Errors
    /// When the file exists already or cannot be written.
    pub fn write_fleet(&self, folder: &Path) -> Result<PathBuf, Error> {
        let path = custody_file(folder, "fleet");
        write_secret(&path, &self.text("fleet", &[Party::Smso, Party::S1sp, Party::Dco]))?;
        Ok(path)
    }

    /// Reads the device side's file.
    ///
    /// # Errors
    /// When it is missing, lacks a secret or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Ok(Self {
            smso: load_secret(folder, "fleet", Party::Smso)?,
            s1sp: load_secret(folder, "fleet", Party::S1sp)?,
            dco: load_secret(folder, "fleet", Party::Dco)?,
        })
    }

    /// The secrets in the form the device side takes.
    #[must_use]
    pub fn relations(&self) -> meter::Relations {
        meter::Relations {
            smso: self.smso.clone(),
            s1sp: self.s1sp.clone(),
            dco: self.dco.clone(),
        }
    }

    fn secret(&self, party: Party) -> &RelationSecret {
        match party {
            Party::Smso => &self.smso,
            Party::S1sp => &self.s1sp,
            Party::Dco => &self.dco,
        }
    }

    fn text(&self, role: &str, parties: &[Party]) -> String {
        let mut text = format!("# Relation secrets held by {role}. Test material of a lab; keep it with its owner.\n");
        for party in parties {
            text.push_str(&format!(
                "{} = \"{}\"\n",
                party.as_str(),
                hex::encode(self.secret(*party).expose())
            ));
        }
        text
    }
}

/// The secret of `party` from the custody file of `role`.
///
/// # Errors
/// When the file is missing, does not hold it or is not what it should be.
pub fn load_secret(folder: &Path, role: &str, party: Party) -> Result<RelationSecret, Error> {
    let path = custody_file(folder, role);
    let file = path.display().to_string();
    let held: CustodyFile = strict(&file, &read_text(&path)?)?;
    let text = match party {
        Party::Smso => held.smso,
        Party::S1sp => held.s1sp,
        Party::Dco => held.dco,
    };
    text.and_then(|text| hex::decode(text).ok())
        .and_then(|octets| <[u8; 32]>::try_from(octets).ok())
        .map(RelationSecret::new)
        .ok_or_else(|| {
            // The text itself stays out of the message: it may be most of a secret.
            let problem = format!("{} is not a relation secret of 64 hex digits", party.as_str());
            ConfigError {
                file,
                line: None,
                problem,
                hint: None,
            }
            .into()
        })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustodyFile {
    #[serde(default)]
    smso: Option<String>,
    #[serde(default)]
    s1sp: Option<String>,
    #[serde(default)]
    dco: Option<String>,
}

fn custody_file(folder: &Path, role: &str) -> PathBuf {
    folder.join("custody").join(format!("{role}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_holds_its_own_secret_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let custody = Custody::random().expect("random");
        custody.write(folder.path()).expect("written");
        assert_eq!(Custody::load(folder.path()).expect("read"), custody);
        assert_eq!(
            load_secret(folder.path(), "dco", Party::Dco).expect("held"),
            custody.dco
        );
        assert!(load_secret(folder.path(), "dco", Party::S1sp).is_err());
        assert!(load_secret(folder.path(), "s1sp", Party::Dco).is_err());
        assert_eq!(format!("{custody:?}").matches("<redacted>").count(), 3);
    }

    #[test]
    fn a_run_has_its_own_and_roles_cannot_derive_it() {
        let config = Config::default();
        assert_eq!(Custody::of_run(&config), Custody::of_run(&config));
        let other = Config {
            seed: 2,
            ..Config::default()
        };
        assert_ne!(Custody::of_run(&config), Custody::of_run(&other));
        assert_ne!(
            config.world_seed().child("custody").child("dco").bytes(),
            Custody::of_run(&config).dco.expose()
        );
    }
}
