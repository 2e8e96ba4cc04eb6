//! What passes on the links of a campaign, noted for the invariants: snapshots, decommissionings, state-changing commands
//! that worked, the first file sets. It lets everything pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::{Eui64, SimInstant};
use migration::InstallationId;
use migration::invariants::Executed;
use proto::{
    ApprovalReply, DeviceRecord, Envelope, FileDelivery, Kind, Message, MigrationFileContent, MigrationFileKind,
    S1spMigrationCommand, S1spMigrationOutcome, S1spResponse, SmsoMigrationCommand, SmsoMigrationOutcome,
    approval_reply, s1sp_migration_command, smso_migration_command,
};
use world::{LinkName, Verdict};

/// File sets kept, to be sent again at the end.
const SETS_KEPT: usize = 64;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The last snapshot of each device.
    pub(super) snapshots: BTreeMap<u64, DeviceRecord>,
    /// When the SMSO was told to forget an installation.
    pub(super) removed: Vec<(InstallationId, SimInstant)>,
    /// State-changing commands that devices executed, as far as roles say so.
    pub(super) executed: Vec<Executed>,
    /// The first file sets on each link.
    pub(super) sets: BTreeMap<(String, String), Vec<FileDelivery>>,
    /// Files that the commissioning party can read, for the search for secrets.
    pub(super) readable: Vec<u8>,
    /// Commands under way, by link and envelope id.
    staging: BTreeMap<u64, Vec<u64>>,
    rotating: BTreeMap<u64, (u64, bool)>,
    /// Requests that the DCO approved.
    approved: BTreeSet<String>,
    /// Requests that reached the DCC.
    asked: BTreeSet<String>,
    /// Signatures that what passed needs.
    pub(super) signatures: Signatures,
    /// What passed.
    pub(super) traffic: Traffic,
    /// The run before this one was killed: what was on its way then is seen in part only.
    pub(super) after_kill: bool,
}

/// Signatures that messages need, whatever the code does: each signed text is signed once, and verified once by each who
/// must believe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Signatures {
    /// Made.
    pub made: u64,
    /// Verified.
    pub verified: u64,
    /// Beside them: secrets sealed to one party and opened by it, which takes key agreement and no signature.
    pub sealed: u64,
}

impl Signatures {
    fn add(&mut self, made: u64, verified: u64) {
        self.made += made;
        self.verified += verified;
    }

    /// What a message on a link adds to them.
    fn count(&mut self, link: &LinkName, envelope: &Envelope) {
        match envelope.kind() {
            // Of the user, to the DCC; of the DCC, to the user; of the S1SP, through the DCC to the user.
            Kind::DuisRequest | Kind::DuisReply | Kind::DuisDelivery | Kind::S1spResponse | Kind::S1spAlert => {
                self.add(1, 1);
            }
            // The DCC signs, the S1SP verifies DCC and user.
            Kind::CountersignedRequest => self.add(1, 2),
            // The DCO verifies both once more.
            Kind::ApprovalRequest => self.add(0, 2),
            // A file that is relayed is verified by whom it is for.
            Kind::FileDelivery => {
                let delivery = FileDelivery::decode(envelope.body.clone()).unwrap_or_default();
                let files = delivery.set.iter().flat_map(|set| &set.files);
                let content = files.filter_map(|file| MigrationFileContent::decode(file.signed.clone()).ok());
                for content in content.filter(|content| content.recipient == *link.to) {
                    self.add(1, 1);
                    self.sealed += u64::from(content.kind() == MigrationFileKind::GroupEncrypted);
                }
            }
            _ => {}
        }
    }
}

impl std::ops::AddAssign for Signatures {
    fn add_assign(&mut self, other: Self) {
        self.add(other.made, other.verified);
        self.sealed += other.sealed;
    }
}

/// What passed on all links, by kind of message.
#[derive(Clone, Debug, Default)]
pub struct Traffic(pub BTreeMap<Kind, Passed>);

/// Messages of one kind.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// How many.
    pub count: u64,
    /// Bodies of the first, second, fourth and so on of each world: for measuring what such messages cost.
    pub sample: Vec<Bytes>,
}

impl Traffic {
    fn note(&mut self, envelope: &Envelope) {
        let passed = self.0.entry(envelope.kind()).or_default();
        passed.count += 1;
        if passed.count.is_power_of_two() {
            passed.sample.push(envelope.body.clone());
        }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        for (kind, passed) in other.0 {
            let sum = self.0.entry(kind).or_default();
            sum.count += passed.count;
            sum.sample.extend(passed.sample);
        }
    }
}

/// Octets of readable files kept.
const READABLE_MAX: usize = 4 << 20;

/// Notes what passes.
#[derive(Clone, Debug)]
pub(super) struct Observer(Arc<Mutex<Seen>>);

impl Observer {
    /// One that has seen nothing; `after_kill` where this run goes on with one that was killed.
    pub(super) fn new(after_kill: bool) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            after_kill,
            ..Seen::default()
        })))
    }

    /// As a rule on the fault hook, to be installed before all others.
    pub(super) fn hook(&self) -> impl FnMut(&LinkName, &Envelope, SimInstant) -> Verdict + Send + use<> {
        let seen = Arc::clone(&self.0);
        move |link: &LinkName, envelope: &Envelope, now: SimInstant| {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(link, envelope, now);
            Verdict::Pass
        }
    }

    /// What was seen so far; nothing is then known of it here any more.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn note(&mut self, link: &LinkName, envelope: &Envelope, now: SimInstant) {
        self.signatures.count(link, envelope);
        self.traffic.note(envelope);
        let body = envelope.body.clone();
        match envelope.kind() {
            Kind::SmsoMigrationCommand => {
                let Some(command) = SmsoMigrationCommand::decode(body).ok() else {
                    return;
                };
                match command.act {
                    Some(smso_migration_command::Act::Decommission(_)) => {
                        self.removed.push((InstallationId(Eui64(command.hub)), now));
                    }
                    Some(smso_migration_command::Act::StageKeys(stage)) => {
                        self.staging.insert(envelope.id, stage.devices);
                    }
                    _ => {}
                }
            }
            Kind::SmsoMigrationOutcome => {
                let staged = self.staging.remove(&envelope.in_reply_to);
                let Some(outcome) = SmsoMigrationOutcome::decode(body).ok() else {
                    return;
                };
                if outcome.conditions.is_empty() {
                    let each = staged.into_iter().flatten();
                    self.executed.extend(each.map(|device| Executed {
                        device: Eui64(device),
                        at: now,
                        by_dcc: false,
                        critical: true,
                        approved: false,
                    }));
                }
                if outcome.taken_ms != 0 {
                    let each = outcome.devices.into_iter().map(|record| (record.device, record));
                    self.snapshots.extend(each);
                }
            }
            Kind::S1spMigrationCommand => {
                let Some(command) = S1spMigrationCommand::decode(body).ok() else {
                    return;
                };
                if let Some(s1sp_migration_command::Act::Rotate(rotate)) = command.act {
                    let approved = !rotate.approval.is_empty();
                    self.rotating.insert(envelope.id, (rotate.device, approved));
                }
            }
            Kind::S1spMigrationOutcome => {
                let Some((device, approved)) = self.rotating.remove(&envelope.in_reply_to) else {
                    return;
                };
                if S1spMigrationOutcome::decode(body).is_ok_and(|outcome| outcome.rotated) {
                    self.dcc_executed(device, now, approved);
                }
            }
            Kind::DuisRequest if self.after_kill => {
                self.asked.insert(envelope.trace_id.clone());
            }
            Kind::ApprovalReply => {
                let reply = ApprovalReply::decode(body).ok().and_then(|reply| reply.result);
                if matches!(reply, Some(approval_reply::Result::Approval(_))) {
                    self.approved.insert(envelope.trace_id.clone());
                }
            }
            Kind::S1spResponse => {
                let Some(response) = S1spResponse::decode(body).ok() else {
                    return;
                };
                let critical = contains(&response.signed_response_xml, b"CommissionDeviceSynchroniseClockRsp");
                let request: Option<domain::RequestId> = response.request_id.parse().ok();
                if let Some(request) = request.filter(|_| critical && response.response_code == "I0") {
                    let approved = self.approved.remove(&response.request_id);
                    // One that was asked for before a kill may have been approved before it.
                    if approved || !self.after_kill || self.asked.contains(&response.request_id) {
                        self.dcc_executed(request.target.0, now, approved);
                    }
                }
            }
            Kind::FileDelivery => {
                let Some(delivery) = FileDelivery::decode(body).ok() else {
                    return;
                };
                if &*link.to == "cp" && self.readable.len() < READABLE_MAX {
                    self.readable.extend_from_slice(&envelope.body);
                }
                let sets = self
                    .sets
                    .entry((link.from.to_string(), link.to.to_string()))
                    .or_default();
                if sets.len() < SETS_KEPT {
                    sets.push(delivery);
                }
            }
            _ => {}
        }
    }

    fn dcc_executed(&mut self, device: u64, at: SimInstant, approved: bool) {
        self.executed.push(Executed {
            device: Eui64(device),
            at,
            by_dcc: true,
            critical: true,
            approved,
        });
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
