//! What a server keeps while something long is on its way in blocks.

use crate::data::Data;
use crate::initiate::Conformance;
use crate::request::{Block, Item};
use crate::response::{Response, put_get_result};
use crate::server::{Agreed, Caller, Server, set};
use crate::types::{AccessResult, Attribute, Method, Selection};

/// Most octets of a value or parameter that arrives in blocks, and of a list whose parts are long.
pub(crate) const ASSEMBLED_MAX: usize = 256 * 1024;

/// First octets of a response with a value: service, kind, invoke, choice of result.
const GET_HEADER: usize = 4;
/// First octets of a response with a block: service, kind, invoke, last, number, choice, length of the raw data.
const BLOCK_HEADER: usize = 3 + 1 + 4 + 1 + 3;

#[derive(Debug)]
pub(crate) struct Transfers<C> {
    outgoing: Option<Outgoing<C>>,
    incoming: Option<Incoming>,
    /// Kept between requests so that a value costs no allocation.
    value: Vec<u8>,
}

/// A long answer; blocks are cut from `buffer`, which `cursor` fills as they go.
#[derive(Debug)]
struct Outgoing<C> {
    buffer: Vec<u8>,
    at: usize,
    cursor: Option<C>,
    number: u32,
    action: bool,
}

#[derive(Debug)]
struct Incoming {
    target: Target,
    buffer: Vec<u8>,
    number: u32,
}

#[derive(Debug)]
enum Target {
    Action(Method),
    Set(Item),
}

impl<C> Default for Transfers<C> {
    fn default() -> Self {
        Self {
            outgoing: None,
            incoming: None,
            value: Vec::new(),
        }
    }
}

impl<C> Transfers<C> {
    #[expect(
        clippy::too_many_arguments,
        reason = "one request with where it came from and where its answer goes"
    )]
    pub(crate) fn get<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        attribute: &Attribute,
        selection: Option<&Selection>,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        self.outgoing = None;
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        match server.get(caller, attribute, selection, &mut value) {
            Ok(None) if GET_HEADER + value.len() <= agreed.room => {
                Response::Get(Ok(&value)).encode(invoke, out);
                self.value = value;
            }
            Ok(cursor) => self.get_first(caller, value, cursor, agreed, invoke, server, out),
            Err(error) => {
                Response::Get(Err(error)).encode(invoke, out);
                self.value = value;
            }
        }
    }

    pub(crate) fn get_list<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        items: &[Item],
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        self.outgoing = None;
        let mut results = Vec::new();
        crate::codec::put_length(&mut results, items.len());
        let mut value = Vec::new();
        for item in items {
            value.clear();
            let room = ASSEMBLED_MAX.saturating_sub(results.len());
            let result = get_whole(caller, item, server, &mut value, room);
            put_get_result(&mut results, result.map(|()| value.as_slice()));
        }
        // Service, kind and invoke in front.
        if 3 + results.len() <= agreed.room {
            out.extend_from_slice(&[crate::response::GET, 3, invoke]);
            out.extend_from_slice(&results);
        } else {
            self.get_first(caller, results, None, agreed, invoke, server, out);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one request with where it came from and where its answer goes"
    )]
    fn get_first<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        buffer: Vec<u8>,
        cursor: Option<C>,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        let mut outgoing = Outgoing {
            buffer,
            at: 0,
            cursor,
            number: 0,
            action: false,
        };
        if let Err(error) = outgoing.fill(caller, agreed.room.saturating_sub(GET_HEADER), server) {
            Response::Get(Err(error)).encode(invoke, out);
        } else if outgoing.cursor.is_none() && GET_HEADER + outgoing.buffer.len() <= agreed.room {
            Response::Get(Ok(&outgoing.buffer)).encode(invoke, out);
        } else if !agreed.conformance.has(Conformance::GET_BLOCKS) {
            Response::Get(Err(AccessResult::OTHER_REASON)).encode(invoke, out);
        } else {
            self.outgoing = Some(outgoing);
            self.get_block(caller, agreed, invoke, server, out);
        }
    }

    pub(crate) fn get_next<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        number: u32,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        let error = match &self.outgoing {
            Some(outgoing) if !outgoing.action && outgoing.number == number => {
                return self.get_block(caller, agreed, invoke, server, out);
            }
            Some(outgoing) if !outgoing.action => AccessResult::BlockNumberInvalid,
            _ => AccessResult::NoLongInProgress,
        };
        self.outgoing = None;
        Response::GetBlockError(true, number, error).encode(invoke, out);
    }

    fn get_block<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        let Some(mut outgoing) = self.outgoing.take() else {
            return;
        };
        let size = agreed.room.saturating_sub(BLOCK_HEADER).max(1);
        if let Err(error) = outgoing.fill(caller, size, server) {
            Response::GetBlockError(true, outgoing.number.wrapping_add(1), error).encode(invoke, out);
            return;
        }
        let block = outgoing.cut(size);
        let last = block.last;
        Response::GetBlock(block).encode(invoke, out);
        if !last {
            self.outgoing = Some(outgoing);
        }
    }

    pub(crate) fn set_first<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        item: Item,
        block: &Block<'_>,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        self.incoming = Some(Incoming {
            target: Target::Set(item),
            buffer: Vec::new(),
            number: 0,
        });
        self.set_block(caller, block, invoke, server, out);
    }

    pub(crate) fn set_block<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        block: &Block<'_>,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        let response = match self.assemble(block) {
            Ok(None) => Response::SetBlock(block.number),
            Ok(Some((Target::Set(item), value))) => {
                Response::SetLastBlock(set(caller, &item, &value, server), block.number)
            }
            Ok(Some((Target::Action(_), _))) => {
                Response::SetLastBlock(Err(AccessResult::NoLongInProgress), block.number)
            }
            Err(error) => Response::SetLastBlock(Err(error), block.number),
        };
        response.encode(invoke, out);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one request with where it came from and where its answer goes"
    )]
    pub(crate) fn action<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        method: &Method,
        parameter: Option<&[u8]>,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        self.outgoing = None;
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        let result = match parameter.map(Data::decode_all).transpose() {
            Ok(parameter) => server.action(caller, method, parameter.as_ref(), &mut value),
            Err(_) => Err(AccessResult::TypeUnmatched),
        };
        match result {
            // Service, kind, invoke, result, flag and choice in front.
            Ok(true) if 6 + value.len() > agreed.room => {
                if agreed.conformance.has(Conformance::ACTION_BLOCKS) {
                    self.outgoing = Some(Outgoing {
                        buffer: value,
                        at: 0,
                        cursor: None,
                        number: 0,
                        action: true,
                    });
                    self.action_return(agreed, invoke, out);
                    return;
                }
                // It was done, but the client cannot take what it gave back.
                Response::Action(Ok(()), Some(Err(AccessResult::OTHER_REASON))).encode(invoke, out);
            }
            Ok(true) => Response::Action(Ok(()), Some(Ok(&value))).encode(invoke, out),
            Ok(false) => Response::Action(Ok(()), None).encode(invoke, out),
            Err(error) => Response::Action(Err(error), None).encode(invoke, out),
        }
        self.value = value;
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one request with where it came from and where its answer goes"
    )]
    pub(crate) fn action_first<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        method: Method,
        block: &Block<'_>,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        self.incoming = Some(Incoming {
            target: Target::Action(method),
            buffer: Vec::new(),
            number: 0,
        });
        self.action_block(caller, block, agreed, invoke, server, out);
    }

    pub(crate) fn action_block<S: Server<Cursor = C>>(
        &mut self,
        caller: Caller,
        block: &Block<'_>,
        agreed: &Agreed,
        invoke: u8,
        server: &mut S,
        out: &mut Vec<u8>,
    ) {
        match self.assemble(block) {
            Ok(None) => Response::ActionNext(block.number).encode(invoke, out),
            Ok(Some((Target::Action(method), value))) => {
                self.action(caller, &method, Some(&value), agreed, invoke, server, out);
            }
            Ok(Some((Target::Set(_), _))) => {
                Response::Action(Err(AccessResult::NoLongInProgress), None).encode(invoke, out);
            }
            Err(error) => Response::Action(Err(error), None).encode(invoke, out),
        }
    }

    pub(crate) fn action_next(&mut self, number: u32, agreed: &Agreed, invoke: u8, out: &mut Vec<u8>) {
        let error = match &self.outgoing {
            Some(outgoing) if outgoing.action && outgoing.number == number => {
                return self.action_return(agreed, invoke, out);
            }
            Some(outgoing) if outgoing.action => AccessResult::BlockNumberInvalid,
            _ => AccessResult::NoLongInProgress,
        };
        self.outgoing = None;
        Response::Action(Err(error), None).encode(invoke, out);
    }

    fn action_return(&mut self, agreed: &Agreed, invoke: u8, out: &mut Vec<u8>) {
        let Some(mut outgoing) = self.outgoing.take() else {
            return;
        };
        let block = outgoing.cut(agreed.room.saturating_sub(BLOCK_HEADER).max(1));
        let last = block.last;
        Response::ActionBlock(block).encode(invoke, out);
        if !last {
            self.outgoing = Some(outgoing);
        }
    }

    /// Adds a block; gives target and value with the last.
    fn assemble(&mut self, block: &Block<'_>) -> Result<Option<(Target, Vec<u8>)>, AccessResult> {
        let mut incoming = self.incoming.take().ok_or(AccessResult::NoLongInProgress)?;
        incoming.number = incoming.number.wrapping_add(1);
        if block.number != incoming.number {
            return Err(AccessResult::BlockNumberInvalid);
        }
        if incoming.buffer.len() + block.raw.len() > ASSEMBLED_MAX {
            return Err(AccessResult::LongAborted);
        }
        incoming.buffer.extend_from_slice(block.raw);
        if block.last {
            return Ok(Some((incoming.target, incoming.buffer)));
        }
        self.incoming = Some(incoming);
        Ok(None)
    }
}

impl<C> Outgoing<C> {
    /// Has more than `size` octets ready, or all that are left.
    fn fill<S: Server<Cursor = C>>(&mut self, caller: Caller, size: usize, server: &mut S) -> Result<(), AccessResult> {
        if self.cursor.is_some() && self.at > 0 {
            self.buffer.drain(..self.at.min(self.buffer.len()));
            self.at = 0;
        }
        while self.buffer.len().saturating_sub(self.at) <= size {
            let Some(cursor) = &mut self.cursor else { break };
            if !server.get_more(caller, cursor, &mut self.buffer)? {
                self.cursor = None;
            }
        }
        Ok(())
    }

    fn cut(&mut self, size: usize) -> Block<'_> {
        self.number = self.number.wrapping_add(1);
        let start = self.at.min(self.buffer.len());
        let end = start.saturating_add(size).min(self.buffer.len());
        self.at = end;
        Block {
            last: self.cursor.is_none() && end == self.buffer.len(),
            number: self.number,
            raw: self.buffer.get(start..end).unwrap_or_default(),
        }
    }
}

/// One value of a list in full, within `room`.
fn get_whole<S: Server>(
    caller: Caller,
    item: &Item,
    server: &mut S,
    value: &mut Vec<u8>,
    room: usize,
) -> Result<(), AccessResult> {
    let mut cursor = server.get(caller, &item.attribute, item.selection.as_ref(), value)?;
    while let Some(next) = &mut cursor {
        if value.len() > room {
            break;
        }
        if !server.get_more(caller, next, value)? {
            cursor = None;
        }
    }
    if value.len() > room {
        Err(AccessResult::OTHER_REASON)
    } else {
        Ok(())
    }
}
