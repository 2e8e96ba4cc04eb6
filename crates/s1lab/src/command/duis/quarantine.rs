//! `s1lab duis quarantine`.

use serde_json::json;

use crate::args::Global;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, release: Option<u64>, delete: Option<u64>) -> Result<(), Failure> {
    super::super::runtime()?.block_on(async {
        let mut client = super::super::client(global).await?;
        let end = release
            .map(|number| (number, true))
            .or(delete.map(|number| (number, false)));
        if let Some((number, release)) = end {
            return client.end_quarantine(number, release).await.map_err(Failure::input);
        }
        let held = client.quarantine().await.map_err(Failure::input)?;
        if global.json {
            let rows = held.iter().map(|one| {
                json!({
                    "number": one.reference, "request_id": one.request_id, "srv": one.srv,
                    "since": lab::time_text(one.since_ms), "why": one.why,
                })
            });
            output::json(&rows.collect());
            return Ok(());
        }
        for one in &held {
            output::line(format!(
                "{}  {}  {}  since {}: {}",
                one.reference,
                one.request_id,
                one.srv,
                lab::time_text(one.since_ms),
                one.why
            ));
        }
        eprintln!("{} requests in quarantine", held.len());
        Ok(())
    })
}
