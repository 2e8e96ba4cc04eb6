//! Requests, targets and a plain rendering of elements for the suites of this crate.
#![allow(dead_code, reason = "each suite uses its part")]

use std::fmt::Write as _;
use std::sync::LazyLock;

use dmc::{Catalogue, DeviceProfile};
use domain::{Eui64, RequestId};
use duis::{Element, Request};
use steps::Target;

pub(crate) const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
pub(crate) const DEVICE: Eui64 = Eui64(0x00DB_1234_5678_90A0);
pub(crate) const HUB: Eui64 = Eui64(0x00DB_1234_5678_90C0);

/// The services that run end to end.
pub(crate) const SERVICES: [&str; 13] = [
    "4.1.1", "4.2", "4.3", "4.6.1", "4.8.1", "4.13", "6.11", "7.1", "7.2", "7.3", "7.4", "8.9", "11.2",
];

pub(crate) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the built-in profiles load"));
    &CATALOGUE
}

pub(crate) fn body(srv: &str) -> Element {
    let row = steps::table()
        .row(srv.parse().expect("a service"))
        .expect("a known service");
    let body = Element::sr(row.body);
    let period = |from: &str, to: &str| {
        Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", from)
            .with_leaf("EndDateTime", to)
    };
    match srv {
        "4.6.1" => body.with(period("2019-03-01T00:00:00Z", "2019-03-31T00:00:00Z")),
        "4.8.1" => body.with(period("2019-03-30T00:00:00.00Z", "2019-03-31T00:00:00")),
        "6.11" => body
            .with_leaf("CurrentDateTime", "2019-03-31T10:00:00Z")
            .with_leaf("TolerancePeriod", "10"),
        _ => body,
    }
}

pub(crate) fn request(srv: &str) -> Request {
    let id = RequestId {
        originator: USER,
        target: DEVICE,
        counter: 1000,
    };
    Request::new(id, srv.parse().expect("a service")).with_body(body(srv))
}

pub(crate) fn target<'p>(catalogue: &'p Catalogue, profile: &str) -> Target<'p> {
    of(catalogue.find(profile).expect("a built-in profile"))
}

pub(crate) fn of(profile: &DeviceProfile) -> Target<'_> {
    // The requests of these suites name one device, whatever kind the profile makes it.
    Target {
        device: DEVICE,
        kind: profile.kind,
        hub: HUB,
        profile,
    }
}

/// The element as indented text: names, attributes and values in order.
pub(crate) fn render(element: &Element) -> String {
    let mut out = String::new();
    render_at(element, 0, &mut out);
    out
}

fn render_at(element: &Element, depth: usize, out: &mut String) {
    let attributes: String = element
        .attributes
        .iter()
        .map(|(name, value)| format!(" {name}={value:?}"))
        .collect();
    let _ = write!(
        out,
        "{}{}:{}{attributes}",
        "  ".repeat(depth),
        element.namespace.prefix(),
        element.name
    );
    let _ = if element.text.is_empty() {
        writeln!(out)
    } else {
        writeln!(out, " {}", element.text)
    };
    for child in &element.children {
        render_at(child, depth + 1, out);
    }
}
