//! What a face sees of an installation: the join of `meter` and `dialects`.

use dialects::Host;
use domain::keys::{DeviceKey, Party, Purpose};
use domain::{Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, SecurityEvent, SimInstant};
use meter::{Context, Installation};

/// An installation lent to a face for one call.
///
/// Hubs make it for each message; tests and benchmarks may, to speak to an installation without a fleet around it.
pub struct Face<'a> {
    pub(crate) installation: &'a mut Installation,
    pub(crate) context: Context<'a>,
    /// Set when something was executed that must be on disk before it is answered.
    pub(crate) changed: bool,
}

impl<'a> Face<'a> {
    /// From an installation and what every call of it is given.
    #[must_use]
    pub fn new((installation, context): (&'a mut Installation, Context<'a>)) -> Self {
        Self {
            installation,
            context,
            changed: false,
        }
    }
}

impl Host for Face<'_> {
    fn now(&self) -> SimInstant {
        self.context.now
    }

    fn device(&self, slot: DeviceKind) -> Option<Eui64> {
        self.installation.device(slot)
    }

    fn active_party(&self, slot: DeviceKind) -> Party {
        self.installation.active_party(slot)
    }

    fn key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        self.installation.key(&self.context, slot, purpose)
    }

    fn staged_party(&self, slot: DeviceKind) -> Option<Party> {
        self.installation.staged(slot).map(|(party, _)| party)
    }

    fn staged_key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        self.installation.staged_key(&self.context, slot, purpose)
    }

    fn accept_counter(
        &mut self,
        slot: DeviceKind,
        association: Association,
        title: [u8; 8],
        counter: u32,
    ) -> Result<(), u32> {
        self.installation.accept_counter(slot, association, title, counter)
    }

    fn next_counter(&mut self, slot: DeviceKind, association: Association) -> u32 {
        self.installation.next_counter(slot, association)
    }

    fn invocation_counter(&self, slot: DeviceKind) -> u32 {
        self.installation.invocation_counter(slot)
    }

    fn challenge(&mut self) -> [u8; 16] {
        self.installation.challenge()
    }

    fn execute(
        &mut self,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution {
        // An approval is used up even by what changes nothing else.
        self.changed |= operation.changes_state() || approval.is_some();
        self.installation
            .execute(&self.context, slot, access, operation, approval)
    }

    fn security_event(&mut self, slot: DeviceKind, event: SecurityEvent) {
        self.installation.security_event(&self.context, slot, event);
    }
}
