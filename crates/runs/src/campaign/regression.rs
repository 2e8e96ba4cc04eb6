//! The regression at the end of a test cycle: what was migrated is put through the pack of service requests, as what was
//! always enrolled is, in the same lab and by the suppliers it was handed over to.

use std::collections::BTreeSet;

use lab::Lab;
use migration::machine::{Campaign, State};
use migration::reports::TestEvidence;
use tokio::sync::Mutex;

use crate::sit::Progress;
use crate::sit::installation::{self, Findings};
use crate::verdict::{Cell, Check, Verdict};

/// What the regression of a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Regression {
    /// One cell per service request and device.
    pub cells: Vec<Cell>,
    /// What the values say of each other.
    pub checks: Vec<Check>,
}

impl Regression {
    /// Whether something failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        let cells = self.cells.iter().map(|cell| cell.verdict);
        let mut all = cells.chain(self.checks.iter().map(|check| check.verdict));
        all.any(|verdict| verdict == Verdict::Failed)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.cells.extend(other.cells);
        self.checks.extend(other.checks);
    }

    /// As evidence of a test phase: a row per installation and service request.
    pub(super) fn evidence(&self, run: &str, phase: &str) -> Vec<TestEvidence> {
        let each = self.cells.iter().map(|cell| {
            let seen = format!(
                "{}\n{}\n{}\n{}\n{}",
                cell.device, cell.srv, cell.request_id, cell.expected, cell.observed
            );
            TestEvidence {
                run: run.to_owned(),
                phase: phase.to_owned(),
                combination: cell.profile.clone(),
                installation_type: cell.installation.as_str().to_owned(),
                case: format!("regression: {} at {} {}", cell.srv, cell.device_kind, cell.device),
                result: match cell.verdict {
                    Verdict::Passed => "passed",
                    Verdict::Failed => "failed",
                }
                .to_owned(),
                sha256: TestEvidence::digest_of(&seen),
            }
        });
        each.collect()
    }
}

/// Puts migrated installations of one world through the pack: the first of each type.
pub(super) async fn of_world(lab: &Lab, campaign: &Campaign) -> Regression {
    let progress = Progress::new(lab.parts(), None);
    // One image at a time, as in the pack; here installations have their turns one after the other anyway.
    let images = Mutex::new(());
    let (mut regression, mut seen) = (Regression::default(), BTreeSet::new());
    for site in lab.parts().sites(lab.world().number) {
        let hub = migration::InstallationId(site.hub());
        let migrated = campaign
            .installation(hub)
            .is_some_and(|known| known.state == State::Migrated);
        if migrated && seen.insert(site.installation_type()) {
            let site = site.after_migration();
            let found = installation::run(lab, &lab.parts().catalogue, &site, &images, &progress).await;
            let Findings { cells, checks } = found;
            regression.extend(Regression { cells, checks });
        }
    }
    installation::explain(lab, &mut regression.cells).await;
    regression
}
