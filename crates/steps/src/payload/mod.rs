//! Payload elements in the order of the payload schema.
//!
//! Units: active energy in Wh and reactive energy in varh, as the device has them (the only units of the schema). Gas in
//! cubic metres with three decimals, from litres (only `m3` exists in the schema: sourced; the decimals: ours). Money in
//! thousandths of a penny, unchanged (inferred: published request templates state an emergency credit limit of 300000,
//! that is 3 pounds; for the debt recovery rate cap of electricity they hint at another unit, which is not known).
//! Percentages in hundredths (inferred from the range 0 to 10000 of the matching request element).
//! Times are UTC. A row of a profile carries the end of its half-hour (recalled).

mod alert_behaviour;
mod calendars;
mod commands;
mod configuration;
mod han;
mod logs;
mod parts;
mod reads;
mod registers;
mod tariff;
mod values;

use duis::Element;

pub(crate) use self::values::Values;
use crate::plan::Target;
use crate::respond::Report;

/// A payload, and a report when something had to be left out.
type Built = (Element, Option<Report>);

/// The payload element of this name, and a report when rows had to be cut.
pub(crate) fn build(name: &'static str, target: &Target<'_>, values: &Values, success: bool) -> Built {
    let mut rsp = Element::ra(name).with_attribute("MessageSuccess", success.to_string());
    // Each group of requests has a file of its own; what is in none says nothing but `MessageSuccess`.
    for group in [reads::fill, commands::fill, han::fill] {
        match group(rsp, target, values) {
            Ok(built) => return built,
            Err(other) => rsp = other,
        }
    }
    (rsp, None)
}
