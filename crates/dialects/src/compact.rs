//! Numbers of device kinds, faults of approvals and images, and associations in objects of ours. Operations and outcomes themselves travel in the form of
//! [`domain::operation::octets`].

use domain::operation::{ApprovalFault, ImageFault};
use domain::{Association, DeviceKind, Refusal};

/// Refusals whose reason no access result of the standard has. The order is their number: append, never reorder.
const FAULTS: [Refusal; 9] = [
    Refusal::Approval(ApprovalFault::Missing),
    Refusal::Approval(ApprovalFault::Replayed),
    Refusal::Approval(ApprovalFault::Stale),
    Refusal::Approval(ApprovalFault::Wrong),
    Refusal::Image(ImageFault::Block),
    Refusal::Image(ImageFault::Hash),
    Refusal::Image(ImageFault::Incomplete),
    Refusal::Image(ImageFault::NotForThisDevice),
    Refusal::Image(ImageFault::NotBegun),
];

/// Position of `value` among `all`, from 1.
fn code<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter()
        .position(|each| each == value)
        .and_then(|at| u8::try_from(at + 1).ok())
        .unwrap_or(0)
}

fn of_code<T: Clone>(all: &[T], code: u8) -> Option<T> {
    all.get(usize::from(code).checked_sub(1)?).cloned()
}

/// The code of what was wrong with an approval or an image, 0 for anything else.
pub(crate) fn fault_code(fault: Option<&Refusal>) -> u8 {
    fault.map_or(0, |fault| code(&FAULTS, fault))
}

/// The fault of a code; `None` for 0 and unknown ones.
pub(crate) fn fault_of(number: u8) -> Option<Refusal> {
    of_code(&FAULTS, number)
}

/// The code of a device kind.
pub(crate) fn kind_code(kind: DeviceKind) -> u8 {
    code(&DeviceKind::ALL, &kind)
}

/// The device kind of a code.
pub(crate) fn kind_of(number: u8) -> Option<DeviceKind> {
    of_code(&DeviceKind::ALL, number)
}

/// The number of an association in what is sealed for it.
pub(crate) fn seal_of(association: Association) -> u8 {
    match association {
        Association::Public => 0,
        Association::Management => 1,
        Association::Critical => 2,
        Association::Reader => 3,
        Association::StagedManagement => 4,
        Association::StagedCritical => 5,
    }
}

/// The association of a seal.
pub(crate) fn association_of(seal: u8) -> Option<Association> {
    Association::ALL
        .into_iter()
        .find(|association| seal_of(*association) == seal)
}
