//! The DCO's approval of one critical operation: our own dual control scheme, and only one reading of what the SEC calls
//! an Instruction (which a DCO may also generate).
//!
//! An approval is a MAC under the key that the DCO shares with one device, over device, operation with arguments,
//! request, counter and expiry. It grants nothing by itself: it must arrive in a session opened with the keys of the
//! party that operates the device.

use subtle::ConstantTimeEq;

use crate::keys::{DeviceKey, hmac};
use crate::operation::ApprovalFault;
use crate::{Eui64, Operation, RequestId, SimInstant};

/// One approval as the DCO makes it and a device checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// The user's request it was made for.
    pub request: RequestId,
    /// Rises with every approval for this device.
    pub counter: u32,
    /// Last instant at which the device may accept it.
    pub expires_at: SimInstant,
    /// 16 octets.
    pub mac: [u8; 16],
    /// Whether the operation is to be left undone when an operation of the same request before it was refused. Who
    /// presents the approval says so, and the MAC does not cover it: it can only make a device do less.
    pub follows: bool,
}

/// Length of [`Approval::to_bytes`].
pub const APPROVAL_LEN: usize = 1 + 24 + 4 + 8 + 16;

const VERSION: u8 = 1;
/// Of an approval whose operation follows another.
const VERSION_FOLLOWS: u8 = 2;

impl Approval {
    /// Makes the approval of `operation` on `device`.
    #[must_use]
    pub fn make(
        key: &DeviceKey,
        device: Eui64,
        operation: &Operation,
        request: RequestId,
        counter: u32,
        expires_at: SimInstant,
    ) -> Self {
        let mac = mac(key, device, operation, request, counter, expires_at);
        Self {
            request,
            counter,
            expires_at,
            mac,
            follows: false,
        }
    }

    /// Checks it for `operation` on `device`: MAC first, then replay, then expiry.
    ///
    /// # Errors
    /// The fault found; nothing may then be executed and no counter moved.
    pub fn check(
        &self,
        key: &DeviceKey,
        device: Eui64,
        operation: &Operation,
        last_counter: u32,
        now: SimInstant,
    ) -> Result<(), ApprovalFault> {
        let expected = mac(key, device, operation, self.request, self.counter, self.expires_at);
        if !bool::from(expected.ct_eq(&self.mac)) {
            return Err(ApprovalFault::Wrong);
        }
        if self.counter <= last_counter {
            return Err(ApprovalFault::Replayed);
        }
        if now > self.expires_at {
            return Err(ApprovalFault::Stale);
        }
        Ok(())
    }

    /// The octets a face carries: version (which says whether it follows another), request, counter, expiry, MAC.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; APPROVAL_LEN] {
        let mut out = [0; APPROVAL_LEN];
        out[0] = if self.follows { VERSION_FOLLOWS } else { VERSION };
        out[1..25].copy_from_slice(&self.request.to_bytes());
        out[25..29].copy_from_slice(&self.counter.to_be_bytes());
        out[29..37].copy_from_slice(&self.expires_at.0.to_be_bytes());
        out[37..].copy_from_slice(&self.mac);
        out
    }

    /// The inverse of [`Approval::to_bytes`]; `None` for another length or version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; APPROVAL_LEN] = bytes.try_into().ok()?;
        let follows = match bytes[0] {
            VERSION => false,
            VERSION_FOLLOWS => true,
            _ => return None,
        };
        Some(Self {
            request: RequestId::from_bytes(bytes[1..25].try_into().ok()?),
            counter: u32::from_be_bytes(bytes[25..29].try_into().ok()?),
            expires_at: SimInstant(i64::from_be_bytes(bytes[29..37].try_into().ok()?)),
            mac: bytes[37..].try_into().ok()?,
            follows,
        })
    }
}

fn mac(
    key: &DeviceKey,
    device: Eui64,
    operation: &Operation,
    request: RequestId,
    counter: u32,
    expires_at: SimInstant,
) -> [u8; 16] {
    let full = hmac(
        key.expose(),
        &[
            b"s1lab approval",
            &device.to_bytes(),
            &operation.canonical_bytes(),
            &request.to_bytes(),
            &counter.to_be_bytes(),
            &expires_at.0.to_be_bytes(),
        ],
    );
    let mut out = [0; 16];
    out.copy_from_slice(&full[..16]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Purpose, RelationSecret};
    use proptest::prelude::*;

    fn key(device: Eui64) -> DeviceKey {
        RelationSecret::new([1; 32]).device_key(device, 1, Purpose::Approval)
    }

    #[test]
    fn anything_else_than_what_was_approved_is_refused() {
        let device = Eui64(1);
        let request = RequestId {
            originator: Eui64(9),
            target: device,
            counter: 5,
        };
        let expires = SimInstant(1000);
        let approval = Approval::make(&key(device), device, &Operation::DisableSupply, request, 3, expires);
        let check = |a: &Approval, d: Eui64, op: &Operation, last, now| a.check(&key(d), d, op, last, SimInstant(now));
        assert_eq!(check(&approval, device, &Operation::DisableSupply, 2, 1000), Ok(()));
        assert_eq!(
            check(&approval, device, &Operation::EnableSupply, 2, 0),
            Err(ApprovalFault::Wrong)
        );
        assert_eq!(
            check(&approval, Eui64(2), &Operation::DisableSupply, 2, 0),
            Err(ApprovalFault::Wrong)
        );
        assert_eq!(
            check(&approval, device, &Operation::DisableSupply, 3, 0),
            Err(ApprovalFault::Replayed)
        );
        assert_eq!(
            check(&approval, device, &Operation::DisableSupply, 2, 1001),
            Err(ApprovalFault::Stale)
        );
        let later = Approval {
            expires_at: SimInstant(5000),
            ..approval
        };
        assert_eq!(
            check(&later, device, &Operation::DisableSupply, 2, 0),
            Err(ApprovalFault::Wrong)
        );
    }

    proptest! {
        #[test]
        fn octets_round_trip(counter: u32, expires: i64, mac: [u8; 16], c: u64, follows: bool) {
            let request = RequestId { originator: Eui64(1), target: Eui64(2), counter: c };
            let approval = Approval { request, counter, expires_at: SimInstant(expires), mac, follows };
            let bytes = approval.to_bytes();
            prop_assert_eq!(Approval::from_bytes(&bytes), Some(approval));
            prop_assert_eq!(Approval::from_bytes(&bytes[1..]), None);
        }
    }
}
