//! The gas side: a meter that sleeps, and the proxy that mirrors what it last reported.

use domain::keys::Purpose;
use domain::seed::mix;
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, LogKind, Operation, Outcome, Refusal, SimDuration,
    SimInstant, SupplyState, Value,
};

use crate::alerts;
use crate::device::{Around, Device};
use crate::effects::{Effect, Outbox};
use crate::han::{Command, HanQueue, HanResult};
use crate::membership::{Fitted, Membership, change};
use crate::meter::Meter;
use crate::prepayment::Account;
use crate::profile::{Context, Profile};
use crate::quirks::relays;
use crate::readings::View;
use crate::tokens::TokenSource;

/// What is kept of the HAN, and the devices fitted with the hub.
type Han<'a> = (&'a mut Option<Box<Membership>>, Fitted);

/// Gas meter, gas proxy and what is under way between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gas {
    pub(crate) gsme: Meter,
    pub(crate) gpf: Device,
    /// The last scheduled wake that has been dealt with.
    pub(crate) woken_at: SimInstant,
    pub(crate) mirror: Report,
    /// A report on its way into the mirror, and when it gets there.
    pub(crate) pending: Option<Box<(SimInstant, Report)>>,
    pub(crate) queue: HanQueue,
    /// Alerts of the gas meter, until it wakes.
    pub(crate) alerts: Outbox,
}

/// What a gas meter reports before it goes back to sleep. Registers follow from the time of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) at: SimInstant,
    /// The account; absent in credit mode, where it stands still.
    pub(crate) account: Option<Box<Account>>,
    pub(crate) supply: SupplyState,
}

impl Gas {
    pub(crate) fn new(gsme: Meter, gpf: Device, now: SimInstant, profile: &Profile) -> Self {
        let woken_at = scheduled_wake(&gsme, profile, now).max(gsme.metering.since);
        let mirror = Report::of(&gsme, woken_at);
        Self {
            gsme,
            gpf,
            woken_at,
            mirror,
            pending: None,
            queue: HanQueue::default(),
            alerts: Outbox::default(),
        }
    }

    /// Deals with the latest scheduled wake that has passed, and with all that has arrived by now.
    pub(crate) fn advance(
        &mut self,
        context: &Context<'_>,
        gsme: &Profile,
        hub_on: bool,
        han: Han<'_>,
        out: &mut Outbox,
    ) {
        let due = scheduled_wake(&self.gsme, gsme, context.now);
        if due > self.woken_at {
            self.woken_at = due;
            self.gsme.begin_delayed(due, true, gsme, &mut self.alerts);
            self.gsme.settle(due, gsme, &mut self.alerts);
            self.queue.expire(due, context.profiles.chf.han_queue_lifetime);
            if hub_on && !self.lost(due, gsme) {
                self.meet_hub(context, gsme, due, (&mut *han.0, han.1), out);
            }
        }
        self.gsme.begin_delayed(context.now, true, gsme, &mut self.alerts);
        self.gsme.settle(context.now, gsme, &mut self.alerts);
        self.gsme.notice_fault(context.now, gsme, &mut self.alerts);
        if self.pending.as_ref().is_some_and(|pending| pending.0 <= context.now)
            && let Some(pending) = self.pending.take()
        {
            self.mirror = pending.1;
        }
        while hub_on
            && let Some(HanResult {
                party, ticket, outcome, ..
            }) = self.queue.result(context.now)
        {
            out.push(Effect::LateResult { party, ticket, outcome });
        }
    }

    /// When there is something to do next.
    pub(crate) fn next_wake(&self, context: &Context<'_>, gsme: &Profile, hub_on: bool) -> SimInstant {
        let due = scheduled_wake(&self.gsme, gsme, context.now);
        // A wake that has passed without having been dealt with, as after a restart, is due at once.
        let scheduled = if due > self.woken_at { due } else { due + period(gsme) };
        let mirror = self.pending.as_ref().map(|pending| pending.0);
        let result = if hub_on { self.queue.next_result() } else { None };
        let fault = self.gsme.history.as_ref().and_then(|history| history.fault_at);
        [
            self.gsme.next_settlement(gsme),
            self.gsme.next_delayed(true),
            mirror,
            result,
            fault,
        ]
        .into_iter()
        .flatten()
        .fold(scheduled, SimInstant::min)
    }

    /// Takes an operation for the sleeping meter. Rights are checked now and again when it wakes, an approval only then.
    pub(crate) fn submit(
        &mut self,
        context: &Context<'_>,
        around: &mut Around<'_>,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Result<u32, Refusal> {
        let device = &mut self.gsme.device;
        device.check_rights(context, around, access, operation)?;
        if !relays(context.profiles.chf, operation) {
            return Err(Refusal::NotSupported);
        }
        let command = Command {
            ticket: 0,
            access,
            epoch: device.security.epoch_of(access.association),
            taken_at: context.now,
            operation: operation.clone(),
            approval: approval.cloned(),
        };
        self.queue.take(context.profiles.chf.han_queue_entries, command)
    }

    /// The gas meter as the mirror shows it.
    pub(crate) fn mirrored<'a>(&'a self, profile: &'a Profile, gsme: &'a Profile) -> View<'a> {
        View {
            meter: &self.gsme,
            account: self.mirror.account.as_deref().unwrap_or(&self.gsme.account),
            supply: self.mirror.supply,
            at: self.mirror.at,
            profile,
            values: &gsme.values,
        }
    }

    /// The meter is awake and in reach: it executes what waits for it, reports, and hands over its alerts.
    fn meet_hub(&mut self, context: &Context<'_>, profile: &Profile, at: SimInstant, han: Han<'_>, out: &mut Outbox) {
        let (membership, fitted) = han;
        for command in self.queue.deliver(at) {
            let outcome = if self.queue.is_left_undone(&command) {
                Err(Refusal::NotTried)
            } else {
                self.execute(context, profile, at, &command, (&mut *membership, fitted))
            };
            self.queue.note(&command, &outcome);
            let delay = period(profile)
                .as_millis()
                .saturating_mul(u64::from(profile.result_delay_wakes));
            self.queue.keep_result(HanResult {
                at: at + SimDuration::from_millis(delay),
                party: command.party(),
                ticket: command.ticket,
                outcome,
            });
        }
        while let Some(alert) = self.alerts.pop() {
            out.push(alert);
        }
        let report = Report::of(&self.gsme, at);
        match context.profiles.gpf.map_or(SimDuration::ZERO, |gpf| gpf.mirror_lag) {
            SimDuration::ZERO => self.mirror = report,
            lag => {
                // A report that is overtaken before it was readable has at least reached the proxy.
                if let Some(overtaken) = self.pending.take() {
                    self.mirror = overtaken.1;
                }
                self.pending = Some(Box::new((at + lag, report)));
            }
        }
    }

    fn execute(
        &mut self,
        context: &Context<'_>,
        profile: &Profile,
        at: SimInstant,
        command: &Command,
        (membership, fitted): Han<'_>,
    ) -> Outcome {
        let time = self.gsme.clock.time(at);
        let behaviour = self.gsme.alert_behaviour().cloned();
        let mut around = Around {
            kind: DeviceKind::Gsme,
            profile,
            time,
            out: &mut self.alerts,
            behaviour: behaviour.as_ref(),
        };
        let device = &mut self.gsme.device;
        // What was taken under staged keys that came into force meanwhile is what their party asks now.
        let mut access = command.access;
        if access.association.is_staged() && command.epoch == device.security.epoch_of(Association::Management) {
            access.association = access.association.in_force();
        }
        if command.epoch != device.security.epoch_of(access.association) {
            // Taken under keys that are no longer in force.
            device.note(&mut around, alerts::NO_AUTHORITY);
            return Err(Refusal::NotPermitted);
        }
        let approval = command.approval.as_ref();
        device.accept(context, &mut around, (access, &command.operation), approval, at)?;
        if let Some(outcome) = device.operate(&mut around, &command.operation) {
            return outcome;
        }
        let joined = change(membership, |kept| {
            kept.operate(DeviceKind::Gsme, &command.operation, fitted)
        });
        if let Some(outcome) = joined {
            return outcome;
        }
        match &command.operation {
            Operation::ActivateImage { hash } => self.gsme.device.activate_image(&mut around, at, *hash),
            Operation::Read(DataItem::Clock) => {
                Ok(Answer::Value(Value::Clock(time, self.gsme.clock.status(at, profile))))
            }
            Operation::Read(DataItem::FirmwareVersion) => Ok(Answer::Value(Value::Text(profile.firmware.clone()))),
            Operation::Read(item) => self
                .gsme
                .view(at, profile)
                .item(*item)
                .map(Answer::Value)
                .ok_or(Refusal::NotSupported),
            Operation::ReadLog {
                log: log @ (LogKind::Event | LogKind::Security),
                from,
                to,
            } => Ok(Answer::Log(self.gsme.device.logs.read(*log, *from, *to))),
            Operation::ReadLog { log, from, to } => self.gsme.view(at, profile).log(*log, *from, *to).map(Answer::Log),
            Operation::SynchroniseClock { time, tolerance_s } => {
                // The hub adds what the command has waited: the time it carries was that of its sending.
                let time = *time + at.since(command.taken_at);
                let operation = Operation::SynchroniseClock {
                    time,
                    tolerance_s: *tolerance_s,
                };
                self.gsme.operate(at, true, &operation, profile, &mut self.alerts)
            }
            Operation::EnterToken(token) => {
                let device = &self.gsme.device;
                let key = device.security.key(context, device.id, Purpose::Token);
                let key = key.ok_or(Refusal::NotPermitted)?;
                let (source, out) = (TokenSource::Remote, &mut self.alerts);
                self.gsme.enter_token(at, true, &token.0, &key, source, profile, out)
            }
            operation => self.gsme.operate(at, true, operation, profile, &mut self.alerts),
        }
    }

    fn lost(&self, wake: SimInstant, profile: &Profile) -> bool {
        let drawn = mix(self.gsme.metering.load.seed ^ HAN_LABEL, wake.0.unsigned_abs()) % 1000;
        drawn < u64::from(profile.han_loss_permille)
    }
}

impl Report {
    fn of(gsme: &Meter, at: SimInstant) -> Self {
        Self {
            at,
            account: gsme.prepays().then(|| gsme.account.clone()),
            supply: gsme.supply.state,
        }
    }
}

/// The latest instant not after `now` at which this meter is to wake.
fn scheduled_wake(gsme: &Meter, profile: &Profile, now: SimInstant) -> SimInstant {
    let period = i64::try_from(period(profile).as_millis()).unwrap_or(i64::MAX);
    let phase = mix(gsme.metering.load.seed ^ WAKE_LABEL, 0) % period.unsigned_abs();
    let phase = i64::try_from(phase).unwrap_or(0);
    SimInstant((now.0 - phase).div_euclid(period) * period + phase)
}

/// A meter that never slept would not be one: a second at least.
fn period(profile: &Profile) -> SimDuration {
    profile
        .wake_period
        .max(SimDuration::from_secs(1))
        .min(SimDuration::from_days(365))
}

const HAN_LABEL: u64 = 0x48_414e;
const WAKE_LABEL: u64 = 0x57_414b;
