use super::channel::{Channel, Heard};
use super::{Address, Control, Frame, LLC_FROM_SERVER, LLC_TO_SERVER, LinkError, Parameters};
use crate::codec::DecodeError;

/// What came of a frame from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrimaryEvent {
    /// A whole APDU.
    Apdu(Vec<u8>),
    /// The connection is open, and this is agreed.
    Connected(Parameters),
    /// The connection is over: asked for, or the server had none.
    Disconnected,
    /// The server says that this end broke the rules; the connection is over.
    Rejected,
}

/// The client's end of one connection with one logical device.
#[derive(Debug)]
pub struct Primary {
    proposal: Parameters,
    apdu_max: usize,
    state: State,
    channel: Channel,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connected,
    Connecting,
    Disconnected,
    Disconnecting,
}

impl Primary {
    /// Between `client` and `server`; APDUs of up to `apdu_max` octets are taken.
    #[must_use]
    pub fn new(client: Address, server: Address, proposal: Parameters, apdu_max: usize) -> Self {
        Self {
            proposal,
            apdu_max,
            state: State::Disconnected,
            channel: channel(client, server, Parameters::default(), apdu_max),
        }
    }

    /// The logical device's address.
    #[must_use]
    pub fn server(&self) -> Address {
        self.channel.peer
    }

    /// The client's address.
    #[must_use]
    pub fn client(&self) -> Address {
        self.channel.own
    }

    /// Whether APDUs can be sent.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Asks for a connection, or for a fresh one.
    pub fn connect(&mut self, out: &mut Vec<u8>) {
        self.channel = channel(
            self.channel.own,
            self.channel.peer,
            Parameters::default(),
            self.apdu_max,
        );
        let mut information = Vec::new();
        if self.proposal != Parameters::default() {
            self.proposal.encode(&mut information);
        }
        self.channel.put(Control::Snrm { poll: true }, &information, out);
        self.state = State::Connecting;
    }

    /// Asks for the end of the connection.
    pub fn disconnect(&mut self, out: &mut Vec<u8>) {
        self.channel.put(Control::Disc { poll: true }, &[], out);
        self.state = State::Disconnecting;
    }

    /// Sends an APDU; its answer is an event of [`Primary::input`].
    ///
    /// # Errors
    /// [`LinkError::State`] without a connection or before the last APDU was answered.
    pub fn send(&mut self, apdu: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        if !self.is_connected() || self.channel.is_sending() || self.channel.is_receiving() {
            return Err(LinkError::State);
        }
        self.channel.begin([&LLC_TO_SERVER, apdu].concat());
        self.channel.send(out)
    }

    /// Asks the server to say again what it said last: for a caller that has waited long enough.
    pub fn poll(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Connected => self.channel.ready(out),
            State::Connecting => self.connect(out),
            State::Disconnecting => self.disconnect(out),
            State::Disconnected => {}
        }
    }

    /// Takes a frame of this connection and appends what goes out at once.
    ///
    /// # Errors
    /// [`LinkError`]: the connection is over.
    pub fn input(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<Option<PrimaryEvent>, LinkError> {
        let taken = self.take(frame, out);
        if taken.is_err() {
            self.state = State::Disconnected;
        }
        taken
    }

    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<Option<PrimaryEvent>, LinkError> {
        match (frame.control, self.state) {
            (Control::Ua { .. }, State::Connecting) => {
                let theirs = parameters(frame.information)?;
                self.channel.parameters = self.proposal.agree(&theirs);
                self.state = State::Connected;
                Ok(Some(PrimaryEvent::Connected(self.channel.parameters)))
            }
            (Control::Ua { .. } | Control::Dm { .. }, State::Disconnecting)
            | (Control::Dm { .. }, State::Connecting | State::Connected) => {
                self.state = State::Disconnected;
                Ok(Some(PrimaryEvent::Disconnected))
            }
            (Control::Frmr { .. }, State::Connecting | State::Connected) => {
                self.state = State::Disconnected;
                Ok(Some(PrimaryEvent::Rejected))
            }
            (
                Control::Information { .. } | Control::ReceiveReady { .. } | Control::ReceiveNotReady { .. },
                State::Connected,
            ) => self.numbered(frame, out),
            // Late frames of a connection that is over, and what no server says.
            _ => Ok(None),
        }
    }

    fn numbered(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<Option<PrimaryEvent>, LinkError> {
        match self.channel.hear(frame)? {
            Heard::Listen => {}
            Heard::Message => {
                let message = self.channel.take_message();
                let apdu = message.strip_prefix(&LLC_FROM_SERVER).ok_or(LinkError::LogicalLink)?;
                return Ok(Some(PrimaryEvent::Apdu(apdu.to_vec())));
            }
            Heard::Nothing if self.channel.is_receiving() => self.channel.ready(out),
            // The server has heard everything and is not ready to answer: the caller decides when to ask again.
            Heard::Nothing => {}
            Heard::Send => self.channel.send(out)?,
        }
        Ok(None)
    }
}

fn channel(own: Address, peer: Address, parameters: Parameters, apdu_max: usize) -> Channel {
    Channel::new(own, peer, parameters, apdu_max.saturating_add(LLC_TO_SERVER.len()))
}

fn parameters(octets: &[u8]) -> Result<Parameters, LinkError> {
    Parameters::decode(octets).map_err(|_: DecodeError| LinkError::State)
}
