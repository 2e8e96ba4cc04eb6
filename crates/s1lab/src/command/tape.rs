//! `s1lab tape`.

use lab::tape_file;
use serde_json::json;

use crate::args::{Global, Tape};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, args: Tape) -> Result<(), Failure> {
    match args {
        Tape::Digest { file } => {
            let records = tape_file::read(&file).map_err(Failure::input)?;
            let digest = tape_file::digest(&records).to_string();
            if global.json {
                output::json(&json!({ "digest": digest, "records": records.len() }));
            } else {
                output::line(digest);
            }
        }
        Tape::Show { file, request } => {
            let records = tape_file::read(&file).map_err(Failure::input)?;
            let mut shown = 0;
            for record in &records {
                let line = tape_file::line(record);
                if request.as_deref().is_none_or(|id| line.contains(id)) {
                    shown += 1;
                    output::line(line);
                }
            }
            if let (0, Some(request)) = (shown, request) {
                return Err(Failure::Input(anyhow::anyhow!(
                    "nothing on the tape belongs to {request}"
                )));
            }
        }
    }
    Ok(())
}
