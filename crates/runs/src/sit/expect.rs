//! What the pack expects of a request before it sends it: from the service request table, the planner and the profiles.

use domain::operation::{OperationKind, PaymentMode, SettingKind, Value};
use domain::{DeviceKind, Eui64, SupplyState};
use duis::{Element, Request};
use lab::Parts;
use steps::table::Mode;
use steps::{Failure, Target};
use users::Order;

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
}

impl State {
    /// The state after an order that worked or not.
    pub(crate) fn after(self, order: &Order, worked: bool) -> Self {
        let mode = match order.body.children.first() {
            Some(mode) if worked && order.body.name == "UpdatePaymentMode" => match mode.name {
                "Prepayment" => PaymentMode::Prepayment,
                _ => PaymentMode::Credit,
            },
            _ => self.mode,
        };
        Self {
            supply: supply_after(order, worked, self.supply),
            mode,
            ..self
        }
    }
}

/// The expectation of `order`, from what is written down about the device.
pub(crate) fn expected(parts: &Parts, device: &fleet::SiteDevice, order: &Order, state: State) -> Expected {
    let Some(row) = steps::table().row(order.srv) else {
        return Expected::Refused(Failure::Schema);
    };
    if row.mode == Mode::DccOnly {
        return Expected::Works;
    }
    if !device.enrolled {
        // The inventory does not know it: to the DCC it does not exist.
        return Expected::Refused(Failure::UnknownDevice);
    }
    if let Err(failure) = row.applies_to(device.kind) {
        return Expected::Refused(failure);
    }
    let Some(profile) = parts.catalogue.profile(&device.profile) else {
        return Expected::Refused(Failure::Internal);
    };
    if profile.face.saps.of(device.kind).is_none() {
        // A device of the home area network that no face has a place for: its head-end cannot ask it.
        return Expected::Refused(Failure::S1spRejected);
    }
    let target = Target {
        device: device.device,
        kind: device.kind,
        hub: device.hub,
        profile,
        asked_by: steps::AskedBy::Supplier,
    };
    let request = Request::new(any_id(order), order.srv).with_body(order.body.clone());
    let plan = match steps::plan(&request, &target) {
        Ok(plan) => plan,
        Err(refused) => return Expected::Refused(refused.failure),
    };
    for step in plan
        .steps
        .iter()
        .filter(|step| !step.optional && step.answered.is_none())
    {
        if profile.meter.unsupported.contains(&step.operation.kind()) {
            return Expected::DeviceRefuses(format!("the profile has no {}", step.operation));
        }
        let reached = &profile.meter.image.reached_from;
        let activates = step.operation.kind() == OperationKind::ActivateImage;
        if activates && !reached.is_empty() && !reached.contains(&profile.native_firmware) {
            return Expected::DeviceRefuses("this firmware is not reached from itself".into());
        }
        let of_second = OperationKind::Write(SettingKind::SecondaryTariff) == step.operation.kind()
            || OperationKind::Write(SettingKind::SecondaryPrices) == step.operation.kind();
        if of_second && !state.second_element {
            return Expected::DeviceRefuses("this installation has one element".into());
        }
        if let Some(Value::PaymentMode(mode)) = step.expects
            && mode != state.mode
        {
            return Expected::DeviceRefuses(format!("the request is for {mode:?}, the meter is in {:?}", state.mode));
        }
    }
    supply_effect(profile, device.kind, row.acts.first().copied(), state.supply).unwrap_or(Expected::Works)
}

/// Where a profile's rules turn an act on the supply into something else.
fn supply_effect(
    profile: &dmc::DeviceProfile,
    kind: DeviceKind,
    act: Option<OperationKind>,
    supply: SupplyState,
) -> Option<Expected> {
    let meter = &profile.meter;
    match act? {
        OperationKind::EnableSupply if meter.enable_means_arm && kind == DeviceKind::Esme => {
            Some(Expected::DeviceRefuses("enabling leaves the supply armed".into()))
        }
        OperationKind::ArmSupply if meter.arm_needs_disabled && supply != SupplyState::Disabled => {
            Some(Expected::DeviceRefuses("only a disabled supply can be armed".into()))
        }
        _ => None,
    }
}

/// The state of the supply after an act that worked. Arming an enabled supply leaves it as it is.
fn supply_after(order: &Order, worked: bool, before: SupplyState) -> SupplyState {
    let acts = [
        ("EnableSupply", SupplyState::Enabled),
        ("DisableSupply", SupplyState::Disabled),
        ("ArmSupply", SupplyState::Armed),
    ];
    let act = acts.into_iter().find(|(body, _)| worked && order.body.name == *body);
    match act {
        None => before,
        Some((_, SupplyState::Armed)) if before == SupplyState::Enabled => before,
        Some((_, state)) => state,
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
