//! The client's side of one application association.

use crate::acse::{self, Aare, Aarq, Mechanism};
use crate::codec::{DecodeError, Reader};
use crate::data::Data;
use crate::initiate::{self, Conformance, InitiateRequest, InitiateResponse};
use crate::request::{Block, Item, Request};
use crate::response::{self, Envelope, Exception, Form, Response, get_list};
use crate::security::{Cipher, SecurityControl, SystemTitle};
use crate::server::{CLASS_ASSOCIATION, CURRENT_ASSOCIATION, REPLY_TO_HLS};
use crate::types::{AccessResult, ActionResult, Method};

/// Most octets of one answer put together from blocks.
pub const ANSWER_MAX: usize = 8 * 1024 * 1024;

/// Invoke id 1, confirmed service, high priority.
const INVOKE: u8 = 0xC1;

/// The counters of the keys that the client shares with the server.
pub trait Keys {
    /// The client's next own counter; never the same twice.
    fn next_counter(&mut self) -> u32;

    /// Takes the server's counter from an authentic APDU; `false` when it was seen before.
    fn note_counter(&mut self, counter: u32) -> bool;
}

/// How a client authenticates and protects.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// HLS-5 and suite 0.
    Gmac {
        /// The keys, expanded.
        cipher: Box<Cipher>,
        /// The client's title.
        title: SystemTitle,
        /// A fresh challenge, 8 to 64 octets.
        challenge: Vec<u8>,
        /// Envelope of requests.
        form: Form,
    },
    /// Nothing.
    None,
    /// A password.
    Password(Password),
}

/// A password. Prints as `<redacted>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Vec<u8>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

/// What a client can ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Invoke a method, with an encoded parameter.
    Action(Method, Option<Vec<u8>>),
    /// Read an attribute.
    Get(Item),
    /// Read several attributes.
    GetList(Vec<Item>),
    /// Write an attribute, with an encoded value.
    Set(Item, Vec<u8>),
}

/// What came of an APDU from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A method was invoked: the encoded return value, if any.
    Acted(Result<Option<Vec<u8>>, ActionResult>),
    /// The association is open.
    Associated,
    /// The server could not treat the request.
    Exception(Exception),
    /// An attribute was read: its encoded value.
    Got(Result<Vec<u8>, AccessResult>),
    /// Attributes were read.
    GotList(Vec<Result<Vec<u8>, AccessResult>>),
    /// The association was refused: result and diagnostic.
    Refused(u8, u8),
    /// The association was released.
    Released,
    /// Send this APDU, and go on.
    Send(Vec<u8>),
    /// An attribute was written.
    Was(Result<(), AccessResult>),
}

/// Why a client cannot go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The APDU of an answer is none.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An answer put together from blocks is too long.
    #[error("an answer of more than {ANSWER_MAX} octets")]
    TooLarge,
    /// An answer that does not fit the keys, or was seen before.
    #[error("an answer that is not authentic")]
    NotAuthentic,
    /// An answer to something that was not asked, or a request in a state that has none.
    #[error("not expected in this state")]
    Unexpected,
}

/// One association, seen from the client.
#[derive(Debug)]
pub struct Client {
    credentials: Credentials,
    pdu_max: u16,
    state: State,
    server_title: SystemTitle,
    agreed_pdu: u16,
}

#[derive(Debug)]
enum State {
    Acting(Vec<u8>),
    AwaitingAare,
    AwaitingProof,
    AwaitingRelease,
    Closed,
    Getting {
        list: bool,
        value: Vec<u8>,
        number: u32,
    },
    Idle,
    /// A long value or parameter on its way: what is left of it, and the number of the block sent last.
    Sending {
        rest: Vec<u8>,
        at: usize,
        number: u32,
        action: bool,
    },
    Setting,
}

impl Client {
    /// Nothing agreed yet; `pdu_max` is what this end takes.
    #[must_use]
    pub fn new(credentials: Credentials, pdu_max: u16) -> Self {
        Self {
            credentials,
            pdu_max,
            state: State::Closed,
            server_title: [0; 8],
            agreed_pdu: pdu_max,
        }
    }

    /// Whether requests can be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// The AARQ.
    pub fn associate(&mut self, keys: &mut dyn Keys) -> Vec<u8> {
        let mut initiate = Vec::new();
        InitiateRequest {
            dedicated_key: None,
            version: initiate::DLMS_VERSION,
            conformance: Conformance::ALL,
            pdu_max: self.pdu_max,
        }
        .encode(&mut initiate);
        let mut out = Vec::new();
        match &self.credentials {
            Credentials::Gmac {
                cipher,
                title,
                challenge,
                ..
            } => {
                let mut ciphered = Vec::new();
                response::put_glo(
                    cipher,
                    Form::Service,
                    title,
                    keys.next_counter(),
                    &initiate,
                    &mut ciphered,
                );
                Aarq {
                    context: acse::CONTEXT_CIPHERED,
                    calling_title: Some(title),
                    mechanism: Mechanism::Gmac,
                    authentication_value: Some(challenge),
                    user_information: Some(&ciphered),
                }
                .encode(&mut out);
            }
            Credentials::None => plain_aarq(Mechanism::None, None, &initiate).encode(&mut out),
            Credentials::Password(password) => {
                plain_aarq(Mechanism::Low, Some(&password.0), &initiate).encode(&mut out);
            }
        }
        self.state = State::AwaitingAare;
        out
    }

    /// The RLRQ.
    pub fn release(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        acse::put_release(&mut out, acse::RLRQ, None);
        self.state = State::AwaitingRelease;
        out
    }

    /// The first APDU of a request. A value or parameter too long for the server goes in blocks.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] when no association is open or another request is in progress.
    pub fn ask(&mut self, ask: &Ask, keys: &mut dyn Keys) -> Result<Vec<u8>, ClientError> {
        if !self.is_idle() {
            return Err(ClientError::Unexpected);
        }
        // Service, kind, invoke, name, flag and a selection far shorter than this.
        let room = usize::from(self.agreed_pdu).saturating_sub(64).max(16);
        let first = |rest: &[u8]| rest.get(..room).unwrap_or_default().to_vec();
        let (request, state) = match ask {
            Ask::Get(item) => (
                Request::Get(item.clone()),
                State::Getting {
                    list: false,
                    value: Vec::new(),
                    number: 0,
                },
            ),
            Ask::GetList(items) => (
                Request::GetList(items.clone()),
                State::Getting {
                    list: true,
                    value: Vec::new(),
                    number: 0,
                },
            ),
            Ask::Set(item, value) if value.len() > room => {
                let block = first(value);
                self.state = State::Sending {
                    rest: value.clone(),
                    at: room,
                    number: 1,
                    action: false,
                };
                let request = Request::SetFirstBlock(
                    item.clone(),
                    Block {
                        last: false,
                        number: 1,
                        raw: &block,
                    },
                );
                return Ok(self.protect(&request, keys));
            }
            Ask::Set(item, value) => (Request::Set(item.clone(), value), State::Setting),
            Ask::Action(method, Some(parameter)) if parameter.len() > room => {
                let block = first(parameter);
                self.state = State::Sending {
                    rest: parameter.clone(),
                    at: room,
                    number: 1,
                    action: true,
                };
                let request = Request::ActionFirstBlock(
                    *method,
                    Block {
                        last: false,
                        number: 1,
                        raw: &block,
                    },
                );
                return Ok(self.protect(&request, keys));
            }
            Ask::Action(method, parameter) => (
                Request::Action(*method, parameter.as_deref()),
                State::Acting(Vec::new()),
            ),
        };
        self.state = state;
        Ok(self.protect(&request, keys))
    }

    /// Takes one APDU from the server that is no notification.
    ///
    /// # Errors
    /// Any [`ClientError`]; close the connection.
    pub fn input(&mut self, apdu: &[u8], keys: &mut dyn Keys) -> Result<Event, ClientError> {
        match (apdu.first(), &self.state) {
            (Some(&response::EXCEPTION), State::Closed) => Err(ClientError::Unexpected),
            (Some(&response::EXCEPTION), state) => {
                let associating = matches!(state, State::AwaitingAare | State::AwaitingProof);
                self.state = if associating { State::Closed } else { State::Idle };
                Ok(Event::Exception(Exception::decode(apdu)?))
            }
            (Some(&acse::AARE), State::AwaitingAare) => self.associated(apdu, keys),
            (Some(&acse::RLRE), State::AwaitingRelease) => {
                acse::decode_release(apdu, acse::RLRE)?;
                self.state = State::Closed;
                Ok(Event::Released)
            }
            (_, State::Closed | State::AwaitingAare | State::AwaitingRelease) => Err(ClientError::Unexpected),
            _ => {
                let mut opened = Vec::new();
                let plain = match &self.credentials {
                    Credentials::Gmac { cipher, .. } => {
                        open(cipher, &self.server_title, apdu, keys, &mut opened)?;
                        opened.as_slice()
                    }
                    _ => apdu,
                };
                self.response(plain, keys)
            }
        }
    }

    fn associated(&mut self, apdu: &[u8], keys: &mut dyn Keys) -> Result<Event, ClientError> {
        let aare = Aare::decode(apdu)?;
        if aare.result != 0 {
            self.state = State::Closed;
            return Ok(Event::Refused(aare.result, aare.diagnostic));
        }
        let information = aare.user_information.ok_or(ClientError::Unexpected)?;
        let Credentials::Gmac { cipher, title, .. } = &self.credentials else {
            self.agreed_pdu = InitiateResponse::decode(information)?.pdu_max;
            self.state = State::Idle;
            return Ok(Event::Associated);
        };
        self.server_title = aare
            .responding_title
            .and_then(|title| title.try_into().ok())
            .ok_or(ClientError::NotAuthentic)?;
        let mut opened = Vec::new();
        open(cipher, &self.server_title, information, keys, &mut opened)?;
        self.agreed_pdu = InitiateResponse::decode(&opened)?.pdu_max;
        let challenge = aare.authentication_value.ok_or(ClientError::NotAuthentic)?;
        let proof = cipher.prove(title, keys.next_counter(), challenge);
        let mut parameter = Vec::new();
        crate::write::octet_string(&mut parameter, &proof);
        let method = Method {
            class: CLASS_ASSOCIATION,
            object: CURRENT_ASSOCIATION,
            index: REPLY_TO_HLS,
        };
        self.state = State::AwaitingProof;
        Ok(Event::Send(
            self.protect(&Request::Action(method, Some(&parameter)), keys),
        ))
    }

    fn response(&mut self, plain: &[u8], keys: &mut dyn Keys) -> Result<Event, ClientError> {
        let (_, response) = Response::decode(plain)?;
        match (std::mem::replace(&mut self.state, State::Idle), response) {
            (State::AwaitingProof, Response::Action(Ok(()), Some(Ok(value)))) => self.proved(value),
            (State::AwaitingProof, Response::Action(..)) => {
                self.state = State::Closed;
                Ok(Event::Refused(1, acse::diagnostic::AUTHENTICATION_FAILURE))
            }
            (State::Getting { list: false, .. }, Response::Get(result)) => Ok(Event::Got(result.map(<[u8]>::to_vec))),
            (State::Getting { list: true, .. }, Response::GetList(results)) => Ok(got_list(results)),
            (State::Getting { list, value, number }, Response::GetBlock(block)) => {
                self.got_block(list, value, number, &block, keys)
            }
            (State::Getting { list: false, .. }, Response::GetBlockError(_, _, error)) => Ok(Event::Got(Err(error))),
            (State::Setting, Response::Set(result)) => Ok(Event::Was(result)),
            (State::Acting(_), Response::Action(result, returned)) => Ok(Event::Acted(match (result, returned) {
                (Err(error), _) | (Ok(()), Some(Err(error))) => Err(error),
                (Ok(()), returned) => Ok(returned.and_then(Result::ok).map(<[u8]>::to_vec)),
            })),
            (State::Acting(mut value), Response::ActionBlock(block)) => {
                extend(&mut value, block.raw)?;
                if block.last {
                    Data::decode_all(&value)?;
                    return Ok(Event::Acted(Ok(Some(value))));
                }
                self.state = State::Acting(value);
                Ok(Event::Send(self.protect(&Request::ActionNext(block.number), keys)))
            }
            (
                State::Sending {
                    rest,
                    at,
                    number,
                    action: false,
                },
                Response::SetBlock(answered),
            ) if answered == number => Ok(Event::Send(self.send_block(rest, at, number, false, keys))),
            (State::Sending { action: false, .. }, Response::SetLastBlock(result, _)) => Ok(Event::Was(result)),
            (
                State::Sending {
                    rest,
                    at,
                    number,
                    action: true,
                },
                Response::ActionNext(answered),
            ) if answered == number => Ok(Event::Send(self.send_block(rest, at, number, true, keys))),
            (State::Sending { action: true, .. }, Response::Action(Err(error), _)) => Ok(Event::Acted(Err(error))),
            _ => Err(ClientError::Unexpected),
        }
    }

    fn proved(&mut self, value: &[u8]) -> Result<Event, ClientError> {
        let proof = Data::decode_all(value)?;
        let proof = proof.as_octets().unwrap_or_default();
        match &self.credentials {
            Credentials::Gmac { cipher, challenge, .. } if cipher.proves(&self.server_title, challenge, proof) => {
                Ok(Event::Associated)
            }
            _ => {
                self.state = State::Closed;
                Err(ClientError::NotAuthentic)
            }
        }
    }

    fn got_block(
        &mut self,
        list: bool,
        mut value: Vec<u8>,
        number: u32,
        block: &Block<'_>,
        keys: &mut dyn Keys,
    ) -> Result<Event, ClientError> {
        if block.number != number.wrapping_add(1) {
            return Err(ClientError::Unexpected);
        }
        extend(&mut value, block.raw)?;
        if !block.last {
            self.state = State::Getting {
                list,
                value,
                number: block.number,
            };
            return Ok(Event::Send(self.protect(&Request::GetNext(block.number), keys)));
        }
        if !list {
            return Ok(Event::Got(Ok(value)));
        }
        let mut reader = Reader::closed(&value);
        let results = get_list(&mut reader)?;
        reader.finish()?;
        Ok(got_list(results))
    }

    fn send_block(&mut self, rest: Vec<u8>, at: usize, number: u32, action: bool, keys: &mut dyn Keys) -> Vec<u8> {
        let room = usize::from(self.agreed_pdu).saturating_sub(64).max(16);
        let start = at.min(rest.len());
        let end = start.saturating_add(room).min(rest.len());
        let number = number.wrapping_add(1);
        let block = Block {
            last: end == rest.len(),
            number,
            raw: rest.get(start..end).unwrap_or_default(),
        };
        let request = if action {
            Request::ActionBlock(block)
        } else {
            Request::SetBlock(block)
        };
        let apdu = self.protect(&request, keys);
        self.state = match (block.last, action) {
            (true, true) => State::Acting(Vec::new()),
            // The last block of a value is answered in its own kind.
            _ => State::Sending {
                rest,
                at: end,
                number,
                action,
            },
        };
        apdu
    }

    fn protect(&self, request: &Request<'_>, keys: &mut dyn Keys) -> Vec<u8> {
        let mut plain = Vec::new();
        request.encode(INVOKE, &mut plain);
        match &self.credentials {
            Credentials::Gmac {
                cipher, title, form, ..
            } => {
                let mut out = Vec::with_capacity(plain.len() + response::overhead(*form));
                response::put_glo(cipher, *form, title, keys.next_counter(), &plain, &mut out);
                out
            }
            _ => plain,
        }
    }
}

fn plain_aarq<'a>(mechanism: Mechanism, value: Option<&'a [u8]>, initiate: &'a [u8]) -> Aarq<'a> {
    Aarq {
        context: acse::CONTEXT_PLAIN,
        calling_title: None,
        mechanism,
        authentication_value: value,
        user_information: Some(initiate),
    }
}

fn open(
    cipher: &Cipher,
    title: &SystemTitle,
    apdu: &[u8],
    keys: &mut dyn Keys,
    out: &mut Vec<u8>,
) -> Result<(), ClientError> {
    let envelope = Envelope::decode(apdu)?.ok_or(ClientError::NotAuthentic)?;
    match cipher.open(title, envelope.protected, out) {
        Ok((SecurityControl::AUTHENTICATED_ENCRYPTED, counter))
            if envelope.inner.is_none_or(|inner| out.first() == Some(&inner)) && keys.note_counter(counter) =>
        {
            Ok(())
        }
        _ => Err(ClientError::NotAuthentic),
    }
}

fn extend(value: &mut Vec<u8>, raw: &[u8]) -> Result<(), ClientError> {
    if value.len() + raw.len() > ANSWER_MAX {
        return Err(ClientError::TooLarge);
    }
    value.extend_from_slice(raw);
    Ok(())
}

fn got_list(results: Vec<Result<&[u8], AccessResult>>) -> Event {
    Event::GotList(results.into_iter().map(|result| result.map(<[u8]>::to_vec)).collect())
}
