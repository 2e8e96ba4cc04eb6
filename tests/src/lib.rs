//! End-to-end suites live in `tests/tests`; this library holds what they share: where the workspace and the optional
//! reference data are, and how a test says that it was skipped.

use std::path::{Path, PathBuf};

/// Root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Folder of the reference data (schemas, request templates, signed samples), if it is there: `$S1LAB_SHARED`, else
/// `shared` beside the workspace. It is never part of the project.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("S1LAB_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    path.join("domain/duis").is_dir().then_some(path)
}

/// Says on standard error that a test did not run and why.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        eprintln!("SKIPPED {}: {}", module_path!(), format_args!($($why)*));
        return;
    }};
}
