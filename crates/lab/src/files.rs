//! Files of the lab: written once, secrets for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{act} {}", .path.display())]
pub struct FileError {
    /// What was tried, for example "read" or "write".
    pub act: &'static str,
    /// Which file.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Names the file and the act in an I/O error.
    #[must_use]
    pub fn new(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            act,
            path: path.to_owned(),
            source,
        }
    }
}

/// Reads a text file.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|source| FileError::new("read", path, source))
}

/// Writes a new file that all may read, with its folders.
///
/// # Errors
/// When it exists already or cannot be written.
pub fn write_public(path: &Path, text: &str) -> Result<(), FileError> {
    write_new(path, text, 0o644)
}

/// Writes a new file that only its owner may read, with its folders.
///
/// # Errors
/// When it exists already or cannot be written.
pub fn write_secret(path: &Path, text: &str) -> Result<(), FileError> {
    write_new(path, text, 0o600)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| FileError::new("create", folder, source))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _only_on_unix = mode;
    let mut file = options
        .open(path)
        .map_err(|source| FileError::new("create", path, source))?;
    file.write_all(text.as_bytes())
        .map_err(|source| FileError::new("write", path, source))
}
