//! The numbered frames of one connection: what both ends do alike.

use super::{Address, Control, Frame, LinkError, Parameters, REPEATS_MAX};

/// Numbers count from 0 to 7 and around.
const MODULUS: u8 = 8;

/// One end of an open connection.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) own: Address,
    pub(super) peer: Address,
    pub(super) parameters: Parameters,
    /// Number of the oldest frame that is not acknowledged.
    oldest: u8,
    /// Frames sent from there on.
    in_flight: u8,
    /// Number expected next from the peer.
    receive: u8,
    /// The message being sent, and where its oldest frame that is not acknowledged begins.
    outgoing: Vec<u8>,
    at: usize,
    repeats: u8,
    incoming: Vec<u8>,
    incoming_max: usize,
    complete: bool,
}

/// What a numbered frame brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// The other end goes on talking.
    Listen,
    /// It is this end's turn, and it has frames to send.
    Send,
    /// It is this end's turn: a message came in part, or there is nothing at all to say.
    Nothing,
    /// It is this end's turn: a message is complete.
    Message,
}

impl Channel {
    pub(super) fn new(own: Address, peer: Address, parameters: Parameters, incoming_max: usize) -> Self {
        Self {
            own,
            peer,
            parameters,
            oldest: 0,
            in_flight: 0,
            receive: 0,
            outgoing: Vec::new(),
            at: 0,
            repeats: 0,
            incoming: Vec::new(),
            incoming_max,
            complete: false,
        }
    }

    /// Begins a message.
    pub(super) fn begin(&mut self, message: Vec<u8>) {
        self.outgoing = message;
        self.at = 0;
        self.in_flight = 0;
        self.repeats = 0;
    }

    pub(super) fn is_sending(&self) -> bool {
        self.at < self.outgoing.len()
    }

    /// Whether part of a message has come.
    pub(super) fn is_receiving(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// The complete message.
    pub(super) fn take_message(&mut self) -> Vec<u8> {
        self.complete = false;
        std::mem::take(&mut self.incoming)
    }

    /// Takes a numbered or supervisory frame.
    pub(super) fn hear(&mut self, frame: &Frame<'_>) -> Result<Heard, LinkError> {
        let (receive, busy) = match frame.control {
            Control::Information { receive, .. } | Control::ReceiveReady { receive, .. } => (receive, false),
            Control::ReceiveNotReady { receive, .. } => (receive, true),
            _ => return Err(LinkError::State),
        };
        self.acknowledge(receive)?;
        if let Control::Information { send, .. } = frame.control
            && send == self.receive
            && !self.complete
        {
            self.receive = (self.receive + 1) % MODULUS;
            // Whoever asks something new does not wait for the rest of an old answer.
            self.outgoing.clear();
            self.at = 0;
            if self.incoming.len() + frame.information.len() > self.incoming_max {
                self.incoming.clear();
                return Err(LinkError::Oversized(self.incoming_max));
            }
            self.incoming.extend_from_slice(frame.information);
            self.complete = !frame.segmented;
        }
        if !frame.control.poll() {
            return Ok(Heard::Listen);
        }
        // The turn passes with this frame: what is not acknowledged by now was lost.
        self.in_flight = 0;
        Ok(if self.complete {
            Heard::Message
        } else if self.is_sending() && !busy {
            Heard::Send
        } else {
            Heard::Nothing
        })
    }

    fn acknowledge(&mut self, receive: u8) -> Result<(), LinkError> {
        let count = (receive + MODULUS - self.oldest) % MODULUS;
        if count > self.in_flight {
            return Err(LinkError::Acknowledgement { received: receive });
        }
        if count > 0 {
            self.repeats = 0;
        }
        self.oldest = receive;
        self.in_flight -= count;
        self.at += usize::from(count) * self.size();
        if self.at >= self.outgoing.len() {
            self.outgoing.clear();
            self.at = 0;
        }
        Ok(())
    }

    /// Sends the next window, or the same again where it was not taken.
    pub(super) fn send(&mut self, out: &mut Vec<u8>) -> Result<(), LinkError> {
        if self.repeats > REPEATS_MAX {
            return Err(LinkError::Stuck);
        }
        self.repeats += 1;
        let size = self.size();
        let rest = self.outgoing.get(self.at..).unwrap_or_default();
        let window = usize::from(self.parameters.window_tx);
        let total = rest.len().div_ceil(size);
        for (index, piece) in rest.chunks(size).take(window).enumerate() {
            let number = u8::try_from(index).unwrap_or(0);
            Frame {
                segmented: index + 1 < total,
                destination: self.peer,
                source: self.own,
                control: Control::Information {
                    send: (self.oldest + number) % MODULUS,
                    receive: self.receive,
                    poll: index + 1 == total.min(window),
                },
                information: piece,
            }
            .encode(out);
            self.in_flight = number + 1;
        }
        Ok(())
    }

    /// Passes the turn without information.
    pub(super) fn ready(&self, out: &mut Vec<u8>) {
        self.put(
            Control::ReceiveReady {
                receive: self.receive,
                poll: true,
            },
            &[],
            out,
        );
    }

    pub(super) fn put(&self, control: Control, information: &[u8], out: &mut Vec<u8>) {
        Frame {
            segmented: false,
            destination: self.peer,
            source: self.own,
            control,
            information,
        }
        .encode(out);
    }

    fn size(&self) -> usize {
        usize::from(self.parameters.information_tx).max(1)
    }
}
