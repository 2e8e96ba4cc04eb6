//! Bodies of the requests that set or act on a meter, with the forms of both fuels where there are two.

use std::collections::BTreeMap;

use duis::Element;
use duis::template::{Fuel, Wishes};

/// The services of this group.
pub(crate) const SERVICES: &[&str] = &[
    "1.1.1", "1.1.2", "1.2.1", "1.2.2", "1.5", "1.6", "1.7", "2.1", "2.2", "2.3", "2.5", "3.1", "3.2", "3.3", "3.4",
    "3.5", "6.4.1", "6.4.2", "6.5", "6.6", "6.7", "6.8", "6.12", "6.18.1", "6.18.2", "6.20.1", "6.20.2", "6.22",
    "6.25", "6.26", "6.27", "7.5", "7.6", "9.1",
];

/// Alternatives of the schema that are taken in these bodies.
const WISHED: &[&str] = &[
    "PrepaymentMode",
    "AdjustMeterBalance",
    "Prepayment",
    "MaxDemandActivePowerImportValue",
];

pub(crate) fn fill(srv: &str, body: Element) -> Element {
    if !SERVICES.contains(&srv) {
        return body;
    }
    let of = |fuel| {
        let wishes = Wishes {
            at: "2019-04-01T00:00:00Z".parse().expect("an instant"),
            fuel,
            elements: wishes(WISHED),
        };
        numbered(duis::template::body(body.name, &wishes).expect("a template"))
    };
    let mut both = of(Fuel::Electricity);
    if srv == "6.22" {
        // One kind of settings at a time, whichever fuel.
        return both;
    }
    for child in of(Fuel::Gas).children {
        if both.child(child.name).is_none() {
            both.children.push(child);
        }
    }
    both
}

/// What is wished for, and a code that is one.
pub(crate) fn wishes(names: &[&str]) -> BTreeMap<String, Option<String>> {
    let named = names.iter().map(|name| ((*name).to_owned(), None));
    let code = ("UTRN".to_owned(), Some("73946144332040217315".to_owned()));
    named.chain([code]).collect()
}

/// Gives siblings of one name the indices from 1: a template gives them all the same.
pub(crate) fn numbered(mut element: Element) -> Element {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for child in &mut element.children {
        *child = numbered(std::mem::replace(child, Element::sr("")));
        let count = counts.entry(child.name).or_default();
        *count += 1;
        if let ("PolyPhaseVoltageSettings", Some(phase)) = (child.name, child.children.first_mut()) {
            phase.text = count.to_string();
        }
        for (_, value) in child.attributes.iter_mut().filter(|(name, _)| *name == "index") {
            *value = count.to_string();
        }
    }
    element
}
