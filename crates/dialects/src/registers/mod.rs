//! Numbered registers in the manner of EDMI's command line protocol.
//!
//! The frames, commands, types, errors and surveys follow what two independent public drivers of EDMI's Mk-series agree on
//! (a C driver, and a Python driver whose capture of a real session the frame test repeats). That GB SMETS1 meters speak
//! it on the WAN is inferred; their register numbers are not public. So **the register table is ours**, and so are the
//! login that proves a head end's keys, the frames that a device sends unasked, and the files that carry operations no
//! register expresses.
//!
//! # Frame
//!
//! `02`, body, CRC, `03`. The CRC is CCITT (polynomial 1021, start 0) over the `02` and the body, most significant octet
//! first. Any `02 03 10 11 13` in body or CRC goes as `10` and the octet plus `40`. What stands between frames is left out:
//! public drivers send `/?!` and a line end first. `02 03` alone asks for attention.
//!
//! A body is a command, or `45` ("E"), the serial number it is for (4), the sender's (4), a sequence number (2) and a
//! command; the answer has the two serial numbers swapped and the same sequence number. A device's serial number here is
//! the low half of the EUI-64 of the installation's electricity meter; an unaddressed command is answered unaddressed.
//!
//! # Commands
//!
//! | command | data | answer |
//! |---|---|---|
//! | `1B` attention | | `06` |
//! | `L` login | user, `,`, password, `00` | `06` |
//! | `X` logout | | `06` |
//! | `R` read | register (2) | `R`, register, value |
//! | `W` write | register (2), value | `06` |
//! | `M` read | register (4); or `0000FFF0` and several; or `0000FFF1` and several | `M`, what was asked first, value; or all values, or each with an error octet in front (no value follows an error) |
//! | `N` write | register (4), value | `06` |
//! | `F` `I` file information | file (4) | the same, first record (4), records (4), octets of a record (2), type (1), name, `00` |
//! | `F` `S` search | file (4), record (4), date-time (6), direction (1: 0 back, 1 on) | the same with the record found and 0 exact, 1 none, 2 nearest, 4 no data |
//! | `F` `R` read | file (4), record (4), count (2), offset (2), size (2) | the same with the count given, records |
//! | `F` `W` write | file (4), record (4), count (2), offset (2), size (2), octets | the same without the octets |
//!
//! An error answers `18` and a code: 1 cannot write, 2 unimplemented, 3 no such register, 4 access denied, 5 wrong length,
//! 6 internal, 7 not ready, 8 out of range, 9 not logged in.
//!
//! Types: `A` text with `00` at its end, `B` flag, `C` octet, `D` double, `F` float, `H` unsigned of 2, `L` signed of 4,
//! `T` day, month, year of the century, hour, minute, second, `V` signed of 8. All most significant octet first.
//!
//! # Registers
//!
//! Registers of the electricity meter have the numbers of [`table`]; those of the hub stand `00400000` above, of the gas
//! proxy `00500000`, of the gas meter `00600000`. Without a login, serial number, date and time and firmware can be read.
//!
//! # Login (ours)
//!
//! User `READER` with the reader password of the electricity meter in 32 hexadecimal digits is what a public driver can
//! use; `READER-GPF` and so on for other devices. A head end logs in as `MANAGE-ESME-TITLE-COUNTER` or
//! `CRITICAL-ESME-TITLE-COUNTER`: its system title in 16 hexadecimal digits and a counter in 8, with the 24 digits of a GMAC
//! (security suite 0, keys of the association) over user name and device as password; with `STAGEDMANAGE` and
//! `STAGEDCRITICAL` under the keys of a staged epoch. A counter used before is
//! refused with `18 04` and the next one that will be taken (4).
//!
//! # Operations (ours)
//!
//! Registers `8F00` and up are ours, for each device at its place. An approval is written to `8F00` and serves the next
//! command; `8F01` reads what was wrong with the last one, `8F02` the whole refusal in the compact form. Supply is moved by writing `8010`
//! (0 disabled, 1 armed, 2 enabled), the clock by writing `F03D` after the tolerance in seconds was written to `8F03`.
//! Everything else is written as a submission (0, or 1 and an approval of 53 octets; then an operation in the compact form of
//! `domain::operation::octets`) to the file `8F20`, done by writing any octet to `8F10`, and its reply (0 and an outcome, or
//! 1 and the ticket of an operation held for a sleeping device) read from the file `8F21`. Both files have records of one
//! octet.
//!
//! # Unasked (ours)
//!
//! A hub that has connected says `Y` and its EUI-64. `Z`, device (1), 1 under the keys of a staged epoch and else 0 (1), and a
//! sealed body carries what a device says by itself: 1, code, time, description; or 2, ticket, part, last, octets of an
//! outcome; or 3 and a row of readings; in the compact form. The seal is that of the LAB envelope, with the management keys of the device.

mod files;
mod frame;
mod head_end;
mod job;
mod meter;
mod survey;
pub mod table;
mod value;

pub(crate) use head_end::Operator;
pub(crate) use meter::Device;

use cosem::security::Cipher;
use domain::{Association, DeviceKind, Eui64};

const ACK: u8 = 0x06;
const CAN: u8 = 0x18;
const ATTENTION: u8 = 0x1B;

/// Registers of ours.
const LAB_APPROVAL: u32 = 0x8F00;
const LAB_FAULT: u32 = 0x8F01;
const LAB_REFUSAL: u32 = 0x8F02;
const LAB_TOLERANCE: u32 = 0x8F03;
const LAB_EXECUTE: u32 = 0x8F10;
/// Files of ours.
const LAB_SUBMISSION: u16 = 0x8F20;
const LAB_REPLY: u16 = 0x8F21;

/// Registers with a meaning of their own.
const SERIAL_NUMBER: u32 = 0xF002;
const DATE_TIME: u32 = 0xF03D;
const CLOCK_STATUS: u32 = 0xF03E;
const SUPPLY: u32 = 0x8010;

/// Several registers as one, and the same with an error for each.
const SEVERAL: u32 = 0x0000_FFF0;
const SEVERAL_WITH_ERRORS: u32 = 0x0000_FFF1;

/// Low half of every file's register.
const FILE: u32 = 0xF008;

/// Results of a search.
const FOUND_EXACT: u8 = 0;
const FOUND_NONE: u8 = 1;
const FOUND_NEAREST: u8 = 2;
const FOUND_NO_DATA: u8 = 4;

/// Most octets of records in one answer.
const RECORDS_MAX: usize = 1000;
/// Most octets of a submission.
const SUBMISSION_MAX: usize = 64 * 1024;

/// Where a device's registers stand above those of the electricity meter, and what is added to its surveys' numbers.
fn base(slot: DeviceKind) -> Option<(u32, u16)> {
    Some(match slot {
        DeviceKind::Esme => (0, 0),
        DeviceKind::Chf => (0x0040_0000, 0x0800),
        DeviceKind::Gpf => (0x0050_0000, 0x0400),
        DeviceKind::Gsme => (0x0060_0000, 0x0C00),
        DeviceKind::Cad | DeviceKind::Ihd | DeviceKind::Ppmid => return None,
    })
}

const SLOTS: [DeviceKind; 4] = [DeviceKind::Esme, DeviceKind::Chf, DeviceKind::Gpf, DeviceKind::Gsme];

/// The device and the register within it.
fn place(register: u32) -> Option<(DeviceKind, u32)> {
    SLOTS.into_iter().find_map(|slot| {
        let (base, _) = base(slot)?;
        let within = register.checked_sub(base)?;
        (within <= 0xFFFF).then_some((slot, within))
    })
}

/// The serial number by which an installation is addressed.
fn serial(esme: Eui64) -> u32 {
    u32::try_from(esme.0 & 0xFFFF_FFFF).unwrap_or(0)
}

/// User name of a head end's login.
fn user(association: Association, slot: DeviceKind, title: [u8; 8], counter: u32) -> String {
    let role = role(association);
    format!("{role}-{slot}-{:016X}-{counter:08X}", u64::from_be_bytes(title))
}

fn role(association: Association) -> &'static str {
    match association {
        Association::Public => "PUBLIC",
        Association::Reader => "READER",
        Association::Management => "MANAGE",
        Association::Critical => "CRITICAL",
        Association::StagedManagement => "STAGEDMANAGE",
        Association::StagedCritical => "STAGEDCRITICAL",
    }
}

/// Password of a head end's login.
fn proof(cipher: &Cipher, title: [u8; 8], counter: u32, user: &str, device: Eui64) -> String {
    let message = [user.as_bytes(), &device.to_bytes()].concat();
    let tag = cipher.gmac(&title, counter, &message);
    tag.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// Octets of hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
