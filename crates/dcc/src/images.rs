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

/// What is known of an image that a user brought, also after it is with its devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Names the image.
    pub sha256: [u8; 32],
    /// Its length.
    pub octets: usize,
    /// The user that brought it: the supplier responsible for the devices it went to. Another supplier brings it for its own.
    pub owner: Eui64,
    /// The 11.1 that brought it first.
    pub request: RequestId,
    /// The firmware it was said to be.
    pub firmware: String,
    /// The rows of the product list it was taken by, as kind, maker and model; none where there is no list.
    pub rows: Vec<String>,
    /// The device profile it makes, where it is one of the lab's own: such a one is invented. None for any other, of which
    /// nothing is known but what its user said.
    pub makes: Option<String>,
    /// When it came.
    pub at: SimInstant,
}

impl Known {
    /// Whose it is, its hash and where it is from, on one line.
    #[must_use]
    pub fn words(&self) -> String {
        let hash: String = self.sha256.iter().map(|octet| format!("{octet:02x}")).collect();
        let rows = match self.rows.as_slice() {
            [] => "on no product list".to_owned(),
            rows => format!("listed for {}", rows.join(", ")),
        };
        let origin = match &self.makes {
            Some(profile) => format!("made by the lab for {profile}"),
            None => "of unknown make".to_owned(),
        };
        format!("image {hash} of {}, {rows}, {origin}", self.owner)
    }
}

/// All distributions under way, and the images that came.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pub(crate) by_request: BTreeMap<RequestId, Distribution>,
    /// In the order they came; of each user an image once.
    known: Vec<Known>,
}

/// Images that are remembered; the oldest is forgotten for one more.
pub const IMAGES_KNOWN_MAX: usize = 1000;

impl Images {
    /// Whether a device is to get an image already.
    pub(crate) fn is_busy(&self, device: Eui64) -> bool {
        self.by_request.values().any(|images| images.jobs.contains_key(&device))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_request.len()
    }

    /// Remembers an image; the first word about it stays.
    pub(crate) fn know(&mut self, image: Known) {
        let same = |known: &Known| known.sha256 == image.sha256 && known.owner == image.owner;
        if self.known.iter().any(same) {
            return;
        }
        if self.known.len() >= IMAGES_KNOWN_MAX {
            self.known.remove(0);
        }
        self.known.push(image);
    }

    pub(crate) fn known(&self) -> &[Known] {
        &self.known
    }
}
