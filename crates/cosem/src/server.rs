//! The server's side of one application association.

use crate::acse::{self, Aare, Aarq, Mechanism, diagnostic};
use crate::data::Data;
use crate::initiate::{self, Conformance, InitiateRequest, InitiateResponse};
use crate::request::{self, Item, Request};
use crate::response::{self, Envelope, Exception, Form, Response};
use crate::security::{Cipher, SecurityControl, SystemTitle};
use crate::transfer::Transfers;
use crate::types::{AccessResult, ActionResult, Attribute, Method, Obis, Selection};

/// The object that stands for the association in use.
pub const CURRENT_ASSOCIATION: Obis = Obis::new(0, 0, 40, 0, 0, 255);
/// Class of associations with logical names.
pub const CLASS_ASSOCIATION: u16 = 15;
/// Method of [`CURRENT_ASSOCIATION`] that carries passes 3 and 4 of high level security.
pub const REPLY_TO_HLS: i8 = 1;

/// The two access points of an association.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Caller {
    /// The client's.
    pub client: u16,
    /// The server's.
    pub server: u16,
}

/// What went wrong, for the server's own log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Someone could not prove to hold the keys or the password.
    AuthenticationFailed,
    /// An APDU that is none, or is not allowed where it came.
    Malformed,
    /// A counter that was used before.
    Replay,
}

/// What an association sees of the logical device behind it: policy, keys, counters and objects.
pub trait Server {
    /// Where a long value stands while it is delivered in blocks.
    type Cursor;

    /// How this client must authenticate; `None` when it may not associate at all.
    fn mechanism(&self, caller: Caller) -> Option<Mechanism>;

    /// The server's title.
    fn title(&self, caller: Caller) -> SystemTitle;

    /// The keys shared with this client, expanded once per association; `None` when there are none.
    fn cipher(&self, caller: Caller) -> Option<Cipher>;

    /// Whether this is the client's password; to be compared in constant time.
    fn password_matches(&self, caller: Caller, offered: &[u8]) -> bool;

    /// A fresh challenge.
    fn challenge(&mut self, caller: Caller) -> [u8; 16];

    /// Takes the counter of an authentic APDU.
    ///
    /// # Errors
    /// The next acceptable counter, when this one was used before.
    fn accept_counter(&mut self, caller: Caller, title: &SystemTitle, counter: u32) -> Result<(), u32>;

    /// The server's next own counter.
    fn next_counter(&mut self, caller: Caller) -> u32;

    /// Hears what went wrong.
    fn event(&mut self, caller: Caller, event: Event);

    /// Appends the encoded value of an attribute to `out`; with `Some`, only its beginning.
    ///
    /// # Errors
    /// Why it cannot be read; what was appended is then dropped.
    fn get(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        selection: Option<&Selection>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Self::Cursor>, AccessResult>;

    /// Appends the next part of a long value; `false` when that was the last. It should append something or end.
    ///
    /// # Errors
    /// Why no more can be read.
    fn get_more(&mut self, caller: Caller, cursor: &mut Self::Cursor, out: &mut Vec<u8>) -> Result<bool, AccessResult>;

    /// Writes an attribute.
    ///
    /// # Errors
    /// Why it cannot be written.
    fn set(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        selection: Option<&Selection>,
        value: &Data,
    ) -> Result<(), AccessResult>;

    /// Invokes a method; `true` when an encoded return value was appended to `out`.
    ///
    /// # Errors
    /// Why it cannot be invoked.
    fn action(
        &mut self,
        caller: Caller,
        method: &Method,
        parameter: Option<&Data>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ActionResult>;
}

/// What is to become of the connection after an APDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// End it.
    Close,
    /// Keep it.
    Keep,
}

/// One association, from nothing over negotiation to release, as often as the client likes.
#[derive(Debug)]
pub struct Association<C> {
    caller: Caller,
    /// What this server takes and sends at most, before a client asks for less.
    pdu_max: u16,
    phase: Phase,
    security: Option<Box<Security>>,
    agreed: Agreed,
    transfers: Transfers<C>,
    /// Kept between APDUs so that a request costs no allocation.
    opened: Vec<u8>,
    plain: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Waits for the client's proof over this challenge.
    AwaitingProof([u8; 16]),
    Associated,
    Closed,
}

#[derive(Debug)]
struct Security {
    cipher: Cipher,
    client_title: SystemTitle,
    server_title: SystemTitle,
    /// What the server has to prove over.
    client_challenge: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) conformance: Conformance,
    /// Room for a plain response in the form of the request.
    pub(crate) room: usize,
    pdu_max: u16,
}

/// A refused association: result 1 and this diagnostic, or an exception.
enum Refused {
    Diagnostic(u8),
    Exception(Exception),
    /// Result 1, no reason, with a service error as user information.
    Service(u8),
}

impl<C> Association<C> {
    /// Nothing agreed yet. APDUs of up to `pdu_max` octets are taken and sent.
    #[must_use]
    pub fn new(caller: Caller, pdu_max: u16) -> Self {
        let pdu_max = pdu_max.max(initiate::PDU_MIN);
        Self {
            caller,
            pdu_max,
            phase: Phase::Closed,
            security: None,
            agreed: Agreed {
                conformance: Conformance::ALL,
                room: 0,
                pdu_max,
            },
            transfers: Transfers::default(),
            opened: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// The access points.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// Whether requests are answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Associated
    }

    /// Takes one APDU and appends the answer to `out`, which may stay as it is.
    pub fn input<S: Server<Cursor = C>>(&mut self, apdu: &[u8], server: &mut S, out: &mut Vec<u8>) -> After {
        match apdu.first() {
            Some(&acse::AARQ) => return self.associate(apdu, server, out),
            Some(&acse::RLRQ) => self.release(apdu, server, out),
            Some(&(request::GET | request::SET | request::ACTION)) if self.phase == Phase::Associated => {
                if self.security.is_some() {
                    // A plain request on a ciphered association proves nothing.
                    server.event(self.caller, Event::Malformed);
                    Exception::NotAllowed.encode(out);
                } else {
                    self.agreed.room = self.agreed.pdu_max.into();
                    self.serve(apdu, server, out);
                }
            }
            Some(&(request::GET | request::SET | request::ACTION)) => Exception::NotAllowed.encode(out),
            _ => match Envelope::decode(apdu) {
                Ok(Some(envelope)) => return self.open(&envelope, server, out),
                Ok(None) => {
                    server.event(self.caller, Event::Malformed);
                    Exception::NotSupported.encode(out);
                }
                Err(_) => {
                    server.event(self.caller, Event::Malformed);
                    Exception::OtherReason.encode(out);
                }
            },
        }
        After::Keep
    }

    fn reset(&mut self) {
        self.phase = Phase::Closed;
        self.security = None;
        self.transfers = Transfers::default();
    }

    fn release<S: Server<Cursor = C>>(&mut self, apdu: &[u8], server: &mut S, out: &mut Vec<u8>) {
        if acse::decode_release(apdu, acse::RLRQ).is_err() {
            server.event(self.caller, Event::Malformed);
            Exception::OtherReason.encode(out);
            return;
        }
        self.reset();
        acse::put_release(out, acse::RLRE, None);
    }

    fn associate<S: Server<Cursor = C>>(&mut self, apdu: &[u8], server: &mut S, out: &mut Vec<u8>) -> After {
        // An AARQ on an open association ends that one, whatever becomes of the new one.
        self.reset();
        let Ok(aarq) = Aarq::decode(apdu) else {
            server.event(self.caller, Event::Malformed);
            put_refusal(out, acse::CONTEXT_PLAIN, diagnostic::NO_REASON, None);
            return After::Close;
        };
        let refused = match self.negotiate(&aarq, server, out) {
            Ok(()) => return After::Keep,
            Err(refused) => refused,
        };
        self.reset();
        match refused {
            Refused::Diagnostic(reason) => {
                put_refusal(out, aarq.context, reason, None);
                if reason == diagnostic::AUTHENTICATION_FAILURE {
                    After::Close
                } else {
                    After::Keep
                }
            }
            Refused::Exception(exception) => {
                exception.encode(out);
                After::Keep
            }
            Refused::Service(reason) => {
                put_refusal(
                    out,
                    aarq.context,
                    diagnostic::NO_REASON,
                    Some(&initiate::service_error(reason)),
                );
                After::Keep
            }
        }
    }

    fn negotiate<S: Server<Cursor = C>>(
        &mut self,
        aarq: &Aarq<'_>,
        server: &mut S,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let caller = self.caller;
        let required = server
            .mechanism(caller)
            .ok_or(Refused::Diagnostic(diagnostic::NO_REASON))?;
        let context = match required {
            Mechanism::Gmac => acse::CONTEXT_CIPHERED,
            _ => acse::CONTEXT_PLAIN,
        };
        if aarq.mechanism != required {
            return Err(Refused::Diagnostic(match aarq.mechanism {
                Mechanism::None => diagnostic::AUTHENTICATION_REQUIRED,
                _ => diagnostic::MECHANISM_NOT_RECOGNISED,
            }));
        }
        if aarq.context != context {
            return Err(Refused::Diagnostic(diagnostic::CONTEXT_NOT_SUPPORTED));
        }
        let information = aarq
            .user_information
            .ok_or(Refused::Diagnostic(diagnostic::NO_REASON))?;
        match required {
            Mechanism::Gmac => return self.negotiate_ciphered(aarq, information, server, out),
            Mechanism::Low if !server.password_matches(caller, aarq.authentication_value.unwrap_or_default()) => {
                server.event(caller, Event::AuthenticationFailed);
                return Err(Refused::Diagnostic(diagnostic::AUTHENTICATION_FAILURE));
            }
            _ => {}
        }
        let initiate = self.agree(information)?;
        self.phase = Phase::Associated;
        let title = server.title(caller);
        Aare {
            context,
            result: 0,
            diagnostic: diagnostic::NONE,
            // Without ciphering a title is of no use, but some clients show it.
            responding_title: Some(&title)
                .filter(|_| aarq.calling_title.is_some())
                .map(|title| title.as_slice()),
            mechanism: Mechanism::None,
            authentication_value: None,
            user_information: Some(&initiate),
        }
        .encode(out);
        Ok(())
    }

    fn negotiate_ciphered<S: Server<Cursor = C>>(
        &mut self,
        aarq: &Aarq<'_>,
        information: &[u8],
        server: &mut S,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let caller = self.caller;
        let client_title: SystemTitle = aarq
            .calling_title
            .and_then(|title| title.try_into().ok())
            .ok_or(Refused::Diagnostic(diagnostic::CALLING_TITLE))?;
        let client_challenge = aarq
            .authentication_value
            .filter(|challenge| (8..=64).contains(&challenge.len()))
            .ok_or(Refused::Diagnostic(diagnostic::AUTHENTICATION_FAILURE))?;
        let cipher = server
            .cipher(caller)
            .ok_or(Refused::Diagnostic(diagnostic::NO_REASON))?;
        let mut initiate = Vec::new();
        let opened = match Envelope::decode(information) {
            Ok(Some(envelope)) if envelope.inner.is_none_or(|inner| inner == initiate::REQUEST) => {
                cipher.open(&client_title, envelope.protected, &mut initiate).ok()
            }
            _ => None,
        };
        let Some((SecurityControl::AUTHENTICATED_ENCRYPTED, counter)) = opened else {
            server.event(caller, Event::AuthenticationFailed);
            return Err(Refused::Diagnostic(diagnostic::AUTHENTICATION_FAILURE));
        };
        if let Err(next) = server.accept_counter(caller, &client_title, counter) {
            server.event(caller, Event::Replay);
            return Err(Refused::Exception(Exception::InvocationCounter(next)));
        }
        let initiate = self.agree(&initiate)?;
        let challenge = server.challenge(caller);
        let server_title = server.title(caller);
        let mut information = Vec::new();
        let counter = server.next_counter(caller);
        response::put_glo(
            &cipher,
            Form::Service,
            &server_title,
            counter,
            &initiate,
            &mut information,
        );
        Aare {
            context: acse::CONTEXT_CIPHERED,
            result: 0,
            diagnostic: diagnostic::AUTHENTICATION_REQUIRED,
            responding_title: Some(&server_title),
            mechanism: Mechanism::Gmac,
            authentication_value: Some(&challenge),
            user_information: Some(&information),
        }
        .encode(out);
        self.phase = Phase::AwaitingProof(challenge);
        self.security = Some(Box::new(Security {
            cipher,
            client_title,
            server_title,
            client_challenge: client_challenge.to_vec(),
        }));
        Ok(())
    }

    /// Agrees on conformance and size; gives the encoded InitiateResponse.
    fn agree(&mut self, information: &[u8]) -> Result<Vec<u8>, Refused> {
        let proposed = InitiateRequest::decode(information).map_err(|_| Refused::Diagnostic(diagnostic::NO_REASON))?;
        if proposed.version < initiate::DLMS_VERSION {
            return Err(Refused::Service(initiate::refusal::VERSION_TOO_LOW));
        }
        let conformance = proposed.conformance.and(Conformance::ALL);
        if !conformance.has(Conformance::GET) {
            return Err(Refused::Service(initiate::refusal::INCOMPATIBLE_CONFORMANCE));
        }
        let pdu_max = match proposed.pdu_max {
            0 => self.pdu_max,
            small if small < initiate::PDU_MIN => return Err(Refused::Service(initiate::refusal::PDU_TOO_SHORT)),
            proposed => proposed.min(self.pdu_max),
        };
        self.agreed = Agreed {
            conformance,
            room: pdu_max.into(),
            pdu_max,
        };
        let mut out = Vec::new();
        InitiateResponse {
            version: initiate::DLMS_VERSION,
            conformance,
            pdu_max: self.pdu_max,
        }
        .encode(&mut out);
        Ok(out)
    }

    /// Opens a ciphered request, serves it and answers in its form.
    fn open<S: Server<Cursor = C>>(&mut self, envelope: &Envelope<'_>, server: &mut S, out: &mut Vec<u8>) -> After {
        let caller = self.caller;
        let Some(security) = self.security.as_ref().filter(|_| self.phase != Phase::Closed) else {
            Exception::NotAllowed.encode(out);
            return After::Keep;
        };
        let mut request = std::mem::take(&mut self.opened);
        request.clear();
        let title_fits = envelope.title.is_none_or(|title| title == security.client_title);
        let opened = security
            .cipher
            .open(&security.client_title, envelope.protected, &mut request)
            .ok();
        let Some((SecurityControl::AUTHENTICATED_ENCRYPTED, counter)) = opened.filter(|_| title_fits) else {
            self.opened = request;
            server.event(caller, Event::AuthenticationFailed);
            Exception::Deciphering.encode(out);
            return After::Keep;
        };
        // Only now is the counter worth believing.
        if let Err(next) = server.accept_counter(caller, &security.client_title, counter) {
            self.opened = request;
            server.event(caller, Event::Replay);
            Exception::InvocationCounter(next).encode(out);
            return After::Keep;
        }
        self.agreed.room = usize::from(self.agreed.pdu_max).saturating_sub(response::overhead(envelope.form));
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let after = match self.phase {
            _ if envelope.inner.is_some_and(|inner| request.first() != Some(&inner)) => {
                server.event(caller, Event::Malformed);
                Exception::OtherReason.encode(&mut plain);
                After::Keep
            }
            Phase::AwaitingProof(challenge) => self.prove(&challenge, &request, server, &mut plain),
            _ => {
                self.serve(&request, server, &mut plain);
                After::Keep
            }
        };
        if plain.first() == Some(&response::EXCEPTION) {
            // Exceptions have no service-specific envelope, and clients expect them plain.
            out.extend_from_slice(&plain);
        } else if let Some(security) = &self.security {
            let counter = server.next_counter(caller);
            response::put_glo(
                &security.cipher,
                envelope.form,
                &security.server_title,
                counter,
                &plain,
                out,
            );
        }
        if after == After::Close {
            self.reset();
        }
        self.opened = request;
        self.plain = plain;
        after
    }

    /// Pass 3 and 4: the client's proof over our challenge, ours over the client's.
    fn prove<S: Server<Cursor = C>>(
        &mut self,
        challenge: &[u8; 16],
        request: &[u8],
        server: &mut S,
        plain: &mut Vec<u8>,
    ) -> After {
        let method = Method {
            class: CLASS_ASSOCIATION,
            object: CURRENT_ASSOCIATION,
            index: REPLY_TO_HLS,
        };
        let (invoke, proof) = match Request::decode(request) {
            Ok((invoke, Request::Action(asked, Some(parameter)))) if asked == method => {
                (invoke, Data::decode_all(parameter).ok())
            }
            _ => {
                Exception::NotAllowed.encode(plain);
                return After::Keep;
            }
        };
        let proof = proof.as_ref().and_then(Data::as_octets).unwrap_or_default();
        let Some(security) = self
            .security
            .as_ref()
            .filter(|security| security.cipher.proves(&security.client_title, challenge, proof))
        else {
            server.event(self.caller, Event::AuthenticationFailed);
            Response::Action(Err(AccessResult::ReadWriteDenied), None).encode(invoke, plain);
            return After::Close;
        };
        let counter = server.next_counter(self.caller);
        let proof = security
            .cipher
            .prove(&security.server_title, counter, &security.client_challenge);
        let mut returned = Vec::with_capacity(proof.len() + 2);
        crate::write::octet_string(&mut returned, &proof);
        Response::Action(Ok(()), Some(Ok(&returned))).encode(invoke, plain);
        self.phase = Phase::Associated;
        After::Keep
    }

    /// Answers a plain request.
    fn serve<S: Server<Cursor = C>>(&mut self, apdu: &[u8], server: &mut S, out: &mut Vec<u8>) {
        let Ok((invoke, request)) = Request::decode(apdu) else {
            server.event(self.caller, Event::Malformed);
            Exception::OtherReason.encode(out);
            return;
        };
        let caller = self.caller;
        match request {
            Request::Get(Item { attribute, selection }) => {
                self.transfers.get(
                    caller,
                    &attribute,
                    selection.as_ref(),
                    &self.agreed,
                    invoke,
                    server,
                    out,
                );
            }
            Request::GetList(items) => self
                .transfers
                .get_list(caller, &items, &self.agreed, invoke, server, out),
            Request::GetNext(number) => self
                .transfers
                .get_next(caller, number, &self.agreed, invoke, server, out),
            Request::Set(item, value) => {
                let result = set(caller, &item, value, server);
                Response::Set(result).encode(invoke, out);
            }
            Request::SetList(items, values) => {
                let results = items
                    .iter()
                    .zip(values)
                    .map(|(item, value)| set(caller, item, value, server))
                    .collect();
                Response::SetList(results).encode(invoke, out);
            }
            Request::SetFirstBlock(item, block) => {
                self.transfers.set_first(caller, item, &block, invoke, server, out);
            }
            Request::SetBlock(block) => self.transfers.set_block(caller, &block, invoke, server, out),
            Request::Action(method, parameter) => {
                self.transfers
                    .action(caller, &method, parameter, &self.agreed, invoke, server, out);
            }
            Request::ActionFirstBlock(method, block) => {
                self.transfers
                    .action_first(caller, method, &block, &self.agreed, invoke, server, out);
            }
            Request::ActionBlock(block) => {
                self.transfers
                    .action_block(caller, &block, &self.agreed, invoke, server, out);
            }
            Request::ActionNext(number) => self.transfers.action_next(number, &self.agreed, invoke, out),
        }
    }
}

/// Decodes a value and writes it.
pub(crate) fn set<S: Server>(caller: Caller, item: &Item, value: &[u8], server: &mut S) -> Result<(), AccessResult> {
    let value = Data::decode_all(value).map_err(|_| AccessResult::TypeUnmatched)?;
    server.set(caller, &item.attribute, item.selection.as_ref(), &value)
}

fn put_refusal(out: &mut Vec<u8>, context: u8, reason: u8, information: Option<&[u8]>) {
    Aare {
        context: context.max(acse::CONTEXT_PLAIN),
        result: 1,
        diagnostic: reason,
        responding_title: None,
        mechanism: Mechanism::None,
        authentication_value: None,
        user_information: information,
    }
    .encode(out);
}
