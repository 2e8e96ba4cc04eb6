//! Bodies of the requests that act on a device at once.

use duis::Element;

pub(crate) fn fill(srv: &str, body: Element) -> Element {
    match srv {
        "6.11" => body
            .with_leaf("CurrentDateTime", "2019-03-31T10:00:00Z")
            .with_leaf("TolerancePeriod", "10"),
        _ => body,
    }
}
