//! The state file: how commands find the lab that runs.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Name of the file in the state folder.
const NAME: &str = "running";

/// A state file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be written.
    #[error("write {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is none: no lab runs on this state folder.
    #[error("no lab runs on the state folder {}\nhint: start one with `s1lab up`, or name one with --lab", .folder.display())]
    NotRunning {
        /// Which folder.
        folder: PathBuf,
    },
    /// It does not say what it should.
    #[error("{} does not name an address", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// The address of a running lab in its state folder; removed when dropped.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// Writes the file: control address and process id, a line each. One that a lab left behind which was killed is
    /// replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(folder: &Path, control: SocketAddr) -> Result<Self, StateError> {
        let path = folder.join(NAME);
        let text = format!("http://{}\n{}\n", reachable(control), std::process::id());
        let failed = |source| StateError::Write {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        fs::write(&path, text).map_err(failed)?;
        Ok(Self { path })
    }

    /// The control address of the lab that runs on this state folder.
    ///
    /// # Errors
    /// When none runs there.
    pub fn address(folder: &Path) -> Result<String, StateError> {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).map_err(|_| StateError::NotRunning {
            folder: folder.to_owned(),
        })?;
        match text.lines().next() {
            Some(line) if line.starts_with("http://") => Ok(line.to_owned()),
            _ => Err(StateError::Damaged { path }),
        }
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the state file is gone already");
        }
    }
}

/// An address that can be connected to, for one that listens everywhere.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_lab_is_found_and_a_stopped_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(
            StateFile::address(folder.path()),
            Err(StateError::NotRunning { .. })
        ));
        let file = StateFile::write(folder.path(), SocketAddr::from(([0, 0, 0, 0], 8081))).expect("written");
        assert_eq!(
            StateFile::address(folder.path()).expect("found"),
            "http://127.0.0.1:8081"
        );
        drop(file);
        assert!(StateFile::address(folder.path()).is_err());
        fs::write(folder.path().join(NAME), "nonsense").expect("written");
        assert!(matches!(
            StateFile::address(folder.path()),
            Err(StateError::Damaged { .. })
        ));
    }
}
