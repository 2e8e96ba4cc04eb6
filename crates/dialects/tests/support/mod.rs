//! A toy installation behind the face: enough behaviour to tell right answers from wrong ones.

#![allow(dead_code)]

pub(crate) mod line;

use std::collections::{BTreeMap, BTreeSet};

use dialects::{Host, Keys};
use domain::keys::{DeviceKey, Party, Purpose, RelationSecret};
use domain::operation::{
    ApprovalFault, ClockStatus, ImageFault, ImageHash, ImageState, ImageStatus, KnownDevice, PaymentMode, TokenFault,
};
use domain::time::HALF_HOUR;
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, LogRow, Operation, Outcome,
    Quantity, Refusal, RequestId, SecurityEvent, SimDuration, SimInstant, SupplyState, Unit, Value,
};

pub(crate) const HUB: Eui64 = Eui64(0x00DB_0000_0000_0004);
pub(crate) const ESME: Eui64 = Eui64(0x00DB_0000_0000_0001);
pub(crate) const GPF: Eui64 = Eui64(0x00DB_0000_0000_0002);
pub(crate) const GSME: Eui64 = Eui64(0x00DB_0000_0000_0003);
pub(crate) const HEAD_END: [u8; 8] = *b"S1SP0001";
/// How far the electricity meter is with an image.
pub(crate) const IMAGE: ImageStatus = ImageStatus {
    state: ImageState::Verifying,
    first_missing: 10,
    block_octets: 512,
    verified: ImageHash([0xA5; 32]),
};
pub(crate) const FIRST_ROWS_DAYS: u64 = 397;

pub(crate) struct Toy {
    pub(crate) now: SimInstant,
    pub(crate) s1sp: RelationSecret,
    pub(crate) dco: RelationSecret,
    pub(crate) counters: BTreeMap<(DeviceKind, Association, [u8; 8]), u32>,
    pub(crate) own: u32,
    pub(crate) supply: SupplyState,
    pub(crate) last_approval: u32,
    pub(crate) events: Vec<(DeviceKind, SecurityEvent)>,
    pub(crate) most_rows: usize,
    pub(crate) text: String,
    pub(crate) synchronised: Vec<(SimInstant, u32)>,
    challenges: u8,
}

impl Toy {
    pub(crate) fn new() -> Self {
        Self {
            now: "2019-07-01T12:00:00Z".parse().expect("an instant"),
            s1sp: RelationSecret::new([0x51; 32]),
            dco: RelationSecret::new([0xDC; 32]),
            counters: BTreeMap::new(),
            own: 0,
            supply: SupplyState::Enabled,
            last_approval: 0,
            events: Vec::new(),
            most_rows: 0,
            text: "LAB-0001".into(),
            synchronised: Vec::new(),
            challenges: 0,
        }
    }

    pub(crate) fn approval(&self, operation: &Operation, counter: u32) -> Approval {
        let key = self.dco.device_key(ESME, 1, Purpose::Approval);
        let request = RequestId {
            originator: Eui64(9),
            target: ESME,
            counter: 1,
        };
        Approval::make(
            &key,
            ESME,
            operation,
            request,
            counter,
            self.now + SimDuration::from_hours(1),
        )
    }

    fn critical(&mut self, operation: &Operation, approval: Option<&Approval>) -> Outcome {
        let Some(approval) = approval else {
            return Err(Refusal::Approval(ApprovalFault::Missing));
        };
        let key = self.dco.device_key(ESME, 1, Purpose::Approval);
        approval
            .check(&key, ESME, operation, self.last_approval, self.now)
            .map_err(Refusal::Approval)?;
        self.last_approval = approval.counter;
        match operation {
            Operation::ArmSupply => self.supply = SupplyState::Armed,
            Operation::DisableSupply => self.supply = SupplyState::Disabled,
            Operation::EnableSupply => self.supply = SupplyState::Enabled,
            Operation::SynchroniseClock { time, tolerance_s } => self.synchronised.push((*time, *tolerance_s)),
            _ => {}
        }
        Ok(Answer::Done)
    }

    fn read(&self, slot: DeviceKind, item: DataItem) -> Result<Value, Refusal> {
        let quantity = |value, unit| Ok(Value::Quantity(Quantity::new(value, unit)));
        match (slot, item) {
            (_, DataItem::Clock) => Ok(Value::Clock(self.now, ClockStatus::Reliable)),
            (_, DataItem::FirmwareVersion) => Ok(Value::Text(self.text.clone())),
            (DeviceKind::Chf, DataItem::DeviceLog) => Ok(Value::Devices(vec![
                KnownDevice {
                    device: ESME,
                    kind: DeviceKind::Esme,
                    last_heard: Some(self.now),
                },
                KnownDevice {
                    device: GSME,
                    kind: DeviceKind::Gsme,
                    last_heard: None,
                },
            ])),
            (DeviceKind::Esme, DataItem::ActiveImport) => quantity(1_234_567, Unit::WattHour),
            (DeviceKind::Esme, DataItem::TouRegister(n)) => quantity(i64::from(n) * 1000, Unit::WattHour),
            (DeviceKind::Esme, DataItem::MeterBalance) => quantity(-42_000, Unit::MilliPence),
            (DeviceKind::Esme, DataItem::DisablementThreshold) => quantity(5, Unit::MilliPence),
            (DeviceKind::Esme, DataItem::SuspendDebtDisabled) => Ok(Value::Flag(true)),
            (DeviceKind::Esme, DataItem::PaymentMode) => Ok(Value::PaymentMode(PaymentMode::Prepayment)),
            (DeviceKind::Esme, DataItem::SupplyState) => Ok(Value::Supply(self.supply)),
            (DeviceKind::Esme, DataItem::ImageStatus) => Ok(Value::Image(IMAGE)),
            (DeviceKind::Gpf, DataItem::GasConsumption) => quantity(98_765, Unit::Litre),
            _ => Err(Refusal::NotSupported),
        }
    }

    pub(crate) fn first_row(&self) -> SimInstant {
        self.now - SimDuration::from_days(FIRST_ROWS_DAYS)
    }

    fn log(&self, log: LogKind, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        let mut rows = Vec::new();
        let (period, start) = match log {
            LogKind::ActiveImport => (HALF_HOUR, self.first_row()),
            LogKind::DailyRead => (SimDuration::from_days(1), self.now - SimDuration::from_days(31)),
            _ => (SimDuration::from_hours(7), self.now - SimDuration::from_days(2)),
        };
        let mut at = start;
        while at <= self.now && at <= to {
            if at >= from {
                let number = at.since(start).as_millis() / period.as_millis();
                let number = i64::try_from(number).expect("few rows");
                let value = Quantity::new(number, Unit::WattHour);
                rows.push(match log {
                    LogKind::ActiveImport => LogRow {
                        at,
                        values: vec![(DataItem::ActiveImport, value)],
                        code: None,
                    },
                    LogKind::DailyRead => LogRow {
                        at,
                        values: vec![(DataItem::ActiveImport, value), (DataItem::TouRegister(1), value)],
                        code: None,
                    },
                    _ => LogRow {
                        at,
                        values: Vec::new(),
                        code: Some(0x8F00 + number as u16),
                    },
                });
            }
            at += period;
        }
        rows
    }

    fn party_key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        Some(self.s1sp.device_key(self.device(slot)?, 1, purpose))
    }
}

impl Host for Toy {
    fn now(&self) -> SimInstant {
        self.now
    }

    fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        match slot {
            DeviceKind::Chf => Some(HUB),
            DeviceKind::Esme => Some(ESME),
            DeviceKind::Gpf => Some(GPF),
            DeviceKind::Gsme => Some(GSME),
            _ => None,
        }
    }

    fn active_party(&self, _: DeviceKind) -> Party {
        Party::S1sp
    }

    fn key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        self.party_key(slot, purpose)
    }

    fn accept_counter(
        &mut self,
        slot: DeviceKind,
        association: Association,
        title: [u8; 8],
        counter: u32,
    ) -> Result<(), u32> {
        let last = self.counters.entry((slot, association, title)).or_default();
        if counter <= *last {
            return Err(*last + 1);
        }
        *last = counter;
        Ok(())
    }

    fn next_counter(&mut self, _: DeviceKind, _: Association) -> u32 {
        self.own += 1;
        self.own
    }

    fn invocation_counter(&self, slot: DeviceKind) -> u32 {
        let used = self
            .counters
            .iter()
            .filter(|((s, a, _), _)| *s == slot && *a == Association::Management);
        used.map(|(_, last)| last + 1).max().unwrap_or(1)
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
        if slot == DeviceKind::Gsme {
            return Execution::Queued(77);
        }
        let open = matches!(operation, Operation::Read(DataItem::Clock | DataItem::FirmwareVersion));
        if access.association == Association::Public && !open {
            return Execution::Finished(Err(Refusal::NotPermitted));
        }
        Execution::Finished(match operation {
            Operation::Read(item) => self.read(slot, *item).map(Answer::Value),
            Operation::ReadLog { log, from, to } => {
                let rows = self.log(*log, *from, *to);
                self.most_rows = self.most_rows.max(rows.len());
                Ok(Answer::Log(rows))
            }
            Operation::EnterToken(_) => Err(Refusal::Token(TokenFault::Duplicate)),
            Operation::BeginImage { octets: 5_000, .. } | Operation::VerifyImage => Ok(Answer::Done),
            Operation::ImageBlock { .. } => Err(Refusal::Image(ImageFault::NotBegun)),
            _ => self.critical(operation, approval),
        })
    }

    fn security_event(&mut self, slot: DeviceKind, event: SecurityEvent) {
        self.events.push((slot, event));
    }
}

/// The custody of the operator of [`Toy`].
pub(crate) struct Custody {
    pub(crate) secret: RelationSecret,
    pub(crate) counter: u32,
    pub(crate) seen: BTreeMap<(Eui64, Association), u32>,
    pub(crate) texts: BTreeSet<(Eui64, Association, u32)>,
}

impl Custody {
    pub(crate) fn new() -> Self {
        Self {
            secret: RelationSecret::new([0x51; 32]),
            counter: 0,
            seen: BTreeMap::new(),
            texts: BTreeSet::new(),
        }
    }
}

impl Keys for Custody {
    fn key(&self, device: Eui64, purpose: Purpose) -> DeviceKey {
        self.secret.device_key(device, 1, purpose)
    }

    fn next_counter(&mut self, _: Eui64, _: Association) -> u32 {
        self.counter += 1;
        self.counter
    }

    fn resume_counter_at(&mut self, _: Eui64, _: Association, next: u32) {
        self.counter = self.counter.max(next.saturating_sub(1));
    }

    fn note_device_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        let last = self.seen.entry((device, association)).or_default();
        let fresh = counter > *last;
        *last = counter.max(*last);
        fresh
    }

    fn note_text_counter(&mut self, device: Eui64, association: Association, counter: u32) -> bool {
        self.texts.insert((device, association, counter))
    }

    fn system_title(&self) -> [u8; 8] {
        HEAD_END
    }

    fn challenge(&mut self) -> [u8; 16] {
        [0xC5; 16]
    }
}
