//! Anomaly detection: how many requests of a kind are ordinary, which values are, and what is put into quarantine.
//!
//! That users and the DCC set thresholds, that values have limits, and that what exceeds them waits in quarantine is how the
//! alerts' payload tells it; windows and defaults are ours.

use std::collections::{BTreeMap, VecDeque};

use domain::{Eui64, SimDuration, SimInstant, Srv};
use duis::alert::Breach;
use duis::{Element, Request};
use steps::codes::AlertTrigger;

/// Thresholds and limits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Thresholds {
    /// How many requests count as ordinary.
    pub volumes: Vec<Volume>,
    /// Which values do.
    pub limits: Vec<AttributeLimit>,
}

/// So many requests in so long a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Whose own threshold it is; none: the DCC's, for every user.
    pub user: Option<Eui64>,
    /// Which service; none: every one that goes to a device.
    pub srv: Option<Srv>,
    /// As many as are let through.
    pub count: u32,
    /// In this time before each.
    pub per: SimDuration,
}

/// What a number in a request may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttributeLimit {
    /// In requests of this service.
    pub srv: Srv,
    /// Every element of this name, at any depth.
    pub element: String,
    /// At least.
    pub min: Option<i64>,
    /// At most.
    pub max: Option<i64>,
}

/// Requests remembered per threshold and user: as many as the largest threshold may count.
pub const REMEMBERED_MAX: usize = 1_000_000;

/// What was counted so far.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<(usize, Eui64), VecDeque<SimInstant>>);

/// A limit exceeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Anomaly {
    pub(crate) breach: Breach,
    pub(crate) detail: String,
}

impl Thresholds {
    /// The limit a request exceeds, if any: values first, then its user's own thresholds, then those of the DCC. A request
    /// that exceeds none is counted.
    pub(crate) fn judge(&self, counts: &mut Counts, request: &Request, now: SimInstant) -> Option<Anomaly> {
        let value = self.limits.iter().find_map(|limit| limit.exceeded(request));
        if let Some(detail) = value {
            let breach = Breach::Attribute;
            return Some(Anomaly { breach, detail });
        }
        let user = request.id.originator;
        let concerned: Vec<(usize, &Volume)> = self
            .volumes
            .iter()
            .enumerate()
            .filter(|(_, volume)| volume.concerns(user, request.srv))
            .collect();
        let own_first = [true, false]
            .into_iter()
            .flat_map(|own| concerned.iter().filter(move |(_, volume)| volume.user.is_some() == own));
        for (index, volume) in own_first {
            let seen = counts.0.entry((*index, user)).or_default();
            while seen.front().is_some_and(|at| *at + volume.per <= now) {
                seen.pop_front();
            }
            if seen.len() >= volume.count as usize {
                let breach = if volume.user.is_some() {
                    Breach::UserThreshold
                } else {
                    Breach::DccThreshold
                };
                let detail = format!("more than {} of {} in {}", volume.count, volume.of(), volume.per);
                return Some(Anomaly { breach, detail });
            }
        }
        for (index, _) in concerned {
            let seen = counts.0.entry((index, user)).or_default();
            if seen.len() >= REMEMBERED_MAX {
                seen.pop_front();
            }
            seen.push_back(now);
        }
        None
    }
}

impl Volume {
    fn concerns(&self, user: Eui64, srv: Srv) -> bool {
        self.user.is_none_or(|other| other == user) && self.srv.is_none_or(|other| other == srv)
    }

    fn of(&self) -> String {
        self.srv
            .map_or_else(|| "all services".to_owned(), |srv| srv.to_string())
    }
}

impl AttributeLimit {
    fn exceeded(&self, request: &Request) -> Option<String> {
        if request.srv != self.srv {
            return None;
        }
        self.in_element(&request.body)
    }

    fn in_element(&self, element: &Element) -> Option<String> {
        if element.name == self.element {
            let text = element.text.trim();
            // A number too long to read is beyond every limit; what is no number has none.
            let value = text.parse::<i64>().ok().or_else(|| {
                let digits = text.trim_start_matches(['-', '+']);
                let number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
                number.then_some(if text.starts_with('-') { i64::MIN } else { i64::MAX })
            });
            let low = value.zip(self.min).is_some_and(|(value, min)| value < min);
            let high = value.zip(self.max).is_some_and(|(value, max)| value > max);
            if low || high {
                return Some(format!("{} is {text}", self.element));
            }
        }
        element.children.iter().find_map(|child| self.in_element(child))
    }
}

/// The alert that tells a user of the quarantine.
pub(crate) fn trigger(breach: Breach) -> AlertTrigger {
    match breach {
        Breach::Attribute => AlertTrigger::QuarantinedAttribute,
        Breach::DccThreshold => AlertTrigger::QuarantinedDccThreshold,
        Breach::UserThreshold => AlertTrigger::QuarantinedUserThreshold,
    }
}

#[cfg(test)]
mod tests {
    use domain::RequestId;

    use super::*;

    const USER: Eui64 = Eui64(1);

    fn request(srv: &str, body: Element) -> Request {
        let id = RequestId {
            originator: USER,
            target: Eui64(2),
            counter: 1,
        };
        Request::new(id, srv.parse().unwrap()).with_body(body)
    }

    fn volume(user: Option<Eui64>, srv: Option<&str>, count: u32) -> Volume {
        Volume {
            user,
            srv: srv.map(|srv| srv.parse().unwrap()),
            count,
            per: SimDuration::from_mins(1),
        }
    }

    #[test]
    fn the_window_slides_and_the_users_own_threshold_comes_first() {
        let thresholds = Thresholds {
            volumes: vec![volume(None, None, 3), volume(Some(USER), Some("7.2"), 1)],
            limits: Vec::new(),
        };
        let mut counts = Counts::default();
        let disable = request("7.2", Element::sr("DisableSupply"));
        let read = request("7.4", Element::sr("ReadSupplyStatus"));
        let mut judge = |request, second: i64| {
            let anomaly = thresholds.judge(&mut counts, request, SimInstant(second * 1000));
            anomaly.map(|anomaly| anomaly.breach)
        };
        assert_eq!(judge(&disable, 0), None);
        assert_eq!(judge(&disable, 1), Some(Breach::UserThreshold));
        assert_eq!([judge(&read, 2), judge(&read, 3)], [None, None]);
        assert_eq!(judge(&read, 4), Some(Breach::DccThreshold));
        assert_eq!(judge(&disable, 60), None, "a minute later");
    }

    #[test]
    fn values_have_limits_at_any_depth() {
        let thresholds = Thresholds {
            volumes: Vec::new(),
            limits: vec![AttributeLimit {
                srv: "1.5".parse().unwrap(),
                element: "AdjustMeterBalance".into(),
                min: Some(-5000),
                max: Some(5000),
            }],
        };
        let check = |text: &str, expected: bool| {
            let mode = Element::sr("PrepaymentMode").with_leaf("AdjustMeterBalance", text);
            let request = request("1.5", Element::sr("UpdateMeterBalance").with(mode));
            let anomaly = thresholds.judge(&mut Counts::default(), &request, SimInstant(0));
            assert_eq!(anomaly.is_some(), expected, "{text}");
        };
        check("5000", false);
        check("5001", true);
        check("-5001", true);
        check("99999999999999999999999", true);
        check("", false);
    }
}
