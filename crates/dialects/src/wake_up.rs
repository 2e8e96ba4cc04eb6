//! The wake-up text message: our own format, far below the 140 octets of a text message.
//!
//! Eight octets of magic and counter, then a GMAC of 12 octets under the device's wake-up key over the hub's identity
//! and the counter. It carries nothing secret and grants nothing but the opening of the usual connection.

use cosem::security::{Cipher, TAG_LEN};
use domain::Eui64;
use domain::keys::DeviceKey;
use subtle::ConstantTimeEq;

/// Length of a wake-up message in octets.
pub const LEN: usize = MAGIC.len() + 4 + TAG_LEN;

const MAGIC: [u8; 4] = *b"LABW";

/// The message that wakes `hub`.
#[must_use]
pub fn encode(key: &DeviceKey, hub: Eui64, counter: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(LEN);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&counter.to_be_bytes());
    out.extend_from_slice(&tag(key, hub, counter));
    out
}

/// The counter of an authentic message that is newer than `last_counter`; `None` for anything else.
#[must_use]
pub fn check(key: &DeviceKey, hub: Eui64, octets: &[u8], last_counter: u32) -> Option<u32> {
    let rest = octets.strip_prefix(&MAGIC)?;
    let (counter, given) = rest.split_first_chunk::<4>()?;
    let counter = u32::from_be_bytes(*counter);
    let authentic = bool::from(tag(key, hub, counter).ct_eq(given));
    (authentic && counter > last_counter).then_some(counter)
}

fn tag(key: &DeviceKey, hub: Eui64, counter: u32) -> [u8; TAG_LEN] {
    // One key for both of the suite's: this key is used for nothing else.
    Cipher::new(key.expose(), key.expose()).gmac(&hub.to_bytes(), counter, &MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fresh_message_for_this_hub_wakes_it() {
        let key = DeviceKey::new([7; 16]);
        let hub = Eui64(0x00DB_0000_0000_0001);
        let message = encode(&key, hub, 5);
        assert!(message.len() == LEN && LEN <= 140);
        assert_eq!(check(&key, hub, &message, 4), Some(5));
        assert_eq!(check(&key, hub, &message, 5), None);
        assert_eq!(check(&key, Eui64(2), &message, 0), None);
        assert_eq!(check(&DeviceKey::new([8; 16]), hub, &message, 0), None);
        for at in 0..message.len() {
            let mut bad = message.clone();
            bad[at] ^= 1;
            assert_eq!(check(&key, hub, &bad, 0), None, "octet {at}");
            assert_eq!(check(&key, hub, &message[..at], 0), None, "{at} octets");
        }
    }
}
