//! What a requesting party knows from its books.

use std::collections::BTreeMap;

use domain::Eui64;
use proto::{FileDelivery, Message, MigrationFileContent, MigrationFileKind, MigrationOutcomeFile, StagedSecrets};
use world::file_set::{self, FileFault, OpenedSet, Taken, Verify};
use world::sealed::OpeningKey;

use crate::InstallationId;
use crate::party::books::{Outbox, Record, Snapshot, Staged};

/// What it knows from its books.
#[derive(Default)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) outbox: Outbox,
    pub(super) snapshots: BTreeMap<InstallationId, Snapshot>,
    pub(super) secrets: BTreeMap<InstallationId, StagedSecrets>,
    pub(super) outcomes: Taken,
    pub(super) confirmed: BTreeMap<InstallationId, u32>,
}

impl Known {
    /// Takes in one record. The same when it has just been written.
    pub(super) fn replay(&mut self, record: Record, opening: &OpeningKey) {
        self.sequence = self.sequence.max(record.sequence);
        if let Some(sent) = record.sent {
            self.outbox.keep(sent);
        }
        if let Some(snapshot) = record.snapshot
            && let Ok(id) = snapshot.installation_id.parse()
        {
            self.snapshots.insert(id, snapshot);
        }
        if let Some(staged) = record.staged
            && let (Ok(id), Some(secrets)) = (staged.installation_id.parse(), opened(&staged, opening))
        {
            self.secrets.insert(id, secrets);
        }
        if let Some(delivery) = record.delivery {
            // What the books have was proved before it was written.
            let producer = |_: &str, _: &[u8], _: &[u8]| Ok(producer_of(&delivery));
            if let Ok((opened, outcome)) = outcome_of(&delivery, &mut { producer }) {
                let _taken = self.outcomes.take(&delivery.reference, &opened);
                let each = outcome.installations.into_iter();
                let each = each.filter_map(|one| Some((one.installation_id.parse().ok()?, one.attempt)));
                self.confirmed.extend(each);
            }
        }
        self.outbox.forget(&record.forgotten);
        if let Ok(id) = record.forgotten.parse() {
            self.snapshots.remove(&id);
            self.secrets.remove(&id);
            self.confirmed.remove(&id);
        }
    }
}

pub(super) fn opened(staged: &Staged, opening: &OpeningKey) -> Option<StagedSecrets> {
    let octets = opening
        .open(staged.sealed.as_ref()?, staged.reference.as_bytes())
        .ok()?;
    StagedSecrets::decode(octets.as_slice()).ok()
}

pub(super) fn outcome_of(
    delivery: &FileDelivery,
    verify: &mut Verify<'_>,
) -> Result<(OpenedSet, MigrationOutcomeFile), FileFault> {
    let set = delivery.set.clone().unwrap_or_default();
    let opened = file_set::read(&set, "rp", &[MigrationFileKind::Outcome], verify)?;
    let outcome = MigrationOutcomeFile::decode(opened.payload(MigrationFileKind::Outcome)?)
        .map_err(|error| FileFault::Malformed(error.to_string()))?;
    Ok((opened, outcome))
}

/// The party that files claim to be from.
fn producer_of(delivery: &FileDelivery) -> Eui64 {
    let first = delivery.set.as_ref().and_then(|set| set.files.first());
    let content = first.and_then(|file| MigrationFileContent::decode(file.signed.clone()).ok());
    Eui64(content.and_then(|content| content.header).unwrap_or_default().producer)
}
