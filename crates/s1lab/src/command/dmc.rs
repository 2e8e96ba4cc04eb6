//! `s1lab dmc`.

use std::path::Path;

use lab::tape_file;
use runs::catalogue::{Asked, Said, Shelf};

use crate::args::{DmcCommand, Global, Import, ShelfArgs};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, shelf: &ShelfArgs, command: &DmcCommand) -> Result<(), Failure> {
    let catalogue = load(global, shelf)?;
    let said = match command {
        DmcCommand::List => Ok(catalogue.list()),
        DmcCommand::Show { profile } => catalogue.show(profile),
        DmcCommand::Check { epcl, cpl, dpl } => catalogue.check(epcl.as_deref(), cpl.as_deref(), dpl.as_deref()),
        DmcCommand::Coverage { class } => catalogue.coverage(class.as_deref()),
        DmcCommand::Select { dpl, cover } => catalogue.select(dpl, *cover),
        DmcCommand::Explain {
            request,
            profile,
            service,
            tape,
            entry,
        } => {
            let (asked, device) = match (tape, request) {
                (Some(tape), _) => of_tape(tape, entry.unwrap_or_default())?,
                (None, Some(request)) => of_request(global, request, service.as_deref())?,
                (None, None) => return Err(Failure::Input(anyhow::anyhow!("give a request or a tape"))),
            };
            let profile = match (profile, tape) {
                (Some(profile), _) => profile.clone(),
                (None, Some(_)) => catalogue
                    .profile_in(&super::config(global)?.estate, &device)
                    .map_err(Failure::input)?,
                (None, None) => profile_of(global, &device)?,
            };
            catalogue.explain(&profile, &asked)
        }
        DmcCommand::Diff { a, b } => catalogue.diff(a, b),
        DmcCommand::Import(Import::AnnexA { file }) => catalogue.import_annex(file),
    };
    say(global, said)
}

/// The profiles the command line names beside the built-in ones and those of the configuration.
pub(crate) fn load(global: &Global, shelf: &ShelfArgs) -> Result<Shelf, Failure> {
    let mut folders = super::config(global)?.dmc.folders;
    folders.extend(shelf.folders.iter().cloned());
    Shelf::load(&folders, shelf.min_confidence.as_deref()).map_err(Failure::input)
}

/// Prints what was said; exit code 1 where it is not good.
pub(crate) fn say<E>(global: &Global, said: Result<Said, E>) -> Result<(), Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let said = said.map_err(Failure::input)?;
    if global.json {
        output::json(&said.json);
    } else {
        said.lines.iter().for_each(output::line);
    }
    if said.good { Ok(()) } else { Err(Failure::Checks) }
}

/// What an entry of a tape is about, and the device it is for.
fn of_tape(tape: &Path, entry: usize) -> Result<(Asked, String), Failure> {
    let records = tape_file::read(tape).map_err(Failure::input)?;
    let about = tape_file::about(&records, entry).ok_or_else(|| {
        let count = records.len();
        Failure::Input(anyhow::anyhow!(
            "{} has the entries 1 to {count}, not {entry}",
            tape.display()
        ))
    })?;
    let asked = Asked::entry(&about).map_err(Failure::input)?;
    Ok((asked, target(&about.request).to_owned()))
}

/// What a service reference variant or a RequestID is about, and the device it is for: empty for a bare variant.
fn of_request(global: &Global, request: &str, service: Option<&str>) -> Result<(Asked, String), Failure> {
    let device = target(request).to_owned();
    if device.is_empty() {
        return Ok((Asked::service(service.unwrap_or(request)), device));
    }
    let service = match service {
        Some(service) => service.to_owned(),
        None => super::runtime()?.block_on(async {
            let mut client = super::client(global).await?;
            let trail = client.audit(request).await.map_err(Failure::input)?;
            let known = trail.into_iter().map(|entry| entry.srv).find(|srv| !srv.is_empty());
            known.ok_or_else(|| {
                Failure::Input(anyhow::anyhow!(
                    "the lab no longer knows what {request} asked for: give --service too"
                ))
            })
        })?,
    };
    Ok((Asked::service(&service), device))
}

/// The device in a RequestID: the second of its three parts; empty where there is none.
fn target(request: &str) -> &str {
    request.split(':').nth(1).unwrap_or_default()
}

/// The profile of a device in the running lab.
fn profile_of(global: &Global, device: &str) -> Result<String, Failure> {
    if device.is_empty() {
        return Err(Failure::Input(anyhow::anyhow!(
            "for a service reference variant give --profile too"
        )));
    }
    super::runtime()?.block_on(async {
        let mut client = super::client(global).await?;
        let shown = client.device(device, false).await.map_err(Failure::input)?;
        Ok(shown.entry.unwrap_or_default().profile)
    })
}
