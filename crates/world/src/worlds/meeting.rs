//! Where worlds meet: a barrier that can be broken off, unlike the standard one, so that a world that panics ends the
//! run instead of stopping it for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use domain::SimInstant;
use sha2::{Digest as _, Sha256};

use super::WorldsError;
use crate::tape::{Digest, Hashed, Tape};

/// The run was broken off by a world that failed.
#[derive(Debug)]
pub(super) struct Aborted;

/// What a world brings to a barrier.
pub(super) struct Report<'t> {
    pub(super) world: u32,
    /// The instant of this barrier; the same for all worlds that meet.
    pub(super) barrier: SimInstant,
    pub(super) sums: BTreeMap<String, i64>,
    /// Where its hashes are collected.
    pub(super) tape: &'t Tape,
    /// Its work is over.
    pub(super) over: bool,
}

/// What a world takes from a barrier.
pub(super) struct Agreement {
    pub(super) sums: Arc<BTreeMap<String, i64>>,
    pub(super) all_over: bool,
}

pub(super) struct Meeting<'h> {
    count: u32,
    until: Option<SimInstant>,
    /// What is done once for all at each barrier, while every world stands still.
    between: &'h (dyn Fn(SimInstant) + Sync),
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    generation: u64,
    arrived: u32,
    over: u32,
    /// The first world still at work.
    at_work: Option<u32>,
    all_over: bool,
    sums: Arc<BTreeMap<String, i64>>,
    coming: BTreeMap<String, i64>,
    /// Hashes not yet final, with their world.
    hashed: Vec<(u32, Hashed)>,
    running: Sha256,
    failed: Option<WorldsError>,
}

impl<'h> Meeting<'h> {
    pub(super) fn new(count: u32, until: Option<SimInstant>, between: &'h (dyn Fn(SimInstant) + Sync)) -> Self {
        Self {
            count,
            until,
            between,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for all worlds and exchanges what they bring. Blocks the thread: virtual time stands still meanwhile.
    pub(super) fn meet(&self, report: Report<'_>) -> Result<Agreement, Aborted> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed.is_some() {
            return Err(Aborted);
        }
        for (name, amount) in report.sums {
            let sum = state.coming.entry(name).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
        report
            .tape
            .drain_hashed(|hashed| state.hashed.push((report.world, hashed)));
        state.arrived += 1;
        if report.over {
            state.over += 1;
        } else {
            state.at_work = Some(state.at_work.map_or(report.world, |world| world.min(report.world)));
        }
        if state.arrived == self.count {
            state.conclude(self.count, report.barrier, self.until);
            (self.between)(report.barrier);
            self.changed.notify_all();
            if state.failed.is_some() {
                return Err(Aborted);
            }
        } else {
            let generation = state.generation;
            state = self
                .changed
                .wait_while(state, |state| state.generation == generation && state.failed.is_none())
                .unwrap_or_else(PoisonError::into_inner);
            if state.failed.is_some() {
                return Err(Aborted);
            }
        }
        Ok(Agreement {
            sums: Arc::clone(&state.sums),
            all_over: state.all_over,
        })
    }

    /// Breaks the run off; the first failure counts.
    pub(super) fn fail(&self, error: WorldsError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// The sums and the digest after the end.
    pub(super) fn close(self) -> Result<(BTreeMap<String, i64>, Digest), WorldsError> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.failed {
            return Err(error);
        }
        state.fold(SimInstant(i64::MAX));
        Ok((state.sums.as_ref().clone(), Digest(state.running.finalize().into())))
    }
}

impl State {
    /// What the last world to arrive does for all.
    fn conclude(&mut self, count: u32, barrier: SimInstant, until: Option<SimInstant>) {
        let mut sums = self.sums.as_ref().clone();
        for (name, amount) in std::mem::take(&mut self.coming) {
            let sum = sums.entry(name).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
        self.sums = Arc::new(sums);
        self.fold(barrier);
        self.all_over = self.over == count;
        if let (Some(world), true) = (self.at_work.take(), until.is_some_and(|until| barrier >= until)) {
            self.failed.get_or_insert(WorldsError::NotOver { world, at: barrier });
        }
        self.over = 0;
        self.arrived = 0;
        self.generation += 1;
    }

    /// Adds to the digest what lies before `barrier`: at the barrier's own instant some worlds may yet record more.
    fn fold(&mut self, barrier: SimInstant) {
        // Stable: within a world and an instant the order of arrival is that of the sequence.
        self.hashed.sort_by_key(|(world, hashed)| (hashed.at, *world));
        let final_ones = self.hashed.partition_point(|(_, hashed)| hashed.at < barrier);
        for (_, hashed) in self.hashed.drain(..final_ones) {
            self.running.update(hashed.hash);
        }
    }
}
