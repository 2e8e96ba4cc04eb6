//! What a commissioning party knows from its books.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Eui64;
use proto::{
    Condition, FileDelivery, InstallationRecord, Message, MigrationFileContent, MigrationFileSet, MigrationHeader,
};
use world::file_set::{self, COMMON_ONLY, Taken};

use crate::InstallationId;
use crate::party::books::{Outbox, Record};

/// What it knows from its books.
#[derive(Default)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) outbox: Outbox,
    pub(super) taken: Taken,
    /// What the last files said of each installation.
    pub(super) records: BTreeMap<InstallationId, Arc<InstallationRecord>>,
}

impl Known {
    pub(super) fn replay(&mut self, record: Record) {
        self.sequence = self.sequence.max(record.sequence);
        if let Some(sent) = record.sent {
            self.outbox.keep(sent);
        }
        if let Some(FileDelivery {
            reference,
            set: Some(set),
        }) = record.delivery
        {
            // What the books have was proved before it was written.
            let opened = file_set::read(&set, "cp", &COMMON_ONLY, &mut |_, _, _| {
                Ok(Eui64(header_of(&set).producer))
            });
            if let Ok(opened) = opened {
                // A set stands in the books once.
                let _taken = self.taken.take(&reference, &opened);
                let (records, _) = self.of_attempts_under_way(opened.installations().unwrap_or_default());
                self.learn(records);
            }
        }
        self.forget(&record.forgotten, record.attempt);
    }

    /// Those whose attempt is not over, and what is to be said of the others.
    pub(super) fn of_attempts_under_way(
        &self,
        records: Vec<InstallationRecord>,
    ) -> (Vec<InstallationRecord>, Vec<Condition>) {
        let (mut under_way, mut over) = (Vec::new(), Vec::new());
        for record in records {
            match self.taken.admit_installation(&record) {
                Ok(()) => under_way.push(record),
                Err(condition) => over.push(condition),
            }
        }
        (under_way, over)
    }

    pub(super) fn learn(&mut self, records: Vec<InstallationRecord>) {
        let named = records
            .into_iter()
            .filter_map(|record| Some((record.installation_id.parse().ok()?, Arc::new(record))));
        self.records.extend(named);
    }

    fn forget(&mut self, installation: &str, attempt: u32) {
        self.outbox.forget(installation);
        if attempt > 0 {
            self.taken.end(installation, attempt);
        }
        if let Ok(id) = installation.parse() {
            self.records.remove(&id);
        }
    }
}

/// The header that the files of a set claim.
fn header_of(set: &MigrationFileSet) -> MigrationHeader {
    let first = set.files.first();
    let content = first.and_then(|file| MigrationFileContent::decode(file.signed.clone()).ok());
    content.and_then(|content| content.header).unwrap_or_default()
}
