//! One device profile and the rules it is made of.

use domain::{
    Cohort, CommunicationsProvider, Confidence, DataItem, DeviceKind, DeviceModel, LogKind, ProfileId, Provenance,
    SimDuration, Srv, Value,
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
    /// The release that brought the group in.
    pub cohort: Cohort,
    /// Who carries the WAN.
    pub provider: CommunicationsProvider,
    /// The group of the programme, for example `IOC-ELSTER`.
    pub group: String,
    /// The family's key, for example `elster`.
    pub family: String,
    /// The route's key, for example `elster-cgi-ie`.
    pub route: String,
    /// Who operated it before enrolment.
    pub smso: String,
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
    pub place: (String, usize),
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
    /// The S1SP answers this item itself, without asking the device.
    Answer {
        /// What is answered.
        item: DataItem,
        /// The answer.
        value: Value,
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
    },
    /// The request is refused for this device.
    Refuse {
        /// Up to 250 characters.
        reason: String,
    },
    /// A read of the plan is left out.
    Skip {
        /// Which.
        subject: Subject,
    },
}

/// What a rule of the S1SP's side is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
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
