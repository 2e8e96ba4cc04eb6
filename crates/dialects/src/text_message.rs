//! Operations in text messages: **ours**. That one family's ad-hoc reads and payment codes travel as the payload of a text
//! message is sourced; its octets are not public, and these are not they.
//!
//! A message of at most 140 octets, numbers most significant octet first:
//!
//! | octets | what |
//! |---|---|
//! | 4 | `4C 41 42 53` ("LABS") |
//! | 1 | device: 1 CHF, 2 ESME, 3 GPF, 4 GSME |
//! | 1 | seal: 1 management keys, 2 critical keys, 4 and 5 the same of a staged epoch |
//! | n | sealed: sender's title (8), security control `30`, counter (4), ciphertext, tag (12) |
//!
//! What is sealed is a copy of device and seal (2), then
//!
//! | octets | from a head end |
//! |---|---|
//! | 1 | 1 |
//! | 2 | reference, chosen by the head end |
//! | n | 0, or 1 and an approval (53); an operation in the compact form |
//!
//! | octets | from a device |
//! |---|---|
//! | 1 | 2 it is done, 3 the outcome is too long for a text message |
//! | 2 | the reference |
//! | n | after 2: 0 and an outcome in the compact form, or 1 and the ticket (4) of an operation that is held |
//!
//! The counter is that of the association, so that a message that comes twice, or late, has no effect.

use std::collections::BTreeMap;

use domain::{Access, Approval, Association, DataItem, DeviceKind, Eui64, Execution, Operation, SecurityEvent};

use crate::sealing::{
    SEAL_LEN, Unsealed, open_at_device, open_out_of_order, party_of, seal_by_device, seal_by_operator,
};
use crate::submission::{reply, split_reply, split_submission, submission};
use crate::{Host, Keys, compact};

/// Most octets of a text message.
pub const LEN_MAX: usize = 140;

const MAGIC: [u8; 4] = *b"LABS";
const COPIED: usize = 2;
const ASK: u8 = 1;
const DONE: u8 = 2;
const TOO_LONG: u8 = 3;

/// What a device says in a text message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// What it made of an operation.
    Execution(Execution),
    /// It made something of it that is too long to say here.
    TooLong,
}

/// Whether octets are such a message, by their first octets.
#[must_use]
pub fn is_text_message(octets: &[u8]) -> bool {
    octets.starts_with(&MAGIC)
}

/// The message that asks for an operation under `reference`; `None` where it does not go in a text message: only reads of
/// one value and payment codes do.
pub fn ask(
    keys: &mut dyn Keys,
    (slot, device): (DeviceKind, Eui64),
    association: Association,
    operation: &Operation,
    approval: Option<&Approval>,
    reference: u16,
) -> Option<Vec<u8>> {
    if !is_small(operation) {
        return None;
    }
    let association = if approval.is_some() {
        association.critical()
    } else {
        association
    };
    let submission = submission(operation, approval);
    let content = [&[ASK], reference.to_be_bytes().as_slice(), &submission].concat();
    if MAGIC.len() + COPIED + SEAL_LEN + COPIED + content.len() > LEN_MAX {
        return None;
    }
    let (mut out, plain) = begin(slot, association, &content)?;
    seal_by_operator(keys, device, association, &plain, &mut out).then_some(out)
}

/// Does at a device what a message asks for, and gives the association it came under and the message that answers; `None`
/// for what is none, is not authentic, or was here before.
pub fn answer(octets: &[u8], host: &mut dyn Host) -> Option<(Association, Vec<u8>)> {
    let (slot, association, sealed) = head(octets)?;
    host.device(slot)?;
    let plain = match open_at_device(host, slot, association, sealed) {
        Ok(plain) => plain,
        Err(Unsealed::NotAuthentic) => {
            host.security_event(slot, SecurityEvent::AuthenticationFailed);
            return None;
        }
        // Networks deliver text messages twice and out of order: nothing to report.
        Err(Unsealed::Replay(_)) => return None,
    };
    let [ASK, high, low, submitted @ ..] = plain.strip_prefix(octets.get(MAGIC.len()..MAGIC.len() + COPIED)?)? else {
        host.security_event(slot, SecurityEvent::MalformedMessage);
        return None;
    };
    let Some((operation, approval)) = split_submission(submitted) else {
        host.security_event(slot, SecurityEvent::MalformedMessage);
        return None;
    };
    let access = Access {
        association,
        party: party_of(host, slot, association),
    };
    let execution = host.execute(slot, access, &operation, approval.as_ref());
    let told = reply(&execution);
    let fits = MAGIC.len() + COPIED + SEAL_LEN + COPIED + 3 + told.len() <= LEN_MAX;
    let content = if fits {
        [&[DONE, *high, *low], told.as_slice()].concat()
    } else {
        vec![TOO_LONG, *high, *low]
    };
    let (mut out, plain) = begin(slot, association, &content)?;
    seal_by_device(host, slot, association, &plain, &mut out).then_some((association, out))
}

/// Reference and content of a message from a device; `None` for what is none, is not authentic, or was here before.
pub fn told(keys: &mut dyn Keys, devices: &BTreeMap<DeviceKind, Eui64>, octets: &[u8]) -> Option<(u16, Told)> {
    let (slot, association, sealed) = head(octets)?;
    let plain = open_out_of_order(keys, *devices.get(&slot)?, association, sealed)?;
    match plain.strip_prefix(octets.get(MAGIC.len()..MAGIC.len() + COPIED)?)? {
        [DONE, high, low, told @ ..] => {
            let execution = split_reply(told)?;
            Some((u16::from_be_bytes([*high, *low]), Told::Execution(execution)))
        }
        [TOO_LONG, high, low] => Some((u16::from_be_bytes([*high, *low]), Told::TooLong)),
        _ => None,
    }
}

/// Whether an operation, and what comes of it, is of the kind that goes in a text message.
#[must_use]
pub fn is_small(operation: &Operation) -> bool {
    match operation {
        Operation::Read(item) => !matches!(item, DataItem::DeviceLog | DataItem::Setting(_)),
        Operation::EnterToken(_) => true,
        _ => false,
    }
}

/// Whether text messages have a place for a device: the same as connections, so that it is no matter of chance who can be
/// asked.
fn has_place(slot: DeviceKind) -> bool {
    matches!(
        slot,
        DeviceKind::Chf | DeviceKind::Esme | DeviceKind::Gpf | DeviceKind::Gsme
    )
}

fn head(octets: &[u8]) -> Option<(DeviceKind, Association, &[u8])> {
    if octets.len() > LEN_MAX {
        return None;
    }
    match octets.strip_prefix(&MAGIC)? {
        [kind, seal, sealed @ ..] => {
            let (association, slot) = (compact::association_of(*seal)?, compact::kind_of(*kind)?);
            (association != Association::Public && has_place(slot)).then_some((slot, association, sealed))
        }
        _ => None,
    }
}

/// The octets in front of the seal, and what is to be sealed.
fn begin(slot: DeviceKind, association: Association, content: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if association == Association::Public || !has_place(slot) {
        return None;
    }
    let copied = [compact::kind_code(slot), compact::seal_of(association)];
    Some((
        [MAGIC.as_slice(), &copied].concat(),
        [copied.as_slice(), content].concat(),
    ))
}
