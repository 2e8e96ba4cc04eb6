//! One installation after the other: sends the script, judges each answer, compares values with each other.

use std::collections::BTreeMap;

use dmc::Catalogue;
use domain::{Confidence, Eui64, SimDuration, Srv};
use duis::{Element, ResponseBody, SignedBody};
use fleet::{Site, SiteDevice};
use lab::Lab;
use prost::Message;
use proto::{Envelope, Kind, SmsoCommand, SmsoOutcome};
use tokio::sync::Mutex;
use users::{Client, ClientError, Exchange, Order};
use world::LinkEnd;

use super::expect::{Expected, Forecast, Ground, text_of};
use super::memory::Memory;
use super::script::{At, Property, no_model, script};
use super::timing::{self, Timing};
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
/// Whoever has an image on its way holds `images`: the pack cannot tell one from another.
pub(crate) async fn run(
    lab: &Lab,
    catalogue: &Catalogue,
    site: &Site,
    images: &Mutex<()>,
    progress: &Progress,
) -> Findings {
    let mut findings = Findings::default();
    let mut memories: BTreeMap<Eui64, Memory> = BTreeMap::new();
    let devices = site.devices();
    let ground = Ground {
        catalogue,
        devices: &devices,
    };
    let mut timing = Timing::default();
    let mut guest = false;
    for act in script(site) {
        let Some(device) = devices.iter().find(|device| device.device == act.device) else {
            continue;
        };
        let _image = match act.srv == UPDATE_FIRMWARE {
            true => Some(images.lock().await),
            false => None,
        };
        let profile = catalogue.profile(&device.profile);
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
        memory.state.guest = guest;
        let order = (act.order)(&at);
        let mut cell = cell(lab, (&ground, &mut timing), device, &order, memory).await;
        guest = memory.state.guest;
        cell.installation = site.installation_type();
        findings.cells.push(cell);
        settle(lab, &ground, &order).await;
        progress.one_more();
    }
    for (device, memory) in &memories {
        findings
            .checks
            .extend(memory.values_agree(*device, ground.grain(*device)));
    }
    findings
}

/// Waits where what was asked goes on after its answer: an image on its way, a device that restarts.
async fn settle(lab: &Lab, ground: &Ground<'_>, order: &Order) {
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
        "DisableSupply" if ground.is_reset_by_a_cut(order.target) => clock.sleep(RESTART).await,
        _ => {}
    }
}

/// Sends one order and judges what comes back.
async fn cell(
    lab: &Lab,
    (ground, timing): (&Ground<'_>, &mut Timing),
    device: &SiteDevice,
    order: &Order,
    memory: &mut Memory,
) -> Cell {
    let mut cell = Cell::new(device.device, device.kind, device.profile.to_string(), order.srv);
    let Some(client) = sender(lab, device, order) else {
        cell.observed = format!("no user of the lab may send {}", order.srv);
        return cell;
    };
    let forecast = ground.forecast(device, order, memory.state);
    cell.expected = forecast.expected.words();
    if forecast.asks_device {
        timing.wait_for(lab, ground, device).await;
    }
    let started = lab.world().clock.now();
    let (result, sent) = timing::send(lab, ground, device, client, order).await;
    let now = lab.world().clock.now();
    timing.note(device, now, forecast.changes);
    cell.took_ms = now.since(started).as_millis();
    match result {
        Err(error) => {
            cell.request_id = id_of(&error);
            cell.observed = chain_of(&error);
            cell.failed_hop = Some("dcc".into());
        }
        Ok(exchange) => {
            cell.request_id = exchange.id.to_string();
            judge(&mut cell, forecast, &exchange, order, memory);
            if sent > 1 {
                cell.observed
                    .push_str(&format!(", sent {sent} times while the device was busy"));
            }
        }
    }
    cell
}

/// The user registered for the device in the first role that may send this; where no such role fits the fuel, as with 7.1
/// to a gas meter, the device's supplier.
pub(crate) fn sender<'a>(lab: &'a Lab, device: &SiteDevice, order: &Order) -> Option<&'a Client> {
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
fn judge(cell: &mut Cell, forecast: Forecast, exchange: &Exchange, order: &Order, memory: &mut Memory) {
    let code = exchange.code();
    let success = success(exchange);
    cell.observed = match success {
        None => code.to_owned(),
        Some(true) => format!("{code}, success"),
        Some(false) => {
            let words = failure_words(exchange).map(|error| format!(" ({error})"));
            format!("{code} without success{}", words.unwrap_or_default())
        }
    };
    let agrees = match &forecast.expected {
        Expected::Works => code == "I0" && success != Some(false),
        Expected::DeviceRefuses(_) => code == "I0" && success == Some(false),
        Expected::Refused(failure) => code == failure.response_code().as_str(),
    };
    if agrees || success == Some(true) {
        memory.state = forecast.state;
    }
    // What is not expected to work is not expected to say anything.
    let payload = payload(exchange).filter(|_| success == Some(true) || forecast.expected == Expected::Works);
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

/// Failed hop, rules and confidence of cells, from the DCC's audit trail, which is read once for all of them.
pub(crate) async fn explain(lab: &Lab, cells: &mut [Cell]) {
    let Some(dcc) = lab.dcc() else { return };
    let trail = match cells {
        [] => return,
        [cell] => match cell.request_id.parse() {
            Ok(request) => dcc.audit_of_request(request).await,
            Err(_) => return,
        },
        _ => dcc.audit().await,
    };
    let mut of_request: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for record in trail.unwrap_or_default() {
        if let Some(request) = record.request {
            of_request.entry(request.to_string()).or_default().push(record);
        }
    }
    for cell in cells.iter_mut().filter(|cell| !cell.request_id.is_empty()) {
        let records = of_request.get(&cell.request_id).map_or(&[][..], Vec::as_slice);
        if records.is_empty() && cell.failed_hop.is_some() {
            cell.failed_hop = Some("user-dcc".into());
        }
        for record in records {
            let failure = record.failure.map(|failure| failure.entry().hop.as_str());
            let decided = matches!(record.event.as_str(), "outcome" | "refused");
            if cell.verdict == Verdict::Failed && decided {
                let hop = failure.unwrap_or(&record.hop);
                cell.failed_hop = Some(hop.to_owned()).filter(|hop| !hop.is_empty());
                if !record.detail.is_empty() && !cell.observed.contains(&record.detail) {
                    cell.observed = format!("{}: {}", cell.observed, record.detail);
                }
            }
            touched(cell, record.confidence, &record.rules);
        }
    }
}

/// What touched a cell besides: rules, and a confidence that may be weaker than what is known.
fn touched(cell: &mut Cell, confidence: Option<Confidence>, rules: &[String]) {
    if let Some(confidence) = confidence {
        let known = cell.confidence.as_deref().and_then(|text| text.parse().ok());
        let weaker = known.map_or(confidence, |known| confidence.min(known));
        cell.confidence = Some(weaker.as_str().to_owned());
    }
    for rule in rules {
        if !cell.rules.contains(rule) {
            cell.rules.push(rule.clone());
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

/// What the first debug entry says, where there is one.
pub(crate) fn failure_words(exchange: &Exchange) -> Option<&str> {
    let ResponseBody::Smets1 { content, .. } = &exchange.response().body else {
        return None;
    };
    match &content.body {
        SignedBody::Response { debug: Some(debug), .. } => text_of(debug, "Error"),
        _ => None,
    }
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

/// The request that sends an image on its way.
const UPDATE_FIRMWARE: Srv = Srv::new(11, 1, 0);
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
