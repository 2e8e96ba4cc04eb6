//! Pairs of firmware versions: every answer that differs, written by hand from what the sources and the rules say, and
//! exactly what `s1lab dmc diff` finds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use runs::catalogue::Shelf;

/// Request, what the first firmware says somewhere in its answer, what the second says.
type Golden = (&'static str, &'static str, &'static str);

/// That exactly these requests are answered differently, in the order they are asked, and how.
fn differ(a: &str, b: &str, golden: &[Golden]) {
    let shelf = Shelf::load(&[], None).unwrap();
    let found = shelf.answers_that_differ(a, b).unwrap();
    let differing: Vec<String> = found.iter().map(|(srv, _, _)| srv.to_string()).collect();
    let expected: Vec<&str> = golden.iter().map(|(srv, _, _)| *srv).collect();
    assert_eq!(differing, expected, "{a} and {b}: {found:#?}");
    for ((srv, one, other), (_, of_a, of_b)) in golden.iter().zip(&found) {
        assert!(of_a.contains(one), "{srv} on {a}: {of_a}");
        assert!(of_b.contains(other), "{srv} on {b}: {of_b}");
        assert!(
            one.is_empty() || !of_b.contains(one),
            "{srv}: {b} says {one} too: {of_b}"
        );
        assert!(
            other.is_empty() || !of_a.contains(other),
            "{srv}: {a} says {other} too: {of_a}"
        );
    }
    let said = shelf.diff(a, b).unwrap();
    for (srv, _, _) in golden {
        assert!(
            said.lines.iter().any(|line| line.starts_with(&format!("  {srv}: "))),
            "the diff does not say {srv}"
        );
    }
    let count = format!("{} requests are answered differently", golden.len());
    assert!(
        said.lines.iter().any(|line| line.ends_with(&count)),
        "{:?}",
        said.lines.last()
    );
}

/// Secure's gas meter before the programme states consumption in watt-hours, which the payload schema does not know; the
/// firmware that can be enrolled states volumes, to a thousandth of a cubic metre.
#[test]
fn the_enrolled_secure_gas_meter_states_volumes() {
    differ(
        "secure-gas@pre-dcc",
        "secure-gas@dcc-eligible",
        &[
            ("11.2", "FirmwareVersion=PRE-DCC", "FirmwareVersion=DCC-ELIG"),
            ("4.1.1", "ResponseCode=303", "Unit=m3"),
            (
                "4.1.2",
                "TOURegisterMatrixValue=29441853 ",
                "TOURegisterMatrixValue=2623.864 ",
            ),
            ("4.1.4", "TariffBlockCounterValue=0 ", "TariffBlockCounterValue=0.000 "),
            (
                "4.4.3",
                "TariffTOURegisterMatrixValue=17790062 ",
                "TariffTOURegisterMatrixValue=1585.454 ",
            ),
            (
                "4.6.1",
                "TariffTOURegisterMatrix=29322744 ",
                "TariffTOURegisterMatrix=2613.249 ",
            ),
            (
                "4.8.1",
                "11:30:00.000Z PrimaryValue=751 ",
                "11:30:00.000Z PrimaryValue=0.067 ",
            ),
            ("4.17", "Value=56979 ", "Value=5.078 "),
            ("4.1.1", "ResponseCode=303", "Unit=m3"),
        ],
    );
}

/// An AS300P without reactive registers, which keeps half-hours as average power, and whose supply is left armed when it is
/// enabled. The S1SP halves the profile it is asked for by consumption, so that only the reactive one shows the doubling.
#[test]
fn the_deviating_as300p_lacks_reactive_energy_and_arms() {
    differ(
        "as300p@BASE",
        "as300p@LAB-E001",
        &[
            ("11.2", "FirmwareVersion=BASE", "FirmwareVersion=LAB-E001"),
            ("4.1.1", "ReactiveEnergyUnit=varh", ""),
            ("4.2", "ReactiveEnergyUnit=varh", "ResponseCode=101"),
            (
                "4.8.2",
                "success ReactiveEnergyImportedValue=49 ",
                "success ReactiveEnergyImportedValue=98 ",
            ),
            ("7.1", "I0 success", "after enable supply the supply is Armed"),
            ("7.4", "SupplyState=Enabled", "SupplyState=Armed"),
            ("4.1.1", "ReactiveEnergyUnit=varh", ""),
        ],
    );
}

/// An ES-10A that has no export registers, keeps six billing snapshots, and rounds half-hours up to multiples of 10 Wh.
#[test]
fn the_deviating_es10a_lacks_export_and_rounds() {
    differ(
        "es10a@BASE",
        "es10a@LAB-X001",
        &[
            ("11.2", "FirmwareVersion=BASE", "FirmwareVersion=LAB-X001"),
            ("4.2", "ReactiveEnergyUnit=varh", ""),
            ("4.4.3", "Timestamp=2018-03-31", ""),
            (
                "4.8.1",
                "10:30:00.000Z PrimaryValue=38 ",
                "10:30:00.000Z PrimaryValue=40 ",
            ),
            (
                "4.8.2",
                "success ReactiveEnergyImportedValue=49 ",
                "success ReactiveEnergyImportedValue=50 ",
            ),
        ],
    );
}

/// Firmware of Landis+Gyr and of Secure's electricity meter that can be enrolled, and a hub that is slow to attach: of
/// answers, the identifier alone is seen. That it is enrolled at all is no answer.
#[test]
fn some_differ_by_their_identifiers_alone() {
    for (a, b, one, other) in [
        ("e470-bg@pre-dcc", "e470-bg@dcc-eligible", "PRE-DCC", "DCC-ELIG"),
        ("lg-gas-bg@pre-dcc", "lg-gas-bg@dcc-eligible", "PRE-DCC", "DCC-ELIG"),
        ("liberty100@pre-dcc", "liberty100@dcc-eligible", "P4X2G04", "DCC-ELIG"),
        ("am110r@BASE", "am110r@LAB-C001", "BASE", "LAB-C001"),
    ] {
        differ(a, b, &[("11.2", one, other)]);
    }
}
