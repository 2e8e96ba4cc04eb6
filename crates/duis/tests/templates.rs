//! A template of every service element is valid by our own table and by the real schemas, for both fuels.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use domain::{RequestId, SimInstant};
use duis::Request;
use duis::template::{Fuel, Wishes, body, names};

fn all() -> Vec<(String, Vec<u8>)> {
    let id: RequestId = "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1".parse().unwrap();
    let made = names().into_iter().flat_map(|name| {
        [Fuel::Electricity, Fuel::Gas].map(|fuel| {
            let wishes = Wishes {
                at: SimInstant::from_utc(2020, 6, 1, 9, 0, 0).unwrap(),
                fuel,
                ..Wishes::default()
            };
            // The schema ties no reference to an element.
            let request = Request::new(id, "4.1.1".parse().unwrap()).with_body(body(name, &wishes).unwrap());
            let xml = duis::write::request(&request).unwrap_or_else(|error| panic!("{name} {fuel:?}: {error:?}"));
            (format!("{name} {fuel:?}"), xml)
        })
    });
    made.collect()
}

#[test]
fn every_service_element_has_a_template() {
    let all = all();
    assert_eq!(all.len(), 2 * 130, "129 requests and the signed pre-command");
    for (name, xml) in &all {
        assert!(duis::read_request(xml).is_ok(), "{name}");
    }
}

#[test]
fn the_real_schemas_agree() {
    let Some(folder) = common::shared("the schema check of templates") else {
        return;
    };
    for version in ["5.1", "5.4"] {
        let oracle = common::Oracle::new(&folder, version);
        for (name, xml) in all() {
            // The schema wants a signature nowhere in a request.
            let errors = oracle.judge(&xml);
            assert!(
                errors.is_empty(),
                "{version} {name}: {errors:?}\n{}",
                String::from_utf8_lossy(&xml)
            );
        }
    }
}
