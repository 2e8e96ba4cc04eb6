//! Arguments of requests as the planner reads them.

use domain::SimInstant;
use duis::Element;

use super::Refused;
use crate::errors::Failure;

pub(super) fn child<'e>(element: &'e Element, name: &str) -> Result<&'e Element, Refused> {
    let missing = || Refused::new(Failure::Schema, format!("{} has no {name}", element.name));
    element.child(name).ok_or_else(missing)
}

/// A date and time of a request; one without a zone is taken as UTC (inferred: DUIS states times in UTC).
pub(super) fn instant(text: &str) -> Result<SimInstant, Refused> {
    let text = text.trim();
    text.parse()
        .or_else(|_| format!("{text}Z").parse())
        .map_err(|_| Refused::new(Failure::Schema, format!("{text:?} is no date and time")))
}
