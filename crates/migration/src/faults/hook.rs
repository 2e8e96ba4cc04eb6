//! One fault on the links of one world.

use std::collections::{BTreeMap, BTreeSet};

use domain::{DeviceKind, SimDuration, SimInstant};
use prost::bytes::Bytes;
use proto::{Condition, Envelope, Kind, Message, WanOpen};
use world::{FaultHook, LinkName, Verdict};

use super::message::{self, About};
use super::table::FaultRule;
use super::way::{Way, way};
use crate::InstallationId;
use crate::machine::model::Facts;

/// Longer than anybody waits for an acknowledgement.
const TOO_LATE: SimDuration = SimDuration::from_mins(30);

/// What the S1SP's answers take longer by, as a multiple of what they took.
const SLOWER_BY: u64 = 9;

/// An installation that a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    hub: u64,
    devices: BTreeMap<DeviceKind, u64>,
}

impl Target {
    /// From its facts.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        Self {
            hub: facts.hub.0,
            devices: facts.devices.iter().map(|device| (device.kind, device.id.0)).collect(),
        }
    }
}

/// A rule on the fault hook of one world. It counts for itself how often it acted; the number of an attempt it reads from
/// the messages, so that a rule limited by attempts does the same after a restart.
pub struct Rule {
    rule: FaultRule,
    way: Way,
    targets: BTreeMap<InstallationId, Target>,
    hubs: BTreeSet<u64>,
    acted: BTreeMap<InstallationId, u32>,
    /// Commands and files under way: members by link back, and id.
    asked: BTreeMap<(String, u64), Asked>,
    /// Hubs without WAN, with the number of commands that wait for an answer there.
    cut: BTreeMap<u64, u32>,
    /// Files whose answer is still to be lost.
    unheard: BTreeSet<(String, u64)>,
    /// Files to come again, by installation.
    old: BTreeMap<InstallationId, Bytes>,
    replacement: Bytes,
}

#[derive(Clone, Debug)]
struct Asked {
    members: Vec<(InstallationId, u32)>,
    at: SimInstant,
    gas: bool,
    cut: Option<u64>,
}

impl Rule {
    /// A rule about these installations; none when its error is not made on links.
    #[must_use]
    pub fn new(rule: FaultRule, targets: impl IntoIterator<Item = (InstallationId, Target)>) -> Option<Self> {
        let way = way(&rule.row.id)?;
        if matches!(way, Way::Act(_) | Way::Draft | Way::Gate | Way::Request(_)) {
            return None;
        }
        let targets: BTreeMap<_, _> = targets.into_iter().collect();
        Some(Self {
            rule,
            way,
            hubs: targets.values().map(|target: &Target| target.hub).collect(),
            targets,
            acted: BTreeMap::new(),
            asked: BTreeMap::new(),
            cut: BTreeMap::new(),
            unheard: BTreeSet::new(),
            old: BTreeMap::new(),
            replacement: Bytes::new(),
        })
    }

    /// Whether it acts on an attempt of an installation; counts that it did.
    fn acts_on(&mut self, id: InstallationId, attempt: u32) -> bool {
        if !self.targets.contains_key(&id) || self.rule.attempts.is_some_and(|first| attempt > first) {
            return false;
        }
        let acted = self.acted.entry(id).or_default();
        if self.rule.times.is_some_and(|times| *acted >= times) {
            return false;
        }
        *acted += 1;
        true
    }

    fn replace(&mut self, body: Option<Bytes>) -> Verdict {
        match body {
            Some(body) => {
                self.replacement = body;
                Verdict::Replace
            }
            None => Verdict::Pass,
        }
    }

    fn condition(&self, id: InstallationId) -> Condition {
        let kind = match self.rule.row.id.as_str() {
            "LAB-VI-02" | "LAB-VI-05" | "LAB-VI-06" => Some(DeviceKind::Esme),
            "LAB-VI-03" | "LAB-VI-04" => Some(DeviceKind::Gsme),
            _ => None,
        };
        let device = self.targets.get(&id).zip(kind);
        let device = device.and_then(|(target, kind)| target.devices.get(&kind));
        Condition {
            kind: self.rule.condition.clone(),
            installation_id: id.to_string(),
            device: device.copied().unwrap_or(0),
            detail: format!("fault {} of the campaign", self.rule.number),
        }
    }

    /// Who of these is to be acted on; each of them counts.
    fn chosen(&mut self, members: &[(InstallationId, u32)]) -> Vec<InstallationId> {
        let each = members.iter();
        each.filter(|(id, attempt)| self.acts_on(*id, *attempt))
            .map(|(id, _)| *id)
            .collect()
    }

    /// A command or a set of files on its way.
    fn request(&mut self, link: &LinkName, envelope: &Envelope, about: &About, now: SimInstant) -> Verdict {
        let members = match (envelope.kind(), about.one) {
            (_, Some(one)) => vec![one],
            (Kind::FileDelivery, None) => message::members(&envelope.body),
            _ => return Verdict::Pass,
        };
        let key = (format!("{}>{}", link.to, link.from), envelope.id);
        let gas = |target: &Target| {
            let meter = target.devices.get(&DeviceKind::Gsme);
            meter.is_some_and(|meter| message::asks_for(envelope, *meter))
        };
        let mut asked = Asked {
            gas: members.iter().any(|(id, _)| self.targets.get(id).is_some_and(gas)),
            members,
            at: now,
            cut: None,
        };
        let unheard = self.is_kept(link, envelope, about, &asked);
        let verdict = match unheard {
            true => Verdict::Pass,
            false => self.act_on_request(link, envelope, about, &mut asked),
        };
        if self.asked.len() > 100_000 {
            // Answers that never came: nobody waits for the oldest any more.
            self.asked.retain(|_, old| old.at + SimDuration::from_hours(12) > now);
        }
        if unheard {
            self.unheard.insert(key.clone());
        }
        self.asked.insert(key, asked);
        verdict
    }

    /// Keeps the first files about an installation for a rule that lets old files come again; gives whether these are they.
    fn is_kept(&mut self, link: &LinkName, envelope: &Envelope, about: &About, asked: &Asked) -> bool {
        let Way::Old(work) = self.way else { return false };
        let first = |id: &InstallationId| self.targets.contains_key(id) && !self.old.contains_key(id);
        let Some((id, _)) = asked.members.iter().find(|(id, _)| first(id)) else {
            return false;
        };
        let keeps = about.work.starts_with(work) && *link.to == *"cp";
        if keeps {
            self.old.insert(*id, envelope.body.clone());
        }
        keeps
    }

    fn act_on_request(&mut self, link: &LinkName, envelope: &Envelope, about: &About, asked: &mut Asked) -> Verdict {
        let of = |word: &str| about.work.starts_with(word);
        match self.way {
            Way::Lost(work, from, to) if of(work) && *link.from == *from && *link.to == *to => {
                verdict(self.chosen(&asked.members), Verdict::Drop)
            }
            Way::Late(work, to) if of(work) && *link.to == *to => {
                verdict(self.chosen(&asked.members), Verdict::Delay(TOO_LATE))
            }
            Way::Old(work) if of(work) && *link.to == *"cp" => {
                let chosen = self.chosen(&asked.members);
                let old = chosen.first().and_then(|id| self.old.get(id).cloned());
                let old = old.and_then(|old| message::with_set_of(envelope, &old));
                self.replace(old)
            }
            Way::NoWan(work, kind) if of(work) && *link.to == *"s1sp" => {
                let device = message::device_of(envelope);
                let meant = |target: &Target| kind.is_none_or(|kind| target.devices.get(&kind).copied() == device);
                let members = asked.members.clone();
                let meant = members
                    .into_iter()
                    .filter(|(id, _)| self.targets.get(id).is_some_and(meant));
                let meant: Vec<_> = meant.collect();
                if let Some(id) = self.chosen(&meant).first() {
                    let hub = self.targets[id].hub;
                    *self.cut.entry(hub).or_default() += 1;
                    asked.cut = Some(hub);
                }
                Verdict::Pass
            }
            Way::Change(work) if of(work) => {
                let changed = message::changed(&self.rule.row.id, envelope);
                if changed.is_some() && !self.chosen(&asked.members).is_empty() {
                    return self.replace(changed);
                }
                Verdict::Pass
            }
            _ => Verdict::Pass,
        }
    }

    /// The answer to one of them.
    fn answer(&mut self, link: &LinkName, envelope: &Envelope, about: &About, now: SimInstant) -> Verdict {
        let key = (link.to_string(), envelope.in_reply_to);
        let Some(asked) = self.asked.get(&key).cloned() else {
            return Verdict::Pass;
        };
        if self.unheard.remove(&key) {
            return Verdict::Drop;
        }
        self.asked.remove(&key);
        if let Some(hub) = asked.cut
            && let Some(waiting) = self.cut.get_mut(&hub)
        {
            *waiting -= 1;
            if *waiting == 0 {
                self.cut.remove(&hub);
            }
        }
        let of = |word: &str| about.work.starts_with(word);
        // What is about gas ends when the gas meter is left out.
        let moot = self.rule.row.id == "LAB-VI-03" && !asked.gas;
        match self.way {
            Way::Answer(work, from) if of(work) && *link.from == *from && !moot => {
                let chosen = self.chosen(&asked.members);
                let conditions: Vec<Condition> = chosen.iter().map(|id| self.condition(*id)).collect();
                if conditions.is_empty() {
                    return Verdict::Pass;
                }
                self.replace(message::found(envelope, conditions))
            }
            Way::Mended(work, from) if of(work) && *link.from == *from => {
                let chosen = self.chosen(&asked.members);
                let condition = chosen.first().map(|id| self.condition(*id));
                let body = condition.and_then(|condition| message::mended(envelope, condition));
                self.replace(body)
            }
            Way::Lost(work, from, to) if of(work) && *link.from == *from && *link.to == *to => {
                verdict(self.chosen(&asked.members), Verdict::Drop)
            }
            Way::Change(work) if of(work) => {
                let changed = message::changed(&self.rule.row.id, envelope);
                if changed.is_some() && !self.chosen(&asked.members).is_empty() {
                    return self.replace(changed);
                }
                Verdict::Pass
            }
            Way::Slow if *link.from == *"s1sp" => {
                let took = now.since(asked.at).as_millis();
                let later = SimDuration::from_millis(took.saturating_mul(SLOWER_BY));
                verdict(self.chosen(&asked.members), Verdict::Delay(later))
            }
            _ => Verdict::Pass,
        }
    }

    fn is_cut(&self, hub: u64) -> bool {
        self.cut.contains_key(&hub) || (self.way == Way::Links && self.hubs.contains(&hub))
    }
}

/// This verdict, when anybody was chosen for it.
fn verdict(chosen: Vec<InstallationId>, verdict: Verdict) -> Verdict {
    if chosen.is_empty() { Verdict::Pass } else { verdict }
}

impl FaultHook for Rule {
    fn judge(&mut self, link: &LinkName, envelope: &Envelope, now: SimInstant) -> Verdict {
        let kind = envelope.kind();
        if matches!(kind, Kind::WanSms | Kind::WanOpen | Kind::WanData) {
            if !link.joins("wan", "fleet") || (self.cut.is_empty() && self.way != Way::Links) {
                return Verdict::Pass;
            }
            // Every message of the WAN begins with the hub.
            let hub = WanOpen::decode(envelope.body.clone()).map_or(0, |open| open.hub);
            let holds = self.way != Way::Links || self.rule.holds_at(now);
            return if holds && self.is_cut(hub) {
                Verdict::Drop
            } else {
                Verdict::Pass
            };
        }
        let Some(about) = About::of(&envelope.trace_id) else {
            return Verdict::Pass;
        };
        match kind {
            // Rules that have ended still see the answers to what they saw.
            Kind::FileAcknowledgement
            | Kind::SmsoMigrationOutcome
            | Kind::S1spMigrationOutcome
            | Kind::DcoMigrationOutcome => self.answer(link, envelope, &about, now),
            Kind::FileDelivery
            | Kind::SmsoMigrationCommand
            | Kind::S1spMigrationCommand
            | Kind::DcoMigrationCommand
                if self.rule.holds_at(now) =>
            {
                self.request(link, envelope, &about, now)
            }
            _ => Verdict::Pass,
        }
    }

    fn replacement(&mut self) -> Bytes {
        std::mem::take(&mut self.replacement)
    }
}
