//! Three pairs of firmware versions, worked out by hand: from the rules of the profiles (`fixtures/dmc`), what each kind of rule
//! means (`docs/devices/rule-kinds.md`), and what the requests ask for. Each request in which the two must answer
//! differently is named with the rule that makes it so and with what follows from it for every value; no other may differ.
//! `s1lab dmc diff` has to find exactly these.
//!
//! The requests are those of the pack for a meter, asked one after the other: what neither device is asked, or what stands
//! in neither answer, shows no difference, and the comments say so where a rule would lead one to expect some.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use runs::catalogue::Said;
use runs::catalogue::Shelf;

/// How two answers to one request differ.
enum Differ {
    /// The first says this somewhere and the second does not, and the other way round; empty for nothing.
    Says(&'static str, &'static str),
    /// The values of an element, in their order: what the second says of them follows from what the first says.
    Values(&'static str, fn(&[String]) -> Vec<String>),
}

use Differ::{Says, Values};

/// That exactly these requests are answered differently, in the order they are asked, and how.
fn differ(a: &str, b: &str, golden: &[(&str, Differ)]) {
    let shelf = Shelf::load(&[], None).unwrap();
    let found = shelf.answers_that_differ(a, b).unwrap();
    let differing: Vec<String> = found.iter().map(|(srv, _, _)| srv.to_string()).collect();
    let expected: Vec<&str> = golden.iter().map(|(srv, _)| *srv).collect();
    assert_eq!(differing, expected, "{a} and {b}: {found:#?}");
    for ((srv, how), (_, of_a, of_b)) in golden.iter().zip(&found) {
        match how {
            Says(one, other) => {
                assert!(of_a.contains(one), "{srv} on {a}: {of_a}");
                assert!(of_b.contains(other), "{srv} on {b}: {of_b}");
                assert!(one.is_empty() || !of_b.contains(one), "{srv} on {b} too: {of_b}");
                assert!(other.is_empty() || !of_a.contains(other), "{srv} on {a} too: {of_a}");
            }
            Values(element, follows) => {
                let (one, other) = (values(of_a, element), values(of_b, element));
                assert!(!one.is_empty(), "{srv} on {a} has no {element}: {of_a}");
                assert_eq!(other, follows(&one), "{srv}: {element} on {b}, of {one:?} on {a}");
            }
        }
    }
    says_so(&shelf.diff(a, b).unwrap(), golden);
}

/// That the words of `dmc diff` name each of these requests, and how many they are.
fn says_so(said: &Said, golden: &[(&str, Differ)]) {
    for (srv, _) in golden {
        let named = |line: &String| line.starts_with(&format!("  {srv}: "));
        assert!(said.lines.iter().any(named), "the diff does not say {srv}");
    }
    let count = format!("{} requests are answered differently", golden.len());
    let counted = said.lines.iter().any(|line| line.ends_with(&count));
    assert!(counted, "{:?}", said.lines.last());
}

/// The texts of all elements of this name in an answer.
fn values(answer: &str, element: &str) -> Vec<String> {
    let leaves = answer.split_whitespace();
    leaves
        .filter_map(|leaf| leaf.strip_prefix(element)?.strip_prefix('='))
        .map(str::to_owned)
        .collect()
}

fn each(values: &[String], make: impl Fn(i64) -> i64) -> Vec<String> {
    let number = |text: &String| text.parse::<i64>().unwrap();
    values.iter().map(|text| make(number(text)).to_string()).collect()
}

/// `secure-gas`: before the programme it states consumption in watt-hours (SEC-GAS-ENERGY), the firmware that can be enrolled
/// in litres (SEC-GAS-VOLUME). Everything that is an amount of gas differs, nothing that is money, time or state.
///
/// Dual control (SEC-GAS-NO-DUAL-CONTROL and SEC-GAS-DUAL-CONTROL) shows only when keys are handed over, which is not a
/// request. The rules of the model (wakes, valve, tokens) are the same on both.
#[test]
fn the_enrolled_secure_gas_meter_states_volumes() {
    differ(
        "secure-gas@pre-dcc",
        "secure-gas@dcc-eligible",
        &[
            // The identifiers that the firmware tables name.
            ("11.2", Says("FirmwareVersion=PRE-DCC", "FirmwareVersion=DCC-ELIG")),
            // The payload names the unit, and knows m3 only: watt-hours cannot be said in it, which fails the request.
            ("4.1.1", Says("no success ResponseCode=303", "Unit=m3")),
            // The other amounts stand in cubic metres without saying so: watt-hours would be taken for them, and fail for that.
            ("4.1.2", Says("no success ResponseCode=303", "TOURegisterMatrixValue=")),
            ("4.1.4", Says("no success ResponseCode=303", "TariffBlockCounterValue=")),
            (
                "4.4.3",
                Says("no success ResponseCode=303", "TariffTOURegisterMatrixValue="),
            ),
            ("4.6.1", Says("no success ResponseCode=303", "TariffTOURegisterMatrix")),
            ("4.8.1", Says("no success ResponseCode=303", "PrimaryValue=")),
            ("4.17", Says("no success ResponseCode=303", "Value=")),
            // Once more at the end of the pack.
            ("4.1.1", Says("no success ResponseCode=303", "Unit=m3")),
        ],
    );
}

/// `as300p`: LAB-E001 has nine rules, of which five show.
///
/// - NO-REACTIVE: reads of the two reactive registers are refused. 4.1.1 asks for one of them, but SKIP-REACTIVE has the
///   S1SP leave it out: the request works, without that value. 4.2 asks for the other, and nothing helps there: it fails.
/// - DOUBLED-PROFILE: half-hourly values are twice the energy. HALVE-PROFILE has the S1SP halve active import again, so that
///   4.8.1 is as before: a whole number doubled and halved. Reactive import (4.8.2) stays doubled. Nothing is exported, and
///   twice nothing (4.8.3) is nothing. Days (4.17) are no half-hours.
/// - ENABLE-ARMS: 7.1 leaves the supply Armed. The S1SP looks at it after the act, and what it sees is not what was asked
///   for; the supply state that is read next (7.4) is Armed. After 7.2 and 7.3 both are as on the base.
/// - SHORT-DAILY-LOG: ten days are kept, and the pack asks for three: nothing to see.
/// - SMALL-PDU: how long frames are is no answer.
/// - CLOCK-FIRST: another step before 4.8.1, of which the answer says nothing.
/// - ANSWER-DEBT-CAP: the S1SP says 0 for the cap of debt recovery in 4.13; the meter of a home in credit mode has 0 too.
#[test]
fn the_deviating_as300p_lacks_reactive_energy_and_arms() {
    differ(
        "as300p@BASE",
        "as300p@LAB-E001",
        &[
            ("11.2", Says("FirmwareVersion=BASE", "FirmwareVersion=LAB-E001")),
            ("4.1.1", Says("ReactiveEnergyUnit=varh", "")),
            ("4.2", Says("ReactiveEnergyUnit=varh", "ResponseCode=101")),
            (
                "4.8.2",
                Values("ReactiveEnergyImportedValue", |base| each(base, |varh| varh * 2)),
            ),
            ("7.1", Says("I0 success", "after enable supply the supply is Armed")),
            ("7.4", Says("SupplyState=Enabled", "SupplyState=Armed")),
            ("4.1.1", Says("ReactiveEnergyUnit=varh", "")),
        ],
    );
}

/// `es10a`: LAB-X001 has nine rules, of which five show in four answers.
///
/// - NO-EXPORT: the export registers are refused. In 4.2 the S1SP says zero for active export (EXPORT-ZERO), which is what
///   the base has where nothing generates, and leaves reactive export out (ACTIVE-FOR-EXPORT): the request works, without it.
/// - SHORT-BILLS: six billing snapshots, where SMETS has twelve: of the year that 4.4.3 asks for the last six months. Nothing
///   changed mode or tariff in that year (4.4.2). Ten events are more than the pack has made when it reads them (6.13).
/// - PROFILE-STEPS: half-hourly values are brought up to whole tens: active (4.8.1) and reactive import (4.8.2). Nothing
///   exported (4.8.3) is a whole ten already, and days (4.17) are no half-hours.
/// - ARM-NEEDS-OFF: the pack arms what it has disabled, which is allowed.
/// - CREDIT-CLOSES: a switch that is closed is not closed again.
/// - LONG-OUTAGE and RARE-WARNINGS: no outage, and no event of security, in what the pack does.
#[test]
fn the_deviating_es10a_lacks_export_and_rounds() {
    let tens = |base: &[String]| each(base, |value| (value + 9) / 10 * 10);
    differ(
        "es10a@BASE",
        "es10a@LAB-X001",
        &[
            ("11.2", Says("FirmwareVersion=BASE", "FirmwareVersion=LAB-X001")),
            ("4.2", Says("ReactiveEnergyUnit=varh", "")),
            (
                "4.4.3",
                Values("Timestamp", |base| {
                    assert_eq!(base.len(), 12, "a year of months: {base:?}");
                    base[6..].to_vec()
                }),
            ),
            ("4.8.1", Values("PrimaryValue", tens)),
            ("4.8.2", Values("ReactiveEnergyImportedValue", tens)),
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
        differ(a, b, &[("11.2", Says(one, other))]);
    }
}
