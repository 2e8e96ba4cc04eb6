//! End-to-end suites live in `tests/tests`; this library holds what they share: where the workspace, the built program
//! and the optional reference data are, a running lab, a listener in a supplier's place, and how a test says that it was
//! skipped.

mod listener;
mod python;
mod running;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

pub use listener::{Listener, post};
pub use python::python;
pub use running::{Answer, RunningLab, free_address, program, run};

/// How long a test waits for something that takes a moment, before it fails.
pub const PATIENCE_S: u64 = 120;

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

/// An estate of one dual-fuel installation, for runs that need no more.
pub const SMALL_ESTATE: &str = r#"[estate]
name = "small"
source = "invented: for the project's own tests"

[[template]]
name = "credit-dual-fuel"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
gpf = "am110r-gpf@BASE"
gsme = "bk-g4e@BASE"
payment_mode = "credit"
enrolled = true
"#;

/// Text of an unsigned DUIS request with command variant 1: `body` is what stands in `sr:Body`.
#[must_use]
pub fn request(id: &str, service: &str, variant: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sr:Request xmlns:sr=\"http://www.dccinterface.co.uk/ServiceUserGateway\" \
         schemaVersion=\"5.1\"><sr:Header><sr:RequestID>{id}</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant>\
         <sr:ServiceReference>{service}</sr:ServiceReference><sr:ServiceReferenceVariant>{variant}\
         </sr:ServiceReferenceVariant></sr:Header><sr:Body>{body}</sr:Body></sr:Request>"
    )
}

/// The text between the first `<…name>` and its end tag.
///
/// # Errors
/// When there is none.
pub fn element<'a>(xml: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = xml
        .split_once(&format!("{name}>"))
        .with_context(|| format!("no {name} in {xml}"))?;
    let (text, _) = rest.split_once("</").with_context(|| format!("{name} does not end"))?;
    ensure!(!text.contains('<'), "{name} holds elements: {text}");
    Ok(text)
}

/// Says on standard error that a test did not run and why.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        eprintln!("SKIPPED {}: {}", module_path!(), format_args!($($why)*));
        return;
    }};
}
