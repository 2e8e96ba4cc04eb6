//! From the journal back to state, and from there onwards.

use std::collections::{BTreeMap, VecDeque};

use domain::{Eui64, SimInstant};
use world::{MemoryStore, StoreError};

use super::deliveries::delivery_of;
use super::snapshot::Touched;
use super::{Concern, Core, Open, Released, Stage};
use crate::anomaly::Counts;
use crate::audit::Event;
use crate::images::{Distribution, Images, Job, JobState};
use crate::journal::{
    self, Acknowledged, CredentialsMessage, DeviceMessage, Entry, HeldBack, ImagesMessage, KnownMessage,
    ReleasedMessage, ScheduleMessage, Standing,
};
use crate::options::Options;
use crate::schedules::Schedules;
use crate::sequences::Sequences;
use crate::throttle::{AlertKind, Throttle};
use crate::timers::{Timer, Timers};

impl Core {
    /// Reads the journal.
    pub(crate) fn new(options: Options, ports: Vec<Eui64>, now: SimInstant) -> Result<Self, StoreError> {
        let mut core = Self {
            options,
            ports,
            counters: BTreeMap::new(),
            countersigned: BTreeMap::new(),
            open: BTreeMap::new(),
            sequences: Sequences::default(),
            schedules: Schedules::default(),
            images: Images::default(),
            throttle: Throttle::default(),
            outboxes: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            alerts: BTreeMap::new(),
            counts: Counts::default(),
            quarantines: 0,
            touched: Touched::default(),
            followed: VecDeque::new(),
            following: false,
            timers: Timers::default(),
            entries: Vec::new(),
            effects: Vec::new(),
        };
        let store = std::mem::replace(&mut core.options.store, Box::new(MemoryStore::default()));
        let read = store.replay(&mut |octets| {
            if let Some(entry) = Entry::read(octets) {
                core.replay(entry, now);
            }
        });
        core.options.store = store;
        read.map(|()| core)
    }

    fn replay(&mut self, entry: Entry, now: SimInstant) {
        self.touched.note(&entry);
        if let Some(standing) = entry.standing {
            self.replay_standing(standing);
        }
        if let Some(id) = entry.counter_used.as_deref().and_then(journal::read_id) {
            self.counters.insert((id.originator, id.target), id.counter);
        }
        if let Some(user) = entry.counters_reset {
            self.counters.retain(|(originator, _), _| originator.0 != user);
        }
        let at = SimInstant(entry.at_ms);
        if let Some(acknowledged) = entry.acknowledged {
            self.replay_acknowledged(acknowledged, at);
        }
        if let Some(released) = &entry.released {
            self.replay_released(released);
        }
        if let Some(accepted) = &entry.accepted
            && let Some(open) = journal::read_id(&accepted.request).and_then(|id| self.open.get_mut(&id))
        {
            open.stage = Stage::Accepted(SimInstant(accepted.at_ms));
        }
        for id in entry.ended.iter().filter_map(|octets| journal::read_id(octets)) {
            if let Some(open) = self.open.remove(&id)
                && let Stage::Waiting(preceding) = open.stage
            {
                self.sequences.forget(id, preceding);
            }
        }
        for ended in &entry.sequence_ended {
            if let Some(id) = journal::read_id(&ended.request) {
                let limit = self.options.limits.sequences_remembered;
                self.sequences.ended(id, ended.succeeded, limit);
            }
        }
        // Whether an acknowledgement had left before the end is not known; the gap starts anew, for certain.
        let not_before = now + self.options.limits.delivery_gap;
        for message in entry.deliveries {
            let outbox = self.outboxes.entry(Eui64(message.user)).or_default();
            // What is put back is no dead letter meanwhile.
            outbox.exhume(message.id);
            outbox.put(delivery_of(message), Some(not_before));
        }
        if let Some(settled) = entry.settled {
            self.settle(&settled, not_before);
        }
        for device in entry.devices.into_iter().filter_map(DeviceMessage::read) {
            self.options.inventory.put(device);
        }
        for device in entry.devices_removed {
            self.options.inventory.remove(Eui64(device));
        }
        if let Some(quarantine) = entry.quarantine {
            self.take_quarantine(quarantine, at);
        }
        if let Some((device, record)) = entry.credentials.map(CredentialsMessage::read) {
            self.options.credentials.set(device, record);
        }
        if let Some(alert) = entry.alert {
            self.remember_alert(Eui64(alert.device), alert.counter);
        }
        for schedule in entry.schedules {
            self.schedules.used(schedule.id);
            if let Some(schedule) = ScheduleMessage::read(schedule) {
                self.schedules.put(schedule);
            }
        }
        for schedule in entry.schedules_removed {
            self.schedules.remove(schedule);
        }
        if let Some(images) = entry.images {
            self.replay_images(images);
        }
        for known in entry.images_known.into_iter().filter_map(KnownMessage::read) {
            self.images.know(known);
        }
        for ended in &entry.jobs_ended {
            let distribution = journal::read_id(&ended.request).and_then(|id| self.images.by_request.get_mut(&id));
            let Some(distribution) = distribution else { continue };
            let device = Eui64(ended.device);
            distribution.jobs.remove(&device);
            if let Ok(why) = ended.trigger.parse() {
                distribution.failed.entry(why).or_default().insert(device);
            }
        }
        for reported in &entry.jobs_reported {
            let distribution = journal::read_id(&reported.request).and_then(|id| self.images.by_request.get_mut(&id));
            if let (Some(distribution), Ok(why)) = (distribution, reported.trigger.parse()) {
                distribution.failed.remove(&why);
            }
        }
        for held in entry.held_back {
            let (kind, until) = (kind_of(&held), SimInstant(held.until_ms));
            self.throttle.restore(kind, until, held.count, held.xml);
        }
        for summed in entry.summed_up {
            let user = Eui64(summed.user);
            self.throttle.used(user, summed.sequence);
            self.throttle.forget(&AlertKind {
                user,
                device: Eui64(summed.device),
                code: summed.code,
            });
        }
    }

    fn replay_standing(&mut self, standing: Standing) {
        for id in standing.counters.iter().filter_map(|octets| journal::read_id(octets)) {
            self.counters.insert((id.originator, id.target), id.counter);
        }
        let last = standing.countersigned.iter().map(|last| (Eui64(last.key), last.value));
        self.countersigned.extend(last);
        for taken in standing.alerts {
            self.alerts
                .insert(Eui64(taken.device), taken.counters.into_iter().collect());
        }
        for last in standing.last_deliveries {
            self.outboxes.entry(Eui64(last.key)).or_default().used(last.value);
        }
        for last in standing.throttled {
            self.throttle
                .used(Eui64(last.key), u32::try_from(last.value).unwrap_or(u32::MAX));
        }
        self.schedules.used(standing.last_schedule);
        self.quarantines = self.quarantines.max(standing.last_quarantine);
    }

    fn replay_acknowledged(&mut self, acknowledged: Acknowledged, at: SimInstant) {
        let (id, srv) = (journal::read_id(&acknowledged.request), acknowledged.srv.parse());
        let (Some(id), Ok(srv)) = (id, srv) else { return };
        let request = duis::read_request(&acknowledged.xml).ok();
        let concern = request
            .as_ref()
            .and_then(|request| Concern::read(request).ok().flatten());
        let credentials = request.as_ref().and_then(|request| Self::asked_change(request, at));
        let in_sequence = request
            .as_ref()
            .is_some_and(|request| request.first_in_sequence == Some(true) || request.preceding.is_some());
        let dated = acknowledged.held_until_ms.map(SimInstant);
        let preceding = acknowledged.preceding.as_deref().and_then(journal::read_id);
        let stage = match preceding {
            Some(preceding) => {
                self.sequences.wait(id, preceding);
                Stage::Waiting(preceding)
            }
            None => Stage::Held(dated.unwrap_or(at)),
        };
        let open = Open {
            srv,
            user: acknowledged.user.map_or(id.originator, Eui64),
            schedule: acknowledged.schedule,
            at,
            xml: acknowledged.xml,
            stage,
            acknowledged_left: None,
            attempts: 0,
            concern,
            credentials,
            dated,
            in_sequence,
            quarantine: None,
        };
        self.open.insert(id, open);
    }

    fn replay_released(&mut self, message: &ReleasedMessage) {
        let Some(id) = journal::read_id(&message.request) else {
            return;
        };
        self.countersigned.insert(id.target, message.originator_counter);
        let (Some(open), Ok(kind)) = (self.open.get_mut(&id), message.kind.parse()) else {
            return;
        };
        if let Stage::Waiting(preceding) = open.stage {
            self.sequences.forget(id, preceding);
        }
        open.stage = Stage::Released(Released {
            originator_counter: message.originator_counter,
            at: SimInstant(message.at_ms),
            kind,
            hub: Eui64(message.hub),
        });
    }

    fn replay_images(&mut self, message: ImagesMessage) {
        let sha256 = <[u8; 32]>::try_from(&*message.sha256);
        let (Some(request), Ok(sha256)) = (journal::read_id(&message.request), sha256) else {
            return;
        };
        let jobs = message.jobs.into_iter().filter_map(|job| {
            let state = JobState::Waiting;
            let (kind, hub) = (job.kind.parse().ok()?, Eui64(job.hub));
            Some((Eui64(job.device), Job { kind, hub, state }))
        });
        let distribution = Distribution {
            request,
            firmware: message.firmware,
            sha256,
            image: message.image,
            deadline: SimInstant(message.deadline_ms),
            jobs: jobs.collect(),
            image_taken: false,
            attempts: 0,
            failed: BTreeMap::new(),
        };
        self.images.by_request.insert(request, distribution);
    }

    /// Takes up again what the journal left open.
    pub(crate) fn start(&mut self, now: SimInstant) {
        let open = self
            .open
            .iter()
            .map(|(id, open)| (*id, open.stage, open.quarantine.is_some()));
        let open: Vec<_> = open.collect();
        let limits = self.options.limits;
        for (id, stage, quarantined) in open {
            self.record(&self.about(Event::Resumed, id, now), now);
            // Limits start anew: a DCC that was down for long must not end what the S1SP may have finished.
            match stage {
                // It waits for people.
                Stage::Held(_) if quarantined => {}
                Stage::Held(at) => self.timers.set(Timer::Release(id), at.max(now)),
                Stage::Released(_) => self.timers.set(Timer::Deadline(id), now + limits.outcome_limit),
                Stage::Accepted(at) => self.timers.set(Timer::Deadline(id), at.max(now) + limits.outcome_limit),
                Stage::Waiting(_) => self.timers.set(Timer::Deadline(id), now + limits.sequence_wait),
            }
            self.acknowledgement_left(id, now);
        }
        self.resume_sequences(now);
        for schedule in self.schedules.iter() {
            if let Some(at) = schedule.next {
                // A run that was missed is made up for, once.
                self.timers.set(Timer::Schedule(schedule.id), at.max(now));
            }
        }
        let images: Vec<_> = self
            .images
            .by_request
            .values()
            .map(|one| (one.request, one.deadline))
            .collect();
        for (request, deadline) in images {
            self.timers.set(Timer::ImageDeadline(request), deadline.max(now));
            self.timers.set(Timer::ImageSend(request), now);
            self.timers.set(Timer::ImageReport(request), now);
        }
        self.watch_throttling();
        let users: Vec<_> = self.outboxes.keys().copied().collect();
        users.into_iter().for_each(|user| self.deliver(user, now));
    }

    /// Requests whose predecessor ended just before the DCC did.
    fn resume_sequences(&mut self, now: SimInstant) {
        let waiting = self.open.values().filter_map(|open| match open.stage {
            Stage::Waiting(preceding) => Some(preceding),
            _ => None,
        });
        let ended: Vec<_> = waiting
            .filter_map(|preceding| Some((preceding, self.sequences.outcome(preceding)?)))
            .collect();
        for (preceding, succeeded) in ended {
            self.follow_all(preceding, succeeded, now);
        }
    }
}

fn kind_of(held: &HeldBack) -> AlertKind {
    AlertKind {
        user: Eui64(held.user),
        device: Eui64(held.device),
        code: held.code.clone(),
    }
}
