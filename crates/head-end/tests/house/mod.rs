//! A hub with its installation at the other end of a head-end's WAN link: `dialects::MeterSession` over a few scripted
//! answers. It stands in for WAN and fleet, so that the engine alone is tested.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its part, and a test may panic"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dialects::{Host, MeterSession, Notification, wake_up};
use domain::keys::{DeviceKey, Party, Purpose, RelationSecret};
use domain::operation::PaymentMode;
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, Eui64, Execution, Operation, Outcome, Quantity,
    Refusal, SecurityEvent, SimDuration, SimInstant, Unit, Value,
};
use head_end::{Custody, Device, Directory, Site};
use proto::{Envelope, Kind, Message, WanClose, WanData, WanOpen, WanSms};
use world::{LinkEnd, LinkSender, World};

pub(crate) const HUB: Eui64 = Eui64(0x00DB_0000_0000_0001);
pub(crate) const ESME: Eui64 = Eui64(0x00DB_0000_0000_0002);
pub(crate) const GPF: Eui64 = Eui64(0x00DB_0000_0000_0003);
pub(crate) const GSME: Eui64 = Eui64(0x00DB_0000_0000_0004);

const DEVICES: [(DeviceKind, Eui64); 4] = [
    (DeviceKind::Chf, HUB),
    (DeviceKind::Esme, ESME),
    (DeviceKind::Gpf, GPF),
    (DeviceKind::Gsme, GSME),
];

pub(crate) fn relation(party: Party) -> RelationSecret {
    RelationSecret::new([party as u8 + 1; 32])
}

pub(crate) fn custody(party: Party) -> Custody {
    Custody {
        party,
        relation: relation(party),
        system_title: *b"LABS1SP\0",
    }
}

pub(crate) fn directory() -> Directory {
    let catalogue = dmc::Catalogue::builtin().expect("the built-in profiles read");
    let profile = |kind: DeviceKind| {
        Arc::clone(
            catalogue
                .profiles()
                .find(|profile| profile.kind == kind)
                .expect("a profile of each kind"),
        )
    };
    let devices = DEVICES
        .iter()
        .map(|(slot, id)| Device::new(*id, *slot, profile(*slot)))
        .collect();
    let directory = Directory::default();
    directory.insert(Site { hub: HUB, devices });
    directory
}

/// How the house misbehaves, and what it saw. Shared with the test.
#[derive(Default)]
pub(crate) struct Script {
    /// Text messages that are lost on the way to the hub.
    pub(crate) lose_texts: u32,
    /// The WAN confirms each text message.
    pub(crate) confirm_texts: bool,
    /// Octets from the head-end get no answer.
    pub(crate) silent: bool,
    /// Octets from the head-end are answered with some that mean nothing.
    pub(crate) garbles: bool,
    /// The hub hangs up when octets come.
    pub(crate) hangs_up: bool,
    /// After how long a held operation is done; never when `None`.
    pub(crate) late_after: Option<SimDuration>,
    /// Connects at this instant by itself and reports this.
    pub(crate) reports: Vec<(SimInstant, Notification)>,
    /// Refusal for every operation that is not a read.
    pub(crate) refuse: Option<Refusal>,
    /// What was executed, in order.
    pub(crate) executed: Vec<(DeviceKind, Access, Operation, bool)>,
    /// Wake-up counters taken.
    pub(crate) wake_ups: Vec<u32>,
    /// Text messages seen, lost ones too.
    pub(crate) texts: u32,
    /// Connections opened.
    pub(crate) sessions: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Script>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
}

pub(crate) struct House {
    world: World,
    head_end: String,
    party: Party,
    script: Shared,
    sender: LinkSender,
    receiver: world::LinkReceiver,
    face: Option<(u64, MeterSession)>,
    core: Core,
}

/// The installation behind the face.
struct Core {
    now: SimInstant,
    party: Party,
    script: Shared,
    accepted: BTreeMap<(DeviceKind, Association, [u8; 8]), u32>,
    own: BTreeMap<(DeviceKind, Association), u32>,
    challenges: u8,
    tickets: u32,
    /// The request of the last approved operation that was refused.
    refused: Option<domain::RequestId>,
    late: Vec<(SimInstant, Notification)>,
}

impl House {
    pub(crate) fn new(world: &World, head_end: &str, party: Party, link: LinkEnd, script: Shared) -> Self {
        let (sender, receiver) = link.split();
        let core = Core {
            now: world.clock.now(),
            party,
            script: script.clone(),
            accepted: BTreeMap::new(),
            own: BTreeMap::new(),
            challenges: 0,
            tickets: 0,
            refused: None,
            late: Vec::new(),
        };
        Self {
            world: world.clone(),
            head_end: head_end.into(),
            party,
            script,
            sender,
            receiver,
            face: None,
            core,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let reports = std::mem::take(&mut self.script.lock().reports);
            self.core.late.extend(reports);
            let next = self.core.late.iter().map(|(at, _)| *at).min();
            let clock = self.world.clock.clone();
            tokio::select! {
                biased;
                envelope = self.receiver.recv() => match envelope {
                    Some(envelope) => self.take(&envelope).await,
                    None => return,
                },
                () = clock.sleep_until(next.unwrap_or(SimInstant(i64::MAX / 4))), if next.is_some() => self.report().await,
            }
        }
    }

    async fn take(&mut self, envelope: &Envelope) {
        self.core.now = self.world.clock.now();
        match envelope.kind() {
            Kind::WanSms => self.text(envelope).await,
            Kind::WanData => {
                let data = WanData::decode(envelope.body.clone()).unwrap();
                if self.script.lock().silent {
                    return;
                }
                let Some((session, face)) = &mut self.face else { return };
                if *session != data.session {
                    return;
                }
                let session = *session;
                if self.script.lock().hangs_up {
                    return self.close("outage").await;
                }
                if self.script.lock().garbles {
                    return self.send(session, vec![0xFF; 40]).await;
                }
                let output = face.input(&data.payload, &mut self.core);
                self.send(session, output.octets).await;
                if output.close {
                    self.close("device").await;
                }
            }
            Kind::WanClose => {
                let close = WanClose::decode(envelope.body.clone()).unwrap();
                if self.face.as_ref().is_some_and(|(session, _)| *session == close.session) {
                    self.face = None;
                }
            }
            kind => panic!("{kind:?} on the WAN"),
        }
    }

    async fn text(&mut self, envelope: &Envelope) {
        let sms = WanSms::decode(envelope.body.clone()).unwrap();
        assert_eq!(sms.head_end, self.head_end);
        let (lost, confirm) = {
            let mut script = self.script.lock();
            script.texts += 1;
            let lost = script.lose_texts > 0;
            script.lose_texts = script.lose_texts.saturating_sub(1);
            (lost, script.confirm_texts)
        };
        if confirm {
            self.sender.reply(envelope, Kind::Accepted, b"").await.unwrap();
        }
        if lost {
            return;
        }
        let key = relation(self.party).device_key(HUB, 1, Purpose::WakeUp);
        let last = self.script.lock().wake_ups.last().copied().unwrap_or(0);
        let counter = wake_up::check(&key, HUB, &sms.payload, last).expect("a fresh wake-up");
        self.script.lock().wake_ups.push(counter);
        self.world.clock.sleep(SimDuration::from_secs(20)).await;
        self.connect().await;
    }

    async fn connect(&mut self) {
        let session = {
            let mut script = self.script.lock();
            script.sessions += 1;
            script.sessions
        };
        self.core.now = self.world.clock.now();
        let profile = directory()
            .site(HUB)
            .unwrap()
            .slot(DeviceKind::Chf)
            .unwrap()
            .profile
            .face
            .clone();
        let mut face = MeterSession::new(&profile);
        let hello = face.open(&mut self.core);
        self.face = Some((session, face));
        let open = WanOpen {
            hub: HUB.0,
            head_end: self.head_end.clone(),
            session,
        };
        self.sender
            .send(Envelope::default(), Kind::WanOpen, &open.encode_to_vec())
            .await
            .unwrap();
        self.send(session, hello).await;
    }

    async fn report(&mut self) {
        let now = self.world.clock.now();
        self.core.now = now;
        if self.face.is_none() {
            self.connect().await;
        }
        let due: Vec<_> = self.core.late.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, notification) in due {
            let Some((session, face)) = &mut self.face else { return };
            let session = *session;
            let octets = face.notify(&notification, &mut self.core);
            self.send(session, octets).await;
        }
    }

    async fn send(&mut self, session: u64, octets: Vec<u8>) {
        if octets.is_empty() {
            return;
        }
        let data = WanData {
            hub: HUB.0,
            head_end: self.head_end.clone(),
            session,
            payload: octets.into(),
        };
        // The head-end may have stopped meanwhile.
        let _ = self
            .sender
            .send(Envelope::default(), Kind::WanData, &data.encode_to_vec())
            .await;
    }

    async fn close(&mut self, reason: &str) {
        let Some((session, _)) = self.face.take() else { return };
        let close = WanClose {
            hub: HUB.0,
            head_end: self.head_end.clone(),
            session,
            reason: reason.into(),
        };
        let _ = self
            .sender
            .send(Envelope::default(), Kind::WanClose, &close.encode_to_vec())
            .await;
    }
}

impl Host for Core {
    fn now(&self) -> SimInstant {
        self.now
    }

    fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        DEVICES.iter().find(|(kind, _)| *kind == slot).map(|(_, id)| *id)
    }

    fn active_party(&self, _: DeviceKind) -> Party {
        self.party
    }

    fn key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        Some(relation(self.party).device_key(self.device(slot)?, 1, purpose))
    }

    fn accept_counter(
        &mut self,
        slot: DeviceKind,
        association: Association,
        title: [u8; 8],
        counter: u32,
    ) -> Result<(), u32> {
        let last = self.accepted.entry((slot, association, title)).or_insert(0);
        if counter <= *last {
            return Err(*last + 1);
        }
        *last = counter;
        Ok(())
    }

    fn next_counter(&mut self, slot: DeviceKind, association: Association) -> u32 {
        let counter = self.own.entry((slot, association)).or_insert(0);
        *counter += 1;
        *counter
    }

    fn invocation_counter(&self, slot: DeviceKind) -> u32 {
        let last = self
            .accepted
            .iter()
            .filter(|((of, a, _), _)| *of == slot && *a == Association::Management);
        last.map(|(_, counter)| *counter).max().unwrap_or(0) + 1
    }

    fn challenge(&mut self) -> [u8; 16] {
        self.challenges = self.challenges.wrapping_add(1);
        [self.challenges; 16]
    }

    fn execute(
        &mut self,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution {
        let follows = approval
            .filter(|approval| approval.follows)
            .map(|approval| approval.request);
        let left_undone = slot == DeviceKind::Gsme && follows.is_some() && follows == self.refused;
        let (refuse, late_after) = {
            let mut script = self.script.lock();
            if !left_undone {
                script
                    .executed
                    .push((slot, access, operation.clone(), approval.is_some()));
            }
            (script.refuse.clone(), script.late_after)
        };
        let outcome = match left_undone {
            true => Err(Refusal::NotTried),
            false => outcome(operation, refuse),
        };
        if outcome.is_err() {
            self.refused = approval.map(|approval| approval.request);
        }
        if slot != DeviceKind::Gsme {
            return Execution::Finished(outcome);
        }
        self.tickets += 1;
        if let Some(after) = late_after {
            self.late.push((
                self.now + after,
                Notification::LateResult {
                    ticket: self.tickets,
                    outcome,
                },
            ));
        }
        Execution::Queued(self.tickets)
    }

    fn security_event(&mut self, slot: DeviceKind, event: SecurityEvent) {
        panic!("{event:?} on {slot}");
    }
}

fn outcome(operation: &Operation, refuse: Option<Refusal>) -> Outcome {
    Ok(match operation {
        Operation::Read(DataItem::FirmwareVersion) => Answer::Value(Value::Text("LAB-0001".into())),
        Operation::Read(DataItem::SupplyState) => Answer::Value(Value::Supply(domain::SupplyState::Disabled)),
        Operation::Read(DataItem::PaymentMode) => Answer::Value(Value::PaymentMode(PaymentMode::Credit)),
        Operation::Read(DataItem::GasConsumption) => Answer::Value(Value::Quantity(Quantity::new(1234, Unit::Litre))),
        Operation::Read(DataItem::Clock) => Answer::Value(Value::Clock(
            SimInstant(1_553_904_000_000),
            domain::operation::ClockStatus::Reliable,
        )),
        Operation::Read(_) => Answer::Value(Value::Quantity(Quantity::new(5678, Unit::WattHour))),
        Operation::ReadLog { .. } => Answer::Log(Vec::new()),
        _ => match refuse {
            Some(refusal) => return Err(refusal),
            None => Answer::Done,
        },
    })
}
