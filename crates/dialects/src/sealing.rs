//! Sealing with the keys of an association: security suite 0 of DLMS, also where a family's own octets are not DLMS.
//!
//! What is sealed reads: sender's title (8 octets: a head end's system title, or a device's EUI-64), security control
//! (`30`), counter (4), ciphertext, tag (12). The reader association seals with its password as both keys; the public one
//! seals nothing.

use cosem::security::{Cipher, SecurityControl, TITLE_LEN};
use domain::keys::{Party, Purpose};
use domain::{Association, DeviceKind, Eui64};

use crate::{Host, Keys};

/// Octets that sealing adds.
pub(crate) const SEAL_LEN: usize = TITLE_LEN + cosem::security::HEADER_LEN + cosem::security::TAG_LEN;

/// Why something sealed was not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsealed {
    /// Keys or octets do not fit.
    NotAuthentic,
    /// Its counter was used before; the next one that will be taken.
    Replay(u32),
}

/// Encryption and authentication key of a ciphered DLMS association.
pub(crate) fn purposes(association: Association) -> Option<(Purpose, Purpose)> {
    match association.in_force() {
        Association::Management => Some((Purpose::ManagementEncryption, Purpose::ManagementAuthentication)),
        Association::Critical => Some((Purpose::CriticalEncryption, Purpose::CriticalAuthentication)),
        _ => None,
    }
}

/// The association under whose keys a device tells something to this party; `None` when the party has none there.
pub(crate) fn tells_under(host: &dyn Host, slot: DeviceKind, party: Option<Party>) -> Option<Association> {
    match party {
        Some(party) if host.active_party(slot) != party => {
            (host.staged_party(slot) == Some(party)).then_some(Association::StagedManagement)
        }
        _ => Some(Association::Management),
    }
}

/// Whose keys those of an association are. Once nothing is staged any more, a staged association is nobody's.
pub(crate) fn party_of(host: &dyn Host, slot: DeviceKind, association: Association) -> Option<Party> {
    match association {
        Association::Public => None,
        _ if association.is_staged() => host.staged_party(slot),
        _ => Some(host.active_party(slot)),
    }
}

fn sealing_purposes(association: Association) -> Option<(Purpose, Purpose)> {
    match association {
        Association::Reader => Some((Purpose::ReaderPassword, Purpose::ReaderPassword)),
        association => purposes(association),
    }
}

/// The expanded keys of a ciphered DLMS association, at the device.
pub(crate) fn host_cipher(host: &dyn Host, slot: DeviceKind, association: Association) -> Option<Cipher> {
    device_cipher(host, slot, association, purposes(association)?)
}

/// The expanded keys of a ciphered DLMS association, at the head end.
pub(crate) fn operator_cipher(keys: &dyn Keys, device: Eui64, association: Association) -> Option<Cipher> {
    let (encryption, authentication) = purposes(association)?;
    Some(cipher_of(keys, device, (encryption, authentication)))
}

fn device_cipher(
    host: &dyn Host,
    slot: DeviceKind,
    association: Association,
    purposes: (Purpose, Purpose),
) -> Option<Cipher> {
    let key = |purpose| {
        if association.is_staged() {
            host.staged_key(slot, purpose)
        } else {
            host.key(slot, purpose)
        }
    };
    Some(Cipher::new(key(purposes.0)?.expose(), key(purposes.1)?.expose()))
}

fn cipher_of(keys: &dyn Keys, device: Eui64, purposes: (Purpose, Purpose)) -> Cipher {
    Cipher::new(
        keys.key(device, purposes.0).expose(),
        keys.key(device, purposes.1).expose(),
    )
}

/// Appends `plain` sealed by a head end; `false` when this association has no keys.
pub(crate) fn seal_by_operator(
    keys: &mut dyn Keys,
    device: Eui64,
    association: Association,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let Some(purposes) = sealing_purposes(association) else {
        return false;
    };
    let cipher = cipher_of(keys, device, purposes);
    let title = keys.system_title();
    let counter = keys.next_counter(device, association);
    out.extend_from_slice(&title);
    cipher.seal(SecurityControl::AUTHENTICATED_ENCRYPTED, &title, counter, plain, out);
    true
}

/// Opens at the device what a head end sealed, and takes its counter.
pub(crate) fn open_at_device(
    host: &mut dyn Host,
    slot: DeviceKind,
    association: Association,
    sealed: &[u8],
) -> Result<Vec<u8>, Unsealed> {
    let cipher = sealing_purposes(association)
        .and_then(|purposes| device_cipher(host, slot, association, purposes))
        .ok_or(Unsealed::NotAuthentic)?;
    let (title, protected) = sealed.split_first_chunk::<TITLE_LEN>().ok_or(Unsealed::NotAuthentic)?;
    let (counter, plain) = open(&cipher, title, protected).ok_or(Unsealed::NotAuthentic)?;
    host.accept_counter(slot, association, *title, counter)
        .map_err(Unsealed::Replay)?;
    Ok(plain)
}

/// Appends `plain` sealed by a device; `false` when it has no keys for this association.
pub(crate) fn seal_by_device(
    host: &mut dyn Host,
    slot: DeviceKind,
    association: Association,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let cipher = sealing_purposes(association).and_then(|purposes| {
        // What tells of an activation was asked under keys that are in force by now.
        device_cipher(host, slot, association, purposes)
            .or_else(|| device_cipher(host, slot, association.in_force(), purposes))
    });
    let (Some(cipher), Some(device)) = (cipher, host.device(slot)) else {
        return false;
    };
    let title = device.to_bytes();
    let counter = host.next_counter(slot, association);
    out.extend_from_slice(&title);
    cipher.seal(SecurityControl::AUTHENTICATED_ENCRYPTED, &title, counter, plain, out);
    true
}

/// Opens at the head end what a device sealed, and takes its counter; `None` when it is not to be believed.
pub(crate) fn open_at_operator(
    keys: &mut dyn Keys,
    device: Eui64,
    association: Association,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (counter, plain) = authentic(keys, device, association, sealed)?;
    keys.note_device_counter(device, association, counter).then_some(plain)
}

/// As [`open_at_operator`], for text messages: they may come out of order, but none of them twice.
pub(crate) fn open_out_of_order(
    keys: &mut dyn Keys,
    device: Eui64,
    association: Association,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (counter, plain) = authentic(keys, device, association, sealed)?;
    keys.note_text_counter(device, association, counter).then_some(plain)
}

fn authentic(keys: &mut dyn Keys, device: Eui64, association: Association, sealed: &[u8]) -> Option<(u32, Vec<u8>)> {
    let cipher = cipher_of(keys, device, sealing_purposes(association)?);
    let (title, protected) = sealed.split_first_chunk::<TITLE_LEN>()?;
    if *title != device.to_bytes() {
        return None;
    }
    open(&cipher, title, protected)
}

fn open(cipher: &Cipher, title: &[u8; TITLE_LEN], protected: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut plain = Vec::new();
    match cipher.open(title, protected, &mut plain) {
        Ok((SecurityControl::AUTHENTICATED_ENCRYPTED, counter)) => Some((counter, plain)),
        _ => None,
    }
}
