//! DUIS messages: one table of every message's structure drives the strict reader, the writer and the schema check;
//! beside it signing and verifying.
//!
//! The table (`src/structure/`) holds facts of the DUIS and MMC schemas, version 5.4 and 5.1: names, order, cardinality,
//! types and facets of all requests, responses, alerts and payloads. Nothing is read or written that it does not know.
//!
//! This crate deliberately does not know what a request means, who may send it, any device, any clock or socket.
//!
//! Main types: [`Request`], [`Response`], [`SignedResponse`], [`Element`], [`ReadError`], [`signature::SigningKey`].
//!
//! ```
//! use duis::{Element, Request};
//! let request = Request::new("90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1000".parse()?, "4.1.1".parse()?)
//!     .with_body(Element::sr("ReadInstantaneousImportRegisters"));
//! let xml = duis::write::request(&request)?;
//! assert_eq!(duis::read_request(&xml)?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod alert;
mod c14n;
mod codes;
mod element;
mod error;
#[cfg(test)]
mod generated;
mod message;
mod read;
mod scan;
pub mod signature;
mod simple;
mod table;
pub mod template;
mod typed;
mod validate;
pub mod write;

pub use alert::AlertPayload;
pub use codes::{CodeFacts, DccAlertCode, ResponseCode};
pub use element::{Element, Namespace};
pub use error::{ReadError, ReadErrorKind, WriteError};
pub use message::{
    DccAlert, DeviceAlert, Request, Response, ResponseBody, ResponseHeader, Root, S1spAlert, SignedBody, SignedHeader,
    SignedResponse, Throttled,
};
pub use read::{
    Limits, check, check_against, check_well_formed, read_request, read_request_and_proof, read_response,
    read_response_and_proof, read_s1sp_alert, read_signed_response, salvage_header,
};
pub use table::Version;
