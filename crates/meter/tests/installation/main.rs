//! The installation at its edge: operations, wakes and consumer acts in, answers and effects out.

mod acts;
mod approvals;
mod clock;
mod displays;
mod durable;
mod gas;
mod hand_over;
mod history;
mod images;
mod logs;
mod matrices;
mod membership;
mod money;
mod power;
mod prepayment;
mod quirks;
mod registers;
mod settings;
mod supply;
mod tariffs;
mod tokens;

use domain::keys::{Party, Purpose, RelationSecret};
use domain::operation::{CriticalOperations, OperationKind};
use domain::{
    Access, Answer, Approval, Association, DataItem, DeviceKind, Eui64, Execution, LogKind, LogRow, Mpan, Mprn,
    Operation, Outcome, Quantity, RequestId, Seed, SimDuration, SimInstant, Value,
};
use meter::{Context, Effect, Installation, InstallationConfig, Profile, Profiles, Relations};

/// A home with everything around it.
struct Home {
    chf: Profile,
    esme: Profile,
    gpf: Profile,
    gsme: Profile,
    ppmid: Profile,
    ihd: Profile,
    relations: Relations,
    critical: CriticalOperations,
    config: InstallationConfig,
    now: SimInstant,
    installation: Installation,
    /// The last approval counter the DCO has given.
    approvals: u32,
}

const S1SP: Access = Access {
    association: Association::Critical,
    party: Some(Party::S1sp),
};
const SUPPLIER: Eui64 = Eui64(0x90B3_D51F_3001_0000);

fn at(text: &str) -> SimInstant {
    text.parse().expect("a valid instant")
}

/// Gas and electricity, enrolled, credit mode.
fn config() -> InstallationConfig {
    let mpan = Mpan::new(9_900_000_000_001).expect("13 digits");
    let mut config = InstallationConfig::new(Eui64(0xC0), Eui64(0xE0), mpan, Seed::root(7).child("home"));
    config.gas = Some((Eui64(0xF0), Eui64(0x60)));
    config.mprn = Some(Mprn::new(9_000_000_001).expect("10 digits"));
    config
}

impl Home {
    fn new(now: &str, config: InstallationConfig) -> Self {
        Self::with(now, config, |_| {})
    }

    /// A home whose profiles `change` has seen: hub, electricity, proxy, gas meter.
    fn with(now: &str, config: InstallationConfig, change: impl FnOnce([&mut Profile; 4])) -> Self {
        let exact = Profile {
            clock_drift_ppm_max: 0,
            ..Profile::default()
        };
        let [mut chf, mut esme, mut gpf, mut gsme] = std::array::from_fn(|_| exact.clone());
        let (ppmid, ihd) = (exact.clone(), exact.clone());
        change([&mut chf, &mut esme, &mut gpf, &mut gsme]);
        let secret = |octet| RelationSecret::new([octet; 32]);
        let relations = Relations {
            smso: secret(1),
            s1sp: secret(2),
            dco: secret(3),
        };
        let critical = CriticalOperations::new([
            OperationKind::ArmSupply,
            OperationKind::DisableSupply,
            OperationKind::EnableSupply,
            OperationKind::SynchroniseClock,
        ]);
        let now = at(now);
        let profiles = Profiles {
            chf: &chf,
            esme: &esme,
            gpf: Some(&gpf),
            gsme: Some(&gsme),
            ppmid: Some(&ppmid),
            ihd: Some(&ihd),
        };
        let context = Context {
            now,
            profiles,
            relations: &relations,
            critical: &critical,
        };
        let installation = Installation::new(&config, &context);
        Self {
            chf,
            esme,
            gpf,
            gsme,
            ppmid,
            ihd,
            relations,
            critical,
            config,
            now,
            installation,
            approvals: 0,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Installation, &Context<'_>) -> T) -> T {
        let profiles = Profiles {
            chf: &self.chf,
            esme: &self.esme,
            gpf: Some(&self.gpf),
            gsme: Some(&self.gsme),
            ppmid: Some(&self.ppmid),
            ihd: Some(&self.ihd),
        };
        let context = Context {
            now: self.now,
            profiles,
            relations: &self.relations,
            critical: &self.critical,
        };
        act(&mut self.installation, &context)
    }

    /// Runs to `to`, waking whenever the installation asks for it.
    fn run_to(&mut self, to: SimInstant) {
        while self.installation.next_wake() <= to {
            let next = self.installation.next_wake();
            assert!(next > self.now, "a wake at {next} asked for at {}", self.now);
            self.now = next;
            self.act(|installation, context| installation.wake(context));
        }
        self.now = to;
    }

    fn run(&mut self, span: SimDuration) {
        self.run_to(self.now + span);
    }

    fn execute(
        &mut self,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution {
        self.act(|installation, context| installation.execute(context, slot, access, operation, approval))
    }

    fn finished(
        &mut self,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Outcome {
        match self.execute(slot, access, operation, approval) {
            Execution::Finished(outcome) => outcome,
            Execution::Queued(ticket) => panic!("queued under {ticket}"),
        }
    }

    /// An approval as the DCO would make it for `slot`, valid for a minute.
    fn approval(&mut self, slot: DeviceKind, operation: &Operation) -> Approval {
        self.approval_for(slot, operation, SimDuration::from_mins(1))
    }

    fn approval_for(&mut self, slot: DeviceKind, operation: &Operation, lifetime: SimDuration) -> Approval {
        let epoch = self.installation.epoch(slot);
        // A home that was handed over began with the SMSO's first epoch.
        let handed = epoch > self.config.epoch;
        self.approval_in(slot, epoch, handed, operation, lifetime)
    }

    /// An approval under the DCO's key of an epoch, in force or not.
    fn approval_in(
        &mut self,
        slot: DeviceKind,
        epoch: u32,
        handed: bool,
        operation: &Operation,
        lifetime: SimDuration,
    ) -> Approval {
        self.approvals += 1;
        let device = self.installation.device(slot).expect("the device exists");
        let relations = &self.relations;
        let secret = handed.then(|| relations.smso.hand_over_secret(device, epoch, Party::Dco));
        let key = relations
            .dco
            .epoch_key(device, epoch, secret.as_ref(), Purpose::Approval);
        let request = RequestId {
            originator: SUPPLIER,
            target: device,
            counter: u64::from(self.approvals),
        };
        Approval::make(&key, device, operation, request, self.approvals, self.now + lifetime)
    }

    /// A critical operation on the electricity meter with all that it needs.
    fn approved(&mut self, operation: &Operation) -> Outcome {
        let approval = self.approval(DeviceKind::Esme, operation);
        self.finished(DeviceKind::Esme, S1SP, operation, Some(&approval))
    }

    fn value(&mut self, slot: DeviceKind, item: DataItem) -> Value {
        match self.finished(slot, S1SP, &Operation::Read(item), None) {
            Ok(Answer::Value(value)) => value,
            other => panic!("{item:?}: {other:?}"),
        }
    }

    fn number(&mut self, slot: DeviceKind, item: DataItem) -> i64 {
        match self.value(slot, item) {
            Value::Quantity(Quantity { value, .. }) => value,
            other => panic!("{item:?}: {other:?}"),
        }
    }

    fn log(&mut self, slot: DeviceKind, log: LogKind, from: SimInstant, to: SimInstant) -> Vec<LogRow> {
        match self.finished(slot, S1SP, &Operation::ReadLog { log, from, to }, None) {
            Ok(Answer::Log(rows)) => rows,
            other => panic!("{log:?}: {other:?}"),
        }
    }

    fn codes(&mut self, slot: DeviceKind, log: LogKind) -> Vec<u16> {
        let rows = self.log(slot, log, SimInstant(0), SimInstant(i64::MAX));
        rows.into_iter().filter_map(|row| row.code).collect()
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.installation.pop_effect()).collect()
    }

    /// Slot, code and time of the alerts waiting; anything else is a failure.
    fn alerts(&mut self) -> Vec<(DeviceKind, u16, SimInstant)> {
        self.effects()
            .into_iter()
            .map(|effect| match effect {
                Effect::Alert { slot, code, at, .. } => (slot, code, at),
                Effect::LateResult { ticket, outcome, .. } => panic!("late result {ticket}: {outcome:?}"),
            })
            .collect()
    }

    /// Runs until the result of `ticket` is there, and gives it and the time.
    fn late_result(&mut self, ticket: u32) -> (SimInstant, Outcome) {
        for _ in 0..500 {
            for effect in self.effects() {
                match effect {
                    Effect::LateResult {
                        ticket: found, outcome, ..
                    } if found == ticket => return (self.now, outcome),
                    _ => {}
                }
            }
            let next = self.installation.next_wake();
            self.run_to(next);
        }
        panic!("no result for ticket {ticket}")
    }
}

fn sum(rows: &[LogRow]) -> i64 {
    rows.iter()
        .flat_map(|row| &row.values)
        .map(|(_, quantity)| quantity.value)
        .sum()
}
