use super::channel::{Channel, Heard};
use super::{Address, Control, Frame, LLC_FROM_SERVER, LLC_TO_SERVER, LinkError, Parameters};

/// What came of a frame from a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecondaryEvent {
    /// A whole APDU: to be answered with [`Secondary::respond`].
    Apdu(Vec<u8>),
    /// A fresh connection: what belonged to an earlier one is over.
    Connected(Parameters),
    /// The connection is over.
    Disconnected,
    /// The client broke the rules and was told so: the connection is over.
    Rejected(LinkError),
}

/// The server's end of one connection between one client and one logical device.
#[derive(Debug)]
pub struct Secondary {
    limits: Parameters,
    apdu_max: usize,
    connected: bool,
    channel: Channel,
}

impl Secondary {
    /// Between `server` as the client wrote it and `client`; APDUs of up to `apdu_max` octets are taken.
    #[must_use]
    pub fn new(server: Address, client: Address, limits: Parameters, apdu_max: usize) -> Self {
        Self {
            limits,
            apdu_max,
            connected: false,
            channel: channel(server, client, Parameters::default(), apdu_max),
        }
    }

    /// The logical device's address, as the client wrote it.
    #[must_use]
    pub fn server(&self) -> Address {
        self.channel.own
    }

    /// The client's address.
    #[must_use]
    pub fn client(&self) -> Address {
        self.channel.peer
    }

    /// Whether a client has a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Takes a frame of this connection and appends what goes out at once.
    pub fn input(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Option<SecondaryEvent> {
        match frame.control {
            Control::Snrm { .. } => match Parameters::decode(frame.information) {
                Ok(theirs) => {
                    let agreed = self.limits.agree(&theirs);
                    self.channel = channel(self.channel.own, self.channel.peer, agreed, self.apdu_max);
                    self.connected = true;
                    let mut information = Vec::new();
                    agreed.encode(&mut information);
                    self.channel.put(Control::Ua { poll: true }, &information, out);
                    Some(SecondaryEvent::Connected(agreed))
                }
                Err(_) => {
                    self.connected = false;
                    self.channel.put(Control::Dm { poll: true }, &[], out);
                    None
                }
            },
            Control::Disc { .. } if self.connected => {
                self.connected = false;
                self.channel.put(Control::Ua { poll: true }, &[], out);
                Some(SecondaryEvent::Disconnected)
            }
            Control::Information { .. } | Control::ReceiveReady { .. } | Control::ReceiveNotReady { .. }
                if self.connected =>
            {
                self.numbered(frame, out)
            }
            // Without a connection, all that is answered is that there is none.
            control if control.poll() && !self.connected => {
                self.channel.put(Control::Dm { poll: true }, &[], out);
                None
            }
            _ => None,
        }
    }

    /// Answers the APDU received last. An empty answer passes the turn.
    pub fn respond(&mut self, apdu: &[u8], out: &mut Vec<u8>) {
        if !self.connected {
            return;
        }
        if apdu.is_empty() {
            self.channel.ready(out);
            return;
        }
        self.channel.begin([&LLC_FROM_SERVER, apdu].concat());
        // The first window of a message is never one too many.
        let _first = self.channel.send(out);
    }

    fn numbered(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Option<SecondaryEvent> {
        let fault = match self.channel.hear(frame) {
            Ok(Heard::Listen) => return None,
            Ok(Heard::Message) => {
                let message = self.channel.take_message();
                match message.strip_prefix(&LLC_TO_SERVER) {
                    Some(apdu) => return Some(SecondaryEvent::Apdu(apdu.to_vec())),
                    None => LinkError::LogicalLink,
                }
            }
            Ok(Heard::Nothing) => {
                self.channel.ready(out);
                return None;
            }
            Ok(Heard::Send) => match self.channel.send(out) {
                Ok(()) => return None,
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        self.connected = false;
        let reason = match fault {
            LinkError::Acknowledgement { .. } => 0x08,
            LinkError::Oversized(_) => 0x04,
            _ => 0x01,
        };
        // The control field that was refused, our numbers (of no use now), and why.
        let information = [frame.control.octet(), 0, reason];
        self.channel.put(Control::Frmr { poll: true }, &information, out);
        Some(SecondaryEvent::Rejected(fault))
    }
}

fn channel(own: Address, peer: Address, parameters: Parameters, apdu_max: usize) -> Channel {
    Channel::new(own, peer, parameters, apdu_max.saturating_add(LLC_TO_SERVER.len()))
}
