//! Printing of data, and reading of files named on the command line.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;

use crate::failure::Failure;

/// A line of data.
pub(crate) fn line(text: impl AsRef<str>) {
    put(format_args!("{}\n", text.as_ref()));
}

/// Octets of data as they are.
pub(crate) fn octets(data: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(data)
        .and_then(|()| out.flush())
        .context("write to standard output")
        .map_err(Failure::start)
}

/// A value as JSON.
pub(crate) fn json(value: &serde_json::Value) {
    put(format_args!("{value:#}\n"));
}

/// A reader that has seen enough (`| head`) is no failure: the program just ends.
#[expect(clippy::expect_used, reason = "no data can be given without standard output")]
fn put(text: std::fmt::Arguments<'_>) {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.expect("write to standard output"),
    }
}

/// Writes a file, and the folders it stands in.
pub(crate) fn write(path: &Path, data: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(path, data))
        .with_context(|| format!("write {}", path.display()))
        .map_err(Failure::input)
}

/// Octets of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut data = Vec::new();
        std::io::stdin()
            .read_to_end(&mut data)
            .context("read standard input")
            .map_err(Failure::input)?;
        return Ok(data);
    }
    std::fs::read(path)
        .with_context(|| format!("read {}", path.display()))
        .map_err(Failure::input)
}

/// Text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let data = read(path)?;
    String::from_utf8(data)
        .with_context(|| format!("{} is not text", path.display()))
        .map_err(Failure::input)
}
