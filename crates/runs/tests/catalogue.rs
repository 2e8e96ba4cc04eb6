//! What the catalogue says when only what is sure enough counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use runs::catalogue::{Asked, Shelf};

fn shelf(least: Option<&str>) -> Shelf {
    Shelf::load(&[], least).unwrap()
}

#[test]
fn what_is_less_sure_is_left_out_of_every_answer() {
    let (all, sure) = (shelf(None), shelf(Some("sourced")));
    let profile = "as300p@LAB-E001";
    let steps = |shelf: &Shelf| {
        let explained = shelf.explain(profile, &Asked::service("4.1.1")).unwrap();
        explained.json["steps"].as_str().unwrap().to_owned()
    };
    assert_eq!(steps(&all), "read-active-import", "an invented rule skips the rest");
    assert_eq!(steps(&sure), "read-active-import, read-reactive-import");

    let items = |shelf: &Shelf| {
        let items = shelf.coverage(Some("rule")).unwrap().json["items"].clone();
        let with_rules = |item: &&serde_json::Value| !item["rules"].as_array().unwrap().is_empty();
        items.as_array().unwrap().iter().filter(with_rules).count()
    };
    assert!(items(&sure) < items(&all) && items(&sure) > 0);
    let lines = sure.coverage(None).unwrap().lines;
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("items have a rule that is sourced or surer"))
    );
}
