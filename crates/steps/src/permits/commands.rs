//! What the requests permit that act on a device at once: clock and supply.

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
        ("14.1", Operation::RecordNetworkData) => Some(Ok(())),
        _ => None,
    }
}

fn synchronise_clock(case: &Case<'_>, operation: &Operation) -> Result<(), NotPermitted> {
    let permitted = Operation::SynchroniseClock {
        time: time(part(case.body, "CurrentDateTime")?)?,
        tolerance_s: seconds(part(case.body, "TolerancePeriod")?)?,
    };
    same(&permitted, operation)
}
