//! The messages as values.

use domain::{Eui64, RequestId, SimInstant, Srv};

use crate::alert::{AlertError, AlertPayload};
use crate::{DccAlertCode, Element, ResponseCode};

/// Which message a document is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Root {
    /// A service request.
    Request,
    /// A response or alert of the DCC.
    Response,
    /// What an S1SP signs: a SMETS1 response or device alert.
    SignedResponse,
    /// An alert of an S1SP.
    S1spAlert,
    /// A decoded GBCS response of the payload schema.
    GbcsResponse,
}

/// A service request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Originator, target, counter.
    pub id: RequestId,
    /// The decimal text of the root's attribute.
    pub schema_version: String,
    /// 1 to 9.
    pub command_variant: u8,
    /// For example 4.1.
    pub reference: Srv,
    /// For example 4.1.1.
    pub srv: Srv,
    /// Whether this request starts a sequence.
    pub first_in_sequence: Option<bool>,
    /// The request that must complete first.
    pub preceding: Option<RequestId>,
    /// The service element.
    pub body: Element,
}

impl Request {
    /// Version written when nothing else is asked for.
    pub const SCHEMA_VERSION: &'static str = "5.1";

    /// Command variant 1, no sequence, and an empty service element to be set by [`Request::with_body`].
    #[must_use]
    pub fn new(id: RequestId, srv: Srv) -> Self {
        Self {
            id,
            schema_version: Self::SCHEMA_VERSION.to_owned(),
            command_variant: 1,
            reference: srv.reference(),
            srv,
            first_in_sequence: None,
            preceding: None,
            body: Element::sr(""),
        }
    }

    /// With this service element.
    #[must_use]
    pub fn with_body(mut self, body: Element) -> Self {
        self.body = body;
        self
    }

    /// With this command variant.
    #[must_use]
    pub fn with_command_variant(mut self, command_variant: u8) -> Self {
        self.command_variant = command_variant;
        self
    }
}

/// Header of a response or alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseHeader {
    /// The decimal text of the root's attribute.
    pub schema_version: String,
    /// The request answered.
    pub request_id: Option<RequestId>,
    /// This message's own id.
    pub response_id: Option<RequestId>,
    /// Result.
    pub code: ResponseCode,
    /// When it was made.
    pub at: SimInstant,
}

impl ResponseHeader {
    /// The header of a synchronous answer: acknowledgement, refusal or DCC-only result.
    #[must_use]
    pub fn replying(request: RequestId, code: ResponseCode, at: SimInstant) -> Self {
        Self {
            schema_version: Request::SCHEMA_VERSION.to_owned(),
            request_id: Some(request),
            response_id: None,
            code,
            at,
        }
    }

    /// The header of a later answer to `request`, with its own id: originator and target change places.
    #[must_use]
    pub fn answering(request: RequestId, code: ResponseCode, at: SimInstant) -> Self {
        Self {
            response_id: Some(request.reversed()),
            ..Self::replying(request, code, at)
        }
    }

    /// The header of an alert.
    #[must_use]
    pub fn alert(id: RequestId, at: SimInstant) -> Self {
        Self {
            request_id: None,
            response_id: Some(id),
            ..Self::replying(id, ResponseCode::I0, at)
        }
    }
}

/// A response or alert of the DCC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Ids, code and time.
    pub header: ResponseHeader,
    /// What it says.
    pub body: ResponseBody,
}

/// The four bodies of a response.
#[expect(clippy::large_enum_variant, reason = "one per message read, never held in numbers")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResponseBody {
    /// Acknowledgement, refusal, DCC-only result or GBCS response.
    Message {
        /// Service reference of the request.
        reference: Srv,
        /// Its variant.
        srv: Srv,
        /// For example `DSPInventory`; none in an acknowledgement.
        payload: Option<Element>,
    },
    /// A GBCS device alert: the element `DeviceAlertMessage`.
    DeviceAlert(Element),
    /// A DCC alert.
    DccAlert {
        /// For example N55.
        code: DccAlertCode,
        /// Set on an alert that stands for others that were held back.
        throttled: Option<Throttled>,
        /// What it says.
        alert: DccAlert,
    },
    /// A SMETS1 response or device alert.
    Smets1 {
        /// Service reference of the request; none for an alert.
        reference: Option<Srv>,
        /// Its variant.
        srv: Option<Srv>,
        /// The schedule it came from.
        schedule_id: Option<u64>,
        /// Set on an alert that stands for others that were held back.
        throttled: Option<Throttled>,
        /// The S1SP's document: its octets cut out, with the declarations it needs, so that it verifies alone.
        signed: Vec<u8>,
        /// The same, read.
        content: SignedResponse,
    },
}

/// Marks an alert that stands for others of its kind that were held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Throttled {
    /// Number of the period in which they were held back.
    pub sequence: u32,
    /// How many were.
    pub count: u32,
}

/// What a DCC alert says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DccAlert {
    /// An alert of an S1SP.
    S1sp {
        /// The S1SP's document, as above.
        signed: Vec<u8>,
        /// The same, read.
        content: S1spAlert,
        /// The schedule it concerns.
        schedule_id: Option<u64>,
    },
    /// Any other payload: the one child of `DCCAlert`, for example `DeviceStatusChangeEvent`.
    Payload(Element),
}

impl DccAlert {
    /// What the DCC says in it; none where it carries an S1SP's alert.
    ///
    /// # Errors
    /// [`AlertError`]: a payload that this program does not know.
    pub fn said(&self) -> Option<Result<AlertPayload, AlertError>> {
        match self {
            Self::Payload(element) => Some(AlertPayload::try_from(element)),
            Self::S1sp { .. } => None,
        }
    }
}

/// What an S1SP signs: `SMETS1SignedResponse`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedResponse {
    /// The decimal text of the root's attribute.
    pub schema_version: String,
    /// Who answers whom about what.
    pub header: SignedHeader,
    /// Response or alert.
    pub body: SignedBody,
}

/// Header of a [`SignedResponse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedHeader {
    /// The device.
    pub originator: Eui64,
    /// The user.
    pub target: Eui64,
    /// The request's counter, or the device's own for an alert.
    pub originator_counter: u64,
    /// Where a command was authenticated for somebody else.
    pub supplementary_remote_party: Option<Eui64>,
    /// His counter.
    pub supplementary_remote_party_counter: Option<u64>,
    /// The originator's second counter.
    pub supplementary_originator_counter: Option<u64>,
    /// Four hexadecimal digits, for example `0027`.
    pub message_code: Option<String>,
    /// Service reference of the request.
    pub reference: Option<Srv>,
    /// Its variant.
    pub srv: Option<Srv>,
    /// When the device answered.
    pub at: Option<SimInstant>,
    /// Whether that time is the gas meter's own.
    pub from_gsme: Option<bool>,
    /// `reliable`, `invalid` or `unreliable`.
    pub clock_status: Option<String>,
}

impl SignedHeader {
    /// A header with nothing but its three mandatory fields.
    #[must_use]
    pub fn new(originator: Eui64, target: Eui64, originator_counter: u64) -> Self {
        Self {
            originator,
            target,
            originator_counter,
            supplementary_remote_party: None,
            supplementary_remote_party_counter: None,
            supplementary_originator_counter: None,
            message_code: None,
            reference: None,
            srv: None,
            at: None,
            from_gsme: None,
            clock_status: None,
        }
    }

    /// The header of an answer to `request`: device to user, the request's counter and references.
    #[must_use]
    pub fn answering(request: &Request, at: SimInstant) -> Self {
        Self {
            reference: Some(request.reference),
            srv: Some(request.srv),
            at: Some(at),
            ..Self::new(request.id.target, request.id.originator, request.id.counter)
        }
    }
}

/// Body of a [`SignedResponse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SignedBody {
    /// A response: the payload (child of `SMETSData`, for example `ReadSupplyStatusRsp`) and `DebugInfo`.
    Response {
        /// The one child of `SMETSData`.
        payload: Option<Element>,
        /// The element `DebugInfo`.
        debug: Option<Element>,
    },
    /// A device alert.
    Alert(DeviceAlert),
}

/// An alert a device raised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceAlert {
    /// Four hexadecimal digits.
    pub code: Option<u16>,
    /// Up to 250 characters. The schema requires it: without one the alert cannot be written.
    pub description: Option<String>,
    /// When it was raised.
    pub at: SimInstant,
    /// The element `Payload`.
    pub payload: Option<Element>,
}

/// An alert of an S1SP itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S1spAlert {
    /// The decimal text of the root's attribute.
    pub schema_version: String,
    /// The request it concerns.
    pub request_id: Option<RequestId>,
    /// The device it concerns.
    pub device: Option<Eui64>,
    /// Free text in the schema; ours start with `LAB-`.
    pub code: String,
    /// More words.
    pub information: Option<String>,
    /// Exactly 20 digits.
    pub utrn: Option<String>,
    /// When.
    pub at: SimInstant,
}
