//! How displays come and go: switched off and on, without mains, put out of the hub's log and let in again.

use domain::seed::mix;
use domain::{Answer, DeviceKind, Outcome, Refusal, SimDuration, SimInstant, Value};

use super::{Absence, DISPLAYS};
use crate::alerts;
use crate::installation::{Installation, profile};
use crate::profile::Context;
use crate::quirks::{DEVICE_BACK, DEVICE_SILENT};

impl Installation {
    /// What the hub finds when it asks the prepayment interface for its firmware.
    pub(crate) fn ppmid_firmware(&self, context: &Context<'_>) -> Outcome {
        let slot = DeviceKind::Ppmid;
        let there = self.display(slot).zip(context.profiles.ppmid);
        let (display, profile) = there.ok_or(Refusal::NotSupported)?;
        if display.absent.is_some() || self.is_out(slot) {
            return Err(Refusal::Unreachable);
        }
        Ok(Answer::Value(Value::Text(profile.firmware.clone())))
    }

    /// Somebody switches a display off, or on again. Twice is harmless.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] where there is no such display.
    pub fn switch_display(&mut self, context: &Context<'_>, slot: DeviceKind, on: bool) -> Result<(), Refusal> {
        self.advance(context);
        let absent = match self.display(slot) {
            None => return Err(Refusal::NotSupported),
            Some(display) => display.absent,
        };
        match absent {
            None if !on => self.loses_display(context, slot),
            Some(absence) if absence.rejoins.is_none() && on && self.powered() => {
                self.display_returns(context, slot);
            }
            Some(_) if !on => self.set_absent(slot, |absence| absence.rejoins = None),
            _ => {}
        }
        self.reschedule(context);
        Ok(())
    }

    /// Whether a display takes part in the home area network now: there, and in the hub's log.
    #[must_use]
    pub fn display_takes_part(&self, slot: DeviceKind) -> bool {
        let here = self.display(slot).is_some_and(|display| display.absent.is_none());
        here && self.powered() && !self.is_out(slot)
    }

    /// When the display of a slot was last heard; `None` where there is none.
    pub(crate) fn display_heard(&self, slot: DeviceKind, now: SimInstant) -> Option<SimInstant> {
        let display = self.display(slot)?;
        Some(display.absent.map_or(now, |absence| absence.since))
    }

    /// Mains fail: displays go dark with everything else.
    pub(crate) fn displays_go_dark(&mut self, now: SimInstant) {
        for slot in DISPLAYS {
            let Some(display) = self.display_mut(slot) else {
                continue;
            };
            match &mut display.absent {
                Some(absence) => absence.rejoins = None,
                absent @ None => {
                    *absent = Some(Absence {
                        since: now,
                        rejoins: None,
                    })
                }
            }
        }
    }

    /// Mains are back: displays are on again and look for their hub.
    pub(crate) fn displays_return(&mut self, context: &Context<'_>) {
        for slot in DISPLAYS {
            if self.display(slot).is_some_and(|display| display.absent.is_some()) {
                self.display_returns(context, slot);
            }
        }
    }

    /// The hub lets a display in that waits for that.
    pub(crate) fn let_display_in(&mut self, context: &Context<'_>, slot: DeviceKind) {
        let waits = self.display(slot).is_some_and(|display| display.absent.is_some());
        if waits && self.powered() {
            self.finds_display(context, slot, context.now);
        }
    }

    /// Displays whose time has come join again.
    pub(crate) fn rejoin_displays(&mut self, context: &Context<'_>) {
        for slot in DISPLAYS {
            let due = self.display(slot).and_then(|display| display.absent?.rejoins);
            if let Some(at) = due.filter(|at| *at <= context.now && self.powered()) {
                self.finds_display(context, slot, at);
            }
        }
    }

    /// When a display joins again next.
    pub(crate) fn next_rejoin(&self) -> Option<SimInstant> {
        let displays = self.displays.as_ref()?;
        displays.all().filter_map(|display| display.absent?.rejoins).min()
    }

    /// The display is on and looks for the hub: it finds it within the time of its profile, or never by itself.
    fn display_returns(&mut self, context: &Context<'_>, slot: DeviceKind) {
        let within = profile(context, slot).han.rejoin_within;
        // Somewhere in the second half of the time: how long is the device's own, and the seed's.
        let drawn = mix(
            self.seed.number() ^ REJOIN_LABEL ^ slot as u64,
            context.now.0.unsigned_abs(),
        ) % 500;
        let at = within.map(|within| {
            context.now + SimDuration::from_millis(within.as_millis().saturating_mul(500 + drawn) / 1000)
        });
        self.set_absent(slot, |absence| absence.rejoins = at);
    }

    fn loses_display(&mut self, context: &Context<'_>, slot: DeviceKind) {
        if let Some(display) = self.display_mut(slot) {
            display.absent = Some(Absence {
                since: context.now,
                rejoins: None,
            });
        }
        if context.profiles.chf.han.reports_connection && !self.is_out(slot) {
            self.hub_notes(context, DEVICE_SILENT);
        }
    }

    fn finds_display(&mut self, context: &Context<'_>, slot: DeviceKind, at: SimInstant) {
        if let Some(display) = self.display_mut(slot) {
            display.absent = None;
        }
        let context = &Context { now: at, ..*context };
        if context.profiles.chf.han.reports_connection && !self.is_out(slot) {
            self.hub_notes(context, DEVICE_BACK);
        }
        self.hear_messages(context);
    }

    fn hub_notes(&mut self, context: &Context<'_>, alert: alerts::AlertCode) {
        if let Some((device, mut around)) = self.around(context, DeviceKind::Chf) {
            device.note(&mut around, alert);
        }
    }

    fn set_absent(&mut self, slot: DeviceKind, change: impl FnOnce(&mut Absence)) {
        if let Some(absence) = self.display_mut(slot).and_then(|display| display.absent.as_mut()) {
            change(absence);
        }
    }
}

const REJOIN_LABEL: u64 = 0x5245_4a4f;
