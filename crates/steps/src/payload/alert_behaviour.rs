//! Payload of 6.2.10: which alerts a device sends and which events it logs.
//!
//! An element per event code; a code the device says nothing of is left out. Of the two electricity forms a network
//! operator gets its own: which codes are whose is the schema's, that each gets its own form alone is inferred.

use domain::operation::{AlertBehaviour, Setting, SettingKind};
use duis::Element;

use super::values::Values;
use crate::plan::{AskedBy, Target};

/// Fills the payload; gives it back where it is another.
pub(super) fn fill(rsp: Element, target: &Target<'_>, values: &Values) -> Result<Element, Element> {
    if rsp.name != "ReadDeviceConfigurationEventAndAlertBehavioursRsp" {
        return Err(rsp);
    }
    let empty = AlertBehaviour::default();
    let behaviour = match values.setting(SettingKind::AlertBehaviour) {
        Some(Setting::AlertBehaviour(behaviour)) => behaviour,
        _ => &empty,
    };
    Ok(rsp.with(match target.asked_by {
        _ if target.kind.is_gas() => gas_supplier(behaviour),
        AskedBy::NetworkOperator => network_operator(behaviour),
        AskedBy::Supplier => electricity_supplier(behaviour),
    }))
}

/// Alerts and log entries alone: a network operator switches nothing on the HAN and no alarm. None of the meters here has
/// three phases.
fn network_operator(behaviour: &AlertBehaviour) -> Element {
    let part = |name: &'static str, codes: &[(&'static str, u16)], list: &[(u16, bool)]| {
        let codes = codes
            .iter()
            .filter_map(|(name, code)| said(list, *code).map(|on| Element::ra(name).with_text(word(on))));
        Element::ra(name).with_all(codes)
    };
    let group = |name: &'static str, list: &[(u16, bool)]| {
        Element::ra(name)
            .with(part("NetworkOperatorESMECommon", OPERATOR_CODES, list))
            .with(part("NetworkOperatorESMESinglePhase", SINGLE_PHASE_CODES, list))
    };
    Element::ra("ElectricityNetworkOperatorAlertEventSettings")
        .with(group("ElectricityNetworkOperatorWANAlertSettings", &behaviour.wan))
        .with(group("ElectricityNetworkOperatorLoggingSettings", &behaviour.logged))
}

fn electricity_supplier(behaviour: &AlertBehaviour) -> Element {
    let group = |name: &'static str, list: &[(u16, bool)]| {
        let codes = SUPPLIER_CODES
            .iter()
            .filter_map(|(name, code)| said(list, *code).map(|on| Element::ra(name).with_text(word(on))));
        Element::ra(name).with(Element::ra("SupplierESMECommon").with_all(codes))
    };
    Element::ra("ElectricitySupplierAlertEventSettings")
        .with(group("ElectricitySupplierWANAlertSettings", &behaviour.wan))
        .with(group("ElectricitySupplierHANAlertSettings", &behaviour.han))
        .with(group("ElectricitySupplierAlarmSettings", &behaviour.alarm))
        .with(group("ElectricitySupplierLoggingSettings", &behaviour.logged))
}

/// The gas form wants all four words for a code of which one is known; what is not said is off.
fn gas_supplier(behaviour: &AlertBehaviour) -> Element {
    let lists = [
        ("WANAlert", &behaviour.wan),
        ("HANAlert", &behaviour.han),
        ("EventLog", &behaviour.logged),
        ("Alarm", &behaviour.alarm),
    ];
    let entry = |(name, code): &(&'static str, u16)| {
        if lists.iter().all(|(_, list)| said(list, *code).is_none()) {
            return None;
        }
        let words = lists.iter().map(|(name, list)| {
            let on = said(list, *code).unwrap_or(false);
            Element::ra(name).with_text(word(on))
        });
        Some(Element::ra(name).with_all(words))
    };
    Element::ra("GasSupplierAlertEventSettings").with_all(GAS_CODES.iter().filter_map(entry))
}

fn said(list: &[(u16, bool)], code: u16) -> Option<bool> {
    list.iter().find(|(known, _)| *known == code).map(|(_, on)| *on)
}

fn word(on: bool) -> &'static str {
    if on { "Enable" } else { "Disable" }
}

/// Element names of event codes, in the order of the schema.
macro_rules! codes {
    ($($code:literal)+) => {
        &[$((concat!("x", $code), hex($code))),+]
    };
}

const fn hex(text: &str) -> u16 {
    let octets = text.as_bytes();
    let mut number = 0;
    let mut place = 0;
    while place < octets.len() {
        let octet = octets[place];
        let digit = if octet <= b'9' { octet - b'0' } else { octet - b'A' + 10 };
        number = number * 16 + digit as u16;
        place += 1;
    }
    number
}

const SUPPLIER_CODES: &[(&str, u16)] = codes! {
    "810D" "810E" "8119" "8145" "8154" "8155" "8161" "8162" "8168" "8183" "81A0" "81A1" "81A2" "81A3" "81A4" "81A5"
    "81A6" "81A7" "81A8" "81A9" "81AA" "81AB" "81AC" "81AD" "81AE" "81AF" "81B0" "81B1" "81B2" "81B3" "81B8" "81B9"
    "81BA" "81BB" "81BC" "81BD" "81BE" "81C0" "81C1" "81C4" "81C5" "81C6"
};

const OPERATOR_CODES: &[(&str, u16)] = codes! { "8014" "8015" };

const SINGLE_PHASE_CODES: &[(&str, u16)] = codes! {
    "8002" "8006" "8020" "8024" "8028" "802C" "8085" "8089" "808D" "8091" "8095" "8099" "8010"
};

const GAS_CODES: &[(&str, u16)] = codes! {
    "810D" "810E" "8119" "8145" "8154" "8155" "8161" "8162" "8168" "8183" "8184" "81A0" "81A1" "81A4" "81A5" "81A6"
    "81A7" "81A8" "81A9" "81AA" "81AB" "81AC" "81AD" "81AE" "81AF" "81B0" "81B1" "81B2" "81B3" "81B4" "81B5" "81B6"
    "81B9" "81BA" "81BC" "81BD" "81BE" "81BF" "81C0" "81C2" "81C3" "81C4" "81C5" "81C6"
};
