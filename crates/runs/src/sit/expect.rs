//! What the pack expects of a request before it sends it: from the service request table, the planner and the profiles.

use std::sync::Arc;

use dmc::{Catalogue, DeviceProfile};
use domain::operation::{OperationKind, PaymentMode, Value};
use domain::{DataItem, DeviceKind, Eui64, Operation, SimDuration, SupplyState};
use duis::{Element, Request};
use fleet::SiteDevice;
use steps::table::Mode;
use steps::{Failure, Plan, Step, Target, Via};
use users::Order;

use super::memory::Grain;
use super::rules;

/// What should come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// I0 and, from a device, `MessageSuccess="true"`.
    Works,
    /// I0 with `MessageSuccess="false"`: the device, or its profile's rules, did not do it.
    DeviceRefuses(String),
    /// A code other than I0, and which.
    Refused(Failure),
}

impl Expected {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Works => "I0, success".into(),
            Self::DeviceRefuses(why) => format!("refused by the device: I0 without success ({why})"),
            Self::Refused(failure) => format!("refused: {} ({failure})", failure.response_code().as_str()),
        }
    }
}

/// What the pack knows of a meter from what it has done to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State {
    pub(crate) supply: SupplyState,
    pub(crate) mode: PaymentMode,
    /// Whether this installation uses the second element that its meter may have.
    pub(crate) second_element: bool,
    /// Whether the hub has let the pack's guest in: a state of the whole home area network.
    pub(crate) guest: bool,
}

/// What one request should come to, and what its device should be like then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Forecast {
    pub(crate) expected: Expected,
    pub(crate) state: State,
    /// Whether a device is asked.
    pub(crate) asks_device: bool,
    /// Whether something in it is to change.
    pub(crate) changes: bool,
}

/// One installation as its profiles tell of it.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) devices: &'a [SiteDevice],
}

impl<'a> Ground<'a> {
    /// The profile of the installation's device of this kind.
    pub(crate) fn profile(&self, kind: DeviceKind) -> Option<&'a Arc<DeviceProfile>> {
        let device = self.devices.iter().find(|device| device.kind == kind)?;
        self.catalogue.profile(&device.profile)
    }

    /// How coarse a device shows what is counted.
    pub(crate) fn grain(&self, device: Eui64) -> Grain {
        let Some(device) = self.devices.iter().find(|known| known.device == device) else {
            return Grain::default();
        };
        let gas = device.kind.is_gas();
        let counts = self.profile(if gas { DeviceKind::Gsme } else { device.kind });
        let shows = self.profile(if gas { DeviceKind::Gpf } else { device.kind }).or(counts);
        counts
            .zip(shows)
            .map(|(counts, shows)| Grain::of(&counts.meter, &shows.meter, gas))
            .unwrap_or_default()
    }

    /// Whether cutting the supply at this meter resets its hub.
    pub(crate) fn is_reset_by_a_cut(&self, meter: Eui64) -> bool {
        let meter = self.devices.iter().find(|device| device.device == meter);
        let profile = meter.and_then(|meter| self.catalogue.profile(&meter.profile));
        profile.is_some_and(|profile| profile.meter.supply.cut_resets_hub)
    }

    /// The forecast for `order`, from what is written down about the device.
    pub(crate) fn forecast(&self, device: &SiteDevice, order: &Order, state: State) -> Forecast {
        let without_device = |expected| Forecast {
            expected,
            state,
            asks_device: false,
            changes: false,
        };
        let plan = match self.plan(device, order, state) {
            Ok(Some(plan)) => plan,
            Ok(None) => return without_device(Expected::Works),
            Err(failure) => return without_device(Expected::Refused(failure)),
        };
        let mut walk = Walk {
            state,
            seen: None,
            failed: None,
            changes: false,
        };
        walk.through(self, device, &plan);
        walk.check_effect(&plan);
        Forecast {
            state: walk.state,
            asks_device: plan.steps.iter().any(|step| step.via == Via::Device),
            changes: walk.changes,
            expected: walk.failed.map_or(Expected::Works, Expected::DeviceRefuses),
        }
    }

    /// What the S1SP is to do; nothing where the DCC answers itself.
    fn plan(&self, device: &SiteDevice, order: &Order, state: State) -> Result<Option<Plan>, Failure> {
        let row = steps::table().row(order.srv).ok_or(Failure::Schema)?;
        if row.mode == Mode::DccOnly {
            return Ok(None);
        }
        if !device.enrolled {
            // The inventory does not know it: to the DCC it does not exist.
            return Err(Failure::UnknownDevice);
        }
        row.applies_to(device.kind)?;
        let profile = self.catalogue.profile(&device.profile).ok_or(Failure::Internal)?;
        let target = Target {
            device: device.device,
            kind: device.kind,
            hub: device.hub,
            profile,
            asked_by: steps::AskedBy::Supplier,
        };
        let request = Request::new(any_id(order), order.srv).with_body(order.body.clone());
        let plan = steps::plan(&request, &target).map_err(|refused| refused.failure)?;
        if profile.face.saps.of(device.kind).is_none() && plan.steps.iter().any(|step| step.via != Via::Hub) {
            // A device of the home area network that no face has a place for: its head-end cannot ask it.
            return Err(Failure::S1spRejected);
        }
        if let Some(failure) = plan.steps.iter().find_map(|step| self.apart(&step.operation, state)) {
            return Err(failure);
        }
        Ok(Some(plan))
    }

    /// The DCC lets only devices behind one hub be joined and parted.
    fn apart(&self, operation: &Operation, state: State) -> Option<Failure> {
        let (other, failure) = match operation {
            Operation::Join(other) | Operation::JoinListener(other) => (other, Failure::JoinApart),
            Operation::Unjoin(other) | Operation::UnjoinListener(other) => (other, Failure::UnjoinApart),
            _ => return None,
        };
        let fitted = self.devices.iter().any(|device| device.device == *other);
        (!fitted && !state.guest).then_some(failure)
    }
}

/// A plan gone through in mind, step by step, as the S1SP goes through it.
struct Walk {
    state: State,
    /// The supply as the last read after an act shows it.
    seen: Option<SupplyState>,
    /// Why the request fails, the first reason.
    failed: Option<String>,
    changes: bool,
}

impl Walk {
    fn through(&mut self, ground: &Ground<'_>, device: &SiteDevice, plan: &Plan) {
        let mut stopped = false;
        for step in &plan.steps {
            if let Some(reason) = &step.refused {
                self.fails(step, reason.clone());
                continue;
            }
            if let Some(answer) = &step.answered {
                if !step.is_as_expected(answer) {
                    self.fails(step, format!("the S1SP answers {answer:?} itself"));
                    stopped = true;
                }
                continue;
            }
            if stopped {
                self.fails(step, format!("{} is not tried", step.operation));
                continue;
            }
            let acts = step.operation.changes_state();
            let refusal = rules::refusal(ground, device, plan, step, self.state);
            if let Some(why) = refusal.or_else(|| self.still_busy(ground, device)) {
                self.fails(step, why);
                stopped = acts && !step.optional && !plan.continues;
                continue;
            }
            self.changes |= acts;
            if let Some(Value::PaymentMode(mode)) = step.expects
                && mode != self.state.mode
            {
                let found = self.state.mode;
                self.fails(step, format!("the request is for {mode:?}, the meter is in {found:?}"));
                stopped = true;
            }
            self.takes_effect(ground, step);
        }
    }

    /// A device that its profile has busy after each change is busy at the next step of the same request, but for a gas
    /// meter that is asked through its hub.
    fn still_busy(&self, ground: &Ground<'_>, device: &SiteDevice) -> Option<String> {
        let busy = ground.profile(device.kind)?.meter.timing.busy_after_write;
        let at_once = device.kind != DeviceKind::Gsme && busy > NEXT_STEP_WITHIN;
        (self.changes && at_once).then(|| format!("the device is busy for {busy} after a change"))
    }

    fn fails(&mut self, step: &Step, why: String) {
        if !step.optional {
            self.failed.get_or_insert(why);
        }
    }

    /// What the device is like after a step that is done.
    fn takes_effect(&mut self, ground: &Ground<'_>, step: &Step) {
        let meter = ground.profile(step.kind).map(|profile| &profile.meter);
        let supply = self.state.supply;
        match &step.operation {
            Operation::EnableSupply => {
                let arms = meter.is_some_and(|meter| meter.enable_means_arm) && supply != SupplyState::Enabled;
                self.state.supply = if arms { SupplyState::Armed } else { SupplyState::Enabled };
                self.seen = None;
            }
            Operation::DisableSupply => {
                self.state.supply = SupplyState::Disabled;
                self.seen = None;
            }
            Operation::ArmSupply => {
                // Arming an enabled supply leaves it as it is.
                if supply == SupplyState::Disabled {
                    self.state.supply = SupplyState::Armed;
                }
                self.seen = None;
            }
            Operation::Read(DataItem::SupplyState) => self.seen = Some(supply),
            Operation::Write(setting) => {
                if let domain::operation::Setting::PaymentMode(payment) = &**setting {
                    self.state.mode = payment.mode;
                }
            }
            Operation::AddToHan(_) => self.state.guest = true,
            _ => {}
        }
    }

    /// A supply that is seen in another state after an act than the one asked for is no success, unless a rule takes it.
    fn check_effect(&mut self, plan: &Plan) {
        let Some(seen) = self.seen.filter(|seen| !plan.accepts.contains(seen)) else {
            return;
        };
        let acts = plan.steps.iter().map(|step| step.operation.kind());
        let other = acts.into_iter().find(|act| match act {
            OperationKind::EnableSupply => seen != SupplyState::Enabled,
            OperationKind::DisableSupply => seen != SupplyState::Disabled,
            OperationKind::ArmSupply => seen == SupplyState::Disabled,
            _ => false,
        });
        if other.is_some() {
            let state = format!("{seen:?}").to_lowercase();
            self.failed.get_or_insert(format!("the supply is {state} afterwards"));
        }
    }
}

/// From one step of a request to the next on the same connection, at most.
const NEXT_STEP_WITHIN: SimDuration = SimDuration::from_secs(3);

/// From where a step is answered: the device itself, or the hub or the gas proxy in its place.
pub(crate) fn answering(ground: &Ground<'_>, device: &SiteDevice, step: &Step) -> DeviceKind {
    match step.via {
        Via::Hub => DeviceKind::Chf,
        Via::Mirror if ground.profile(DeviceKind::Gpf).is_some() => DeviceKind::Gpf,
        Via::Mirror | Via::Device => device.kind,
    }
}

/// The text of the first element of this name, at any depth.
pub(crate) fn text_of<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    if element.name == name {
        return Some(element.text.as_str());
    }
    element.children.iter().find_map(|child| text_of(child, name))
}

fn any_id(order: &Order) -> domain::RequestId {
    domain::RequestId {
        originator: Eui64(0),
        target: order.target,
        counter: 0,
    }
}
