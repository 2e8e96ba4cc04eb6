//! The control centre's core: inputs in, entries written, instructions out.
//!
//! Everything it decides is written to the journal before anybody is told; what is to be done is read off the state. So a
//! restart on the same journal goes on where the last one stopped, and gives the same instructions under the same
//! references.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use domain::{Seed, SimInstant};
use duis::signature::Scheme;
use jiff::civil::Date;
use world::Store;

use super::campaign::Campaign;
use super::event::{Entry, Event};
use super::journal::{Journal, JournalError};
use super::pressure::Pressure;
use super::state::{Actor, State};
use super::work::{Instruction, Work};
use crate::InstallationId;
use crate::planning::gates::{Environment, Lists};
use crate::planning::intake::Intake;
use crate::settings::{CohortSlug, Settings};

/// Whether a certificate, by its serial number in hex, is known and not revoked.
pub type KnownCertificate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What a [`Control`] is built from.
pub struct Options {
    /// Name of the campaign.
    pub name: String,
    /// Live or DUST.
    pub environment: Environment,
    /// What proves messages in the lab; noted when the campaign begins.
    pub signatures: Scheme,
    /// The settings.
    pub settings: Arc<Settings>,
    /// EPCL and CPL.
    pub lists: Arc<dyn Lists + Send + Sync>,
    /// Certificates of suppliers.
    pub certificates: KnownCertificate,
    /// Seed of the run and its number, for the spread of pauses.
    pub seed: (u64, Seed),
    /// The journal.
    pub store: Box<dyn Store>,
    /// Whether suppliers' demand is to be committed and allocated; else they get what they authorise.
    pub demand_is_committed: bool,
}

/// The core of the control centre.
pub struct Control {
    pub(super) settings: Arc<Settings>,
    pub(super) lists: Arc<dyn Lists + Send + Sync>,
    pub(super) certificates: KnownCertificate,
    pub(super) seed: Seed,
    pub(super) demand_is_committed: bool,
    pub(super) campaign: Campaign,
    pub(super) intake: Intake,
    journal: Journal,
    /// Instructions given and not reported on.
    in_flight: BTreeMap<String, Instruction>,
    busy: BTreeSet<InstallationId>,
    ready: VecDeque<Instruction>,
    /// Installations touched since they were last looked at.
    touched: BTreeSet<InstallationId>,
    touched_groups: BTreeSet<String>,
    /// Installations in the steps that a group shares.
    sharing: BTreeSet<InstallationId>,
    pressure: Pressure,
    alarms: BTreeSet<(SimInstant, InstallationId)>,
    alarm_of: BTreeMap<InstallationId, SimInstant>,
}

impl Control {
    /// Opens a campaign: begins it on an empty journal, goes on with it on another.
    ///
    /// # Errors
    /// When the journal cannot be read or was tampered with.
    pub fn open(options: Options, now: SimInstant) -> Result<Self, JournalError> {
        let mut campaign = Campaign::new(Arc::clone(&options.settings));
        let mut received = Vec::new();
        let journal = Journal::open(options.store, &mut |_, entry| {
            campaign.apply(&entry);
            let of_files = matches!(
                entry.event,
                Event::FileReceived { .. } | Event::FileAnswered(_) | Event::Demand { .. }
            );
            if of_files {
                received.push(entry);
            }
        })?;
        let mut control = Self {
            settings: options.settings,
            lists: options.lists,
            certificates: options.certificates,
            seed: options.seed.1,
            demand_is_committed: options.demand_is_committed,
            campaign,
            intake: Intake::default(),
            journal,
            in_flight: BTreeMap::new(),
            busy: BTreeSet::new(),
            ready: VecDeque::new(),
            touched: BTreeSet::new(),
            touched_groups: BTreeSet::new(),
            sharing: BTreeSet::new(),
            pressure: Pressure::default(),
            alarms: BTreeSet::new(),
            alarm_of: BTreeMap::new(),
        };
        if control.journal.sequence() == 0 {
            let (name, seed, environment) = (options.name, options.seed.0, options.environment);
            let event = match options.signatures {
                Scheme::P256 => Event::Started {
                    name,
                    seed,
                    environment,
                },
                Scheme::None => Event::StartedWithoutSignatures {
                    name,
                    seed,
                    environment,
                },
            };
            control.write(now, Actor::Mcc, None, None, event)?;
        }
        for known in control.campaign.installations.values() {
            control.pressure.follow(known);
        }
        control.remember_files(now, &received)?;
        control.touched.extend(control.campaign.installations.keys().copied());
        control.settle(now)?;
        Ok(control)
    }

    /// What the journal adds up to.
    #[must_use]
    pub fn campaign(&self) -> &Campaign {
        &self.campaign
    }

    /// The settings it works by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether suppliers' demand is to be committed and allocated.
    #[must_use]
    pub fn demand_is_committed(&self) -> bool {
        self.demand_is_committed
    }

    /// What the journal adds up to, alone. The journal is closed.
    #[must_use]
    pub fn into_campaign(self) -> Campaign {
        self.campaign
    }

    /// The journal's last sequence number and hash.
    #[must_use]
    pub fn head(&self) -> (u64, [u8; 32]) {
        (self.journal.sequence(), self.journal.head())
    }

    /// Makes everything written durable. Nothing of what [`Control::next_instruction`] gives may be sent before.
    ///
    /// # Errors
    /// When the medium refuses.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        self.journal.commit()
    }

    /// The next instruction to be sent, once committed. Each is given once per start.
    pub fn next_instruction(&mut self) -> Option<Instruction> {
        self.ready.pop_front()
    }

    /// The instruction with this reference, while no report on it came.
    #[must_use]
    pub fn in_flight(&self, reference: &str) -> Option<&Instruction> {
        self.in_flight.get(reference)
    }

    /// Number of instructions that wait for a report.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// When it wants to be woken next.
    #[must_use]
    pub fn next_wake(&self) -> Option<SimInstant> {
        let pauses = self
            .campaign
            .cohorts
            .values()
            .filter_map(|cohort| cohort.paused.as_ref()?.until);
        let alarm = self.alarms.first().map(|(at, _)| *at);
        [alarm, pauses.min(), self.intake.next_wake(&self.settings)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what the clock brings. Waking early or twice is harmless.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn wake(&mut self, now: SimInstant) -> Result<(), JournalError> {
        for answer in self.intake.wake(now, &self.settings) {
            self.answered(now, answer)?;
        }
        let over: Vec<CohortSlug> = self
            .campaign
            .cohorts
            .iter()
            .filter(|(_, cohort)| {
                cohort
                    .paused
                    .as_ref()
                    .and_then(|pause| pause.until)
                    .is_some_and(|at| at <= now)
            })
            .map(|(slug, _)| slug.clone())
            .collect();
        for cohort in over {
            self.resume(now, &cohort, "the time of the pause is over")?;
        }
        while let Some((at, id)) = self.alarms.first().copied() {
            if at > now {
                break;
            }
            self.alarms.pop_first();
            self.alarm_of.remove(&id);

            self.touched.insert(id);
        }
        self.settle(now)
    }

    /// Ends the pause of a cohort.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn resume(&mut self, now: SimInstant, cohort: &CohortSlug, by: &str) -> Result<(), JournalError> {
        let event = Event::CohortResumed {
            cohort: cohort.clone(),
            by: by.to_owned(),
        };
        self.write(now, Actor::Mcc, None, None, event)?;
        let waiting = self
            .campaign
            .installations
            .values()
            .filter(|known| known.state == State::Slotted && known.facts.cohort == *cohort);
        let waiting: Vec<InstallationId> = waiting.map(|known| known.id()).collect();
        self.touched.extend(waiting);
        self.settle(now)
    }

    /// Writes one entry and takes it in.
    pub(super) fn write(
        &mut self,
        now: SimInstant,
        actor: Actor,
        installation: Option<InstallationId>,
        to: Option<State>,
        event: Event,
    ) -> Result<(), JournalError> {
        let from = installation.and_then(|id| Some(self.campaign.installations.get(&id)?.state));
        let change = from.zip(to).filter(|(from, to)| from != to);
        if let Some((from, to)) = change {
            assert!(
                State::transition(from, to).is_some(),
                "no transition leads from {from} to {to}: {event:?}"
            );
        }
        let entry = Entry {
            at: now,
            actor,
            installation,
            change,
            event,
        };
        self.journal.append(&entry)?;
        self.campaign.apply(&entry);
        if let Some(id) = installation {
            self.touched.insert(id);
        }
        Ok(())
    }

    /// Looks at everything touched: what follows by itself, what is to be done, when to wake.
    pub(super) fn settle(&mut self, now: SimInstant) -> Result<(), JournalError> {
        while let Some(id) = self.touched.pop_first() {
            if self.follow(now, id)? {
                self.touched.insert(id);
                continue;
            }
            self.schedule(now, id);
        }
        while let Some(group) = self.touched_groups.pop_first() {
            self.schedule_group(&group, now);
        }
        Ok(())
    }

    fn schedule(&mut self, now: SimInstant, id: InstallationId) {
        if let Some(at) = self.alarm_of.remove(&id) {
            self.alarms.remove(&(at, id));
        }
        let Some(installation) = self.campaign.installations.get(&id) else {
            return;
        };
        self.touched.extend(self.pressure.follow(installation));
        let paused = self
            .campaign
            .cohorts
            .get(&installation.facts.cohort)
            .is_some_and(|c| c.paused.is_some());
        let wake = installation.next_wake(now, &self.settings);
        if let Some(at) = wake {
            self.alarms.insert((at, id));
            self.alarm_of.insert(id, at);
        }
        // Only the first steps of an attempt are shared; whoever leaves them, one way or another, tells the others once.
        let shares = matches!(
            installation.state,
            State::Slotted | State::Frozen | State::DataValidated
        );
        let group = &installation.attempt.group;
        let shared = if shares {
            self.sharing.insert(id);
            true
        } else {
            self.sharing.remove(&id)
        };
        if shared && !group.is_empty() {
            self.touched_groups.insert(group.clone());
        }
        if self.busy.contains(&id) {
            return;
        }
        let Some(work) = installation.next_work(now, paused, &self.settings) else {
            return;
        };
        if work == Work::Freeze
            && !self
                .pressure
                .admits(installation, self.settings.calendar.slots.frozen_max)
        {
            return;
        }
        if let Work::Rotate { device, .. } = &work
            && installation.attempt.rotating != Some(*device)
        {
            // Before the device is asked, it is written down that it may be rotated from here on; see `follow`.
            return;
        }
        let attempt = &installation.attempt;
        let instruction = Instruction {
            reference: format!("{id}/{}/{}/{}", attempt.number, work.word(), installation.failures),
            group: attempt.group.clone(),
            installations: vec![id],
            work,
        };
        self.give(instruction);
    }

    /// Work that a group shares: once none of its members is still on the way to it.
    fn schedule_group(&mut self, group: &str, now: SimInstant) {
        let Some(members) = self.campaign.groups.get(group) else {
            return;
        };
        let of_group: Vec<_> = members
            .iter()
            .filter_map(|id| self.campaign.installations.get(id))
            .filter(|known| known.attempt.group == group)
            .collect();
        for (state, before, work) in [
            (State::Frozen, &[State::Slotted][..], Work::Deliver),
            (
                State::DataValidated,
                &[State::Slotted, State::Frozen][..],
                Work::Secrets,
            ),
        ] {
            let here: Vec<_> = of_group.iter().filter(|known| known.state == state).collect();
            let expected = of_group.iter().any(|known| {
                before.contains(&known.state) && known.hold.is_none() && known.unwind == Default::default()
            });
            let free = |id: InstallationId| !self.busy.contains(&id);
            let due = here
                .iter()
                .all(|known| free(known.id()) && known.attempt.not_before.is_none_or(|at| at <= now));
            if here.is_empty() || expected || !due {
                continue;
            }

            let instruction = Instruction {
                reference: format!("{group}/{}/{}-{}", work.word(), here[0].id(), here[0].failures),
                work,
                group: group.to_owned(),
                installations: here.iter().map(|known| known.id()).collect(),
            };
            self.give(instruction);
            return;
        }
    }

    fn give(&mut self, instruction: Instruction) {
        self.busy.extend(instruction.installations.iter().copied());
        self.in_flight
            .insert(instruction.reference.clone(), instruction.clone());
        self.ready.push_back(instruction);
    }

    /// Takes an installation out of an instruction that was reported on; the instruction goes with its last one.
    pub(super) fn reported(&mut self, reference: &str, id: InstallationId) -> Option<Work> {
        let instruction = self.in_flight.get_mut(reference)?;
        let position = instruction.installations.iter().position(|member| *member == id)?;
        instruction.installations.remove(position);
        let work = instruction.work.clone();
        if instruction.installations.is_empty() {
            self.in_flight.remove(reference);
        }
        self.busy.remove(&id);
        self.touched.insert(id);
        Some(work)
    }

    /// Forgets what an installation was asked to do: a report on it that still comes changes nothing.
    pub(super) fn forget_work(&mut self, id: InstallationId) {
        if !self.busy.remove(&id) {
            return;
        }
        for instruction in self.in_flight.values_mut() {
            instruction.installations.retain(|member| *member != id);
        }
        self.in_flight
            .retain(|_, instruction| !instruction.installations.is_empty());
        self.ready
            .retain(|instruction| self.in_flight.contains_key(&instruction.reference));
    }

    pub(super) fn touch(&mut self, ids: impl IntoIterator<Item = InstallationId>) {
        self.touched.extend(ids);
    }

    pub(super) fn is_busy(&self, id: InstallationId) -> bool {
        self.busy.contains(&id)
    }

    /// The day that a date of the lab's calendar belongs to.
    pub(super) fn today(&self, now: SimInstant) -> Date {
        crate::day::day_of(now)
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("journal", &self.journal)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}
