//! `s1lab duis templates` and `s1lab duis new`.

use std::path::Path;

use lab::drafting::{self, Asked};
use serde_json::json;

use crate::args::Global;
use crate::failure::Failure;
use crate::output;

pub(crate) fn templates(global: &Global, folder: Option<&Path>) -> Result<(), Failure> {
    if let Some(folder) = folder {
        let config = super::super::config(global)?;
        let written = drafting::write_templates(&config, folder).map_err(Failure::input)?;
        eprintln!("{written} templates in {}", folder.display());
        return Ok(());
    }
    let rows = drafting::list();
    if global.json {
        let rows = rows.iter().map(|row| {
            json!({
                "srv": row.srv, "name": row.name, "critical": row.critical, "roles": row.roles, "targets": row.targets,
                "command_variant": row.command_variant, "smets1": row.smets1, "confidence": row.confidence,
                "state": row.state,
            })
        });
        output::json(&rows.collect());
        return Ok(());
    }
    output::line(format!(
        "{:7} {:2} {:8} {:20} {:8} {:10} name",
        "srv", "CV", "critical", "for", "SMETS1", "here"
    ));
    for row in rows {
        let critical = if row.critical { "critical" } else { "-" };
        output::line(format!(
            "{:7} {:2} {critical:8} {:20} {:8} {:10} {}",
            row.srv,
            row.command_variant,
            row.targets.join(" "),
            row.smets1,
            row.state,
            row.name
        ));
    }
    Ok(())
}

pub(crate) fn new(global: &Global, asked: &Asked) -> Result<(), Failure> {
    let config = super::super::config(global)?;
    // Devices and calendar of the running lab, where there is one.
    let running = super::super::runtime()?.block_on(async {
        let mut client = super::super::client(global).await.ok()?;
        Some((client.devices().await.ok()?, client.status().await.ok()?.now_ms))
    });
    let drafted = drafting::draft(&config, asked, running).map_err(Failure::input)?;
    if let (false, Some(device)) = (drafted.known, &asked.device) {
        eprintln!("no lab and no estate here has {device}: made as for a SMETS2 device");
    }
    output::octets(drafted.text.as_bytes())
}
