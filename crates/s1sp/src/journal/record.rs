//! The journal's records.

use domain::Eui64;
use prost::Message;
use prost::bytes::Bytes;
use proto::{CountersignedServiceRequest, FirmwareReport, ImageJob, ImageJobResult, S1spAlert, S1spResponse};

/// One record of the journal; exactly one of its parts is set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    #[prost(message, optional, tag = "1")]
    pub(super) accepted: Option<Accepted>,
    #[prost(message, optional, tag = "2")]
    pub(super) began: Option<Began>,
    #[prost(message, optional, tag = "3")]
    pub(super) ended: Option<Ended>,
    #[prost(message, optional, tag = "4")]
    pub(super) alert: Option<Alert>,
    /// Number of the message that the DCC has taken.
    #[prost(uint64, tag = "5")]
    pub(super) taken: u64,
    /// Part of a snapshot.
    #[prost(message, optional, tag = "6")]
    pub(super) stands: Option<Stands>,
    /// A firmware image, as it came.
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) image: Bytes,
    #[prost(message, optional, tag = "8")]
    pub(super) image_job: Option<ImageJob>,
    #[prost(message, optional, tag = "9")]
    pub(super) image_result: Option<ImageResult>,
    #[prost(message, optional, tag = "10")]
    pub(super) firmware: Option<Firmware>,
    #[prost(message, optional, tag = "11")]
    pub(super) became: Option<Became>,
    #[prost(message, optional, tag = "12")]
    pub(super) coded: Option<Coded>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageResult {
    #[prost(message, optional, tag = "1")]
    pub(super) result: Option<ImageJobResult>,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Firmware {
    #[prost(message, optional, tag = "1")]
    pub(super) report: Option<FirmwareReport>,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Became {
    #[prost(fixed64, tag = "1")]
    pub(super) device: u64,
    #[prost(string, tag = "2")]
    pub(super) profile: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Accepted {
    #[prost(string, tag = "1")]
    pub(super) request_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) request: Option<CountersignedServiceRequest>,
    #[prost(int64, tag = "3")]
    pub(super) at_ms: i64,
    #[prost(uint64, tag = "4")]
    pub(super) originator_counter: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Began {
    #[prost(string, tag = "1")]
    pub(super) request_id: String,
    #[prost(uint32, tag = "2")]
    pub(super) step: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ended {
    #[prost(message, optional, tag = "1")]
    pub(super) response: Option<S1spResponse>,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Alert {
    #[prost(message, optional, tag = "1")]
    pub(super) alert: Option<S1spAlert>,
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
}

/// A code was made for a meter. What the code is follows from its counter, and is nowhere written down.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Coded {
    #[prost(fixed64, tag = "1")]
    pub(super) device: u64,
    /// The number of the supplier's code that it was made of.
    #[prost(fixed64, tag = "2")]
    pub(super) utrn: u64,
    #[prost(uint32, tag = "3")]
    pub(super) counter: u32,
}

/// What stands of one device; of device zero, of all.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Stands {
    #[prost(fixed64, tag = "1")]
    pub(super) device: u64,
    /// Requests that ended, as far as they are remembered.
    #[prost(message, repeated, tag = "2")]
    pub(super) ended: Vec<EndedId>,
    #[prost(uint64, tag = "3")]
    pub(super) last_alert: u64,
    /// The last number of a message.
    #[prost(uint64, tag = "4")]
    pub(super) last_number: u64,
    /// The last image job that has its result.
    #[prost(string, tag = "5")]
    pub(super) last_job: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EndedId {
    #[prost(uint64, tag = "1")]
    pub(super) originator_counter: u64,
    /// 24 octets.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) request: Vec<u8>,
}

impl Record {
    pub(super) fn accepted(accepted: Accepted) -> Self {
        Self {
            accepted: Some(accepted),
            ..Self::default()
        }
    }

    pub(super) fn began(request_id: String, step: u32) -> Self {
        Self {
            began: Some(Began { request_id, step }),
            ..Self::default()
        }
    }

    pub(super) fn ended(response: &S1spResponse, number: u64) -> Self {
        let response = Some(response.clone());
        Self {
            ended: Some(Ended { response, number }),
            ..Self::default()
        }
    }

    pub(super) fn alert(alert: &S1spAlert, number: u64) -> Self {
        let alert = Some(alert.clone());
        Self {
            alert: Some(Alert { alert, number }),
            ..Self::default()
        }
    }

    pub(super) fn image(image: &Bytes) -> Self {
        Self {
            image: image.clone(),
            ..Self::default()
        }
    }

    pub(super) fn image_job(job: &ImageJob) -> Self {
        Self {
            image_job: Some(job.clone()),
            ..Self::default()
        }
    }

    pub(super) fn image_result(result: &ImageJobResult, number: u64) -> Self {
        let result = Some(result.clone());
        Self {
            image_result: Some(ImageResult { result, number }),
            ..Self::default()
        }
    }

    pub(super) fn firmware(report: &FirmwareReport, number: u64) -> Self {
        let report = Some(report.clone());
        Self {
            firmware: Some(Firmware { report, number }),
            ..Self::default()
        }
    }

    pub(super) fn became(device: Eui64, profile: String) -> Self {
        let device = device.0;
        Self {
            became: Some(Became { device, profile }),
            ..Self::default()
        }
    }

    pub(super) fn taken(number: u64) -> Self {
        Self {
            taken: number,
            ..Self::default()
        }
    }

    pub(super) fn coded(coded: Coded) -> Self {
        Self {
            coded: Some(coded),
            ..Self::default()
        }
    }

    pub(super) fn stands(stands: Stands) -> Self {
        Self {
            stands: Some(stands),
            ..Self::default()
        }
    }
}
