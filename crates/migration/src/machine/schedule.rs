//! Weeks and days: allocations, notices, slots.

use std::collections::BTreeMap;

use domain::{DeviceKind, Eui64, SimDuration, SimInstant};
use jiff::civil::Date;

use super::control::Control;
use super::event::{AllocationRecord, Event};
use super::journal::JournalError;
use super::model::{Authorisation, Facts, Installation, Unwind, Upgrade};
use super::report::Found;
use super::state::{Actor, State};
use super::work::Work;
use crate::day::{days_between, instant, plus_days};
use crate::planning::gates::{Combination, ListedModel, cohort_open};
use crate::planning::ramp::CohortDay;
use crate::planning::scaling::{DayDemand, Method, allocate};
use crate::settings::{CohortSlug, Mode, Stage};
use crate::{InstallationId, InstallationType};

/// Days that the notice of a dormant migration holds, from the day it announces.
const NOTICE_DAYS: i32 = 28;

/// Days after the end of an authorisation during which a failed attempt may be repeated.
const RETRY_DAYS: i32 = 28;

impl Control {
    /// Makes an installation known.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn register(&mut self, now: SimInstant, facts: Facts) -> Result<(), JournalError> {
        let id = facts.id;
        if self.campaign.installation(id).is_some() {
            return Ok(());
        }
        self.write(now, Actor::Rp, Some(id), None, Event::Registered(Box::new(facts)))?;
        self.settle(now)
    }

    /// Shares the capacity of a week among suppliers, from what they committed to. Does nothing for days that are
    /// allocated already.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn scale_week(&mut self, now: SimInstant, week: Date) -> Result<(), JournalError> {
        let settings = std::sync::Arc::clone(&self.settings);
        for day in (0..7)
            .map(|days| plus_days(week, days))
            .filter(|day| settings.calendar.is_slot_day(*day))
        {
            let mut wishes: BTreeMap<CohortSlug, BTreeMap<Eui64, u32>> = BTreeMap::new();
            for cohort in self.open_cohorts(day) {
                let smso = self
                    .settings
                    .cohort(&cohort)
                    .map(|known| known.smso.clone())
                    .unwrap_or_default();
                let of_day = self
                    .campaign
                    .demand
                    .iter()
                    .filter(|((_, of, on), _)| *of == smso && *on == day);
                let by_supplier = of_day.map(|((supplier, _, _), units)| (*supplier, *units)).collect();
                wishes.insert(cohort, by_supplier);
            }
            self.allocate_day(now, day, wishes)?;
        }
        self.settle(now)
    }

    /// Plans a day: ends the days before, takes changes of supplier, sends notices, gives slots.
    ///
    /// # Errors
    /// When the journal refuses.
    pub fn plan_day(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        self.close_days(now, day)?;
        self.take_changes(now, day)?;
        self.end_what_is_over(now, day)?;
        self.settle(now)?;
        self.notify(now, day)?;
        self.settle(now)?;
        if self.settings.calendar.is_slot_day(day) {
            self.give_slots(now, day)?;
        }
        if self.campaign.planned < Some(day) {
            self.write(now, Actor::Scheduler, None, None, Event::DayPlanned { day })?;
        }
        self.settle(now)
    }

    fn open_cohorts(&self, day: Date) -> Vec<CohortSlug> {
        let open = |cohort: &&CohortSlug| cohort_open(&self.settings, cohort, self.campaign.environment, day).is_ok();
        self.campaign.cohorts.keys().filter(open).cloned().collect()
    }

    /// Ends the days before `day`: what they were like decides how a cohort grows.
    fn close_days(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        let mut results = Vec::new();
        for (slug, cohort) in &self.campaign.cohorts {
            let over = cohort
                .days
                .iter()
                .filter(|(of, _)| **of < day && !cohort.closed.contains(*of));
            for (of, count) in over {
                let members = self
                    .campaign
                    .installations()
                    .filter(|known| known.facts.cohort == *slug);
                let stranded = members.filter(|known| known.state == State::Stranded).count();
                let cases = self.campaign.cases.values().filter(|case| {
                    let known = case.installation.and_then(|id| self.campaign.installation(id));
                    case.is_open() && known.is_some_and(|known| known.facts.cohort == *slug)
                });
                let oldest = cases
                    .map(|case| now.since(case.opened).as_millis() / 3_600_000)
                    .max()
                    .unwrap_or(0);
                let result = CohortDay {
                    attempted: count.attempted,
                    migrated: count.migrated,
                    stranded: u32::try_from(stranded).unwrap_or(u32::MAX),
                    oldest_exception_h: u32::try_from(oldest).unwrap_or(u32::MAX),
                };
                results.push((*of, slug.clone(), result));
            }
        }
        for (day, cohort, result) in results {
            self.write(
                now,
                Actor::Scheduler,
                None,
                None,
                Event::DayClosed { day, cohort, result },
            )?;
        }
        Ok(())
    }

    /// Slots and authorisations whose time has passed.
    fn end_what_is_over(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        let (mut missed, mut ended) = (Vec::new(), Vec::new());
        for known in self.campaign.installations() {
            let last = known.authorised_days().map(|(_, last)| last);
            match known.state {
                State::Slotted if known.attempt.day.is_some_and(|slot| slot < day) && !self.is_busy(known.id()) => {
                    missed.push(known.id());
                }
                State::Authorised if last.is_some_and(|last| last < day) => ended.push(known.id()),
                State::RetryWait if last.is_some_and(|last| plus_days(last, RETRY_DAYS) < day) => {
                    ended.push(known.id());
                }
                _ => {}
            }
        }
        for id in missed {
            let finding = self.by_rule(Stage::Freeze, "slot-missed", "the slot passed");
            self.fail(now, id, &finding, Some(State::RetryWait))?;
        }
        for id in ended {
            let finding = self.by_rule(Stage::Any, "authorisation-ended", "the authorised days are over");
            self.cancel(now, id, &finding, Actor::Scheduler)?;
        }
        Ok(())
    }

    /// Sends notices about dormant points, and takes matured ones as authorisations.
    fn notify(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        let notice_days = i32::from(self.settings.calendar.dormant.migration_notice_days);
        let mut sent: BTreeMap<CohortSlug, u32> = BTreeMap::new();
        let (mut send, mut matured) = (Vec::new(), Vec::new());
        let announced: BTreeMap<(InstallationId, domain::Mpxn), (Date, String)> = self
            .campaign
            .notices
            .iter()
            .filter(|notice| !notice.firmware)
            .map(|notice| {
                (
                    (notice.installation, notice.mpxn),
                    (notice.planned, notice.notice.clone()),
                )
            })
            .collect();
        for known in self.campaign.installations() {
            if !matches!(known.state, State::Eligible | State::Cancelled) || known.hold.is_some() {
                continue;
            }
            for (facts, progress) in known.each_point().filter(|(facts, _)| !facts.active) {
                if progress.authorisation.is_some() {
                    continue;
                }
                let unused = |of: &&(Date, String)| progress.used.as_ref() != Some(&of.1);
                match announced.get(&(known.id(), facts.mpxn)).filter(unused) {
                    Some((planned, notice)) if *planned <= day && day < plus_days(*planned, NOTICE_DAYS) => {
                        matured.push((known.id(), facts.mpxn, facts.supplier, *planned, notice.clone()));
                    }
                    Some((planned, _)) if day < *planned => {}
                    _ => {
                        let cap = self
                            .campaign
                            .cohorts
                            .get(&known.facts.cohort)
                            .map_or(0, |cohort| cohort.ramp.cap());
                        let count = sent.entry(known.facts.cohort.clone()).or_default();
                        if *count < cap {
                            *count += 1;
                            send.push((known.id(), facts.mpxn));
                        }
                    }
                }
            }
        }
        for (id, mpxn) in send {
            let notice = self.next_notice();
            let event = Event::Notice {
                notice,
                mpxn,
                firmware: false,
                planned: plus_days(day, notice_days),
            };
            self.write(now, Actor::Scheduler, Some(id), None, event)?;
        }
        for (id, mpxn, supplier, planned, notice) in matured {
            let authorisation = Authorisation {
                supplier,
                by: notice,
                not_before: planned,
                not_after: plus_days(planned, NOTICE_DAYS - 1),
            };
            let event = Event::Authorised { mpxn, authorisation };
            self.write(now, Actor::Scheduler, Some(id), None, event)?;
        }
        Ok(())
    }

    fn next_notice(&self) -> String {
        format!("LAB-N-{}", self.campaign.notices.len() + 1)
    }

    fn give_slots(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        self.check_combinations(now, day)?;
        let cohorts = self.open_cohorts(day);
        let queues: BTreeMap<CohortSlug, Vec<InstallationId>> = cohorts
            .iter()
            .map(|cohort| (cohort.clone(), self.queue(cohort, day)))
            .collect();
        let unallocated = |cohort: &&CohortSlug| !self.campaign.allocations.contains_key(&(day, (*cohort).clone()));
        if !self.demand_is_committed || cohorts.iter().any(|cohort| unallocated(&cohort)) {
            let wishes = queues.iter().map(|(cohort, queue)| {
                let mut wishes: BTreeMap<Eui64, u32> = BTreeMap::new();
                let suppliers = queue.iter().filter_map(|id| self.unit_of(*id));
                suppliers.for_each(|supplier| *wishes.entry(supplier).or_default() += 1);
                (
                    cohort.clone(),
                    if self.demand_is_committed {
                        BTreeMap::new()
                    } else {
                        wishes
                    },
                )
            });
            let wishes = wishes.collect();
            self.allocate_day(now, day, wishes)?;
        }
        for (cohort, queue) in queues {
            let Some(allocation) = self.campaign.allocations.get(&(day, cohort.clone())).cloned() else {
                continue;
            };
            let chosen = self.choose(&cohort, day, &queue, &allocation);
            self.slot(now, day, &cohort, &chosen)?;
        }
        Ok(())
    }

    /// Installations whose combination is no longer on the EPCL are taken out before they get a slot.
    fn check_combinations(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        let mut off = Vec::new();
        for known in self.campaign.installations() {
            let waits =
                matches!(known.state, State::Authorised | State::RetryWait) && known.unwind == Unwind::default();
            let listed = known
                .facts
                .combination()
                .is_some_and(|combination| self.lists.epcl(&combination, day).is_some());
            if waits && !listed {
                off.push(known.id());
            }
        }
        for id in off {
            if !self.upgrade(now, id)? {
                let text = "the combination is no longer on it";
                let finding = self.by_rule(Stage::Validation, "not-on-epcl", text);
                self.cancel(now, id, &finding, Actor::Rp)?;
            }
        }
        Ok(())
    }

    /// Who may have a slot on a day, in the order they get one: priority, repeated attempts, time of waiting, name.
    fn queue(&self, cohort: &CohortSlug, day: Date) -> Vec<InstallationId> {
        let scaling = &self.settings.scaling;
        let start = self.settings.calendar.slot_hours(day).0;
        let mut queue: Vec<_> = self
            .campaign
            .installations()
            .filter(|known| known.facts.cohort == *cohort && self.may_have_slot(known, day, start))
            .map(|known| {
                let priority = match known.facts.installation_type() {
                    InstallationType::Dormant => scaling.dormant_priority,
                    InstallationType::Active | InstallationType::Mixed => scaling.active_priority,
                };
                let last = known.authorised_days().map(|(_, last)| last);
                (priority, known.state != State::RetryWait, last, known.since, known.id())
            })
            .collect();
        queue.sort();
        queue.into_iter().map(|(.., id)| id).collect()
    }

    fn may_have_slot(&self, known: &Installation, day: Date, start: SimInstant) -> bool {
        let Some((from, to)) = known.authorised_days() else {
            return false;
        };
        let (to, ready) = match known.state {
            State::Authorised => (to, true),
            State::RetryWait => (
                plus_days(to, RETRY_DAYS),
                known.unwind == Unwind::default()
                    && known.retry_at.is_none_or(|at| at <= start)
                    && known.counted < self.settings.retry.attempts_max,
            ),
            _ => return false,
        };
        let churns = known.points.iter().filter_map(|point| point.pending.as_ref());
        ready
            && known.hold.is_none()
            && (from..=to).contains(&day)
            && known.attempt.day.is_none_or(|last| last < day)
            && !(known.facts.vulnerable && self.settings.calendar.spares_vulnerable(day))
            && !churns
                .into_iter()
                .any(|change| self.settings.calendar.change_is_near(day, change.effective))
    }

    /// The supplier whose allocation an installation uses; none for dormant ones.
    fn unit_of(&self, id: InstallationId) -> Option<Eui64> {
        let known = self.campaign.installation(id)?;
        let (_, progress) = known.each_point().find(|(facts, _)| facts.active)?;
        progress
            .authorisation
            .as_ref()
            .map(|authorisation| authorisation.supplier)
    }

    /// Writes the allocation of a day, one record per cohort.
    fn allocate_day(
        &mut self,
        now: SimInstant,
        day: Date,
        wishes: BTreeMap<CohortSlug, BTreeMap<Eui64, u32>>,
    ) -> Result<(), JournalError> {
        let scaling = self.settings.scaling.clone();
        let sum = |units: &BTreeMap<Eui64, u32>| units.values().fold(0u32, |sum, units| sum.saturating_add(*units));
        let dormant: BTreeMap<CohortSlug, u32> = wishes
            .keys()
            .map(|cohort| (cohort.clone(), self.dormant_waiting(cohort, day)))
            .collect();
        let cap = |cohort: &CohortSlug| self.campaign.cohorts.get(cohort).map_or(0, |known| known.ramp.cap());
        // What is there is shared among cohorts first, each up to its own cap.
        let shares = allocate(
            &DayDemand {
                capacity: scaling.capacity_on(day),
                dormant_reserve: 0,
                dormant_demand: 0,
                demand: wishes
                    .iter()
                    .map(|(cohort, units)| {
                        (
                            cohort.clone(),
                            sum(units).saturating_add(dormant[cohort]).min(cap(cohort)),
                        )
                    })
                    .collect(),
            },
            0,
        );
        // What demand leaves unused is still capacity, up to each cohort's cap.
        let given: u32 = shares.units.values().fold(0, |sum, units| sum.saturating_add(*units));
        let spare = allocate(
            &DayDemand {
                capacity: scaling.capacity_on(day).saturating_sub(given),
                dormant_reserve: 0,
                dormant_demand: 0,
                demand: shares
                    .units
                    .iter()
                    .map(|(cohort, units)| (cohort.clone(), cap(cohort).saturating_sub(*units)))
                    .collect(),
            },
            0,
        );
        for (cohort, demand) in wishes {
            if self.campaign.allocations.contains_key(&(day, cohort.clone())) {
                continue;
            }
            let part = |of: &BTreeMap<CohortSlug, u32>| of.get(&cohort).copied().unwrap_or(0);
            let capacity = part(&shares.units).saturating_add(part(&spare.units));
            let reserve = u64::from(capacity) * u64::from(scaling.dormant_reserve_percent) / 100;
            let reserve = u32::try_from(reserve).unwrap_or(u32::MAX);
            let asked = DayDemand {
                capacity,
                dormant_reserve: reserve,
                dormant_demand: dormant[&cohort],
                demand,
            };
            let allocation = allocate(&asked, scaling.d_min);
            let record = AllocationRecord {
                day,
                capacity,
                reserve,
                dormant: asked.dormant_demand,
                d_min: scaling.d_min,
                method: match allocation.method {
                    Method::Unscaled => String::new(),
                    scaled => scaled.as_str().to_owned(),
                },
                units: allocation
                    .units
                    .iter()
                    .map(|(supplier, units)| (*supplier, asked.demand.get(supplier).copied().unwrap_or(0), *units))
                    .collect(),
                cohort,
            };
            self.write(now, Actor::Scheduler, None, None, Event::Allocated(record))?;
        }
        Ok(())
    }

    fn dormant_waiting(&self, cohort: &CohortSlug, day: Date) -> u32 {
        let start = self.settings.calendar.slot_hours(day).0;
        let waiting = self.campaign.installations().filter(|known| {
            known.facts.cohort == *cohort
                && known.facts.installation_type() == InstallationType::Dormant
                && self.may_have_slot(known, day, start)
        });
        u32::try_from(waiting.count()).unwrap_or(u32::MAX)
    }

    /// Who of a queue gets a slot: each supplier up to its allocation, dormant ones into what those leave.
    fn choose(
        &self,
        cohort: &CohortSlug,
        day: Date,
        queue: &[InstallationId],
        allocation: &AllocationRecord,
    ) -> Vec<InstallationId> {
        let mut left: BTreeMap<Eui64, u32> = allocation
            .units
            .iter()
            .map(|(supplier, _, units)| (*supplier, *units))
            .collect();
        let given = self.campaign.cohorts.get(cohort).and_then(|known| known.days.get(&day));
        let mut room = allocation
            .capacity
            .saturating_sub(given.map_or(0, |count| count.slotted));
        for (supplier, used) in given.into_iter().flat_map(|count| &count.by_supplier) {
            if let Some(units) = supplier.and_then(|supplier| left.get_mut(&supplier)) {
                *units = units.saturating_sub(*used);
            }
        }
        let promised: u32 = left.values().fold(0, |sum, units| sum.saturating_add(*units));
        let mut dormant = room.saturating_sub(promised);
        let mut chosen = Vec::new();
        for id in queue {
            if room == 0 {
                break;
            }
            let units = match self.unit_of(*id) {
                Some(supplier) => left.entry(supplier).or_default(),
                None => &mut dormant,
            };
            if *units > 0 {
                *units -= 1;
                room -= 1;
                chosen.push(*id);
            }
        }
        chosen
    }

    /// Gives slots, spread over the day, in groups that share their files.
    fn slot(
        &mut self,
        now: SimInstant,
        day: Date,
        cohort: &CohortSlug,
        chosen: &[InstallationId],
    ) -> Result<(), JournalError> {
        let ramp = self
            .campaign
            .cohorts
            .get(cohort)
            .map(|known| known.ramp.clone())
            .unwrap_or_default();
        let group_max = match ramp.mode(&self.settings.ramp) {
            Mode::LowVolume => 1,
            Mode::Bulk => usize::from(self.settings.calendar.slots.group_max),
        };
        let (first, last) = self.settings.calendar.slot_hours(day);
        let first = first.max(now);
        let groups = chosen.len().div_ceil(group_max).max(1);
        let before = self
            .campaign
            .groups
            .keys()
            .filter(|name| name.starts_with(&prefix(cohort, day)))
            .count();
        for (number, members) in chosen.chunks(group_max).enumerate() {
            let part = last.since(first).as_millis() * number as u64 / groups as u64;
            let start = first + SimDuration::from_millis(part);
            let group = format!("{}{}", prefix(cohort, day), before + number + 1);
            for id in members {
                let event = Event::Slotted {
                    day,
                    start,
                    group: group.clone(),
                };
                self.write(now, Actor::Scheduler, Some(*id), Some(State::Slotted), event)?;
            }
        }
        Ok(())
    }

    /// The EPCL entry of an installation today.
    pub(super) fn entry_of(&self, known: &Installation, now: SimInstant) -> Option<String> {
        self.lists.epcl(&known.facts.combination()?, self.today(now))
    }

    /// What a complete installation needs before it is eligible.
    pub(super) fn judge_eligibility(&mut self, now: SimInstant, id: InstallationId) -> Result<(), JournalError> {
        let Some(known) = self.campaign.installation(id) else {
            return Ok(());
        };
        let Some(epcl) = self.entry_of(known, now) else {
            if self.upgrade(now, id)? {
                return Ok(());
            }
            let found = Found::new("not-on-epcl").saying(super::campaign::combination_text(
                &self.campaign.installations[&id].facts,
            ));
            return self.found(now, id, &Work::Extract, vec![found]);
        };
        let listed = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gsme, DeviceKind::Ppmid];
        let off = known
            .facts
            .devices
            .iter()
            .find(|device| listed.contains(&device.kind) && !self.lists.cpl_active(device.kind, &device.model));
        if let Some(device) = off {
            let mut found = Found::new("cpl-not-active").saying(device.model.to_string());
            found.device = Some(device.id);
            return self.found(now, id, &Work::Extract, vec![found]);
        }
        let needed: Vec<(Eui64, String)> = known
            .facts
            .devices
            .iter()
            .filter_map(|device| Some((device, &self.settings.configuration(&device.model)?.digest)))
            .filter(|(device, digest)| device.configuration != **digest)
            .map(|(device, digest)| (device.id, digest.clone()))
            .collect();
        if needed.is_empty() {
            self.write(
                now,
                Actor::Rp,
                Some(id),
                Some(State::Eligible),
                Event::Eligible { epcl },
            )
        } else {
            let event = Event::ConfigurationNeeded { epcl, needed };
            self.write(now, Actor::Rp, Some(id), Some(State::NeedsConfig), event)
        }
    }

    /// Begins the upgrade to the entry that firmware alone leads to, when there is one. Dormant installations are given
    /// notice of it.
    fn upgrade(&mut self, now: SimInstant, id: InstallationId) -> Result<bool, JournalError> {
        let Some(known) = self.campaign.installation(id) else {
            return Ok(false);
        };
        let today = self.today(now);
        let Some(combination) = known.facts.combination() else {
            return Ok(false);
        };
        let Some((epcl, target)) = self.lists.upgrade_target(&combination, today) else {
            return Ok(false);
        };
        let dormant = known.facts.installation_type() == InstallationType::Dormant;
        let notice_days = i32::from(self.settings.calendar.dormant.firmware_notice_days);
        let planned = plus_days(today, if dormant { notice_days } else { 0 });
        let not_before = if dormant {
            instant(planned, self.settings.calendar.slots.first)
        } else {
            now
        };
        let upgrades: Vec<Upgrade> = known
            .facts
            .devices
            .iter()
            .filter_map(|device| {
                let to = target_model(&target, device.kind)?;
                (*to != device.model).then(|| Upgrade {
                    device: device.id,
                    to: to.clone(),
                    not_before,
                })
            })
            .collect();
        let points: Vec<_> = known.facts.points.iter().map(|point| point.mpxn).collect();
        if dormant {
            for mpxn in points {
                let notice = self.next_notice();
                let event = Event::Notice {
                    notice,
                    mpxn,
                    firmware: true,
                    planned,
                };
                self.write(now, Actor::Scheduler, Some(id), None, event)?;
            }
        }
        let event = Event::UpgradeNeeded { epcl, upgrades };
        self.write(now, Actor::Rp, Some(id), Some(State::NeedsFirmware), event)?;
        Ok(true)
    }

    /// Changes of supplier that take effect on or before a day.
    fn take_changes(&mut self, now: SimInstant, day: Date) -> Result<(), JournalError> {
        let mut effective = Vec::new();
        for known in self.campaign.installations() {
            for (facts, progress) in known.each_point() {
                if let Some(change) = progress
                    .pending
                    .filter(|change| days_between(change.effective, day) >= 0)
                {
                    effective.push((known.id(), facts.mpxn, change));
                }
            }
        }
        for (id, mpxn, change) in effective {
            self.change_takes_effect(now, id, mpxn, change)?;
        }
        Ok(())
    }
}

fn target_model(target: &Combination, kind: DeviceKind) -> Option<&ListedModel> {
    match kind {
        DeviceKind::Chf => Some(&target.hub),
        DeviceKind::Esme => Some(&target.esme),
        DeviceKind::Gsme => target.gsme.as_ref(),
        DeviceKind::Ppmid => target.ppmid.as_ref(),
        _ => None,
    }
}

fn prefix(cohort: &CohortSlug, day: Date) -> String {
    format!("LAB-G-{cohort}-{}-", crate::day::compact(day))
}
