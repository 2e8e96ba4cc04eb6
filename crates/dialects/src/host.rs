use domain::keys::{DeviceKey, Party, Purpose};
use domain::{Access, Approval, Association, DeviceKind, Eui64, Execution, Operation, SecurityEvent, SimInstant};

/// What a face sees of the installation behind it.
///
/// The device side owns keys, epochs and counters; a face borrows them for one call.
pub trait Host {
    /// The lab's time now: what frames are stamped with. A device's own clock is read through [`Host::execute`].
    fn now(&self) -> SimInstant;

    /// The identity of the device in this slot; `None` where there is no such device.
    fn device(&self, slot: DeviceKind) -> Option<Eui64>;

    /// Whose keys are in force on the device.
    fn active_party(&self, slot: DeviceKind) -> Party;

    /// A key of the active party and epoch; `None` where the device has none for this purpose.
    fn key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey>;

    /// The party for which a key epoch is staged on the device; `None` where nothing is.
    fn staged_party(&self, slot: DeviceKind) -> Option<Party> {
        let _ = slot;
        None
    }

    /// A key of the staged epoch; `None` where nothing is staged.
    fn staged_key(&self, slot: DeviceKind, purpose: Purpose) -> Option<DeviceKey> {
        let _ = (slot, purpose);
        None
    }

    /// Takes the invocation counter of an authentic message from `title`.
    ///
    /// # Errors
    /// The next acceptable counter, when this one was used before: nothing of the message may then take effect.
    fn accept_counter(
        &mut self,
        slot: DeviceKind,
        association: Association,
        title: [u8; 8],
        counter: u32,
    ) -> Result<(), u32>;

    /// The device's own next invocation counter for an answer or a notification; never the same twice.
    fn next_counter(&mut self, slot: DeviceKind, association: Association) -> u32;

    /// The next acceptable client counter of the management association, which the public client may read.
    fn invocation_counter(&self, slot: DeviceKind) -> u32;

    /// 16 fresh octets for an authentication challenge.
    fn challenge(&mut self) -> [u8; 16];

    /// Executes or refuses an operation, or holds it for a sleeping device.
    fn execute(
        &mut self,
        slot: DeviceKind,
        access: Access,
        operation: &Operation,
        approval: Option<&Approval>,
    ) -> Execution;

    /// Tells the device's security core what went wrong on the link.
    fn security_event(&mut self, slot: DeviceKind, event: SecurityEvent);
}
