//! Reports made from one [`RunResult`]: text for the terminal, JSON, JUnit XML, tables and one self-contained HTML page.

mod causes;
mod csv;
mod grid;
mod html;
mod junit;
mod text;

use std::path::{Path, PathBuf};

use crate::verdict::RunResult;

pub use html::html;
pub use junit::junit;
pub(crate) use text::duration;
pub use text::text;

/// A report that could not be made or written.
#[derive(Debug, thiserror::Error)]
#[error("write {}", path.display())]
pub struct ReportError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: std::io::Error,
}

/// Writes `results.json`, `junit.xml`, `index.html`, `matrix.csv` and `cells.csv` into `folder`, which is made where it is missing.
///
/// # Errors
/// When a file cannot be written; those written before it stay.
pub fn write(result: &RunResult, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let fault = |path: &Path, cause| ReportError {
        path: path.to_owned(),
        cause,
    };
    std::fs::create_dir_all(folder).map_err(|cause| fault(folder, cause))?;
    let json = serde_json::to_string_pretty(result).map_err(|e| fault(&folder.join("results.json"), e.into()))?;
    let page = html(result).map_err(|e| fault(&folder.join("index.html"), std::io::Error::other(e)))?;
    let cases = junit(result).map_err(|e| fault(&folder.join("junit.xml"), std::io::Error::other(e)))?;
    let mut written = Vec::new();
    let files = [
        ("results.json", json),
        ("junit.xml", cases),
        ("index.html", page),
        ("matrix.csv", csv::matrix(result)),
        ("cells.csv", csv::cells(result)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|cause| fault(&path, cause))?;
        written.push(path);
    }
    Ok(written)
}
