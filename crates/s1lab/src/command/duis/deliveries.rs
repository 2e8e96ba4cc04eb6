//! `s1lab duis dead-letters`, `deliver-again` and `fetch`.

use std::path::Path;

use serde_json::json;

use crate::args::Global;
use crate::failure::Failure;
use crate::output;

pub(crate) fn dead_letters(global: &Global) -> Result<(), Failure> {
    super::super::runtime()?.block_on(async {
        let letters = super::super::client(global)
            .await?
            .dead_letters()
            .await
            .map_err(Failure::input)?;
        if global.json {
            let rows = letters.iter().map(|l| {
                json!({
                    "delivery": l.delivery_id, "user": l.user, "request_id": l.request_id,
                    "http_status": l.http_status, "attempts": l.attempts, "xml": String::from_utf8_lossy(&l.xml),
                    "hint": l.hint,
                })
            });
            output::json(&rows.collect());
        } else {
            for l in &letters {
                let why = if l.http_status == 0 {
                    "not reached".into()
                } else {
                    format!("HTTP {}", l.http_status)
                };
                output::line(format!(
                    "{}  {}  {why}, {} attempts  {}",
                    l.delivery_id, l.user, l.attempts, l.request_id
                ));
                if !l.hint.is_empty() {
                    output::line(format!("  {}", l.hint));
                }
            }
            eprintln!("{} dead letters", letters.len());
        }
        Ok(())
    })
}

pub(crate) fn again(global: &Global, user: &str, delivery: Option<u64>, since: Option<&str>) -> Result<(), Failure> {
    let since = since.map(lab::time_ms).transpose().map_err(Failure::input)?;
    super::super::runtime()?.block_on(async {
        let mut client = super::super::client(global).await?;
        if let Some(delivery) = delivery {
            client.deliver_again(user, delivery).await.map_err(Failure::input)?;
        }
        if let Some(since) = since {
            let count = client.deliver_since(user, since).await.map_err(Failure::input)?;
            eprintln!("{count} deliveries again");
        }
        Ok(())
    })
}

pub(crate) fn fetch(global: &Global, user: &str, folder: Option<&Path>, keep: bool, max: u32) -> Result<(), Failure> {
    super::super::runtime()?.block_on(async {
        let mut client = super::super::client(global).await?;
        let fetched = client.fetch(user, max).await.map_err(Failure::input)?;
        for one in &fetched {
            if let Some(folder) = folder {
                let path = folder.join(format!("{user}-{:06}.xml", one.delivery_id));
                output::write(&path, &one.xml)?;
            }
        }
        if global.json {
            let rows = fetched.iter().map(|one| {
                json!({
                    "delivery": one.delivery_id, "request_id": one.request_id,
                    "message": lab::listen::words(&one.xml), "xml": String::from_utf8_lossy(&one.xml),
                })
            });
            output::json(&rows.collect());
        } else {
            for one in &fetched {
                output::line(format!("{}  {}", one.delivery_id, lab::listen::words(&one.xml)));
            }
        }
        eprintln!("{} deliveries", fetched.len());
        if !keep {
            // Only now: what was not written or printed still waits.
            let ids = fetched.iter().map(|one| one.delivery_id).collect();
            client.fetched(user, ids).await.map_err(Failure::input)?;
        }
        Ok(())
    })
}
