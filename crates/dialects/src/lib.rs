//! Faces of the device families: what a family's devices and head ends say to each other in bytes, both ends from one
//! description.
//!
//! A face translates between [`domain::Operation`]s and octets. It deliberately does not know what a device does with an
//! operation (that is [`Host`]'s business), where keys and counters live, which link carries the octets, or what time it
//! is. It performs no input or output: octets go in, octets and values come out.
//!
//! Main types: [`MeterSession`] answers on the device's side of one connection, [`HeadEndSession`] asks on the other side,
//! [`FaceProfile`] says in data what one family, model or firmware does its own way.
//!
//! No real GB SMETS1 WAN protocol is public. There are five families of faces: DLMS/COSEM over the TCP wrapper, over HDLC
//! and behind a hub's tunnel header, numbered registers in EDMI's manner, and an envelope of ours; and a sixth whose octets
//! are the business of a program outside ([`external`]). DLMS/COSEM is standard; everything outside the standard is ours and
//! named ours (`Lab…`).
//!
//! ```
//! use dialects::wake_up;
//! use domain::Eui64;
//! use domain::keys::DeviceKey;
//! let (key, hub) = (DeviceKey::new([7; 16]), Eui64(0x00DB_1234_5678_90A0));
//! let text = wake_up::encode(&key, hub, 41);
//! assert_eq!(wake_up::check(&key, hub, &text, 40), Some(41));
//! assert_eq!(wake_up::check(&key, hub, &text, 41), None, "a text message wakes a hub once");
//! ```

mod compact;
mod dlms;
mod envelope;
pub mod external;
mod head_end;
mod host;
mod late;
mod notification;
#[cfg(test)]
mod pages;
mod profile;
pub mod registers;
mod sealing;
mod session;
mod submission;
pub mod text_message;
pub mod wake_up;

pub use head_end::{FaceError, HeadEndEvent, HeadEndSession, Keys};
pub use host::Host;
pub use notification::Notification;
pub use profile::{FaceProfile, Family, Hdlc, Saps, TimeForm, Tunnel, TunnelAddress};
pub use session::{MeterSession, SessionOutput};
