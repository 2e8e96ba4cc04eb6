//! One installation after the other: sends the script, judges each answer, compares values with each other.

use std::collections::BTreeMap;

use domain::{Eui64, SimDuration, SimInstant, SupplyState};
use duis::{Element, ResponseBody, SignedBody};
use fleet::{Site, SiteDevice};
use lab::Lab;
use prost::Message;
use proto::{Envelope, Kind, SmsoCommand, SmsoOutcome};
use users::{Client, ClientError, Exchange, Order};
use world::LinkEnd;

use super::expect::{Expected, State, expected, text_of};
use super::script::{At, script};
use super::{Progress, REQUEST_LIMIT, merged_check};
use crate::verdict::{Cell, Check, Verdict};

/// Cells and checks of a part of the run.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) cells: Vec<Cell>,
    pub(crate) checks: Vec<Check>,
}

impl Findings {
    pub(crate) fn extend(&mut self, other: Self) {
        self.cells.extend(other.cells);
        self.checks.extend(other.checks);
    }
}

/// What is remembered of a device between its cells.
struct Memory {
    state: State,
    /// Register at local midnights, as 4.6.1 gave it.
    midnights: Vec<(SimInstant, i64)>,
    /// Half-hours, as 4.8.1 gave them.
    half_hours: Vec<(SimInstant, i64)>,
    /// Readings of 4.1.1.
    readings: Vec<i64>,
}

/// Runs the script of one installation.
pub(crate) async fn run(lab: &Lab, site: &Site, progress: &Progress) -> Findings {
    let mut findings = Findings::default();
    let mut memories: BTreeMap<Eui64, Memory> = BTreeMap::new();
    let devices = site.devices();
    for act in script(site) {
        let Some(device) = devices.iter().find(|device| device.device == act.device) else {
            continue;
        };
        let at = At {
            device: act.device,
            kind: device.kind,
            dcc: lab.parts().config.dcc.eui,
            now: lab.world().clock.now(),
            firmware: lab
                .parts()
                .catalogue
                .profile(&device.profile)
                .map(|profile| profile.model.firmware.clone())
                .unwrap_or_default(),
        };
        let memory = memories.entry(act.device).or_insert_with(|| Memory {
            state: State {
                supply: SupplyState::Enabled,
                mode: site.template().payment_mode,
            },
            midnights: Vec::new(),
            half_hours: Vec::new(),
            readings: Vec::new(),
        });
        findings.cells.push(cell(lab, device, &(act.order)(&at), memory).await);
        progress.one_more();
    }
    for (device, memory) in &memories {
        findings.checks.extend(values_agree(*device, memory));
    }
    findings
}

/// Sends one order and judges what comes back.
async fn cell(lab: &Lab, device: &SiteDevice, order: &Order, memory: &mut Memory) -> Cell {
    let mut cell = Cell::new(device.device, device.kind, device.profile.to_string(), order.srv);
    let started = lab.world().clock.now();
    let Some(client) = sender(lab, device, order) else {
        cell.observed = format!("no user of the lab may send {}", order.srv);
        return cell;
    };
    let expected = expected(lab.parts(), device, order, memory.state);
    cell.expected = expected.words();
    let result = client.request(order, REQUEST_LIMIT).await;
    cell.took_ms = lab.world().clock.now().since(started).as_millis();
    match result {
        Err(error) => {
            cell.request_id = id_of(&error);
            cell.observed = chain_of(&error);
            cell.failed_hop = Some("dcc".into());
        }
        Ok(exchange) => {
            cell.request_id = exchange.id.to_string();
            judge(&mut cell, &expected, &exchange, order, memory);
        }
    }
    explain(lab, &mut cell).await;
    cell
}

/// The user registered for the device in the first role that may send this; where no such role fits the fuel, as with 7.1
/// to a gas meter, the first that may send it at all.
fn sender<'a>(lab: &'a Lab, device: &SiteDevice, order: &Order) -> Option<&'a Client> {
    use domain::UserRole as R;
    let gas = device.kind.is_gas();
    let fits = |role: R| match role {
        R::ImportSupplier | R::ExportSupplier | R::ElectricityDistributor => !gas,
        R::GasSupplier | R::GasTransporter => gas,
        R::RegisteredSupplierAgent | R::OtherUser => true,
    };
    let row = steps::table().row(order.srv)?;
    let fitting = row
        .roles
        .iter()
        .filter(|role| fits(**role))
        .find_map(|role| lab.user_for(device.device, *role));
    fitting.or_else(|| row.roles.iter().find_map(|role| lab.user_for(device.device, *role)))
}

/// Compares answer and expectation; remembers values.
fn judge(cell: &mut Cell, expected: &Expected, exchange: &Exchange, order: &Order, memory: &mut Memory) {
    let code = exchange.code();
    let payload = payload(exchange);
    let success = payload
        .and_then(|payload| payload.attribute("MessageSuccess"))
        .map(|text| text == "true");
    cell.observed = match success {
        None => code.to_owned(),
        Some(true) => format!("{code}, success"),
        Some(false) => format!("{code} without success{}", debug(exchange)),
    };
    let agrees = match expected {
        Expected::Works => code == "I0" && success != Some(false),
        Expected::DeviceRefuses(_) => code == "I0" && success == Some(false),
        Expected::Refused(failure) => code == failure.response_code().as_str(),
    };
    memory.state = memory.state.after(order, success == Some(true));
    let fault = payload.and_then(|payload| remember(payload, order, memory));
    if let Some(fault) = &fault {
        cell.observed = format!("{}, but {fault}", cell.observed);
    }
    cell.verdict = if agrees && fault.is_none() {
        Verdict::Passed
    } else {
        Verdict::Failed
    };
}

/// Takes values from a payload; says what is wrong with them.
fn remember(payload: &Element, order: &Order, memory: &mut Memory) -> Option<String> {
    match payload.name {
        "ReadInstantaneousImportRegistersRsp" => {
            let register = payload
                .at(&["Electricity", "ActiveImportRegister"])
                .or_else(|| payload.at(&["Gas", "ConsumptionRegister"]));
            let reading = register.and_then(|register| thousandths(text_of(register, "Value")?));
            match reading {
                Some(reading) => memory.readings.push(reading),
                None => return Some("no register is in the answer".into()),
            }
        }
        "RetrieveImportDailyReadLogRsp" => {
            let names = [
                "ElecActiveImportRegisterConsumption",
                "GasActiveImportRegisterConsumption",
            ];
            memory.midnights = rows(payload, &names);
            if memory.midnights.is_empty() {
                return Some("there is no daily read of the last three days".into());
            }
        }
        "ReadActiveImportProfileDataRsp" => {
            memory.half_hours = rows(payload, &["PrimaryValue"]);
            if memory.half_hours.is_empty() {
                return Some("there is no half-hour of the last three days".into());
            }
        }
        "ReadSupplyStatusRsp" => {
            let shown = payload.child_text("SupplyState");
            let believed = format!("{:?}", memory.state.supply);
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

/// Rows of a log: time and first value of one of these names, in thousandths.
fn rows(payload: &Element, names: &[&str]) -> Vec<(SimInstant, i64)> {
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

/// The half-hours between two midnights add up to what the register moved, and registers never go back.
fn values_agree(device: Eui64, memory: &Memory) -> Vec<Check> {
    let mut checks = Vec::new();
    if memory.readings.len() > 1 {
        let rising = memory.readings.is_sorted();
        checks.push(merged_check(
            "registers never go back",
            rising,
            format!("{device}: {:?}", memory.readings),
        ));
    }
    for days in memory.midnights.windows(2) {
        let [(from, before), (to, after)] = days else { continue };
        let within = memory.half_hours.iter().filter(|(at, _)| at > from && at <= to);
        let (count, sum) = within.fold((0, 0), |(count, sum), (_, value)| (count + 1, sum + value));
        if to.since(*from) > SimDuration::from_hours(26) || count == 0 {
            continue;
        }
        checks.push(merged_check(
            "half-hours add up to the daily reads",
            sum == after - before,
            format!(
                "{device}, day to {to}: {count} half-hours sum to {sum}, register moved {}",
                after - before
            ),
        ));
    }
    checks
}

/// Failed hop, rules and confidence, from the DCC's audit trail.
async fn explain(lab: &Lab, cell: &mut Cell) {
    let (Some(dcc), Ok(request)) = (lab.dcc(), cell.request_id.parse()) else {
        return;
    };
    let records = dcc.audit_of_request(request).await.unwrap_or_default();
    if records.is_empty() && cell.failed_hop.is_some() {
        cell.failed_hop = Some("user-dcc".into());
    }
    for record in &records {
        if let Some(confidence) = record.confidence {
            let weaker = cell
                .confidence
                .as_deref()
                .and_then(|text| text.parse().ok())
                .map_or(confidence, |c| confidence.min(c));
            cell.confidence = Some(weaker.as_str().to_owned());
        }
        for rule in &record.rules {
            if !cell.rules.contains(rule) {
                cell.rules.push(rule.clone());
            }
        }
        let decided = matches!(record.event.as_str(), "outcome" | "refused");
        if cell.verdict == Verdict::Failed && decided {
            let by_class = record.failure.map(|failure| failure.entry().hop.as_str().to_owned());
            cell.failed_hop = Some(by_class.unwrap_or_else(|| record.hop.clone())).filter(|hop| !hop.is_empty());
            if !record.detail.is_empty() && !cell.observed.contains(&record.detail) {
                cell.observed = format!("{}: {}", cell.observed, record.detail);
            }
        }
    }
}

/// The `…Rsp` element, where a device answered.
fn payload(exchange: &Exchange) -> Option<&Element> {
    match &exchange.response().body {
        ResponseBody::Smets1 { content, .. } => match &content.body {
            SignedBody::Response { payload, .. } => payload.as_ref(),
            SignedBody::Alert(_) => None,
        },
        _ => None,
    }
}

/// The debug entries, in words.
fn debug(exchange: &Exchange) -> String {
    let ResponseBody::Smets1 { content, .. } = &exchange.response().body else {
        return String::new();
    };
    let SignedBody::Response { debug: Some(debug), .. } = &content.body else {
        return String::new();
    };
    text_of(debug, "Error")
        .map(|error| format!(" ({error})"))
        .unwrap_or_default()
}

fn id_of(error: &ClientError) -> String {
    match error {
        ClientError::BadReply { id, .. }
        | ClientError::Call { id, .. }
        | ClientError::NoOutcome { id, .. }
        | ClientError::Sign { id, .. }
        | ClientError::Write { id, .. } => id.to_string(),
        _ => String::new(),
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The operator before enrolment reads what it operates, with its own keys.
pub(crate) async fn before_enrolment(lab: &Lab, mut link: LinkEnd) -> Findings {
    let mut findings = Findings::default();
    let devices: Vec<SiteDevice> = lab
        .devices()
        .into_values()
        .flatten()
        .filter(|device| !device.enrolled && device.kind == domain::DeviceKind::Esme)
        .collect();
    for (number, device) in devices.iter().enumerate() {
        let reference = format!("sit-smso-{number}");
        let operation = domain::Operation::Read(domain::DataItem::ActiveImport);
        let command = SmsoCommand {
            reference: reference.clone(),
            device: device.device.0,
            operation: Some(world::semantic::operation_to_proto(&operation)),
        };
        let envelope = Envelope {
            trace_id: reference,
            ..Envelope::default()
        };
        let sent = link.send(envelope, Kind::SmsoCommand, &command.encode_to_vec()).await;
        let answer = lab.world().clock.timeout(REQUEST_LIMIT, link.recv()).await;
        let outcome = match (sent, answer) {
            (Ok(_), Ok(Some(envelope))) => SmsoOutcome::decode(envelope.body).ok(),
            _ => None,
        };
        let read = outcome
            .as_ref()
            .is_some_and(|outcome| outcome.failure.is_empty() && outcome.outcome.is_some());
        findings.checks.push(merged_check(
            "before enrolment the operator reads with its own keys",
            read,
            format!("{}: {outcome:?}", device.device),
        ));
    }
    findings
}
