//! What the requests permit that act on a device at once: clock, supply and firmware.

use domain::Operation;

use super::arguments::{part, seconds, time};
use super::{Case, NotPermitted, same};

/// Judges an operation of an acting request; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    match (case.service, operation) {
        ("6.11", Operation::SynchroniseClock { .. }) => Some(synchronise_clock(case, operation)),
        // Arming is less than enabling: the consumer has to act as well.
        ("7.1", Operation::ArmSupply) => Some(Ok(())),
        ("7.1", Operation::EnableSupply) | ("7.2", Operation::DisableSupply) | ("7.3", Operation::ArmSupply) => {
            Some(Ok(()))
        }
        ("11.3", Operation::ActivateImage { hash }) => Some(activate_image(case, &hash.0)),
        ("14.1", Operation::RecordNetworkData) => Some(Ok(())),
        _ => None,
    }
}

/// The image must be the one whose hash the request names, digit by digit.
fn activate_image(case: &Case<'_>, asked: &[u8; 32]) -> Result<(), NotPermitted> {
    let permitted = part(case.body, "FirmwareHash")?.text.trim().to_ascii_lowercase();
    let asked: String = asked.iter().map(|octet| format!("{octet:02x}")).collect();
    if permitted == asked {
        return Ok(());
    }
    Err(NotPermitted::OtherArguments {
        permitted: format!("image {permitted}"),
        asked: format!("image {asked}"),
    })
}

fn synchronise_clock(case: &Case<'_>, operation: &Operation) -> Result<(), NotPermitted> {
    let permitted = Operation::SynchroniseClock {
        time: time(part(case.body, "CurrentDateTime")?)?,
        tolerance_s: seconds(part(case.body, "TolerancePeriod")?)?,
    };
    same(&permitted, operation)
}
