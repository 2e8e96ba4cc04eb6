//! Files that suppliers send in a campaign: those made for them, and those that somebody has ready, sent as they stand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dmc::FileError;
use domain::{Eui64, SimInstant};
use jiff::civil::Date;
use migration::Settings;
use migration::machine::event::Event;
use migration::machine::journal;
use migration::machine::model::Facts;
use migration::planning::intake::ReceivedFile;
use migration::planning::name::{FileKind, FileName};
use migration::planning::protection::{protect, salt_of};
use serde::Deserialize;

use super::file::Place;
use super::{CampaignError, CampaignFile, facts};

/// Octets of one file that is sent as it stands, at most: it must fit into a record of the journal.
const FILE_MAX: usize = 16 << 20;

/// One `[[file]]` of a campaign file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    path: PathBuf,
    at: String,
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    protect: Option<String>,
}

impl RawFile {
    /// Reads the file it names. What is wrong with that one is its supplier's matter and shows in R03; here it must only be
    /// there, and have a sender.
    pub(super) fn read(
        &self,
        place: &Place<'_>,
        settings: &Settings,
        campaign: (SimInstant, Date),
    ) -> Result<ReceivedFile, FileError> {
        let path = self.path.display().to_string();
        let full = place.beside(&self.path);
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| place.wrong(&path, format!("{path:?} names no file")))?;
        let octets = std::fs::read(&full).map_err(|error| {
            let text = format!(
                "read {}: {error}; paths are looked for beside the campaign file",
                full.display()
            );
            place.wrong(&path, text)
        })?;
        if octets.len() > FILE_MAX {
            let text = format!("{path:?} has {} octets, at most {FILE_MAX} are sent", octets.len());
            return Err(place.wrong(&path, text));
        }
        let sender = match &self.sender {
            Some(word) => word
                .parse()
                .map_err(|error: domain::ParseError| place.wrong(word, format!("sender: {error}")))?,
            None => sender_in(name, settings).map_err(|reason| {
                let text = format!("{reason}; say who sends it: sender = \"90-B3-D5-1F-30-01-00-00\"");
                place.wrong(&path, text)
            })?,
        };
        let at = place.instant_within(&self.at, campaign)?;
        // What is no text is no good file either way, and is refused as one.
        let mut text = String::from_utf8_lossy(&octets).into_owned();
        if let Some(password) = &self.protect {
            text = protect(&text, password, &salt_of(name)).map_err(|error| place.wrong(&path, error.to_string()))?;
        }
        Ok(ReceivedFile {
            name: name.to_owned(),
            sender,
            at,
            text,
        })
    }
}

fn sender_in(name: &str, settings: &Settings) -> Result<Eui64, String> {
    let name = FileName::read(&settings.columns, name).map_err(|error| error.to_string())?;
    Ok(name.user)
}

/// Whether a file is a commitment by its name.
pub(super) fn commits(file: &ReceivedFile, settings: &Settings) -> bool {
    FileName::read(&settings.columns, &file.name).is_ok_and(|name| name.kind == FileKind::DemandCommitment)
}

/// The files that suppliers send, in the order they do.
pub(super) fn sent(
    file: &CampaignFile,
    certificates: &facts::Certificates,
    all: &[Facts],
) -> Result<Vec<ReceivedFile>, CampaignError> {
    let mut files = Vec::new();
    for (week, at) in &file.authorisations {
        for draft in facts::authorisations(file, certificates, all, *week, *at) {
            files.extend(draft.files(&file.settings)?);
        }
    }
    let demand = file.demand.iter();
    files.extend(demand.flat_map(|sent| facts::demand(file, all, sent)));
    files.extend_from_slice(&file.files);
    files.sort_by_key(|file| file.at);
    Ok(files)
}

/// Leaves only those that the journal does not have: of several with one name the first came first.
pub(super) fn leave_unsent(files: &mut Vec<ReceivedFile>, store: &dyn world::Store) -> Result<(), CampaignError> {
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    journal::replay(store, &mut |_, entry| {
        if let Event::FileReceived { name, .. } = entry.event {
            *received.entry(name).or_default() += 1;
        }
    })?;
    files.retain(|file| match received.get_mut(&file.name) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    Ok(())
}
