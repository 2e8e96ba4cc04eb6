//! What the pack remembers of a device between its answers, and whether they agree with each other.

use dmc::MeterProfile;
use domain::operation::PaymentMode;
use domain::{Eui64, SimDuration, SimInstant, SupplyState};
use duis::Element;
use users::Order;

use super::expect::{State, text_of};
use super::merged_check;
use crate::verdict::Check;

/// Rows of a log: time and value, in thousandths.
type Rows = Vec<(SimInstant, i64)>;

/// What is remembered of a device.
pub(crate) struct Memory {
    pub(crate) state: State,
    /// The mode before anything was sent.
    began_in: PaymentMode,
    /// Register at local midnights, as 4.6.1 gave it.
    midnights: Rows,
    /// Half-hours, as 4.8.1 gave them.
    half_hours: Rows,
    /// Consumption of whole days, as 4.17 gave it.
    days: Rows,
    /// Readings of 4.1.1.
    readings: Vec<i64>,
    /// Sums of the matrices of 4.1.2, with the reading before.
    matrices: Vec<(i64, i64)>,
    /// Balances of 4.3 and 4.18.
    balances: Vec<String>,
}

impl Memory {
    pub(crate) fn new(mode: PaymentMode, second_element: bool) -> Self {
        Self {
            state: State {
                supply: SupplyState::Enabled,
                mode,
                second_element,
                guest: false,
            },
            began_in: mode,
            midnights: Rows::new(),
            half_hours: Rows::new(),
            days: Rows::new(),
            readings: Vec::new(),
            matrices: Vec::new(),
            balances: Vec::new(),
        }
    }

    /// Takes values from a payload; says what is wrong with them.
    pub(crate) fn take(&mut self, payload: &Element, order: &Order) -> Option<String> {
        match payload.name {
            "ReadInstantaneousImportRegistersRsp" => match register(payload) {
                Some(reading) => self.readings.push(reading),
                None => return Some("no register is in the answer".into()),
            },
            "ReadInstantaneousImportTOUMatricesRsp" => {
                let sum = sum_of(payload, &["TOUPrimaryRegisterValue", "TOURegisterMatrixValue"]);
                self.matrices
                    .extend(self.readings.last().map(|reading| (*reading, sum)));
            }
            "RetrieveImportDailyReadLogRsp" => {
                let names = [
                    "ElecActiveImportRegisterConsumption",
                    "GasActiveImportRegisterConsumption",
                ];
                self.midnights = rows(payload, &names);
                return none_of(&self.midnights, "daily read");
            }
            "ReadActiveImportProfileDataRsp" => {
                self.half_hours = rows(payload, &["PrimaryValue"]);
                return none_of(&self.half_hours, "half-hour");
            }
            "RetrieveDailyConsumptionLogRsp" => {
                self.days = payload
                    .children
                    .iter()
                    .flat_map(|fuel| rows(fuel, &["Value"]))
                    .collect();
                return none_of(&self.days, "daily consumption");
            }
            "ReadExportProfileDataRsp" => {
                return none_of(&rows(payload, &["ActiveEnergyExportedValue"]), "half-hour of export");
            }
            "ReadReactiveImportProfileDataRsp" => {
                return none_of(
                    &rows(payload, &["ReactiveEnergyImportedValue"]),
                    "half-hour of reactive energy",
                );
            }
            "ReadPrepaymentDailyReadLogRsp" if self.began_in == PaymentMode::Prepayment => {
                let days: Rows = payload
                    .children
                    .iter()
                    .flat_map(|fuel| rows(fuel, &["MeterBalance"]))
                    .collect();
                return none_of(&days, "daily prepayment read");
            }
            "ReadInstantaneousPrepayValuesRsp" | "ReadMeterBalanceRsp" => {
                self.balances
                    .extend(payload.child_text("MeterBalance").map(str::to_owned));
            }
            "ReadSupplyStatusRsp" => {
                let shown = payload.child_text("SupplyState");
                let believed = format!("{:?}", self.state.supply);
                if shown != Some(believed.as_str()) {
                    return Some(format!(
                        "the supply shows {shown:?} after {}, expected {believed}",
                        order.srv
                    ));
                }
            }
            _ => {}
        }
        None
    }

    /// The half-hours between two midnights add up to what the register moved, so does the log of daily consumption;
    /// registers never go back, and all rates together are the register.
    pub(crate) fn values_agree(&self, device: Eui64, grain: Grain) -> Vec<Check> {
        let mut checks = Vec::new();
        let steps = grain.register.max(1);
        if let Some(reading) = self.readings.iter().find(|reading| **reading % steps != 0) {
            let detail = format!("{device}: {reading} in thousandths is no multiple of {steps}");
            checks.push(merged_check(
                "registers move in the steps of the profile",
                false,
                detail,
            ));
        } else if grain.register > 0 && !self.readings.is_empty() {
            let detail = format!("{device}: multiples of {steps} thousandths");
            checks.push(merged_check("registers move in the steps of the profile", true, detail));
        }
        if self.readings.len() > 1 {
            let rising = self.readings.is_sorted();
            checks.push(merged_check(
                "registers never go back",
                rising,
                format!("{device}: {:?}", self.readings),
            ));
        }
        for (reading, sum) in &self.matrices {
            // The matrix was read a little after the register.
            let rates = grain.register * RATES_MAX;
            let a_little = (reading - rates..=reading + rates + MATRIX_LATER_MAX).contains(sum);
            let detail = format!("{device}: {sum} in all registers, {reading} in the main one before");
            checks.push(merged_check("all rates together are the register", a_little, detail));
        }
        for days in self.midnights.windows(2) {
            let [(from, before), (to, after)] = days else { continue };
            let moved = after - before;
            let within = self.half_hours.iter().filter(|(at, _)| at > from && at <= to);
            let (count, sum) = within.fold((0, 0), |(count, sum), (_, value)| (count + 1, sum + value));
            if to.since(*from) > SimDuration::from_hours(26) {
                continue;
            }
            let in_day = i64::try_from(to.since(*from).as_millis() / HALF_HOUR_MS).unwrap_or(i64::MAX);
            let lost = grain.loses_half_hours && count < in_day;
            if count > 0 && !lost {
                let away = grain.register + count * grain.half_hour;
                checks.push(merged_check(
                    "half-hours add up to the daily reads",
                    (sum - moved).abs() <= away,
                    format!("{device}, day to {to}: {count} half-hours sum to {sum}, register moved {moved}"),
                ));
            }
            if let Some((_, used)) = self.days.iter().find(|(at, _)| at == to) {
                checks.push(merged_check(
                    "daily consumption agrees with the daily reads",
                    (used - moved).abs() <= grain.register,
                    format!("{device}, day to {to}: {used} used, register moved {moved}"),
                ));
            }
        }
        if let (PaymentMode::Credit, [first, second, ..]) = (self.began_in, self.balances.as_slice()) {
            let detail = format!("{device}: {first}, then {second}");
            checks.push(merged_check("a balance nobody touches stays", first == second, detail));
        }
        checks
    }
}

/// How coarse a meter shows what it counts, in thousandths of Wh or of cubic metres; zero: as it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Grain {
    pub(crate) register: i64,
    pub(crate) half_hour: i64,
    /// Some half-hours are missing.
    pub(crate) loses_half_hours: bool,
}

impl Grain {
    /// What the profiles say: of the meter that counts, and of the device that shows it.
    pub(crate) fn of(counts: &MeterProfile, shows: &MeterProfile, gas: bool) -> Self {
        // A litre is a thousandth of a cubic metre, a watt-hour a thousand thousandths.
        let unit = if gas { 1 } else { 1000 };
        let step = |step: u32| if step > 1 { i64::from(step) * unit } else { 0 };
        let scale = i64::from(shows.profile_divisor.max(1)) / i64::from(shows.profile_multiplier.max(1));
        Self {
            register: step(counts.values.register_step),
            half_hour: step(counts.values.profile_step) + if scale > 1 { scale * unit } else { 0 },
            loses_half_hours: shows.logs.lost_permille > 0,
        }
    }
}

const HALF_HOUR_MS: u64 = 30 * 60 * 1000;
/// Rates that the pack's tariffs count in.
const RATES_MAX: i64 = 3;
/// Thousandths of Wh or of cubic metres that a home uses at most between two requests of the pack.
const MATRIX_LATER_MAX: i64 = 5_000_000;

fn none_of(rows: &Rows, what: &str) -> Option<String> {
    rows.is_empty()
        .then(|| format!("there is no {what} of the last three days"))
}

fn register(payload: &Element) -> Option<i64> {
    let register = payload
        .at(&["Electricity", "ActiveImportRegister"])
        .or_else(|| payload.at(&["Gas", "ConsumptionRegister"]));
    register.and_then(|register| thousandths(text_of(register, "Value")?))
}

/// The sum of all elements of these names, at any depth, in thousandths.
fn sum_of(element: &Element, names: &[&str]) -> i64 {
    let own = if names.contains(&element.name) {
        thousandths(&element.text).unwrap_or(0)
    } else {
        0
    };
    let below: i64 = element.children.iter().map(|child| sum_of(child, names)).sum();
    own + below
}

/// Rows of a log: time and first value of one of these names.
fn rows(payload: &Element, names: &[&str]) -> Rows {
    payload
        .children_named("LogEntry")
        .filter_map(|entry| {
            let at = entry.child_text("Timestamp")?.parse().ok()?;
            let value = names.iter().find_map(|name| text_of(entry, name))?;
            Some((at, thousandths(value)?))
        })
        .collect()
}

/// A decimal with up to three places as a whole number of thousandths.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 {
        return None;
    }
    let digits = format!("{whole}{part:0<3}");
    digits.parse().ok()
}
