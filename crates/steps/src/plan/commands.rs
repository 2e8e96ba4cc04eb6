//! Equivalent Steps of the requests that act on a device: clock, supply and firmware.

use domain::operation::ImageHash;
use domain::{DataItem, Operation};
use duis::{Element, Request};

use super::arguments::{child, instant};
use super::draft::DraftStep;
use super::{Refused, Target};
use crate::errors::Failure;

/// The steps of a request that acts; `None` where the body is none of these.
pub(super) fn steps(request: &Request, target: &Target<'_>) -> Result<Option<Vec<DraftStep>>, Refused> {
    let steps = match request.body.name {
        "SynchroniseClock" => {
            let mut steps = vec![DraftStep::new(synchronise_clock(&request.body)?)];
            if !target.kind.is_gas() {
                // A sleeping meter would need another wake for it.
                steps.push(DraftStep::new(Operation::Read(DataItem::Clock)).optional());
            }
            steps
        }
        "EnableSupply" => act_on_supply(Operation::EnableSupply),
        "DisableSupply" => act_on_supply(Operation::DisableSupply),
        "ArmSupply" => act_on_supply(Operation::ArmSupply),
        "ActivateFirmware" => vec![DraftStep::new(Operation::ActivateImage {
            hash: image_hash(&request.body)?,
        })],
        "RecordNetworkDataGAS" => vec![DraftStep::new(Operation::RecordNetworkData)],
        _ => return Ok(None),
    };
    Ok(Some(steps))
}

/// The act, then a look at what came of it: Equivalent Steps are judged by effect (SEC glossary).
fn act_on_supply(act: Operation) -> Vec<DraftStep> {
    vec![
        DraftStep::new(act),
        DraftStep::new(Operation::Read(DataItem::SupplyState)).optional(),
    ]
}

fn image_hash(body: &Element) -> Result<ImageHash, Refused> {
    let digits = child(body, "FirmwareHash")?.text.trim();
    let wrong = || {
        Refused::new(
            Failure::Schema,
            format!("FirmwareHash {digits:?} is no hash of 32 octets"),
        )
    };
    let octet = |place: usize| u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok();
    let octets: Option<Vec<u8>> = (0..digits.len().div_ceil(2)).map(octet).collect();
    let hash = octets.and_then(|octets| <[u8; 32]>::try_from(octets).ok());
    hash.map(ImageHash).ok_or_else(wrong)
}

pub(super) fn synchronise_clock(body: &Element) -> Result<Operation, Refused> {
    let time = instant(&child(body, "CurrentDateTime")?.text)?;
    let tolerance = &child(body, "TolerancePeriod")?.text;
    let tolerance_s = tolerance.trim().parse().map_err(|_| {
        Refused::new(
            Failure::Schema,
            format!("TolerancePeriod {tolerance:?} is no number of seconds"),
        )
    })?;
    Ok(Operation::SynchroniseClock { time, tolerance_s })
}
