//! What a DCC is built from, and its limits.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use domain::{Cohort, Eui64, SimDuration, Srv};
use duis::signature::{Certificates, SigningKey};
use world::Store;

use crate::anomaly::Thresholds;
use crate::credentials::Records;
use crate::{Directory, Inventory, Products, WanMatrix};

/// What [`crate::Dcc::new`] takes.
pub struct Options {
    /// The DCC's own EUI-64: target of DCC-only requests, originator of its alerts.
    pub eui: Eui64,
    /// Signs acknowledgements, countersignatures, responses and alerts.
    pub key: Arc<SigningKey>,
    /// Certificates of the users.
    pub certificates: Arc<dyn Certificates + Send + Sync>,
    /// Which of them are believed, and when.
    pub trust: Trust,
    /// Users and registrations.
    pub directory: Arc<Directory>,
    /// The inventory at the start; changes in the journal are applied over it.
    pub inventory: Inventory,
    /// What anomaly detection lets through.
    pub thresholds: Thresholds,
    /// The devices' records of notified certificates at the start; changes in the journal are applied over them.
    pub credentials: Records,
    /// Which models and combinations may be in service.
    pub products: Products,
    /// What 12.1 answers from.
    pub wan_matrix: WanMatrix,
    /// Who holds future-dated requests that are the device's to hold.
    pub holders: Arc<dyn Holders>,
    /// The journal. Requests, outcomes, deliveries and audit records are in it.
    pub store: Box<dyn Store>,
    /// Limits and times.
    pub limits: Limits,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("eui", &self.eui)
            .field("key", &self.key)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What is asked of the certificate that signed a request, beyond that it is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trust {
    /// Which of its two dates count.
    pub validity: Validity,
    /// Serial numbers, decimal, of revoked certificates.
    pub revoked: BTreeSet<String>,
}

/// Which dates of a certificate count against the lab's calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Validity {
    /// Both.
    Both,
    /// Its end alone: the lab's calendar often lies before the day a test certificate was made.
    #[default]
    End,
    /// None: the older published test certificates are out of date.
    Ignored,
}

/// Every limit and time of the DCC, with what happens there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets of a request that carries a firmware image (11.1, 11.4): 10,240,000 base64 characters and a list of devices
    /// fit. Anything larger is refused unread.
    pub firmware_octets_max: usize,
    /// Octets of any other request; read as far as its header.
    pub request_octets_max: usize,
    /// Acknowledged requests without outcome; further ones are refused as busy.
    pub open_requests_max: usize,
    /// Least time between the acknowledgement and the delivery of the response.
    pub delivery_gap: SimDuration,
    /// Tries of one delivery before it becomes a dead letter.
    pub delivery_attempts: u32,
    /// Pause before the second try; doubles with each further one.
    pub delivery_pause: SimDuration,
    /// The longest pause between tries.
    pub delivery_pause_max: SimDuration,
    /// How long a user's answer to a delivery is awaited; then it counts as not reached.
    pub delivery_timeout: SimDuration,
    /// Deliveries of one user under way at the same time.
    pub deliveries_in_flight: usize,
    /// Deliveries of one user that wait; beyond that the oldest becomes a dead letter, which the history can deliver again.
    pub deliveries_waiting_max: usize,
    /// Dead letters kept in memory per user; the oldest go first. The journal keeps all.
    pub dead_letters_max: usize,
    /// Tries to hand a request to the S1SP before it ends as unreachable.
    pub s1sp_attempts: u32,
    /// How long the S1SP's word that it has a request is awaited; the pause between tries.
    pub s1sp_accept_timeout: SimDuration,
    /// From acknowledgement to the outcome; then the request ends with an error.
    pub outcome_limit: SimDuration,
    /// Whether a supplier may only reach devices it is registered for. Metering points without registration are open.
    pub enforce_registration: bool,
    /// How long after its announcement (12.2) a commissioning party may act on a device. Invented.
    pub commissioning_max: SimDuration,
    /// How far ahead a request may be dated; further ones are refused. 30 days: recalled.
    pub dated_max: SimDuration,
    /// Whether a request dated in the past is refused; else it is executed at once.
    pub refuse_past_dates: bool,
    /// How long a request waits for the one before it in its sequence; then it ends with an error.
    pub sequence_wait: SimDuration,
    /// Outcomes of sequenced requests remembered; of older ones is not known whether they succeeded.
    pub sequences_remembered: usize,
    /// Schedules of one user for one device; further ones are refused. 99: what one answer to 5.2 can show.
    pub schedules_per_device_max: usize,
    /// Schedules in all; further ones are refused.
    pub schedules_max: usize,
    /// From 11.1 to the last result of its jobs; then the devices without one count as failed.
    pub image_limit: SimDuration,
    /// The programme's release the lab is at: what came later is not there.
    pub release: Cohort,
    /// Alerts of one code about one device that one user gets within a window; further ones are held back and summed up.
    pub throttle_max: u32,
    /// How long such a window is.
    pub throttle_window: SimDuration,
    /// Whether a meter comes into service only where an entry of the list of eligible combinations approves its installation.
    /// A combination that an entry refuses never does.
    pub require_listed_combination: bool,
    /// Octets of the journal after which a snapshot stands for it. A restart reads at most that much and the snapshot.
    pub snapshot_after_octets: u64,
    /// Whether requests for devices that the inventory does not have are for another system: the reply then says so.
    pub forward_unknown: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            firmware_octets_max: 12_000_000,
            request_octets_max: 1_000_000,
            open_requests_max: 100_000,
            // Real clients remember a request only once its acknowledgement is read.
            delivery_gap: SimDuration::from_millis(200),
            delivery_attempts: 6,
            delivery_pause: SimDuration::from_secs(5),
            delivery_pause_max: SimDuration::from_mins(10),
            // A listener that takes its ten seconds for each of a full window, and some.
            delivery_timeout: SimDuration::from_secs(120),
            deliveries_in_flight: 8,
            deliveries_waiting_max: 100_000,
            dead_letters_max: 1000,
            s1sp_attempts: 5,
            s1sp_accept_timeout: SimDuration::from_secs(10),
            // Longer than what the S1SP grants the sleepiest gas meter of the catalogue.
            outcome_limit: SimDuration::from_hours(6),
            enforce_registration: true,
            commissioning_max: SimDuration::from_days(30),
            dated_max: SimDuration::from_days(30),
            refuse_past_dates: true,
            sequence_wait: SimDuration::from_hours(24),
            sequences_remembered: 10_000,
            schedules_per_device_max: 99,
            schedules_max: 1_000_000,
            image_limit: SimDuration::from_days(3),
            release: Cohort::Moc,
            throttle_max: 20,
            throttle_window: SimDuration::from_hours(1),
            require_listed_combination: false,
            snapshot_after_octets: 256 << 20,
            forward_unknown: false,
        }
    }
}

/// Who holds a future-dated request that the service request table leaves to the device.
///
/// SMETS1 devices hold none by default (inferred): the DCC holds it in their place. What knows of devices that differ, or of
/// an S1SP that holds requests itself, answers otherwise; the DCC then passes the request on at once and waits for two
/// messages, the acceptance and the outcome.
pub trait Holders: Send + Sync {
    /// Who holds this request to this device.
    fn holder(&self, device: Eui64, srv: Srv) -> Holder;
}

/// Who holds a future-dated request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// The DCC.
    Dcc,
    /// The device, or the S1SP in its place.
    Device,
}

/// The DCC holds everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DccHolds;

impl Holders for DccHolds {
    fn holder(&self, _device: Eui64, _srv: Srv) -> Holder {
        Holder::Dcc
    }
}

/// Inputs handled before one commit of the journal.
pub(crate) const BATCH: usize = 64;
/// Messages that wait in front of one link; what does not fit is lost as on a network, and tried again where it matters.
pub(crate) const OUTGOING_MAX: usize = 16_384;
/// Commands from handles that wait.
pub(crate) const COMMANDS_MAX: usize = 64;
/// Devices one answer to 8.2 carries: the schema's limit. More are cut.
pub(crate) const INVENTORY_ANSWER_MAX: usize = 17;
/// Schedules one answer to 5.2 carries: the schema's limit.
pub(crate) const SCHEDULES_SHOWN_MAX: usize = 99;
/// Images under way at the same time; further ones are refused as busy.
pub(crate) const IMAGES_MAX: usize = 16;
/// Jobs of one image that the S1SP has not taken yet.
pub(crate) const IMAGE_JOBS_SENT_MAX: usize = 64;
/// How long failed devices of an image are collected before the user is told.
pub(crate) const IMAGE_REPORT_PAUSE: SimDuration = SimDuration::from_mins(1);
/// Alert counters of one device remembered to recognise repetitions.
pub(crate) const ALERTS_REMEMBERED: usize = 256;
/// How long leaving messages may take after shutdown.
pub(crate) const GRACE: SimDuration = SimDuration::from_secs(1);
