//! Python, for peers that are not part of the project.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{program, run, workspace};

/// The interpreter of a virtual environment with the packages of a requirements file in `tests/interop`. It is kept under the
/// target folder for as long as the requirements stay what they are.
///
/// # Errors
/// In words, why there is none: no Python, or no package index.
pub fn python(requirements: &str) -> Result<PathBuf, String> {
    let requirements = workspace().join("tests/interop").join(requirements);
    let text = std::fs::read(&requirements).map_err(|error| error.to_string())?;
    // FNV-1a: a name for a folder, nothing more.
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let target = program();
    let target = target.parent().and_then(Path::parent).ok_or("no target folder")?;
    let folder = target.join("interop").join(format!("{hash:016x}"));
    let python = folder.join("bin/python");
    let done = folder.join("installed");
    if done.exists() {
        return Ok(python);
    }
    let step = |name: &str, command: &mut Command| match run(command) {
        Ok(answer) if answer.code == Some(0) => Ok(()),
        Ok(answer) => Err(format!("{name}: {}", answer.err.lines().last().unwrap_or_default())),
        Err(error) => Err(format!("{name}: {error:#}")),
    };
    let mut create = Command::new("python3");
    step("python3 -m venv", create.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "-r",
    ]);
    step("pip install", install.arg(&requirements))?;
    std::fs::write(&done, "").map_err(|error| error.to_string())?;
    Ok(python)
}
