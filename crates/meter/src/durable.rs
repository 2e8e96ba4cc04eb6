//! What must survive a restart, as compact octets: counters, balances, supply, clocks, epochs, logs, what is queued.
//!
//! Identities are not in it, nor tariffs and settings that nobody changed: they are configuration. Numbers are of
//! variable length, seven bits per octet, signed ones zigzag. The form is ours and begins with its version.

use std::sync::Arc;

use domain::keys::Party;
use domain::operation::{PaymentMode, octets};
use domain::{Access, Approval, Association, DeviceKind, Eui64, Outcome, RequestId, SupplyState};

use crate::alerts::ALERT_CODES;
use crate::calendar::LocalDay;
use crate::clock::DeviceClock;
use crate::config::InstallationConfig;
use crate::device::Device;
use crate::display::{Absence, Displays, Message};
use crate::effects::{Effect, Outbox};
use crate::gas::{Gas, Report};
use crate::han::{Command, HanResult};
use crate::installation::Installation;
use crate::membership::Membership;
use crate::meter::Meter;
use crate::metering::Gaps;
use crate::prepayment::Account;
use crate::profile::Context;
use crate::regimes::{Regime, Regimes};
use crate::security::{Accepted, Client, Epoch, LetThrough, Witness};
use crate::settings::Changed;
use crate::tariff::Tariff;
use crate::wire::{Reader, Writer};

/// Durable octets that are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Shorter or longer than what they announce, or a value out of range: a damaged record.
    #[error("the durable state of the installation is damaged at octet {0}")]
    Damaged(usize),
    /// Written by another release.
    #[error("durable state of version {0} is not known")]
    Version(u8),
}

const VERSION: u8 = 9;

type Read<T> = Result<T, RestoreError>;

impl Installation {
    /// What must survive a restart, as compact octets: 150 to 400 while nothing is logged or queued.
    #[must_use]
    pub fn durable(&self) -> Vec<u8> {
        let mut w = Writer::new(VERSION);
        w.u32(self.challenges);
        w.instant(self.day.midnight());
        w.instant_option(self.dark_since);
        write_clock(&mut w, &self.clock);
        write_device(&mut w, &self.chf);
        write_meter(&mut w, &self.esme);
        write_outbox(&mut w, &self.effects);
        w.flag(self.membership.is_some());
        if let Some(membership) = &self.membership {
            write_membership(&mut w, membership);
        }
        w.flag(self.gas.is_some());
        if let Some(gas) = &self.gas {
            write_gas(&mut w, gas);
        }
        w.flag(self.displays.is_some());
        if let Some(displays) = &self.displays {
            write_displays(&mut w, displays);
        }
        w.finish()
    }

    /// An installation as it was when `octets` were made; what was due meanwhile happens at the next wake.
    ///
    /// `config` and the profiles must be those of the installation that wrote them.
    ///
    /// # Errors
    /// [`RestoreError`] when the octets are not ours.
    pub fn restore(config: &InstallationConfig, context: &Context<'_>, octets: &[u8]) -> Result<Self, RestoreError> {
        let mut installation = Self::new(config, context);
        let (version, mut r) = Reader::new(octets)?;
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        installation.challenges = r.u32()?;
        installation.day = LocalDay::of(r.instant()?);
        installation.dark_since = r.instant_option()?;
        read_clock(&mut r, &mut installation.clock)?;
        read_device(&mut r, &mut installation.chf)?;
        read_meter(&mut r, &mut installation.esme)?;
        installation.effects = read_outbox(&mut r)?;
        installation.membership = if r.flag()? {
            Some(Box::new(read_membership(&mut r)?))
        } else {
            None
        };
        match (r.flag()?, &mut installation.gas) {
            (true, Some(gas)) => read_gas(&mut r, gas)?,
            (false, None) => {}
            _ => return Err(r.damaged()),
        }
        match (r.flag()?, &mut installation.displays) {
            (true, Some(displays)) => read_displays(&mut r, displays)?,
            (false, None) => {}
            _ => return Err(r.damaged()),
        }
        r.finish()?;
        installation.reschedule(context);
        Ok(installation)
    }
}

fn write_membership(w: &mut Writer, membership: &Membership) {
    w.count(membership.guests.len());
    for (device, kind) in &membership.guests {
        w.octets(&device.to_bytes());
        w.flag(kind.is_some());
        if let Some(kind) = kind {
            w.pick(&DeviceKind::ALL, kind);
        }
    }
    w.count(membership.out.len());
    membership.out.iter().for_each(|device| w.octets(&device.to_bytes()));
    for pairs in [&membership.joins, &membership.parted] {
        w.count(pairs.len());
        for (slot, device) in pairs {
            w.pick(&DeviceKind::ALL, slot);
            w.octets(&device.to_bytes());
        }
    }
}

fn read_membership(r: &mut Reader<'_>) -> Read<Membership> {
    let device = |r: &mut Reader<'_>| r.octets().map(Eui64::from_bytes);
    Ok(Membership {
        guests: r.list(|r| {
            let id = device(r)?;
            let kind = if r.flag()? {
                Some(*r.pick(&DeviceKind::ALL)?)
            } else {
                None
            };
            Ok((id, kind))
        })?,
        out: r.list(device)?,
        joins: r.list(|r| Ok((*r.pick(&DeviceKind::ALL)?, device(r)?)))?,
        parted: r.list(|r| Ok((*r.pick(&DeviceKind::ALL)?, device(r)?)))?,
    })
}

fn write_displays(w: &mut Writer, displays: &Displays) {
    for display in displays.all() {
        write_device(w, &display.device);
        display.heard.iter().for_each(|text| w.sized(text.as_bytes()));
        w.count(display.messages.len());
        for message in &display.messages {
            w.instant(message.at);
            w.sized(message.text.as_bytes());
            w.flag(message.acknowledged);
        }
        w.flag(display.absent.is_some());
        if let Some(absence) = &display.absent {
            w.instant(absence.since);
            w.instant_option(absence.rejoins);
        }
    }
    w.count(displays.for_gas.len());
    displays.for_gas.iter().for_each(|act| w.sized(&octets::write(act)));
}

/// Which displays there are is configuration.
fn read_displays(r: &mut Reader<'_>, displays: &mut Displays) -> Read<()> {
    let text = |r: &mut Reader<'_>| {
        let octets = r.sized()?.to_vec();
        String::from_utf8(octets).map_err(|_| r.damaged())
    };
    for display in displays.ppmid.iter_mut().chain(&mut displays.ihd) {
        read_device(r, &mut display.device)?;
        display.heard = [text(r)?, text(r)?];
        let messages = r.list(|r| {
            Ok(Message {
                at: r.instant()?,
                text: text(r)?,
                acknowledged: r.flag()?,
            })
        })?;
        display.messages = messages.into();
        display.absent = if r.flag()? {
            Some(Absence {
                since: r.instant()?,
                rejoins: r.instant_option()?,
            })
        } else {
            None
        };
    }
    displays.for_gas = r.list(|r| read_one(r, "act at a display"))?.into();
    Ok(())
}

fn write_clock(w: &mut Writer, clock: &DeviceClock) {
    w.instant(clock.set_at);
    w.i64(clock.ahead_ms);
    w.i64(i64::from(clock.drift_ppm));
    w.flag(clock.doubtful);
    w.flag(clock.lost);
}

fn read_clock(r: &mut Reader<'_>, clock: &mut DeviceClock) -> Read<()> {
    clock.set_at = r.instant()?;
    clock.ahead_ms = r.i64()?;
    clock.drift_ppm = i32::try_from(r.i64()?).map_err(|_| r.damaged())?;
    clock.doubtful = r.flag()?;
    clock.lost = r.flag()?;
    Ok(())
}

fn write_device(w: &mut Writer, device: &Device) {
    let security = &device.security;
    write_epoch(w, &security.active);
    w.flag(security.staged.is_some());
    if let Some(staged) = &security.staged {
        write_epoch(w, staged);
    }
    w.u32(security.highest);
    w.u32(security.approval_counter);
    w.instant(security.alerted_at);
    let accepted: Vec<Accepted> = security.accepted.all().collect();
    w.count(accepted.len());
    for accepted in accepted {
        w.pick(&PARTIES, &accepted.party);
        for let_through in [accepted.first, accepted.last] {
            w.instant(let_through.at);
            w.u32(let_through.epoch);
        }
    }
    let empty = crate::logs::Entries::default();
    let logs = device.logs.0.as_deref().unwrap_or(&empty);
    for log in [&logs.event, &logs.security, &logs.power] {
        w.count(log.len());
        for (at, code) in log {
            w.instant(*at);
            w.u32(u32::from(*code));
        }
    }
    w.flag(logs.images.is_some());
    if let Some(images) = &logs.images {
        w.sized(&octets::write(&**images));
    }
}

fn read_device(r: &mut Reader<'_>, device: &mut Device) -> Read<()> {
    let security = &mut device.security;
    security.active = read_epoch(r)?;
    security.staged = if r.flag()? {
        Some(Box::new(read_epoch(r)?))
    } else {
        None
    };
    security.highest = r.u32()?;
    security.approval_counter = r.u32()?;
    security.alerted_at = r.time()?;
    security.accepted = Witness::default();
    for accepted in r.list(read_accepted)? {
        security.accepted.keep(accepted);
    }
    let mut log = || r.list(|r| Ok((r.time()?, r.u16()?)));
    let (event, security, power) = (log()?, log()?, log()?);
    let images = if r.flag()? {
        Some(Box::new(read_one(r, "firmware images")?))
    } else {
        None
    };
    device.logs.0 = (!event.is_empty() || !security.is_empty() || !power.is_empty() || images.is_some()).then(|| {
        Box::new(crate::logs::Entries {
            event: event.into(),
            security: security.into(),
            power: power.into(),
            images,
        })
    });
    Ok(())
}

fn read_accepted(r: &mut Reader<'_>) -> Read<Accepted> {
    let let_through = |r: &mut Reader<'_>| {
        Ok(LetThrough {
            at: r.instant()?,
            epoch: r.u32()?,
        })
    };
    Ok(Accepted {
        party: *r.pick(&PARTIES)?,
        first: let_through(r)?,
        last: let_through(r)?,
    })
}

fn write_epoch(w: &mut Writer, epoch: &Epoch) {
    w.pick(&PARTIES, &epoch.party);
    w.u32(epoch.number);
    w.flag(epoch.handed);
    epoch.own.iter().for_each(|counter| w.u32(*counter));
    w.count(epoch.clients.len());
    for client in &epoch.clients {
        w.octets(&client.title);
        w.u32(client.last);
        w.pick(&Association::ALL, &client.association);
    }
}

fn read_epoch(r: &mut Reader<'_>) -> Read<Epoch> {
    let mut epoch = Epoch::new(*r.pick(&PARTIES)?, r.u32()?, r.flag()?);
    for counter in &mut epoch.own {
        *counter = r.u32()?;
    }
    epoch.clients = r
        .list(|r| {
            Ok(Client {
                title: r.octets()?,
                last: r.u32()?,
                association: *r.pick(&Association::ALL)?,
            })
        })?
        .into_boxed_slice();
    Ok(epoch)
}

fn write_meter(w: &mut Writer, meter: &Meter) {
    write_device(w, &meter.device);
    write_clock(w, &meter.clock);
    w.pick(&SUPPLIES, &meter.supply.state);
    w.u32(u32::from(meter.supply.causes));
    w.pick(&MODES, &meter.mode);
    write_account(w, &meter.account);
    w.flag(meter.changed.is_some());
    if let Some(changed) = &meter.changed {
        write_changed(w, meter, changed);
    }
    w.flag(meter.history.is_some());
    if let Some(history) = &meter.history {
        w.sized(&octets::write(&**history));
    }
    w.i64(meter.next_billing.0);
    w.instant(meter.metering.since);
    let regimes = meter
        .metering
        .regimes
        .as_ref()
        .map_or(&[][..], |regimes| regimes.0.as_slice());
    w.count(regimes.len());
    for regime in regimes {
        w.instant(regime.from);
        w.sized(&regime.tariff.to_octets());
        w.count(regime.base.len());
        for (place, amount) in &regime.base {
            w.u32(u32::from(*place));
            w.i64(*amount);
        }
    }
    w.flag(meter.metering.gaps.is_some());
    if let Some(gaps) = &meter.metering.gaps {
        w.instant_option(gaps.open);
        w.count(gaps.closed.len());
        for (start, end) in &gaps.closed {
            w.instant(*start);
            w.instant(*end);
        }
        w.count(gaps.folded.len());
        gaps.folded.iter().for_each(|register| w.i64(*register));
    }
}

fn read_meter(r: &mut Reader<'_>, meter: &mut Meter) -> Read<()> {
    read_device(r, &mut meter.device)?;
    read_clock(r, &mut meter.clock)?;
    meter.supply.state = *r.pick(&SUPPLIES)?;
    meter.supply.causes = r.u8()?;
    meter.mode = *r.pick(&MODES)?;
    read_account(r, &mut meter.account)?;
    meter.changed = None;
    if r.flag()? {
        read_changed(r, meter)?;
    }
    meter.history = None;
    if r.flag()? {
        meter.history = Some(Box::new(read_one(r, "history")?));
    }
    meter.next_billing = r.time()?;
    meter.metering.since = r.instant()?;
    let regimes = r.list(|r| {
        Ok(Regime {
            from: r.instant()?,
            tariff: Arc::new(Tariff::of_octets(r.sized()?).ok_or_else(|| r.damaged())?),
            base: r.list(|r| Ok((r.u8()?, r.amount()?)))?,
        })
    })?;
    if let Some(last) = regimes.last() {
        meter.tariff = Arc::clone(&last.tariff);
    }
    meter.metering.regimes = (!regimes.is_empty()).then(|| Box::new(Regimes(regimes)));
    meter.metering.gaps = if r.flag()? {
        let open = r.instant_option()?;
        let closed = r.list(|r| Ok((r.instant()?, r.instant()?)))?;
        let folded = r.list(Reader::amount)?;
        Some(Box::new(Gaps {
            open,
            closed: closed.into(),
            folded,
        }))
    } else {
        None
    };
    Ok(())
}

fn write_account(w: &mut Writer, account: &Account) {
    w.instant(account.settled_at);
    let [first, second] = account.time_debts;
    let money = [
        account.balance,
        account.emergency_left,
        account.accumulated_debt,
        first,
        second,
        account.payment_debt,
        account.cap_used,
        i64::from(account.cap_week),
    ];
    money.iter().for_each(|amount| w.i64(*amount));
    for flag in [
        account.emergency_active,
        account.low_raised,
        account.offered,
        account.exhausted,
    ] {
        w.flag(flag);
    }
}

fn read_account(r: &mut Reader<'_>, account: &mut Account) -> Read<()> {
    account.settled_at = r.instant()?;
    account.balance = r.amount()?;
    account.emergency_left = r.amount()?;
    account.accumulated_debt = r.amount()?;
    account.time_debts = [r.amount()?, r.amount()?];
    account.payment_debt = r.amount()?;
    account.cap_used = r.amount()?;
    account.cap_week = i32::try_from(r.i64()?).map_err(|_| r.damaged())?;
    account.emergency_active = r.flag()?;
    account.low_raised = r.flag()?;
    account.offered = r.flag()?;
    account.exhausted = r.flag()?;
    Ok(())
}

/// Settings in the one compact form of the operation model. The limits of the account go with them: nobody changes one
/// without the other.
fn write_changed(w: &mut Writer, meter: &Meter, changed: &Changed) {
    w.sized(&octets::write(&meter.account.settings));
    w.sized(&octets::write(changed));
}

fn read_changed(r: &mut Reader<'_>, meter: &mut Meter) -> Read<()> {
    meter.account.settings = read_one(r, "account settings")?;
    meter.changed = Some(Box::new(read_one(r, "settings")?));
    Ok(())
}

fn read_one<T: serde::de::DeserializeOwned>(r: &mut Reader<'_>, what: &'static str) -> Read<T> {
    let octets = r.sized()?;
    octets::read(octets, what).map_err(|_| r.damaged())
}

fn write_gas(w: &mut Writer, gas: &Gas) {
    write_meter(w, &gas.gsme);
    write_device(w, &gas.gpf);
    w.instant(gas.woken_at);
    write_report(w, &gas.mirror, &gas.gsme);
    w.flag(gas.pending.is_some());
    if let Some(pending) = &gas.pending {
        w.instant(pending.0);
        write_report(w, &pending.1, &gas.gsme);
    }
    write_outbox(w, &gas.alerts);
    w.u32(gas.queue.tickets);
    let empty = crate::han::Held::default();
    let held = gas.queue.held.as_deref().unwrap_or(&empty);
    w.count(held.commands.len());
    held.commands.iter().for_each(|command| write_command(w, command));
    w.count(held.results.len());
    for result in &held.results {
        w.instant(result.at);
        w.pick(&PARTIES, &result.party);
        w.u32(result.ticket);
        write_outcome(w, &result.outcome);
    }
    w.count(held.refused.len());
    held.refused.iter().for_each(|request| w.octets(&request.to_bytes()));
}

fn read_gas(r: &mut Reader<'_>, gas: &mut Gas) -> Read<()> {
    read_meter(r, &mut gas.gsme)?;
    read_device(r, &mut gas.gpf)?;
    gas.woken_at = r.instant()?;
    gas.mirror = read_report(r, &gas.gsme)?;
    gas.pending = if r.flag()? {
        Some(Box::new((r.instant()?, read_report(r, &gas.gsme)?)))
    } else {
        None
    };
    gas.alerts = read_outbox(r)?;
    gas.queue.tickets = r.u32()?;
    let commands = r.list(read_command)?;
    let results = r.list(|r| {
        Ok(HanResult {
            at: r.instant()?,
            party: *r.pick(&PARTIES)?,
            ticket: r.u32()?,
            outcome: read_outcome(r)?,
        })
    })?;
    let refused = r.list(|r| {
        let octets: [u8; 24] = r.octets()?;
        Ok(RequestId::from_bytes(octets))
    })?;
    let held = crate::han::Held {
        commands: commands.into(),
        results: results.into(),
        refused: refused.into(),
    };
    gas.queue.held = (!held.is_empty()).then(|| Box::new(held));
    Ok(())
}

fn write_report(w: &mut Writer, report: &Report, gsme: &Meter) {
    w.instant(report.at);
    w.pick(&SUPPLIES, &report.supply);
    w.flag(report.account.is_some());
    if let Some(account) = &report.account {
        write_account(w, account);
        // The report may be older than the last change of limits.
        let older = account.settings != gsme.account.settings;
        w.flag(older);
        if older {
            w.sized(&octets::write(&account.settings));
        }
    }
}

fn read_report(r: &mut Reader<'_>, gsme: &Meter) -> Read<Report> {
    let at = r.instant()?;
    let supply = *r.pick(&SUPPLIES)?;
    let account = if r.flag()? {
        let mut account = gsme.account.clone();
        read_account(r, &mut account)?;
        if r.flag()? {
            account.settings = read_one(r, "account settings")?;
        }
        Some(account)
    } else {
        None
    };
    Ok(Report { at, account, supply })
}

fn write_outbox(w: &mut Writer, outbox: &Outbox) {
    w.count(outbox.iter().count());
    for effect in outbox.iter() {
        match effect {
            Effect::Alert { slot, code, at, .. } => {
                w.flag(true);
                w.pick(&DeviceKind::ALL, slot);
                w.u32(u32::from(*code));
                w.instant(*at);
            }
            Effect::LateResult { party, ticket, outcome } => {
                w.flag(false);
                w.pick(&PARTIES, party);
                w.u32(*ticket);
                write_outcome(w, outcome);
            }
        }
    }
}

fn read_outbox(r: &mut Reader<'_>) -> Read<Outbox> {
    let effects = r.list(|r| {
        if !r.flag()? {
            return Ok(Effect::LateResult {
                party: *r.pick(&PARTIES)?,
                ticket: r.u32()?,
                outcome: read_outcome(r)?,
            });
        }
        let slot = *r.pick(&DeviceKind::ALL)?;
        let code = r.u16()?;
        let known = ALERT_CODES.iter().find(|alert| alert.code == code);
        Ok(Effect::Alert {
            slot,
            code,
            // Some profiles have codes of their own.
            description: known.map_or("an event of this firmware's own", |alert| alert.description),
            at: r.time()?,
        })
    })?;
    let mut outbox = Outbox::default();
    effects.into_iter().for_each(|effect| outbox.push(effect));
    Ok(outbox)
}

fn write_command(w: &mut Writer, command: &Command) {
    w.u32(command.ticket);
    w.pick(&Association::ALL, &command.access.association);
    w.pick(&ACCESS_PARTIES, &command.access.party);
    w.u32(command.epoch);
    w.instant(command.taken_at);
    w.sized(&octets::of_operation(&command.operation));
    w.flag(command.approval.is_some());
    if let Some(approval) = &command.approval {
        w.octets(&approval.to_bytes());
    }
}

fn read_command(r: &mut Reader<'_>) -> Read<Command> {
    Ok(Command {
        ticket: r.u32()?,
        access: Access {
            association: *r.pick(&Association::ALL)?,
            party: *r.pick(&ACCESS_PARTIES)?,
        },
        epoch: r.u32()?,
        taken_at: r.instant()?,
        operation: {
            let octets = r.sized()?;
            octets::operation(octets).map_err(|_| r.damaged())?
        },
        approval: if r.flag()? {
            let octets: [u8; domain::approval::APPROVAL_LEN] = r.octets()?;
            Some(Approval::from_bytes(&octets).ok_or_else(|| r.damaged())?)
        } else {
            None
        },
    })
}

fn write_outcome(w: &mut Writer, outcome: &Outcome) {
    w.sized(&octets::of_outcome(outcome));
}

fn read_outcome(r: &mut Reader<'_>) -> Read<Outcome> {
    let octets = r.sized()?;
    octets::outcome(octets).map_err(|_| r.damaged())
}

// The places in these lists are the numbers on disk: append, never reorder.
const PARTIES: [Party; 3] = [Party::Smso, Party::S1sp, Party::Dco];
const ACCESS_PARTIES: [Option<Party>; 4] = [None, Some(Party::Smso), Some(Party::S1sp), Some(Party::Dco)];
const SUPPLIES: [SupplyState; 3] = [SupplyState::Disabled, SupplyState::Armed, SupplyState::Enabled];
const MODES: [PaymentMode; 2] = [PaymentMode::Credit, PaymentMode::Prepayment];
