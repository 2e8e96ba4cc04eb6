//! The security core of one device: who operates it, which counters were used, and what needs an approval.
//!
//! # Hand-over
//!
//! A device has exactly one *active* epoch: the keys of the party that operates it. That party may have one more epoch
//! *staged* for its successor. Whoever holds the staged keys may read, prove dual control, and, with the DCO's approval
//! under the staged keys, put the epoch in force; nothing else. At that moment the old keys stop: there is no instant at
//! which two parties could change the device.

use domain::keys::{DeviceKey, Party, Purpose};
use domain::operation::{ApprovalFault, DataItem};
use domain::{Access, Answer, Approval, Association, Eui64, Operation, Outcome, Refusal, SimInstant};

use crate::profile::Context;

/// Clients a device remembers per key epoch; one more is refused, since forgetting one would let it replay.
pub(crate) const CLIENTS_MAX: usize = 16;

/// Associations that an epoch has counters for: critical, management, public and reader.
pub(crate) const IN_FORCE: usize = 4;

/// Parties, epochs and counters of one device. Keys are derived on demand, never kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Security {
    pub(crate) active: Epoch,
    pub(crate) staged: Option<Box<Epoch>>,
    /// The highest epoch that was ever staged: none is staged twice, so that secrets of a cancelled one stay worthless.
    pub(crate) highest: u32,
    /// Counter of the last approval accepted.
    pub(crate) approval_counter: u32,
    /// True time of the last security alert; they are rate limited.
    pub(crate) alerted_at: SimInstant,
    pub(crate) accepted: Witness,
}

/// When a device first and last let a state-changing command of a party through, rights and approval being good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Under whose keys.
    pub party: Party,
    /// The first.
    pub first: LetThrough,
    /// The last.
    pub last: LetThrough,
}

/// A command that a device let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetThrough {
    /// True time.
    pub at: SimInstant,
    /// Of the keys it came under.
    pub epoch: u32,
}

/// What a device let through, by party. It is for checks alone: no device can be asked for it. It is kept over restarts, so
/// that a check covers all the device's life.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Witness(Option<Box<[Option<Accepted>; 2]>>);

impl Witness {
    pub(crate) fn note(&mut self, party: Party, last: LetThrough) {
        let known = self.of(party).map_or(last, |known| known.first);
        self.keep(Accepted {
            party,
            first: known,
            last,
        });
    }

    /// What was kept over a restart.
    pub(crate) fn keep(&mut self, accepted: Accepted) {
        self.0.get_or_insert_default()[place(accepted.party)] = Some(accepted);
    }

    fn of(&self, party: Party) -> Option<Accepted> {
        self.0.as_ref()?[place(party)]
    }

    /// What it takes beyond itself.
    pub(crate) fn octets(&self) -> usize {
        self.0.as_deref().map_or(0, size_of_val)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Accepted> + '_ {
        self.0.iter().flat_map(|all| all.iter().flatten().copied())
    }
}

/// The SMSO's, or that of S1SP and DCO, who are one operator here.
fn place(party: Party) -> usize {
    usize::from(party != Party::Smso)
}

/// One key epoch with the counters used under its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Epoch {
    pub(crate) party: Party,
    pub(crate) number: u32,
    /// It came by hand-over from the SMSO, so its keys also depend on a hand-over secret.
    pub(crate) handed: bool,
    /// Own invocation counters last used, per association.
    pub(crate) own: [u32; IN_FORCE],
    /// As large as what it holds: there is one in every device of every home.
    pub(crate) clients: Box<[Client]>,
}

/// What one client has used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    pub(crate) title: [u8; 8],
    /// The last counter accepted.
    pub(crate) last: u32,
    /// As it is called while the epoch is in force.
    pub(crate) association: Association,
}

impl Epoch {
    pub(crate) fn new(party: Party, number: u32, handed: bool) -> Self {
        Self {
            party,
            number,
            handed,
            own: [0; IN_FORCE],
            clients: Box::default(),
        }
    }

    /// A key of this epoch on `device`; the approval key only where the DCO has a say.
    fn key(&self, context: &Context<'_>, device: Eui64, purpose: Purpose) -> Option<DeviceKey> {
        let relations = context.relations;
        let (relation, owner) = match (self.party, purpose) {
            (Party::S1sp, Purpose::Approval) => (&relations.dco, Party::Dco),
            (_, Purpose::Approval) => return None,
            (Party::S1sp, _) => (&relations.s1sp, Party::S1sp),
            (Party::Smso | Party::Dco, _) => (&relations.smso, Party::Smso),
        };
        let secret = self
            .handed
            .then(|| relations.smso.hand_over_secret(device, self.number, owner));
        Some(relation.epoch_key(device, self.number, secret.as_ref(), purpose))
    }

    fn accept_counter(&mut self, association: Association, title: [u8; 8], counter: u32) -> Result<(), u32> {
        let full = self.clients.len() >= CLIENTS_MAX;
        let mut clients = self.clients.iter_mut();
        let known = clients.find(|client| client.association == association && client.title == title);
        match known {
            Some(client) if counter <= client.last => Err(client.last.saturating_add(1)),
            Some(client) => {
                client.last = counter;
                Ok(())
            }
            None if full => Err(u32::MAX),
            None => {
                let mut grown = std::mem::take(&mut self.clients).into_vec();
                grown.reserve_exact(1);
                grown.push(Client {
                    title,
                    last: counter,
                    association,
                });
                self.clients = grown.into_boxed_slice();
                Ok(())
            }
        }
    }
}

impl Security {
    pub(crate) fn new(party: Party, epoch: u32) -> Self {
        Self {
            active: Epoch::new(party, epoch, false),
            staged: None,
            highest: epoch,
            approval_counter: 0,
            alerted_at: SimInstant(i64::MIN),
            accepted: Witness::default(),
        }
    }

    /// The epoch whose keys an association has; none where nothing is staged.
    fn epoch(&self, association: Association) -> Option<&Epoch> {
        if association.is_staged() {
            self.staged.as_deref()
        } else {
            Some(&self.active)
        }
    }

    /// The number of the epoch whose keys an association has; zero where nothing is staged.
    pub(crate) fn epoch_of(&self, association: Association) -> u32 {
        self.epoch(association).map_or(0, |epoch| epoch.number)
    }

    /// A key in force on `device`.
    pub(crate) fn key(&self, context: &Context<'_>, device: Eui64, purpose: Purpose) -> Option<DeviceKey> {
        self.active.key(context, device, purpose)
    }

    /// A key of the staged epoch.
    pub(crate) fn staged_key(&self, context: &Context<'_>, device: Eui64, purpose: Purpose) -> Option<DeviceKey> {
        self.staged.as_ref()?.key(context, device, purpose)
    }

    /// Accepts a counter above all that this client has used on this association in its epoch.
    pub(crate) fn accept_counter(&mut self, association: Association, title: [u8; 8], counter: u32) -> Result<(), u32> {
        let epoch = if association.is_staged() {
            self.staged.as_deref_mut().ok_or(u32::MAX)?
        } else {
            &mut self.active
        };
        epoch.accept_counter(association.in_force(), title, counter)
    }

    /// The device's own next counter on an association: one sequence per key, never used twice.
    ///
    /// The answer that tells of an activation still goes over the staged association: its keys are in force by then.
    pub(crate) fn next_counter(&mut self, association: Association) -> u32 {
        let epoch = match self.staged.as_deref_mut() {
            Some(staged) if association.is_staged() => staged,
            _ => &mut self.active,
        };
        let Some(counter) = epoch.own.get_mut(association.in_force() as usize) else {
            return u32::MAX;
        };
        *counter = counter.saturating_add(1);
        *counter
    }

    /// Client counter acceptable next on the management association, whoever asks.
    pub(crate) fn invocation_counter(&self) -> u32 {
        self.active
            .clients
            .iter()
            .filter(|client| client.association == Association::Management)
            .map(|client| client.last.saturating_add(1))
            .max()
            .unwrap_or(0)
    }

    /// Whether these keys on this association carry this operation at all, approval aside.
    pub(crate) fn permits(&self, context: &Context<'_>, access: Access, operation: &Operation) -> bool {
        if access.association == Association::Public {
            return matches!(operation, Operation::Read(DataItem::Clock | DataItem::FirmwareVersion));
        }
        let Some(epoch) = self.epoch(access.association) else {
            return false;
        };
        if access.party != Some(epoch.party) {
            return false;
        }
        let proves = matches!(
            operation,
            Operation::ProbeDualControl { .. } | Operation::ActivateKeys { .. }
        );
        let stages = matches!(operation, Operation::StageKeys { .. } | Operation::CancelStagedKeys);
        match access.association {
            Association::Public | Association::Reader => !operation.changes_state() && !proves,
            // Only whoever operates it by itself, without a DCO, hands a device over.
            Association::Management | Association::Critical if stages => epoch.party == Party::Smso,
            Association::Management => !proves && (epoch.party == Party::Smso || !context.critical.contains(operation)),
            Association::Critical => true,
            Association::StagedManagement => !operation.changes_state() && !proves,
            Association::StagedCritical => !operation.changes_state() || proves,
        }
    }

    /// Checks the approval where one is needed. Gives the counter to be marked as used once the operation is executed.
    pub(crate) fn check_approval(
        &self,
        context: &Context<'_>,
        device: Eui64,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
        device_time: SimInstant,
    ) -> Result<Option<u32>, ApprovalFault> {
        let always = matches!(
            operation,
            Operation::ProbeDualControl { .. } | Operation::ActivateKeys { .. }
        );
        if !always && !context.critical.contains(operation) {
            return Ok(None);
        }
        let key = self
            .epoch(association)
            .and_then(|epoch| epoch.key(context, device, Purpose::Approval));
        let Some(key) = key else {
            // Operated by the SMSO: there is no DCO yet, and nothing that only a DCO can allow.
            return if always { Err(ApprovalFault::Wrong) } else { Ok(None) };
        };
        let approval = approval.ok_or(ApprovalFault::Missing)?;
        approval.check(&key, device, operation, self.approval_counter, device_time)?;
        Ok(Some(approval.counter))
    }

    /// Carries out an operation about keys; rights and approval are checked. `None` for any other operation.
    pub(crate) fn operate(&mut self, operation: &Operation) -> Option<Outcome> {
        Some(match operation {
            Operation::StageKeys { party, epoch } => self.stage(*party, *epoch),
            Operation::CancelStagedKeys => {
                if let Some(staged) = self.staged.take() {
                    // A session of the staged party may still be open: what it is told must not repeat a counter.
                    for (own, used) in self.active.own.iter_mut().zip(staged.own) {
                        *own = used.max(*own);
                    }
                }
                Ok(Answer::Done)
            }
            Operation::ProbeDualControl { .. } => Ok(Answer::Done),
            Operation::ActivateKeys { epoch } => self.activate(*epoch),
            _ => return None,
        })
    }

    fn stage(&mut self, party: Party, epoch: u32) -> Outcome {
        if party != Party::S1sp {
            return Err(Refusal::OutOfRange);
        }
        match &self.staged {
            // The answer was lost, so it is asked again.
            Some(staged) if (staged.party, staged.number) == (party, epoch) => return Ok(Answer::Done),
            Some(_) => return Err(Refusal::WrongState),
            None => {}
        }
        if epoch <= self.highest {
            return Err(Refusal::OutOfRange);
        }
        self.highest = epoch;
        self.staged = Some(Box::new(Epoch::new(party, epoch, true)));
        Ok(Answer::Done)
    }

    fn activate(&mut self, epoch: u32) -> Outcome {
        match self.staged.take() {
            Some(staged) if staged.number == epoch => {
                self.active = *staged;
                Ok(Answer::Done)
            }
            // It is in force already: the answer was lost, so it is asked again.
            None if self.active.number == epoch => Ok(Answer::Done),
            staged => {
                self.staged = staged;
                Err(Refusal::OutOfRange)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_counter_is_accepted_once_and_never_goes_back(counters in prop::collection::vec(0u32..50, 1..80)) {
            let mut security = Security::new(Party::S1sp, 1);
            let mut highest = None;
            for counter in counters {
                let result = security.accept_counter(Association::Management, [1; 8], counter);
                match highest {
                    Some(last) if counter <= last => prop_assert_eq!(result, Err(last + 1)),
                    _ => {
                        prop_assert_eq!(result, Ok(()));
                        highest = Some(counter);
                    }
                }
                prop_assert_eq!(security.invocation_counter(), highest.map_or(0, |last| last + 1));
            }
        }
    }

    #[test]
    fn counters_are_apart_by_client_and_association_and_bounded() {
        let mut security = Security::new(Party::S1sp, 1);
        assert_eq!(
            security.accept_counter(Association::Management, [1; 8], u32::MAX),
            Ok(())
        );
        assert_eq!(
            security.accept_counter(Association::Management, [1; 8], u32::MAX),
            Err(u32::MAX)
        );
        assert_eq!(security.accept_counter(Association::Critical, [1; 8], 0), Ok(()));
        for client in 2..16 {
            assert_eq!(security.accept_counter(Association::Management, [client; 8], 0), Ok(()));
        }
        assert_eq!(security.active.clients.len(), CLIENTS_MAX);
        assert_eq!(
            security.accept_counter(Association::Management, [99; 8], 5),
            Err(u32::MAX)
        );
        assert_eq!(security.next_counter(Association::Critical), 1);
        assert_eq!(security.next_counter(Association::Critical), 2);
        assert_eq!(security.next_counter(Association::Management), 1);
    }

    #[test]
    fn an_epoch_only_rises_and_no_staged_one_comes_back() {
        let stage = |epoch| Operation::StageKeys {
            party: Party::S1sp,
            epoch,
        };
        let mut security = Security::new(Party::Smso, 3);
        let mut ask = |operation| security.operate(&operation).expect("about keys");
        let dco = Operation::StageKeys {
            party: Party::Dco,
            epoch: 4,
        };
        assert_eq!(ask(dco), Err(Refusal::OutOfRange));
        assert_eq!(ask(stage(3)), Err(Refusal::OutOfRange));
        assert_eq!(ask(stage(4)), Ok(Answer::Done));
        assert_eq!(ask(stage(4)), Ok(Answer::Done), "asked again");
        assert_eq!(ask(stage(5)), Err(Refusal::WrongState), "cancel first");
        assert_eq!(ask(Operation::CancelStagedKeys), Ok(Answer::Done));
        assert_eq!(ask(Operation::CancelStagedKeys), Ok(Answer::Done), "asked again");
        assert_eq!(ask(stage(4)), Err(Refusal::OutOfRange), "its secrets are known");
        assert_eq!(ask(Operation::ActivateKeys { epoch: 4 }), Err(Refusal::OutOfRange));
        assert_eq!(ask(stage(6)), Ok(Answer::Done));
        assert_eq!(ask(Operation::ActivateKeys { epoch: 5 }), Err(Refusal::OutOfRange));
        assert_eq!(ask(Operation::ActivateKeys { epoch: 6 }), Ok(Answer::Done));
        assert_eq!(
            ask(Operation::ActivateKeys { epoch: 6 }),
            Ok(Answer::Done),
            "asked again"
        );
        assert_eq!((security.active.party, security.active.number), (Party::S1sp, 6));
        assert_eq!(security.staged, None);
    }

    #[test]
    fn counters_belong_to_an_epoch_and_go_with_it() {
        let mut security = Security::new(Party::Smso, 1);
        assert_eq!(security.next_counter(Association::Management), 1);
        assert_eq!(
            security.accept_counter(Association::StagedManagement, [1; 8], 1),
            Err(u32::MAX),
            "nothing is staged"
        );
        let stage = Operation::StageKeys {
            party: Party::S1sp,
            epoch: 2,
        };
        assert_eq!(security.operate(&stage), Some(Ok(Answer::Done)));
        assert_eq!(security.next_counter(Association::StagedManagement), 1);
        assert_eq!(security.next_counter(Association::StagedManagement), 2);
        assert_eq!(security.next_counter(Association::Management), 2);
        assert_eq!(
            security.accept_counter(Association::StagedManagement, [1; 8], 7),
            Ok(())
        );
        let activate = Operation::ActivateKeys { epoch: 2 };
        assert_eq!(security.operate(&activate), Some(Ok(Answer::Done)));
        assert_eq!(
            security.next_counter(Association::StagedManagement),
            3,
            "the answer to the activation"
        );
        assert_eq!(security.next_counter(Association::Management), 4, "the same keys");
        assert_eq!(security.accept_counter(Association::Management, [1; 8], 7), Err(8));
    }

    #[test]
    fn a_cancelled_epoch_leaves_no_counter_behind_to_be_used_again() {
        let mut security = Security::new(Party::Smso, 1);
        let stage = Operation::StageKeys {
            party: Party::S1sp,
            epoch: 2,
        };
        assert_eq!(security.operate(&stage), Some(Ok(Answer::Done)));
        for _ in 0..5 {
            security.next_counter(Association::StagedCritical);
        }
        assert_eq!(security.operate(&Operation::CancelStagedKeys), Some(Ok(Answer::Done)));
        assert_eq!(security.next_counter(Association::StagedCritical), 6);
    }
}
