//! `s1lab dmc`.

use runs::catalogue::{CatalogueError, Said, Shelf};

use crate::args::{DmcCommand, Global, Import, ShelfArgs};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(global: &Global, shelf: &ShelfArgs, command: &DmcCommand) -> Result<(), Failure> {
    let catalogue = load(global, shelf)?;
    let said = match command {
        DmcCommand::List => Ok(catalogue.list()),
        DmcCommand::Show { profile } => catalogue.show(profile),
        DmcCommand::Check { epcl, cpl, dpl } => catalogue.check(epcl.as_deref(), cpl.as_deref(), dpl.as_deref()),
        DmcCommand::Coverage { class } => Ok(catalogue.coverage(class.as_deref())),
        DmcCommand::Select { dpl, cover } => catalogue.select(dpl, *cover),
        DmcCommand::Explain {
            request,
            profile,
            service,
        } => {
            let profile = match profile {
                Some(profile) => profile.clone(),
                None => profile_of(global, request)?,
            };
            catalogue.explain(&profile, service.as_deref().unwrap_or(request))
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
pub(crate) fn say(global: &Global, said: Result<Said, CatalogueError>) -> Result<(), Failure> {
    let said = said.map_err(Failure::input)?;
    if global.json {
        output::json(&said.json);
    } else {
        said.lines.iter().for_each(output::line);
    }
    if said.good { Ok(()) } else { Err(Failure::Checks) }
}

/// The profile of the device that a request is for, in the running lab.
fn profile_of(global: &Global, request: &str) -> Result<String, Failure> {
    let Some(device) = request.split(':').nth(1) else {
        return Err(Failure::Input(anyhow::anyhow!(
            "{request:?} is no RequestID: for a service reference variant give --profile too"
        )));
    };
    super::runtime()?.block_on(async {
        let mut client = super::client(global).await?;
        let shown = client.device(device, false).await.map_err(Failure::input)?;
        Ok(shown.entry.unwrap_or_default().profile)
    })
}
