//! HDLC framing of IEC 62056-46, frame format type 3, both ends.
//!
//! A [`Framer`] cuts a stream into [`Frame`]s and finds the next flag again after damage. A [`Primary`] (the client) and a
//! [`Secondary`] (the server) run one connection each: set-up with negotiation, numbered frames in windows, segmentation,
//! repetition of what was lost, release. [`put_unnumbered`] and [`Unnumbered`] carry what a server says unasked.
//!
//! There is no octet stuffing: format type 3 relies on the length in every frame. The layer has no timer; a caller that
//! waited long enough calls [`Primary::poll`].
//!
//! ```
//! use cosem::hdlc::{Address, Control, Frame, Framer};
//! let frame = Frame {
//!     segmented: false,
//!     destination: Address::new(1, None),
//!     source: Address::new(16, None),
//!     control: Control::Snrm { poll: true },
//!     information: &[],
//! };
//! let mut octets = Vec::new();
//! frame.encode(&mut octets);
//! assert_eq!(octets, [0x7E, 0xA0, 0x07, 0x03, 0x21, 0x93, 0x0F, 0x01, 0x7E]);
//! let mut framer = Framer::new(256);
//! framer.push(&octets[..4]);
//! assert_eq!(framer.frame(), Ok(None));
//! framer.push(&octets[4..]);
//! assert_eq!(framer.frame(), Ok(Some(frame)));
//! ```

mod channel;
mod frame;
mod negotiation;
mod primary;
mod secondary;
mod unnumbered;

pub use frame::{Address, CONTROL_FLAG, Control, FRAME_MAX, Frame, FrameError, Framer, crc16};
pub use negotiation::{INFORMATION_MAX, INFORMATION_MIN, Parameters, WINDOW_MAX};
pub use primary::{Primary, PrimaryEvent};
pub use secondary::{Secondary, SecondaryEvent};
pub use unnumbered::{Unnumbered, put_unnumbered};

/// Logical link control in front of every APDU to the server.
pub const LLC_TO_SERVER: [u8; 3] = [0xE6, 0xE6, 0x00];
/// Logical link control in front of every APDU from the server.
pub const LLC_FROM_SERVER: [u8; 3] = [0xE6, 0xE7, 0x00];

/// Windows sent again without a single frame being taken, before a link is given up.
pub const REPEATS_MAX: u8 = 8;

/// Why a connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A message of more octets than this end takes.
    #[error("a message of more than {0} octets")]
    Oversized(usize),
    /// The peer acknowledged what was never sent.
    #[error("N(R) {received} acknowledges frames that were never sent")]
    Acknowledgement {
        /// What it claims to expect next.
        received: u8,
    },
    /// A message does not begin with the logical link control of its direction.
    #[error("a message without logical link control in front")]
    LogicalLink,
    /// No connection, or another message is on its way.
    #[error("not possible in this state of the link")]
    State,
    /// The same frames were sent [`REPEATS_MAX`] times and never taken.
    #[error("frames were sent {REPEATS_MAX} times and never taken")]
    Stuck,
}
