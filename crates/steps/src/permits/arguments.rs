//! Arguments of requests as the judge reads them.

use std::num::IntErrorKind;

use domain::SimInstant;
use duis::Element;

use super::NotPermitted;

/// The only child of that name: two of them would leave open which one counts.
pub(super) fn part<'e>(element: &'e Element, name: &str) -> Result<&'e Element, NotPermitted> {
    let mut found = element.children.iter().filter(|child| child.name == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(NotPermitted::Unreadable(format!(
            "{} without exactly one {name}",
            element.name
        ))),
    }
}

pub(super) fn time(element: &Element) -> Result<SimInstant, NotPermitted> {
    let text = element.text.trim();
    let clock = text.split_once('T').map_or("", |(_, clock)| clock);
    let zoned = clock.contains(['Z', '+', '-']);
    let full = if zoned { text.to_owned() } else { format!("{text}Z") };
    full.parse()
        .map_err(|_| NotPermitted::Unreadable(format!("{}: {text:?} is no date and time", element.name)))
}

pub(super) fn seconds(element: &Element) -> Result<u32, NotPermitted> {
    element.text.trim().parse::<u32>().map_err(|error| {
        let what = match error.kind() {
            IntErrorKind::PosOverflow => "too many seconds",
            _ => "no number of seconds",
        };
        NotPermitted::Unreadable(format!("{}: {:?} is {what}", element.name, element.text))
    })
}
