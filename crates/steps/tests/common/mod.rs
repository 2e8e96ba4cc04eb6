//! Requests, targets and a plain rendering of elements for the suites of this crate.
#![allow(dead_code, reason = "each suite uses its part")]

pub(crate) mod commands;
pub(crate) mod reads;
pub(crate) mod settings;
pub(crate) mod writes;

use std::fmt::Write as _;
use std::sync::LazyLock;

use dmc::{Catalogue, DeviceProfile};
use domain::{Eui64, RequestId};
use duis::{Element, Request};
use steps::Target;
use steps::table::State;

pub(crate) const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);
pub(crate) const DEVICE: Eui64 = Eui64(0x00DB_1234_5678_90A0);
pub(crate) const HUB: Eui64 = Eui64(0x00DB_1234_5678_90C0);

/// The devices that snapshots show.
pub(crate) const PROFILES: [&str; 8] = [
    "as300p@BASE",
    "as300p@LAB-E001",
    "as300p@LAB-E002",
    "am110r-gpf@BASE",
    "am110r-gpf@LAB-P001",
    "bk-g4e@BASE",
    "bk-g4e@LAB-G001",
    "am110r@LAB-C001",
];

/// The services that run end to end on a device: not those that the S1SP answers from a record.
pub(crate) fn services() -> Vec<String> {
    let rows = steps::table().rows();
    rows.filter(|row| row.state == State::EndToEnd && !steps::credentials::concerns(row.srv))
        .map(|row| row.srv.to_string())
        .collect()
}

pub(crate) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the built-in profiles load"));
    &CATALOGUE
}

/// A body of this service: a file per group says what stands in it, where that is not nothing.
pub(crate) fn body(srv: &str) -> Element {
    let row = steps::table()
        .row(srv.parse().expect("a service"))
        .expect("a known service");
    let mut body = Element::sr(row.body);
    for group in [reads::fill, commands::fill, writes::fill] {
        body = group(srv, body);
    }
    body
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
        asked_by: steps::AskedBy::Supplier,
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
