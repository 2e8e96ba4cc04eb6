//! Firmware images on their way to devices: one distribution per request, one job per device.

use std::collections::{BTreeMap, BTreeSet};

use domain::{DeviceKind, Eui64, RequestId, SimInstant};
use prost::bytes::Bytes;
use steps::codes::AlertTrigger;

/// One request for an image to be distributed.
#[derive(Debug)]
pub(crate) struct Distribution {
    /// The user's 11.1.
    pub(crate) request: RequestId,
    /// 1 to 8 characters.
    pub(crate) firmware: String,
    /// Names the image.
    pub(crate) sha256: [u8; 32],
    pub(crate) image: Bytes,
    /// When what is still under way is given up.
    pub(crate) deadline: SimInstant,
    pub(crate) jobs: BTreeMap<Eui64, Job>,
    /// Whether the S1SP has the image.
    pub(crate) image_taken: bool,
    /// Tries to hand over what is being handed over.
    pub(crate) attempts: u32,
    /// Devices that failed and of which the user has not been told, by how.
    pub(crate) failed: BTreeMap<AlertTrigger, BTreeSet<Eui64>>,
}

/// One device of a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Job {
    pub(crate) kind: DeviceKind,
    pub(crate) hub: Eui64,
    pub(crate) state: JobState,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JobState {
    /// Not sent, or sent and not taken.
    Waiting,
    /// Sent and not taken yet.
    Sent,
    /// The S1SP has it.
    Taken,
}

impl Distribution {
    pub(crate) fn job_id(&self, device: Eui64) -> String {
        format!("{}/{device}", self.request)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// The request and device a job id names.
pub(crate) fn read_job_id(text: &str) -> Option<(RequestId, Eui64)> {
    let (request, device) = text.split_once('/')?;
    Some((request.parse().ok()?, device.parse().ok()?))
}

/// All distributions under way.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pub(crate) by_request: BTreeMap<RequestId, Distribution>,
}

impl Images {
    /// Whether a device is to get an image already.
    pub(crate) fn is_busy(&self, device: Eui64) -> bool {
        self.by_request.values().any(|images| images.jobs.contains_key(&device))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_request.len()
    }
}
