//! The pages under `docs/devices` about octets of ours are what the code says of itself: the head of each module, and its
//! tables. `UPDATE_DOCS=1 cargo test -p dialects pages` writes them.

use std::fmt::Write as _;
use std::path::Path;

use domain::{DataItem, DeviceKind};

use crate::envelope::attributes;
use crate::registers::table;

/// Compares, or writes where the environment says so.
fn page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/devices")
        .join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == text,
        "{name} is out of step: UPDATE_DOCS=1 cargo test -p dialects pages"
    );
}

/// A page that begins with the head of a module.
fn begin(title: &str, source: &str) -> String {
    let head = source.lines().take_while(|line| line.starts_with("//!"));
    let mut text = format!(
        "# {title}\n\nMade from the code (`UPDATE_DOCS=1 cargo test -p dialects pages`); do not edit. No manufacturer's \
         octets: what a real device of these families says is not public.\n\n"
    );
    for line in head {
        let line = line.trim_start_matches("//!");
        // Headings of the module stand one below the page's.
        let line = line.strip_prefix(' ').unwrap_or(line);
        let deeper = if line.starts_with('#') { "#" } else { "" };
        writeln!(text, "{deeper}{line}").expect("a text takes everything");
    }
    text
}

#[test]
fn the_page_of_the_envelope_is_in_step() {
    let mut text = begin("The LAB envelope", include_str!("envelope/mod.rs"));
    text.push_str("\n## Gas in ZCL\n\n| item | cluster | attribute | type |\n|---|---|---|---|\n");
    for item in DataItem::every() {
        if let Some((cluster, attribute, form)) = attributes(item) {
            writeln!(
                text,
                "| {} | {cluster:04X} | {attribute:04X} | {form:02X} |",
                item.name()
            )
            .expect("a text");
        }
    }
    page("wire-lab-envelope.md", &text);
}

#[test]
fn the_page_of_the_registers_is_in_step() {
    let mut text = begin("EDMI registers", include_str!("registers/mod.rs"));
    for slot in [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Chf] {
        writeln!(
            text,
            "\n## Registers of the {slot}\n\n| number | item | type |\n|---|---|---|"
        )
        .expect("a text");
        for register in table::registers(slot) {
            let form = format!("{:?}", register.form);
            writeln!(text, "| {:04X} | {} | {form} |", register.number, register.item.name()).expect("a text");
        }
    }
    text.push_str("\n## Surveys\n\n| file | name | log |\n|---|---|---|\n");
    for (file, name, log) in table::SURVEYS {
        writeln!(text, "| {file:04X} | {name} | {log:?} |").expect("a text");
    }
    page("wire-edmi-registers.md", &text);
}

#[test]
fn the_pages_of_the_hub_tunnel_and_of_text_messages_are_in_step() {
    page(
        "wire-hub-tunnel.md",
        &begin("The hub tunnel", include_str!("dlms/carrier/hub_tunnel.rs")),
    );
    page(
        "wire-text-messages.md",
        &begin("Operations in text messages", include_str!("text_message.rs")),
    );
}
