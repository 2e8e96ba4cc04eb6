//! The LAB envelope: a hub that stores and forwards. **Ours**: the real protocol of the families that wear it is not
//! public, and nothing here is that protocol. What the public manual of one of them says shaped what the envelope can do:
//! orders and results apart, scheduled and on-demand readings, event notification, gas read from the hub's copy.
//!
//! # Frame
//!
//! Numbers most significant octet first.
//!
//! | octets | what |
//! |---|---|
//! | 2 | `4C 45` ("LE") |
//! | 1 | version, 1 |
//! | 1 | kind, below |
//! | 8 | the hub's EUI-64 |
//! | 1 | device: 1 CHF, 2 ESME, 3 GPF, 4 GSME, 5 IHD, 6 PPMID, 7 CAD |
//! | 4 | job: an order's number, chosen by the head end; in kind 6 the ticket of a held order; in kinds 5 and 7 the hub's own count |
//! | 1 | seal: 0 none, 1 management keys, 2 critical keys, 3 reader password, 4 and 5 management and critical keys of a staged epoch |
//! | 2 | length of the body |
//! | n | body, sealed but for kinds 1, 8 and 9 and for orders and answers with seal 0 |
//! | 2 | CRC-16 of X.25 over everything before, low octet first |
//!
//! | kind | from | body |
//! |---|---|---|
//! | 1 hello | hub | nothing: which hub it is stands in the header |
//! | 2 order | head end | 0 and a submission; or 1, a ZCL cluster (2) and a ZCL frame; or 2 and octets that go in front of what follows under the same job |
//! | 3 stored | hub | 0: it is being done; or 1 and a ticket (4): it is held for a sleeping device |
//! | 4 result | hub | part (2, from 0), last (1), and octets: an outcome; or for a ZCL order the ZCL answer |
//! | 5 event | hub | an event, in the compact form: code, time, description |
//! | 6 late result | hub | as kind 4, for the ticket |
//! | 7 readings | hub | readings pushed on schedule, in the compact form: one row of a log |
//! | 8 refused | hub | 1 not understood; 2 not authentic; 3 counter used before, and the next one taken (4); 4 no such device; 5 too large |
//! | 9 bye | both | nothing: the head end has no more orders for now; the hub says that it has heard so |
//!
//! A **submission** is 0, or 1 and an approval (53 octets); then an operation in the compact form of
//! `domain::operation::octets`. Outcomes, events and rows have the same form.
//!
//! A **sealed** body is: sender's title (8), security control `30` (1), counter (4), ciphertext, tag (12), in security suite
//! 0 of DLMS. What is sealed begins with a copy of the header from kind to seal (15 octets), so that no header can be put in
//! front of another's body.
//!
//! Gas is read from the hub's copy in ZCL: a read-attributes frame in an order, a read-attributes response in its result.
//! What has no attribute goes as a submission.

mod frame;
mod head_end;
mod meter;
mod zcl;

pub(crate) use head_end::Operator;
pub(crate) use meter::Device;

use domain::DeviceKind;

/// Cluster, attribute and type of an item in ZCL, for the page about it.
#[cfg(test)]
pub(crate) fn attributes(item: domain::DataItem) -> Option<(u16, u16, u8)> {
    zcl::attribute(item).map(|(cluster, attribute, form)| (cluster, attribute, form as u8))
}

/// Whose keys seal what is said of a device: one without keys of its own speaks through the hub.
fn speaker(device: DeviceKind) -> DeviceKind {
    match device {
        DeviceKind::Cad | DeviceKind::Ihd | DeviceKind::Ppmid => DeviceKind::Chf,
        device => device,
    }
}

/// First octet of an order's content: a submission.
const ORDER_SUBMISSION: u8 = 0;
/// First octet of an order's content: a ZCL frame.
const ORDER_ZCL: u8 = 1;
/// First octet of an order's content: the beginning of a long one.
const ORDER_PART: u8 = 2;

/// Most octets of an order put together from parts.
const ORDER_MAX: usize = 64 * 1024;

/// What a hub says about an order it cannot take.
const REFUSED_MALFORMED: u8 = 1;
const REFUSED_NOT_AUTHENTIC: u8 = 2;
const REFUSED_COUNTER: u8 = 3;
const REFUSED_NO_DEVICE: u8 = 4;
const REFUSED_TOO_LARGE: u8 = 5;

/// Most octets of an outcome in one frame.
const PART_MAX: usize = 1000;
