//! Three pairs of firmware versions: answers written by hand from what the sources and the rules say, and that
//! `s1lab dmc diff` finds the same.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use runs::catalogue::Shelf;

/// Request, what the first firmware says somewhere in its answer, what the second says.
type Golden = (&'static str, &'static str, &'static str);

/// That these requests are answered differently, and how. Others may be too.
fn differ(a: &str, b: &str, golden: &[Golden]) {
    let shelf = Shelf::load(&[], None).unwrap();
    let found = shelf.answers_that_differ(a, b).unwrap();
    for (srv, one, other) in golden {
        let differing = found.iter().find(|(found, _, _)| found.to_string() == *srv);
        let (_, of_a, of_b) = differing.unwrap_or_else(|| panic!("{srv} is answered alike by {a} and {b}: {found:?}"));
        assert!(of_a.contains(one), "{srv} on {a}: {of_a}");
        assert!(of_b.contains(other), "{srv} on {b}: {of_b}");
    }
    let said = shelf.diff(a, b).unwrap();
    for (srv, _, _) in golden {
        assert!(
            said.lines.iter().any(|line| line.starts_with(&format!("  {srv}: "))),
            "the diff does not say {srv}"
        );
    }
}

/// The Liberty 100 as its manual has it, and the firmware that can be enrolled: the identifier is seen.
#[test]
fn the_enrolled_liberty_differs_by_its_identifier() {
    differ(
        "liberty100@pre-dcc",
        "liberty100@dcc-eligible",
        &[("11.2", "FirmwareVersion=P4X2G04", "FirmwareVersion=DCC-ELIG")],
    );
}

/// An AS300P without reactive registers, whose supply is left armed when it is enabled.
#[test]
fn the_deviating_as300p_lacks_reactive_energy_and_arms() {
    differ(
        "as300p@BASE",
        "as300p@LAB-E001",
        &[
            ("11.2", "FirmwareVersion=BASE", "FirmwareVersion=LAB-E001"),
            ("4.1.1", "ReactiveEnergyUnit=varh", "ActiveEnergyUnit=Wh"),
            ("4.2", " success", "ResponseCode=101"),
            ("7.1", " success", "after enable supply the supply is Armed"),
            ("7.4", "SupplyState=Enabled", "SupplyState=Armed"),
        ],
    );
}

/// A hub that is slow to attach and short of memory: a user sees its identifier.
#[test]
fn the_slow_hub_differs_by_its_identifier() {
    differ(
        "am110r@BASE",
        "am110r@LAB-C001",
        &[("11.2", "FirmwareVersion=BASE", "FirmwareVersion=LAB-C001")],
    );
}
