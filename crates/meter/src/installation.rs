//! The installation as its driver sees it.

use domain::keys::{DeviceKey, Party, Purpose};
use domain::operation::KnownDevice;
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, LogRow, Mpan, Mprn,
    Operation, Outcome, Refusal, SecurityEvent, Seed, SimInstant, SupplyState, Value,
};

use crate::alerts;
use crate::calendar::LocalDay;
use crate::clock::DeviceClock;
use crate::config::InstallationConfig;
use crate::device::{Around, Device};
use crate::display::{DISPLAYS, Display, Displays};
use crate::effects::{Effect, Outbox};
use crate::gas::Gas;
use crate::load::{Channel, Load};
use crate::membership::{Door, Fitted, Membership, change};
use crate::meter::{Meter, MeterParts, NO_POINT, clock_alert, clock_outcome, synchronise};
use crate::profile::{Context, Profile};
use crate::security::Accepted;
use crate::tokens::TokenSource;

/// One home: a hub, an electricity meter and, where there is gas, a gas proxy and a sleeping gas meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    pub(crate) seed: Seed,
    pub(crate) chf: Device,
    /// The hub's clock; the gas proxy has no other.
    pub(crate) clock: DeviceClock,
    pub(crate) esme: Meter,
    pub(crate) gas: Option<Box<Gas>>,
    /// Prepayment interface and in-home display, where there is one.
    pub(crate) displays: Option<Box<Displays>>,
    pub(crate) effects: Outbox,
    pub(crate) next: SimInstant,
    /// The last local day whose beginning has been dealt with.
    pub(crate) day: LocalDay,
    /// No mains since.
    pub(crate) dark_since: Option<SimInstant>,
    pub(crate) challenges: u32,
    /// What changed about the HAN since the installation was fitted.
    pub(crate) membership: Option<Box<Membership>>,
    /// The hub has restarted, and nobody has been told yet.
    pub(crate) hub_restarts: bool,
}

impl Installation {
    /// A new installation, as fitted and configured, at `context.now`.
    ///
    /// It has gas and displays where both the configuration and the profiles have.
    #[must_use]
    pub fn new(config: &InstallationConfig, context: &Context<'_>) -> Self {
        let now = context.now.max(config.installed_at);
        let party = if config.enrolled { Party::S1sp } else { Party::Smso };
        let number = config.seed.number();
        let clock = |kind, profile| DeviceClock::new(number, kind, profile, now);
        let size = |given: Option<u32>, label: u64, from: u32, to: u32| {
            let drawn = domain::seed::mix(number, label) % u64::from(to - from);
            // A home of a million kWh would be a factory: the model's numbers stay far from their limits.
            given.unwrap_or(from + u32::try_from(drawn).unwrap_or(0)).min(1_000_000)
        };
        let mut esme = Meter::new(
            &MeterParts {
                id: config.esme,
                party,
                epoch: config.epoch,
                clock: clock(DeviceKind::Esme, context.profiles.esme),
                load: Load::of_annual(
                    domain::seed::mix(number, LABEL_ELECTRICITY),
                    Channel::Import,
                    size(config.annual_import_kwh, LABEL_ELECTRICITY + 1, 1_600, 5_200),
                ),
                installed_at: config.installed_at,
                start: config.start_import_wh,
                account: &config.account,
                tariff: &config.tariff,
                mode: config.payment_mode,
                point: config.mpan.number(),
                now,
            },
            false,
        );
        esme.second_element = config.second_element;
        esme.generation = config.generation;
        let gas = config.gas.zip(context.profiles.gsme).map(|((gpf, gsme), profile)| {
            let parts = MeterParts {
                id: gsme,
                party,
                epoch: config.epoch,
                clock: clock(DeviceKind::Gsme, profile),
                load: Load::of_annual(
                    domain::seed::mix(number, LABEL_GAS),
                    Channel::Gas,
                    size(config.annual_gas_m3, LABEL_GAS + 1, 600, 1_700),
                ),
                installed_at: config.installed_at,
                start: config.start_gas_litres,
                account: &config.gas_account,
                tariff: &config.gas_tariff,
                mode: config.gas_payment_mode,
                point: config.mprn.map_or(NO_POINT, Mprn::number),
                now,
            };
            let gpf = Device::new(gpf, party, config.epoch);
            Box::new(Gas::new(Meter::new(&parts, true), gpf, now, profile))
        });
        let display = |id: Option<Eui64>, profile: Option<&Profile>| {
            let id = id.filter(|_| profile.is_some())?;
            Some(Display::new(id, party, config.epoch))
        };
        let displays = Displays {
            ppmid: display(config.ppmid, context.profiles.ppmid),
            ihd: display(config.ihd, context.profiles.ihd),
            ..Displays::default()
        };
        let any = displays.ppmid.is_some() || displays.ihd.is_some();
        let mut installation = Self {
            seed: config.seed,
            chf: Device::new(config.chf, party, config.epoch),
            clock: clock(DeviceKind::Chf, context.profiles.chf),
            esme,
            gas,
            displays: any.then(|| Box::new(displays)),
            effects: Outbox::default(),
            next: now,
            day: LocalDay::of(now),
            dark_since: None,
            challenges: 0,
            membership: None,
            hub_restarts: false,
        };
        let (fitted, door) = (installation.fitted(), installation.door(context));
        change(&mut installation.membership, |membership| {
            membership.leave_out(fitted, door);
            None
        });
        installation.reschedule(context);
        installation
    }

    /// The device in a slot; `None` when there is no such device here.
    #[must_use]
    pub fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        self.part(slot).map(|device| device.id)
    }

    /// The electricity metering point.
    ///
    /// # Panics
    /// Never: it was made of a metering point.
    #[must_use]
    pub fn mpan(&self) -> Mpan {
        Mpan::new(self.esme.point).expect("it was made of one")
    }

    /// The gas metering point, where there is gas.
    #[must_use]
    pub fn mprn(&self) -> Option<Mprn> {
        let gas = self.gas.as_ref()?;
        Mprn::new(gas.gsme.point).ok()
    }

    /// Executes, refuses or queues an operation.
    ///
    /// On the gas meter's slot it is queued at the hub and answered later by [`Effect::LateResult`]; the gas meter
    /// checks the approval when it wakes, by its own clock. Without mains every device is unreachable.
    pub fn execute(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution {
        self.advance(context);
        let result = match slot {
            _ if self.part(slot).is_none() => Execution::Finished(Err(Refusal::NotSupported)),
            _ if self.dark_since.is_some() || self.is_out(slot) || self.is_absent(slot) => {
                Execution::Finished(Err(Refusal::Unreachable))
            }
            _ if let Some(refusal) = self.indisposed(context, slot, profile(context, slot)) => {
                Execution::Finished(Err(refusal))
            }
            DeviceKind::Gsme => self.submit(context, access, operation, approval),
            _ => Execution::Finished(self.execute_awake(context, slot, access, operation, approval)),
        };
        self.reschedule(context);
        result
    }

    /// When [`Installation::wake`] has something to do next.
    #[must_use]
    pub fn next_wake(&self) -> SimInstant {
        self.next
    }

    /// Does what is due at `context.now`. Early or twice is harmless; late does what was missed: accounts are charged
    /// and supply ends at its own moment, of several missed wakes of a gas meter only the last one happens.
    pub fn wake(&mut self, context: &Context<'_>) {
        if context.now >= self.next {
            self.advance(context);
            self.reschedule(context);
        }
    }

    /// The oldest effect not yet taken. At most [`EFFECTS_MAX`](crate::EFFECTS_MAX) are kept.
    pub fn pop_effect(&mut self) -> Option<Effect> {
        self.effects.pop()
    }

    /// The party whose keys are in force; of a device that is not here, the hub's.
    #[must_use]
    pub fn active_party(&self, slot: DeviceKind) -> Party {
        self.part(slot).unwrap_or(&self.chf).security.active.party
    }

    /// When a device first and last let state-changing commands through, by party, restarts or not: for checks of what no two
    /// parties may do.
    pub fn accepted(&self, slot: DeviceKind) -> impl Iterator<Item = Accepted> + '_ {
        self.part(slot)
            .into_iter()
            .flat_map(|device| device.security.accepted.all())
    }

    /// The key epoch in force; of a device that is not here, the hub's.
    #[must_use]
    pub fn epoch(&self, slot: DeviceKind) -> u32 {
        self.part(slot).unwrap_or(&self.chf).security.active.number
    }

    /// A key of the active party and epoch. The approval key exists only where the DCO has a say.
    #[must_use]
    pub fn key(&self, context: &Context<'_>, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        let device = self.part(slot)?;
        device.security.key(context, device.id, purpose)
    }

    /// The party for which a key epoch is staged, and that epoch; `None` where nothing is.
    #[must_use]
    pub fn staged(&self, slot: DeviceKind) -> Option<(Party, u32)> {
        let staged = self.part(slot)?.security.staged.as_deref()?;
        Some((staged.party, staged.number))
    }

    /// A key of the staged epoch.
    #[must_use]
    pub fn staged_key(&self, context: &Context<'_>, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        let device = self.part(slot)?;
        device.security.staged_key(context, device.id, purpose)
    }

    /// Accepts a client's invocation counter if this client has not used it or a higher one in this key epoch.
    ///
    /// # Errors
    /// The next counter that would be accepted; `u32::MAX` when there is none, because this one is used up, there is no
    /// such device, or too many clients have spoken to it.
    pub fn accept_counter(
        &mut self,
        slot: DeviceKind,
        association: Association,
        title: [u8; 8],
        counter: u32,
    ) -> Result<(), u32> {
        let device = self.part_mut(slot).ok_or(u32::MAX)?;
        device.security.accept_counter(association, title, counter)
    }

    /// The device's own next invocation counter on an association, from 1; it never repeats within a key epoch.
    pub fn next_counter(&mut self, slot: DeviceKind, association: Association) -> u32 {
        self.part_mut(slot)
            .map_or(0, |device| device.security.next_counter(association))
    }

    /// Lets the devices' own invocation counters go on from `from` at least: for an installation that is born again while
    /// its operator remembers what it heard before.
    pub fn counters_from(&mut self, from: u32) {
        for slot in DeviceKind::ALL {
            if let Some(device) = self.part_mut(slot) {
                for counter in &mut device.security.active.own {
                    *counter = from.max(*counter);
                }
            }
        }
    }

    /// The client counter that is acceptable next on the management association, as the public object shows it.
    #[must_use]
    pub fn invocation_counter(&self, slot: DeviceKind) -> u32 {
        self.part(slot).map_or(0, |device| device.security.invocation_counter())
    }

    /// A challenge for HLS authentication: never the same twice, repeatable from the seed.
    pub fn challenge(&mut self) -> [u8; 16] {
        self.challenges = self.challenges.wrapping_add(1);
        let node = self
            .seed
            .child([b"challenge".as_slice(), &self.challenges.to_be_bytes()].concat());
        let mut out = [0; 16];
        out.copy_from_slice(&node.bytes()[..16]);
        out
    }

    /// Records what a face noticed in the device's security log and, rate limited, as an alert.
    pub fn security_event(&mut self, context: &Context<'_>, slot: DeviceKind, event: SecurityEvent) {
        if let Some((device, mut around)) = self.around(context, slot) {
            device.security_event(&mut around, event);
        }
    }

    /// The consumer restores an armed supply at the meter.
    ///
    /// # Errors
    /// [`Refusal::WrongState`] unless the supply is armed, [`Refusal::NotSupported`] on what is no meter.
    pub fn press_restore_supply(&mut self, context: &Context<'_>, slot: DeviceKind) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, powered, profile, out| {
            meter.press_restore(context.now, powered, profile, out)
        })
    }

    /// The consumer activates emergency credit at the meter.
    ///
    /// # Errors
    /// [`Refusal::WrongState`] when it is not on offer, [`Refusal::NotSupported`] on what is no meter.
    pub fn activate_emergency_credit(&mut self, context: &Context<'_>, slot: DeviceKind) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, powered, profile, out| {
            meter.activate_emergency(context.now, powered, profile, out)
        })
    }

    /// The consumer protects the display with a PIN.
    ///
    /// # Errors
    /// [`Refusal::NotSupported`] on what is no meter.
    pub fn set_privacy_pin(&mut self, context: &Context<'_>, slot: DeviceKind) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, _, _, _| meter.protect(true).map(|_| ()))
    }

    /// The consumer enters a payment token at the meter.
    ///
    /// # Errors
    /// [`Refusal::Token`] for one that is not taken, [`Refusal::NotSupported`] on what is no meter.
    pub fn enter_token(&mut self, context: &Context<'_>, slot: DeviceKind, digits: &str) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, powered, profile, out| {
            let key = meter.device.security.key(context, meter.device.id, Purpose::Token);
            let key = key.ok_or(Refusal::NotPermitted)?;
            let source = TokenSource::Keypad;
            meter
                .enter_token(context.now, powered, digits, &key, source, profile, out)
                .map(|_| ())
        })
    }

    /// Credit arrives at the meter, in milli-pence.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] above the largest credit or balance, [`Refusal::WrongState`] in credit mode,
    /// [`Refusal::NotSupported`] on what is no meter.
    pub fn top_up(&mut self, context: &Context<'_>, slot: DeviceKind, milli_pence: u32) -> Result<(), Refusal> {
        self.consumer_act(context, slot, |meter, powered, profile, out| {
            meter.top_up(context.now, powered, milli_pence, profile, out)
        })
    }

    /// Mains fail: no electricity is counted, hub and electricity meter are off. Twice is harmless.
    pub fn cut_power(&mut self, context: &Context<'_>) {
        self.advance(context);
        if self.dark_since.is_none() {
            self.dark_since = Some(context.now);
            self.displays_go_dark(context.now);
            self.esme.follow_supply(context.now, false);
            self.esme.note(
                context.now,
                context.profiles.esme,
                &mut self.effects,
                alerts::MAINS_INTERRUPTED,
            );
        }
        self.reschedule(context);
    }

    /// Mains return. Twice is harmless.
    pub fn restore_power(&mut self, context: &Context<'_>) {
        self.advance(context);
        if let Some(since) = self.dark_since.take() {
            let profile = context.profiles.esme;
            let outage = context.now.since(since);
            let history = self.esme.history.get_or_insert_default();
            history.outage(since, context.now);
            history.switch_back(context.now);
            for (clock, profile) in [(&mut self.clock, context.profiles.chf), (&mut self.esme.clock, profile)] {
                if profile.clock_survives_outage.is_some_and(|reserve| outage > reserve) {
                    clock.stand_still(since, context.now);
                }
            }
            if self.esme.clock.lost {
                self.esme.clock_lost(since, context.now, profile);
            }
            self.esme.follow_supply(context.now, true);
            self.esme.disturb_load_window(context.now, profile);
            self.esme.after_outage(since, context.now, profile, &mut self.effects);
            let long = outage >= profile.long_outage;
            let alert = if long {
                alerts::LONG_OUTAGE_RESTORED
            } else {
                alerts::OUTAGE_RESTORED
            };
            self.esme.note(context.now, profile, &mut self.effects, alert);
            self.displays_return(context);
        }
        self.reschedule(context);
    }

    /// True while there are mains.
    #[must_use]
    pub fn powered(&self) -> bool {
        self.dark_since.is_none()
    }

    /// State of a meter's supply as it truly is; for consumer acts and checks only. `None` on what is no meter.
    #[must_use]
    pub fn supply(&self, slot: DeviceKind) -> Option<SupplyState> {
        self.meter(slot).map(|meter| meter.supply.state)
    }

    /// An item of a meter as it truly is at `context.now`, whatever its mirror shows; for checks only.
    #[must_use]
    pub fn truth(&self, context: &Context<'_>, slot: DeviceKind, item: DataItem) -> Option<Value> {
        let profile = profile(context, slot);
        self.meter(slot)?.view(context.now, profile).item(item)
    }

    /// What a meter used in each of the latest months, as a display shows it; nothing on what is no meter.
    #[must_use]
    pub fn months(&self, context: &Context<'_>, slot: DeviceKind) -> Vec<LogRow> {
        let profile = profile(context, slot);
        let view = self.meter(slot).map(|meter| meter.view(context.now, profile));
        view.map_or_else(Vec::new, |view| view.months())
    }

    pub(crate) fn meter(&self, slot: DeviceKind) -> Option<&Meter> {
        match slot {
            DeviceKind::Esme => Some(&self.esme),
            DeviceKind::Gsme => self.gas.as_ref().map(|gas| &gas.gsme),
            _ => None,
        }
    }

    pub(crate) fn part(&self, slot: DeviceKind) -> Option<&Device> {
        match slot {
            DeviceKind::Chf => Some(&self.chf),
            DeviceKind::Esme => Some(&self.esme.device),
            DeviceKind::Gpf => self.gas.as_ref().map(|gas| &gas.gpf),
            DeviceKind::Gsme => self.gas.as_ref().map(|gas| &gas.gsme.device),
            DeviceKind::Ihd | DeviceKind::Ppmid => self.display(slot).map(|display| &display.device),
            DeviceKind::Cad => None,
        }
    }

    pub(crate) fn display(&self, slot: DeviceKind) -> Option<&Display> {
        self.displays.as_ref()?.get(slot)
    }

    pub(crate) fn display_mut(&mut self, slot: DeviceKind) -> Option<&mut Display> {
        self.displays.as_mut()?.get_mut(slot)
    }

    pub(crate) fn part_mut(&mut self, slot: DeviceKind) -> Option<&mut Device> {
        match slot {
            DeviceKind::Chf => Some(&mut self.chf),
            DeviceKind::Esme => Some(&mut self.esme.device),
            DeviceKind::Gpf => self.gas.as_mut().map(|gas| &mut gas.gpf),
            DeviceKind::Gsme => self.gas.as_mut().map(|gas| &mut gas.gsme.device),
            DeviceKind::Ihd | DeviceKind::Ppmid => self.display_mut(slot).map(|display| &mut display.device),
            DeviceKind::Cad => None,
        }
    }

    /// A device with what surrounds it now. What the gas meter's own logical device at the hub notices is raised by the
    /// hub, which is awake.
    pub(crate) fn around<'a>(
        &'a mut self,
        context: &Context<'a>,
        slot: DeviceKind,
    ) -> Option<(&'a mut Device, Around<'a>)> {
        let (device, clock) = match slot {
            DeviceKind::Chf => (&mut self.chf, &self.clock),
            DeviceKind::Esme => (&mut self.esme.device, &self.esme.clock),
            DeviceKind::Gpf => (&mut self.gas.as_mut()?.gpf, &self.clock),
            DeviceKind::Gsme => {
                let gsme = &mut self.gas.as_mut()?.gsme;
                (&mut gsme.device, &gsme.clock)
            }
            // A display shows the hub's time; it has no clock of its own.
            DeviceKind::Ihd | DeviceKind::Ppmid => (&mut self.displays.as_mut()?.get_mut(slot)?.device, &self.clock),
            DeviceKind::Cad => return None,
        };
        let around = Around {
            kind: slot,
            profile: profile(context, slot),
            time: clock.time(context.now),
            out: &mut self.effects,
            behaviour: None,
        };
        Some((device, around))
    }

    fn submit(
        &mut self,
        context: &Context<'_>,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution {
        let Some(gas) = &mut self.gas else {
            return Execution::Finished(Err(Refusal::NotSupported));
        };
        let mut around = Around {
            kind: DeviceKind::Gsme,
            profile: profile(context, DeviceKind::Gsme),
            time: gas.gsme.clock.time(context.now),
            out: &mut self.effects,
            behaviour: None,
        };
        match gas.submit(context, &mut around, access, operation, approval) {
            Ok(ticket) => Execution::Queued(ticket),
            Err(refusal) => Execution::Finished(Err(refusal)),
        }
    }

    /// Executes on a device that is always awake.
    fn execute_awake(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Outcome {
        let (device, mut around) = self.around(context, slot).ok_or(Refusal::NotSupported)?;
        device.accept(context, &mut around, (access, operation), approval, context.now)?;
        if let Some(outcome) = device.operate(&mut around, operation) {
            return outcome;
        }
        if let Some(outcome) = self.change_membership(context, slot, operation) {
            return outcome;
        }
        if let Some(outcome) = self.operate_image(context, slot, operation) {
            return outcome;
        }
        let now = context.now;
        let profile = profile(context, slot);
        match operation {
            Operation::Read(item) => self.read(context, slot, profile, *item),
            Operation::ReadLog { log, from, to } => self.read_log(context, slot, profile, *log, *from, *to),
            Operation::SynchroniseClock { time, tolerance_s } if slot == DeviceKind::Chf => {
                let result = synchronise(&mut self.clock, now, profile, *time, *tolerance_s)?;
                if let (Some(alert), Some((device, mut around))) = (clock_alert(result), self.around(context, slot)) {
                    device.note(&mut around, alert);
                }
                clock_outcome(result)
            }
            Operation::EnterToken(token) if slot == DeviceKind::Esme => {
                let esme = &mut self.esme;
                let key = esme.device.security.key(context, esme.device.id, Purpose::Token);
                let key = key.ok_or(Refusal::NotPermitted)?;
                let out = &mut self.effects;
                esme.enter_token(now, true, &token.0, &key, TokenSource::Remote, profile, out)
            }
            _ if slot == DeviceKind::Esme => {
                let outcome = self.esme.operate(now, true, operation, profile, &mut self.effects);
                let cut = matches!(operation, Operation::DisableSupply) && outcome.is_ok();
                self.hub_restarts |= cut && profile.supply.cut_resets_hub;
                if matches!(operation, Operation::DisplayMessage(_)) && outcome.is_ok() {
                    self.message_came(context, slot);
                }
                outcome
            }
            _ => Err(Refusal::NotSupported),
        }
    }

    fn read(&self, context: &Context<'_>, slot: DeviceKind, profile: &Profile, item: DataItem) -> Outcome {
        let now = context.now;
        let gas_meter = context.profiles.gsme.unwrap_or(profile);
        let value = match item {
            DataItem::Clock => {
                let clock = if slot == DeviceKind::Esme {
                    &self.esme.clock
                } else {
                    &self.clock
                };
                Some(Value::Clock(clock.time(now), clock.status(now, profile)))
            }
            DataItem::DeviceLog => Some(Value::Devices(self.known_devices(slot, now))),
            DataItem::FirmwareVersion => Some(Value::Text(profile.firmware.clone())),
            DataItem::PpmidFirmwareVersion if slot == DeviceKind::Chf => return self.ppmid_firmware(context),
            _ if slot == DeviceKind::Esme => self.esme.view(now, profile).item(item),
            _ if self.display(slot).is_some() => return self.read_display(context, slot, item),
            // A mirror shows the model of the meter it mirrors (inferred from the basic attributes of a mirror).
            DataItem::Manufacturer | DataItem::ModelType if slot == DeviceKind::Gpf => {
                let gas = self.gas.as_ref();
                gas.and_then(|gas| gas.mirrored(gas_meter, gas_meter).item(item))
            }
            _ if slot == DeviceKind::Gpf => self
                .gas
                .as_ref()
                .and_then(|gas| gas.mirrored(profile, gas_meter).item(item)),
            _ => None,
        };
        value.map(Answer::Value).ok_or(Refusal::NotSupported)
    }

    fn read_log(
        &self,
        context: &Context<'_>,
        slot: DeviceKind,
        profile: &Profile,
        log: LogKind,
        from: SimInstant,
        to: SimInstant,
    ) -> Outcome {
        if let Some(rows) = self.event_log(slot, profile, log, from, to) {
            return Ok(Answer::Log(rows));
        }
        let now = context.now;
        let gas_meter = context.profiles.gsme.unwrap_or(profile);
        let rows = match (slot, &self.gas) {
            (DeviceKind::Esme, _) => self.esme.view(now, profile).log(log, from, to),
            (DeviceKind::Gpf, Some(gas)) => gas.mirrored(profile, gas_meter).log(log, from, to),
            _ => Err(Refusal::NotSupported),
        };
        rows.map(Answer::Log)
    }

    /// The rows of a log of events; `None` where this is no such log, or the device has none.
    fn event_log(
        &self,
        slot: DeviceKind,
        profile: &Profile,
        log: LogKind,
        from: SimInstant,
        to: SimInstant,
    ) -> Option<Vec<LogRow>> {
        let device = self.part(slot)?;
        match log {
            LogKind::Event if profile.logs.split_event_logs => {
                let logs = [LogKind::Event, LogKind::PowerEvent];
                Some(
                    logs.into_iter()
                        .flat_map(|log| device.logs.read(log, from, to))
                        .collect(),
                )
            }
            LogKind::Event | LogKind::Security => Some(device.logs.read(log, from, to)),
            LogKind::PowerEvent if slot == DeviceKind::Esme => Some(device.logs.read(log, from, to)),
            LogKind::AuxiliaryLoad if slot == DeviceKind::Esme => Some(self.esme.switchings(from, to)),
            LogKind::GasMeterEvent | LogKind::GasMeterSecurity if slot == DeviceKind::Gpf => {
                // What happened since the gas meter last reported is not there yet.
                let gas = self.gas.as_ref()?;
                let to = to.min(gas.mirror.at);
                let log = if log == LogKind::GasMeterEvent {
                    LogKind::Event
                } else {
                    LogKind::Security
                };
                Some(gas.gsme.device.logs.read(log, from, to))
            }
            _ => None,
        }
    }

    /// The devices that the one in `slot` is joined with.
    fn known_devices(&self, slot: DeviceKind, now: SimInstant) -> Vec<KnownDevice> {
        let hub = (DeviceKind::Chf, Some(now));
        let gsme = (DeviceKind::Gsme, self.gas.as_ref().map(|gas| gas.mirror.at));
        let display = |kind| (kind, self.display_heard(kind, now));
        let displays = [display(DeviceKind::Ppmid), display(DeviceKind::Ihd)];
        let esme = (DeviceKind::Esme, Some(now));
        let known: Vec<(DeviceKind, Option<SimInstant>)> = match slot {
            DeviceKind::Chf => [esme, (DeviceKind::Gpf, Some(now)), gsme]
                .into_iter()
                .chain(displays)
                .collect(),
            DeviceKind::Gpf => [hub, gsme].into_iter().chain(displays).collect(),
            DeviceKind::Ihd | DeviceKind::Ppmid => vec![hub, esme, (DeviceKind::Gpf, Some(now))],
            _ => [hub].into_iter().chain(displays).collect(),
        };
        let together = |kind: DeviceKind| {
            let (meter, display) = if DISPLAYS.contains(&slot) {
                (kind, slot)
            } else {
                (slot, kind)
            };
            slot == DeviceKind::Chf
                || meter == DeviceKind::Chf
                || !DISPLAYS.contains(&display)
                || self.device(display).is_some_and(|device| self.is_joined(meter, device))
        };
        let fitted = known.iter().filter_map(|(kind, last_heard)| {
            let device = self.device(*kind).filter(|_| !self.is_out(*kind) && together(*kind))?;
            Some(KnownDevice {
                device,
                kind: *kind,
                last_heard: *last_heard,
            })
        });
        let guests = self
            .membership
            .iter()
            .flat_map(|membership| membership.known(slot, now));
        fitted.chain(guests).collect()
    }

    /// Whether a fitted device was put out of the HAN.
    pub(crate) fn is_out(&self, slot: DeviceKind) -> bool {
        let device = self.device(slot);
        self.membership
            .as_ref()
            .is_some_and(|membership| device.is_some_and(|device| membership.is_out(device)))
    }

    fn is_absent(&self, slot: DeviceKind) -> bool {
        self.display(slot).is_some_and(|display| display.absent.is_some())
    }

    /// Whether the device in `slot` is joined with a display or a guest.
    pub(crate) fn is_joined(&self, slot: DeviceKind, other: Eui64) -> bool {
        let fitted = self.fitted();
        self.membership.as_ref().map_or_else(
            || Membership::default().is_joined(slot, other, fitted),
            |membership| membership.is_joined(slot, other, fitted),
        )
    }

    /// The devices fitted with the hub, but for it.
    fn fitted(&self) -> Fitted {
        use DeviceKind as K;
        [K::Esme, K::Gpf, K::Gsme, K::Ppmid, K::Ihd].map(|slot| self.device(slot))
    }

    fn door(&self, context: &Context<'_>) -> Door {
        let profile = context.profiles.chf;
        Door {
            hub: self.chf.id,
            entries: profile.device_log_entries,
            devices: profile.han.devices_max,
            own_only: profile.han.own_devices_only,
        }
    }

    /// Carries out what is about the HAN; rights and approval are checked. `None` for the rest.
    pub(crate) fn change_membership(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        operation: &Operation,
    ) -> Option<Outcome> {
        let fitted = self.fitted();
        let door = self.door(context);
        let own = self.device(slot);
        let outcome = change(&mut self.membership, |membership| match operation {
            Operation::AddToHan(entry) => Some(membership.add(entry, fitted, door)),
            Operation::RemoveFromHan(device) => Some(membership.remove(*device, fitted)),
            // What was fitted with the hub is what the one before it knew; the one before it is not this one.
            Operation::RestoreDeviceLog(old) if Some(*old) == own => Some(Err(Refusal::OutOfRange)),
            Operation::RestoreDeviceLog(_) => {
                membership.out.clear();
                Some(Ok(Answer::Done))
            }
            _ => membership.operate(slot, operation, fitted),
        });
        if let (Some(Ok(_)), Operation::AddToHan(entry)) = (&outcome, operation) {
            let display = DISPLAYS
                .into_iter()
                .find(|slot| self.device(*slot) == Some(entry.device));
            if let Some(slot) = display {
                self.let_display_in(context, slot);
            }
        }
        outcome
    }

    pub(crate) fn consumer_act(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        act: impl FnOnce(&mut Meter, bool, &Profile, &mut Outbox) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.advance(context);
        let powered = self.powered();
        let profile = profile(context, slot);
        let result = match (slot, &mut self.gas) {
            (DeviceKind::Esme, _) if !powered => Err(Refusal::WrongState),
            (DeviceKind::Esme, _) => act(&mut self.esme, true, profile, &mut self.effects),
            (DeviceKind::Gsme, Some(gas)) => act(&mut gas.gsme, true, profile, &mut gas.alerts),
            _ => Err(Refusal::NotSupported),
        };
        self.reschedule(context);
        result
    }

    /// Brings everything up to `context.now`.
    pub(crate) fn advance(&mut self, context: &Context<'_>) {
        let powered = self.powered();
        if let Some(history) = self.esme.history.as_mut().filter(|_| powered) {
            history.switch_back(context.now);
        }
        self.esme
            .begin_delayed(context.now, powered, context.profiles.esme, &mut self.effects);
        self.esme
            .limit_load(context.now, powered, context.profiles.esme, &mut self.effects);
        self.esme.settle(context.now, context.profiles.esme, &mut self.effects);
        let (fitted, hub_on) = (self.fitted(), powered && !self.is_out(DeviceKind::Gsme));
        if let (Some(gas), Some(profile)) = (&mut self.gas, context.profiles.gsme) {
            let before = gas.heard_at();
            let han = (&mut self.membership, fitted);
            gas.advance(context, profile, hub_on, han, &mut self.effects);
            let heard = gas.heard_at();
            if heard > before && self.displays.is_some() {
                self.gas_meter_met(context, heard);
            }
        }
        self.rejoin_displays(context);
        self.advance_images(context);
        self.watch_gas(context);
        self.hub_sync(context);
        self.begin_days(context);
    }

    fn begin_days(&mut self, context: &Context<'_>) {
        while self.day.next().midnight() <= context.now {
            self.day = self.day.next();
        }
        self.esme
            .begin_billing_periods(context.now, context.profiles.esme, &mut self.effects);
        if let (Some(gas), Some(profile)) = (&mut self.gas, context.profiles.gsme) {
            gas.gsme.begin_billing_periods(context.now, profile, &mut gas.alerts);
        }
    }

    pub(crate) fn reschedule(&mut self, context: &Context<'_>) {
        let powered = self.powered();
        let midnight = self.day.next().midnight();
        let account = self.esme.next_settlement(context.profiles.esme);
        let gas = self
            .gas
            .as_ref()
            .zip(context.profiles.gsme)
            .map(|(gas, profile)| gas.next_wake(context, profile, powered));
        let gas_billing = self.gas.as_ref().map(|gas| gas.gsme.next_billing);
        let sync = self.hub_sync_due(context).filter(|_| powered);
        let limit = self.esme.next_limit_event(context.profiles.esme);
        let delayed = self.esme.next_delayed(powered);
        let history = self.esme.history.as_ref().filter(|_| powered);
        let switch_back = history.and_then(|history| history.next_switch_back());
        let rejoin = self.next_rejoin().filter(|_| powered);
        let image = self.next_image_event();
        self.next = [
            account,
            gas,
            limit,
            delayed,
            switch_back,
            Some(self.esme.next_billing),
            gas_billing,
            sync,
            rejoin,
            image,
        ]
        .into_iter()
        .flatten()
        .fold(midnight, SimInstant::min);
    }
}

/// The profile of a slot; the hub's where the installation was given none.
pub(crate) fn profile<'a>(context: &Context<'a>, slot: DeviceKind) -> &'a Profile {
    let profiles = context.profiles;
    match slot {
        DeviceKind::Esme => profiles.esme,
        DeviceKind::Gpf => profiles.gpf.unwrap_or(profiles.chf),
        DeviceKind::Gsme => profiles.gsme.unwrap_or(profiles.chf),
        DeviceKind::Ppmid => profiles.ppmid.unwrap_or(profiles.chf),
        DeviceKind::Ihd => profiles.ihd.unwrap_or(profiles.chf),
        _ => profiles.chf,
    }
}

const LABEL_ELECTRICITY: u64 = 0x454c_4543;
const LABEL_GAS: u64 = 0x4741_5300;

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SimDuration;
    use domain::keys::RelationSecret;
    use domain::operation::CriticalOperations;

    use crate::profile::{Profiles, Relations};

    #[test]
    fn an_idle_dual_fuel_home_is_small() {
        let profile = Profile::default();
        let secret = RelationSecret::new([1; 32]);
        let relations = Relations {
            smso: secret.clone(),
            s1sp: secret.clone(),
            dco: secret,
        };
        let profiles = Profiles {
            chf: &profile,
            esme: &profile,
            gpf: Some(&profile),
            gsme: Some(&profile),
            ppmid: None,
            ihd: None,
        };
        let critical = CriticalOperations::default();
        let mut context = Context {
            now: SimInstant(1_555_000_000_000),
            profiles,
            relations: &relations,
            critical: &critical,
        };
        let mpan = Mpan::new(9_900_000_000_001).expect("13 digits");
        let mut config = InstallationConfig::new(Eui64(1), Eui64(2), mpan, Seed::root(1));
        config.gas = Some((Eui64(3), Eui64(4)));
        let mut home = Installation::new(&config, &context);
        for slot in [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme] {
            home.accept_counter(slot, Association::Management, [1; 8], 1)
                .expect("a first counter");
        }
        for _ in 0..48 * 3 {
            context.now += SimDuration::from_mins(30);
            home.wake(&context);
        }
        assert_eq!(home.pop_effect(), None);
        assert!(
            home.memory() <= 1_200,
            "{} octets, inline {}",
            home.memory(),
            size_of::<Installation>()
        );
    }
}
