//! The security core of one device: who operates it, which counters were used, and what needs an approval.

use domain::keys::{DeviceKey, Party, Purpose};
use domain::operation::{ApprovalFault, DataItem};
use domain::{Access, Approval, Association, Eui64, Operation, Refusal, SimInstant};

use crate::profile::Context;

/// Clients a device remembers per key epoch; one more is refused, since forgetting one would let it replay.
pub(crate) const CLIENTS_MAX: usize = 16;

/// Party, epoch and counters of one device. Keys are derived on demand, never kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Security {
    pub(crate) party: Party,
    pub(crate) epoch: u32,
    /// Counter of the last approval accepted.
    pub(crate) approval_counter: u32,
    /// Own invocation counters last used, per association.
    pub(crate) own: [u32; 4],
    /// True time of the last security alert; they are rate limited.
    pub(crate) alerted_at: SimInstant,
    pub(crate) clients: Vec<Client>,
}

/// What one client has used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    pub(crate) title: [u8; 8],
    /// The last counter accepted.
    pub(crate) last: u32,
    pub(crate) association: Association,
}

impl Security {
    pub(crate) fn new(party: Party, epoch: u32) -> Self {
        Self {
            party,
            epoch,
            approval_counter: 0,
            own: [0; 4],
            alerted_at: SimInstant(i64::MIN),
            clients: Vec::new(),
        }
    }

    /// A key in force on `device`; the approval key only where the DCO has a say.
    pub(crate) fn key(&self, context: &Context<'_>, device: Eui64, purpose: Purpose) -> Option<DeviceKey> {
        let secret = match (self.party, purpose) {
            (Party::S1sp, Purpose::Approval) => &context.relations.dco,
            (_, Purpose::Approval) => return None,
            (Party::S1sp, _) => &context.relations.s1sp,
            (Party::Smso | Party::Dco, _) => &context.relations.smso,
        };
        Some(secret.device_key(device, self.epoch, purpose))
    }

    /// Accepts a counter above all that this client has used on this association in this epoch.
    pub(crate) fn accept_counter(&mut self, association: Association, title: [u8; 8], counter: u32) -> Result<(), u32> {
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
                self.clients.reserve_exact(1);
                self.clients.push(Client {
                    title,
                    last: counter,
                    association,
                });
                Ok(())
            }
        }
    }

    /// The device's own next counter on an association: one sequence per key, never used twice.
    pub(crate) fn next_counter(&mut self, association: Association) -> u32 {
        let counter = &mut self.own[association as usize];
        *counter = counter.saturating_add(1);
        *counter
    }

    /// Client counter acceptable next on the management association, whoever asks.
    pub(crate) fn invocation_counter(&self) -> u32 {
        self.clients
            .iter()
            .filter(|client| client.association == Association::Management)
            .map(|client| client.last.saturating_add(1))
            .max()
            .unwrap_or(0)
    }

    /// Another party with a new epoch: its keys are new, so counters under them begin anew. The approval counter stays.
    pub(crate) fn hand_over(&mut self, party: Party, epoch: u32) -> Result<(), Refusal> {
        if epoch <= self.epoch || party == Party::Dco {
            return Err(Refusal::OutOfRange);
        }
        self.party = party;
        self.epoch = epoch;
        self.own = [0; 4];
        self.clients = Vec::new();
        Ok(())
    }

    /// Whether these keys on this association carry this operation at all, approval aside.
    pub(crate) fn permits(&self, context: &Context<'_>, access: Access, operation: &Operation) -> bool {
        let public = matches!(operation, Operation::Read(DataItem::Clock | DataItem::FirmwareVersion));
        if access.association == Association::Public {
            return public;
        }
        if access.party != Some(self.party) {
            return false;
        }
        match access.association {
            Association::Public | Association::Reader => !operation.changes_state(),
            Association::Management => self.party == Party::Smso || !context.critical.contains(operation),
            Association::Critical => true,
        }
    }

    /// Checks the approval where one is needed. Gives the counter to be marked as used once the operation is executed.
    pub(crate) fn check_approval(
        &self,
        context: &Context<'_>,
        device: Eui64,
        operation: &Operation,
        approval: Option<&Approval>,
        device_time: SimInstant,
    ) -> Result<Option<u32>, ApprovalFault> {
        if !context.critical.contains(operation) {
            return Ok(None);
        }
        let Some(key) = self.key(context, device, Purpose::Approval) else {
            // Operated by the SMSO: there is no DCO yet.
            return Ok(None);
        };
        let approval = approval.ok_or(ApprovalFault::Missing)?;
        approval.check(&key, device, operation, self.approval_counter, device_time)?;
        Ok(Some(approval.counter))
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
        assert_eq!(security.clients.len(), CLIENTS_MAX);
        assert_eq!(
            security.accept_counter(Association::Management, [99; 8], 5),
            Err(u32::MAX)
        );
        assert_eq!(security.next_counter(Association::Critical), 1);
        assert_eq!(security.next_counter(Association::Critical), 2);
        assert_eq!(security.next_counter(Association::Management), 1);
    }

    #[test]
    fn an_epoch_only_rises() {
        let mut security = Security::new(Party::Smso, 3);
        assert_eq!(security.hand_over(Party::S1sp, 3), Err(Refusal::OutOfRange));
        assert_eq!(security.hand_over(Party::Dco, 4), Err(Refusal::OutOfRange));
        assert_eq!(security.hand_over(Party::S1sp, 4), Ok(()));
        assert_eq!((security.party, security.epoch), (Party::S1sp, 4));
    }
}
