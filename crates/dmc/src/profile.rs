//! One device profile and the rules it is made of.

use std::sync::Arc;

use domain::image::{ImageHead, ImagePart};
use domain::operation::OperationKind;
use domain::{
    Cohort, CommunicationsProvider, Confidence, DataItem, DeviceKind, DeviceModel, LogKind, ProfileId, Provenance,
    SimDuration, SimInstant, Srv, SupplyState, Unit, Value,
};

/// What one device model at one firmware version is: meter, face, WAN side and the S1SP's rules for it.
#[derive(Clone, Debug)]
pub struct DeviceProfile {
    /// `model@firmware`.
    pub id: ProfileId,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// The model as the inventory shows it.
    pub model: DeviceModel,
    /// The firmware identifier the device itself uses; may be longer than DUIS allows.
    pub native_firmware: String,
    /// Since when this firmware has not changed, where that is known: six months before go-live at least.
    pub stable_from: Option<SimInstant>,
    /// The release that brought the group in.
    pub cohort: Cohort,
    /// Who carries the WAN.
    pub provider: CommunicationsProvider,
    /// In scope only if the government directs so.
    pub directed: bool,
    /// The group of the programme, for example `IOC-ELSTER`.
    pub group: String,
    /// The family's key, for example `elster`.
    pub family: String,
    /// The route's key, for example `elster-cgi-ie`.
    pub route: String,
    /// Who operated it before enrolment.
    pub smso: String,
    /// The set of devices it migrates with, as files of campaigns name it, for example `ioc`.
    pub slug: String,
    /// The short code of that operator in names of migration files, for example `CGI`.
    pub smso_code: String,
    /// Behaviour of the device itself.
    pub meter: meter::Profile,
    /// How it says things in bytes.
    pub face: dialects::FaceProfile,
    /// How it behaves on the WAN.
    pub wan: WanProfile,
    /// Whether it meters a second element (ESME).
    pub second_element: bool,
    /// What the S1SP does differently for it, in the order of the layers.
    pub s1sp: Vec<S1spRule>,
    /// Every rule in force, family first. A rule whose settings were all overridden further down is not in force.
    pub rules: Vec<Rule>,
}

impl DeviceProfile {
    /// Whether it holds what is made up for the lab.
    #[must_use]
    pub fn is_lab(&self) -> bool {
        self.id.firmware.starts_with("LAB-") || (self.id.firmware.is_empty() && self.id.model.starts_with("LAB-"))
    }

    /// What an image says that makes a device of this profile; [`ImageHead::image`] makes it.
    #[must_use]
    pub fn image_head(&self) -> ImageHead {
        ImageHead {
            profile: self.id.clone(),
            manufacturer: self.meter.manufacturer.clone(),
            model: self.meter.model.clone(),
            firmware: self.native_firmware.clone(),
            part: ImagePart::Application,
            from: self.meter.image.reached_from.iter().cloned().collect(),
        }
    }

    /// How long it may take until the result of a command to this gas meter is there: the wake that takes the command, the
    /// wakes after which its result leaves, two at least, and where wakes miss the hub so many more that the odds of
    /// missing them all are below one in a million.
    #[must_use]
    pub fn result_within(&self) -> SimDuration {
        let missing = u64::from(self.meter.han_loss_permille.min(1000));
        let (mut odds_in_a_billion, mut missed) = (1_000_000_000, 0);
        while odds_in_a_billion > 1000 && missed < WAKES_MISSED_MAX {
            odds_in_a_billion = odds_in_a_billion * missing / 1000;
            missed += u64::from(missing > 0);
        }
        let wakes = 1 + u64::from(self.meter.result_delay_wakes.max(1)) + missed;
        SimDuration::from_millis(self.meter.wake_period.as_millis().saturating_mul(wakes))
    }

    /// The weakest confidence of all rules in force.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        weakest(self.rules.iter())
    }

    /// The weakest confidence of the rules that bear on answers to this request.
    #[must_use]
    pub fn confidence_for(&self, request: Srv) -> Confidence {
        weakest(self.rules_for(request))
    }

    /// The rules that bear on answers to this request: those that name it and those that name none.
    pub fn rules_for(&self, request: Srv) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.requests.is_empty() || rule.requests.contains(&request))
    }

    /// The rule with this id, if it is in force.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The rule that gave a setting such as `meter.daily_read_rows` its value; `None` where the default stands.
    #[must_use]
    pub fn rule_of_setting(&self, key: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.settings.iter().any(|(set, _)| set == key))
    }
}

/// Wakes in a row that are reckoned with as missed, however bad a meter's radio is.
const WAKES_MISSED_MAX: u64 = 12;

fn weakest<'r>(rules: impl Iterator<Item = &'r Rule>) -> Confidence {
    rules
        .map(|rule| rule.provenance.confidence)
        .min()
        .unwrap_or(Confidence::Invented)
}

/// Whose behaviour a rule describes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// The device's own.
    Device,
    /// The S1SP's for this device.
    S1sp,
}

impl Side {
    /// The word files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::S1sp => "s1sp",
        }
    }
}

/// One fact about a profile, with its provenance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its id, unique within the profile.
    pub id: String,
    /// Whose behaviour it is.
    pub side: Side,
    /// One line.
    pub text: String,
    /// Where it comes from and how sure it is.
    pub provenance: Provenance,
    /// Clause of the S1SR, where the owner of the text added it.
    pub clause: Option<String>,
    /// The requests whose answers it can change; empty for all.
    pub requests: Vec<Srv>,
    /// The settings it makes that no later layer overrides, with their values as text.
    pub settings: Vec<(String, String)>,
    /// File and line, for `explain`.
    pub place: (Arc<str>, usize),
}

/// What the S1SP does differently for a device when it plans or answers a request.
#[derive(Clone, PartialEq, Debug)]
pub struct S1spRule {
    /// Id of the rule it belongs to.
    pub rule: String,
    /// The request it is about.
    pub request: Srv,
    /// What it does.
    pub effect: S1spEffect,
}

/// What a rule of the S1SP's side does to the Equivalent Steps or to their values.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum S1spEffect {
    /// A supply found in this state after the act counts as success too.
    Accept {
        /// Which state.
        state: SupplyState,
    },
    /// The S1SP answers this item itself, without asking the device.
    Answer {
        /// What is answered.
        item: DataItem,
        /// The answer.
        value: Value,
    },
    /// An answer kept by the S1SP is given while it is not too old.
    Cache {
        /// Of what.
        subject: Subject,
        /// How old at most.
        max_age: SimDuration,
    },
    /// Values outside the bounds are answered as the bound.
    Clip {
        /// Of what.
        subject: Subject,
        /// Lower bound, in the unit of the answer.
        min: Option<i64>,
        /// Upper bound, in the unit of the answer.
        max: Option<i64>,
    },
    /// After a refused act the remaining steps are tried all the same.
    Continue,
    /// An item is computed from others, which are read in its place.
    Derive {
        /// What is answered.
        item: DataItem,
        /// How.
        how: Derivation,
        /// From which; at least one.
        from: Vec<DataItem>,
    },
    /// Who holds a future-dated request until its time.
    Hold {
        /// Who.
        by: Holder,
    },
    /// One more read, whose failure does not fail the request.
    Insert {
        /// One of [`SUPPORTING_READS`].
        item: DataItem,
        /// Where in the plan.
        place: StepPlace,
    },
    /// Values are multiplied by `numerator / denominator`, rounded towards zero.
    Map {
        /// Of what.
        subject: Subject,
        /// Not zero.
        numerator: i64,
        /// Above zero.
        denominator: i64,
        /// The unit they have then; `None`: the one they had.
        unit: Option<Unit>,
    },
    /// The request succeeds also when this step does not.
    Partial {
        /// Which step.
        subject: Subject,
    },
    /// The request, or one step of it, is refused for this device.
    Refuse {
        /// Which step; `None`: the whole request.
        subject: Option<Subject>,
        /// Up to 250 characters.
        reason: String,
    },
    /// A step is done before or after all others.
    Reorder {
        /// Which step.
        subject: Subject,
        /// Where in the plan.
        place: StepPlace,
    },
    /// A step is replaced: a read by another read, enabling the supply by arming it.
    Replace {
        /// What the request stands for.
        subject: Subject,
        /// What is done in its place.
        by: Subject,
    },
    /// A read of the plan is left out.
    Skip {
        /// Which.
        subject: Subject,
    },
}

impl S1spEffect {
    /// The word that files use for its kind: one of [`STEP_KINDS`](crate::STEP_KINDS).
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Answer { .. } => "answer",
            Self::Cache { .. } => "cache",
            Self::Clip { .. } => "clip",
            Self::Continue => "continue",
            Self::Derive { .. } => "derive",
            Self::Hold { .. } => "hold",
            Self::Insert { .. } => "insert",
            Self::Map { .. } => "map",
            Self::Partial { .. } => "partial",
            Self::Refuse { .. } => "refuse",
            Self::Reorder { .. } => "reorder",
            Self::Replace { .. } => "replace",
            Self::Skip { .. } => "skip",
        }
    }

    /// What it is about, where it is about one thing of the plan.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Answer { item, .. } | Self::Derive { item, .. } | Self::Insert { item, .. } => {
                Some(Subject::Item(*item))
            }
            Self::Cache { subject, .. }
            | Self::Clip { subject, .. }
            | Self::Map { subject, .. }
            | Self::Partial { subject }
            | Self::Reorder { subject, .. }
            | Self::Replace { subject, .. }
            | Self::Skip { subject } => Some(*subject),
            Self::Refuse { subject, .. } => *subject,
            Self::Accept { .. } | Self::Continue | Self::Hold { .. } => None,
        }
    }
}

/// How an item is computed from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Derivation {
    /// The first less all others.
    Difference,
    /// All together.
    Sum,
}

/// Who holds a future-dated request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Holder {
    /// The DCC.
    Dcc,
    /// The S1SP.
    S1sp,
}

/// What a rule of the S1SP's side is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// An operation that is no read.
    Act(OperationKind),
    /// One item.
    Item(DataItem),
    /// The rows of a log.
    Log(LogKind),
}

/// Where an inserted step goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum StepPlace {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

/// The reads a rule may add to any plan: they change nothing and say nothing about the consumer's use or money.
pub const SUPPORTING_READS: [DataItem; 4] = [
    DataItem::Clock,
    DataItem::FirmwareVersion,
    DataItem::PaymentMode,
    DataItem::SupplyState,
];

/// How a hub behaves on its WAN side. Bearer properties (latency, loss) are the WAN's, not the device's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WanProfile {
    /// When the hub is connected.
    pub mode: WanMode,
    /// From the arrival of the wake-up message to the attempt to connect.
    pub attach_delay: SimDuration,
    /// The hub closes a connection that was silent for so long.
    pub idle_close: SimDuration,
    /// Attempts to connect after one wake-up, at least 1.
    pub connect_attempts: u8,
    /// Pause between two attempts.
    pub connect_pause: SimDuration,
    /// Text messages it takes to wake the hub, at least 1: the last of them wakes it.
    pub sms_per_wake: u8,
    /// Text messages a month that cost nothing more. `None`: all of them.
    pub sms_allowance: Option<u32>,
    /// Cost of one text message beyond the allowance, in thousandths of a penny.
    pub sms_excess_mp: u32,
    /// Outages out of a thousand of which the hub still tells.
    pub last_gasp_permille: u16,
    /// An outage so soon after the one before is not told.
    pub last_gasp_spoiled_within: SimDuration,
    /// Over how long hubs spread their attempts after they all lost the network. Zero: all at once.
    pub storm_spread: SimDuration,
    /// From here on attaching takes [`fallback_attach_delay`](Self::fallback_attach_delay). `None`: never.
    pub fallback_from: Option<SimInstant>,
    /// Time to attach once only the slower network is left.
    pub fallback_attach_delay: SimDuration,
}

impl WanProfile {
    /// From the arrival of the wake-up message at `now` to the attempt to connect.
    #[must_use]
    pub fn attach_delay_at(&self, now: SimInstant) -> SimDuration {
        match self.fallback_from {
            Some(from) if now >= from => self.fallback_attach_delay,
            _ => self.attach_delay,
        }
    }

    /// What the `nth` text message to the hub in a month costs, in thousandths of a penny.
    #[must_use]
    pub fn text_cost_mp(&self, nth: u32) -> u64 {
        match self.sms_allowance {
            Some(allowance) if nth > allowance => u64::from(self.sms_excess_mp),
            _ => 0,
        }
    }
}

impl Default for WanProfile {
    /// Wake-up by text message, 6 s to attach, closed after 60 s of silence, 3 attempts 20 s apart.
    fn default() -> Self {
        Self {
            mode: WanMode::WakeBySms,
            attach_delay: SimDuration::from_secs(6),
            idle_close: SimDuration::from_secs(60),
            connect_attempts: 3,
            connect_pause: SimDuration::from_secs(20),
            sms_per_wake: 1,
            sms_allowance: None,
            sms_excess_mp: 0,
            last_gasp_permille: 0,
            last_gasp_spoiled_within: SimDuration::ZERO,
            storm_spread: SimDuration::ZERO,
            fallback_from: None,
            fallback_attach_delay: SimDuration::from_secs(15),
        }
    }
}

/// When a hub is connected to its head end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum WanMode {
    /// Always; it reconnects by itself.
    AlwaysOn,
    /// After a wake-up text message, by its own connection to the configured head end.
    WakeBySms,
}
