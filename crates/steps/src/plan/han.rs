//! Equivalent Steps of the requests about the home area network: commissioning, joins, the hub's device log.

use domain::operation::{HanEntry, Octets};
use domain::{DataItem, Eui64, Operation};
use duis::{Element, Request};

use super::arguments::child;
use super::commands::synchronise_clock;
use super::draft::DraftStep;
use super::{Refused, Target};
use crate::errors::Failure;

type Read<T> = Result<T, Refused>;

/// The steps of a request about the HAN; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Read<Option<Vec<DraftStep>>> {
    let body = &request.body;
    let act = match body.name {
        "CommissionDeviceSynchroniseClock" => {
            let mut steps = vec![DraftStep::new(synchronise_clock(body)?)];
            if !target.kind.is_gas() {
                // A sleeping meter would need another wake for it.
                steps.push(DraftStep::new(Operation::Read(DataItem::Clock)).optional());
            }
            return Ok(Some(steps));
        }
        "JoinServiceCritical" => Operation::Join(identity(body, "OtherDeviceID")?),
        "JoinServiceNonCritical" => Operation::JoinListener(identity(body, "OtherDeviceID")?),
        "UnjoinServiceCritical" => Operation::Unjoin(identity(body, "OtherDeviceID")?),
        "UnjoinServiceNonCritical" => Operation::UnjoinListener(identity(body, "OtherDeviceID")?),
        "UpdateHANDeviceLog" => update_log(body)?,
        "RestoreHANDeviceLog" => Operation::RestoreDeviceLog(identity(body, "OldCHFID")?),
        "RestoreGPFDeviceLog" => Operation::RestoreDeviceLog(identity(body, "OldGPFID")?),
        _ => return Ok(None),
    };
    Ok(Some(vec![DraftStep::new(act)]))
}

fn update_log(body: &Element) -> Read<Operation> {
    let device = identity(body, "DeviceID")?;
    if child(body, "RequestType")?.text.trim() == "Remove" {
        return Ok(Operation::RemoveFromHan(device));
    }
    let (install_code, join_within_s) = match body.child("AddDeviceToCHFWhitelist") {
        Some(details) => {
            let period = child(details, "JoinTimePeriod")?;
            let within = period.text.trim().parse().map_err(|_| unreadable(period))?;
            (octets(child(details, "InstallCode")?)?, within)
        }
        None => (Vec::new(), 0),
    };
    Ok(Operation::AddToHan(Box::new(HanEntry {
        device,
        // The request does not say what it is.
        kind: None,
        install_code: Octets(install_code),
        join_within_s,
    })))
}

fn identity(body: &Element, name: &str) -> Read<Eui64> {
    let element = child(body, name)?;
    element.text.trim().parse().map_err(|_| unreadable(element))
}

fn octets(element: &Element) -> Read<Vec<u8>> {
    let digits: Vec<u32> = element.text.trim().chars().filter_map(|c| c.to_digit(16)).collect();
    if digits.len() != element.text.trim().len() || !digits.len().is_multiple_of(2) {
        return Err(unreadable(element));
    }
    let pairs = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |octet, digit| octet * 16 + digit));
    pairs
        .map(|octet| u8::try_from(octet).map_err(|_| unreadable(element)))
        .collect()
}

fn unreadable(element: &Element) -> Refused {
    Refused::new(Failure::Schema, format!("{} cannot be read", element.name))
}
