//! One installation after the other: sends the script, judges each answer, compares values with each other.

use std::collections::BTreeMap;

use domain::{Eui64, SimDuration};
use duis::{Element, ResponseBody, SignedBody};
use fleet::{Site, SiteDevice};
use lab::Lab;
use prost::Message;
use proto::{Envelope, Kind, SmsoCommand, SmsoOutcome};
use users::{Client, ClientError, Exchange, Order};
use world::LinkEnd;

use super::expect::{Expected, expected, text_of};
use super::memory::Memory;
use super::script::{At, Property, no_model, script};
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

/// Runs the script of one installation.
pub(crate) async fn run(lab: &Lab, site: &Site, progress: &Progress) -> Findings {
    let mut findings = Findings::default();
    let mut memories: BTreeMap<Eui64, Memory> = BTreeMap::new();
    let devices = site.devices();
    for act in script(site) {
        let Some(device) = devices.iter().find(|device| device.device == act.device) else {
            continue;
        };
        let profile = lab.parts().catalogue.profile(&device.profile);
        let at = At {
            device: act.device,
            kind: device.kind,
            dcc: lab.parts().config.dcc.eui,
            now: lab.world().clock.now(),
            model: profile.map_or_else(no_model, |profile| profile.model.clone()),
            image: profile.map(|profile| profile.image_head()),
            property: Property {
                uprn: site.uprn(),
                post_code: site.post_code(),
                address: site.address(),
            },
        };
        let memory = memories
            .entry(act.device)
            .or_insert_with(|| Memory::new(site.payment_mode(), site.second_element()));
        let order = (act.order)(&at);
        let mut cell = cell(lab, device, &order, memory).await;
        cell.installation = site.installation_type();
        findings.cells.push(cell);
        settle(lab, &order).await;
        progress.one_more();
    }
    for (device, memory) in &memories {
        findings.checks.extend(memory.values_agree(*device));
    }
    findings
}

/// Waits where what was asked goes on after its answer: an image on its way, a device that restarts.
async fn settle(lab: &Lab, order: &Order) {
    let clock = &lab.world().clock;
    match order.body.name {
        "UpdateFirmware" => {
            for _ in 0..IMAGE_LOOKS {
                let Some(dcc) = lab.dcc() else { return };
                if !dcc.in_hand().await.is_ok_and(|in_hand| in_hand.images > 0) {
                    return;
                }
                clock.sleep(IMAGE_LOOK_EVERY).await;
            }
        }
        "ActivateFirmware" => clock.sleep(RESTART).await,
        _ => {}
    }
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
/// to a gas meter, the device's supplier.
fn sender<'a>(lab: &'a Lab, device: &SiteDevice, order: &Order) -> Option<&'a Client> {
    use domain::UserRole as R;
    let gas = device.kind.is_gas();
    let fits = |role: R| match role {
        R::ImportSupplier | R::ExportSupplier | R::ElectricityDistributor => !gas,
        R::GasSupplier | R::GasTransporter => gas,
        R::RegisteredSupplierAgent | R::OtherUser => true,
        R::CommissioningParty => false,
    };
    let row = steps::table().row(order.srv)?;
    let fitting = row
        .roles
        .iter()
        .filter(|role| fits(**role))
        .find_map(|role| lab.user_for(device.device, *role));
    let supplier = if gas { R::GasSupplier } else { R::ImportSupplier };
    fitting.or_else(|| lab.user_for(device.device, supplier))
}

/// Compares answer and expectation; remembers values.
fn judge(cell: &mut Cell, expected: &Expected, exchange: &Exchange, order: &Order, memory: &mut Memory) {
    let code = exchange.code();
    let payload = payload(exchange);
    let success = success(exchange);
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
    let fault = payload.and_then(|payload| memory.take(payload, order));
    if let Some(fault) = &fault {
        cell.observed = format!("{}, but {fault}", cell.observed);
    }
    cell.verdict = if agrees && fault.is_none() {
        Verdict::Passed
    } else {
        Verdict::Failed
    };
}

/// What the device's answer says of its success, where there is one.
pub(crate) fn success(exchange: &Exchange) -> Option<bool> {
    let text = payload(exchange)?.attribute("MessageSuccess")?;
    Some(text == "true")
}

/// Failed hop, rules and confidence, from the DCC's audit trail.
pub(crate) async fn explain(lab: &Lab, cell: &mut Cell) {
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

/// How often and how long an image on its way is looked for.
const IMAGE_LOOKS: u32 = 600;
const IMAGE_LOOK_EVERY: SimDuration = SimDuration::from_secs(30);
/// A restarting device is back by then.
const RESTART: SimDuration = SimDuration::from_mins(3);

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
        let refused = outcome
            .as_ref()
            .is_some_and(|outcome| outcome.failure.contains("is dormant") && outcome.outcome.is_none());
        let (name, passed) = if device.active {
            ("before enrolment the operator reads with its own keys", read)
        } else {
            ("the operator does nothing for a supplier at a dormant device", refused)
        };
        findings
            .checks
            .push(merged_check(name, passed, format!("{}: {outcome:?}", device.device)));
    }
    findings
}
