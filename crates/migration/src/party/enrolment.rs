//! How the commissioning party enrols: its service requests, signed in its own role and posted through the front door of
//! the DCC like any other user's.
//!
//! A request that comes again after a restart is made again under a new RequestID; what the DCC then refuses because it is
//! so already counts as done, once the inventory says that it is as planned.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::{DataItem, DeviceKind, DeviceModel, Eui64, Mpxn, SimDuration};
use duis::{Element, Response, ResponseBody, SignedBody};
use proto::InstallationRecord;
use users::orders::{self, Announced, Fuel as OrderFuel, NewCertificates};
use users::{Client, ClientError, Exchange, Order};

use super::Requests;
use crate::day::day_of;
use crate::machine::model::{DeviceFacts, Installation};
use crate::machine::{Done, Found};
use crate::planning::authorisation::Fuel;
use crate::settings::{Form, Planned};

/// The certificates of an organisation as requests carry them; none when it has none that is good.
pub type CertificatesOf = Arc<dyn Fn(Eui64) -> Option<NewCertificates> + Send + Sync>;
/// The ESME variant of an electricity meter, `A` and so on.
pub type VariantOf = Arc<dyn Fn(Eui64) -> String + Send + Sync>;

/// The commissioning party as a user of the DCC.
#[derive(Clone)]
pub struct Enrolment {
    /// Signs and posts, in the commissioning party's own role.
    pub client: Client,
    /// Certificates of suppliers and network operators.
    pub certificates: CertificatesOf,
    /// Variants of electricity meters.
    pub variant: VariantOf,
    /// How long an outcome is awaited.
    pub limit: SimDuration,
}

impl Requests for Enrolment {
    fn request<'a>(
        &'a self,
        planned: Planned,
        known: &'a Installation,
        record: Option<&'a InstallationRecord>,
    ) -> Pin<Box<dyn Future<Output = Result<Done, Vec<Found>>> + Send + 'a>> {
        Box::pin(async move { self.make(planned, known, record).await.map_err(|found| vec![found]) })
    }
}

/// How far a register may have moved between a snapshot and the read after the hand-over, in Wh or litres: more than a home
/// uses in the days that a commissioning may take.
const PLAUSIBLE_MAX: i64 = 500_000;
/// How long a device may take to join; in a migration it is there already.
const JOIN_WITHIN_S: u16 = 3600;
/// An install code that says nothing: the device joined its hub long ago.
const NO_INSTALL_CODE: &str = "000000000000";
/// How far a meter's clock may be off when it is commissioned, in seconds.
const TOLERANCE_S: u32 = 10;

impl Enrolment {
    async fn make(
        &self,
        planned: Planned,
        known: &Installation,
        record: Option<&InstallationRecord>,
    ) -> Result<Done, Found> {
        let facts = known.facts.devices.iter().find(|facts| facts.id == planned.device);
        let facts = facts.ok_or_else(|| Found::new("unknown").saying("a step for a device it does not have"))?;
        let order = self.order(planned, facts, known)?;
        let result = self.client.request(&order, self.limit).await;
        let exchange = result.map_err(|error| about(facts, &failed(&error)))?;
        let code = exchange.code();
        if code != "I0" {
            let refused = Found::new("refused").saying(format!("{} {code}", planned.request));
            return match self.is_so_already(planned, facts, known).await {
                Some(Ok(())) => Ok(done(&exchange)),
                Some(Err(found)) => Err(about(facts, &found)),
                None => Err(about(facts, &refused)),
            };
        }
        if let Some(payload) = payload(exchange.response())
            && payload.attribute("MessageSuccess") == Some("false")
        {
            let kind = match planned.request.to_string().as_str() {
                "8.11" => "log-full",
                "8.7.1" | "8.7.2" => "ppmid-unjoined",
                _ => "device-error",
            };
            let text = format!("{} came back without success", planned.request);
            return Err(about(facts, &Found::new(kind).saying(text)));
        }
        self.compare(planned, facts, known, record, &exchange)?;
        Ok(done(&exchange))
    }

    fn order(&self, planned: Planned, facts: &DeviceFacts, known: &Installation) -> Result<Order, Found> {
        let (dcc, device) = (self.client.dcc(), facts.id);
        let hub = known.facts.hub;
        let order = match (planned.request.to_string().as_str(), planned.form) {
            ("12.2", _) => self.announce(facts, known),
            ("8.4", Some(Form::Installed)) if facts.kind == DeviceKind::Chf => {
                orders::hub_becomes(dcc, device, "InstalledNotCommissioned")
            }
            ("8.4", Some(Form::Installed)) => orders::installed(dcc, device),
            ("8.4", Some(Form::InService)) => orders::hub_becomes(dcc, device, "Commissioned"),
            ("8.4", Some(Form::MeteringPoint)) => orders::import_point(dcc, device, point(facts, known)?),
            ("8.11", _) => orders::add_to_log(hub, device, NO_INSTALL_CODE, JOIN_WITHIN_S),
            ("8.1.1", _) => orders::commission(device, self.client.now(), TOLERANCE_S),
            ("8.7.1", _) => orders::join(meter(known)?, device),
            ("8.7.2", _) => orders::join_listener(meter(known)?, device),
            ("6.21", Some(form)) => {
                let (role, party) = match form {
                    Form::NetworkOperator => ("NetworkOperator", network_operator(facts, known)),
                    _ => ("Supplier", known.supplier_on(fuel(facts), day_of(self.client.now()))),
                };
                let certificates = party.and_then(|party| (self.certificates)(party));
                let certificates = certificates.ok_or_else(|| {
                    let text = format!("{role} {} has no certificate that is good", party.unwrap_or_default());
                    about(facts, &Found::new("certificate-revoked").saying(text))
                })?;
                orders::hand_over(device, role, &certificates)
            }
            ("6.20.1", _) => {
                let form = if facts.kind.is_gas() {
                    OrderFuel::Gas
                } else {
                    OrderFuel::Electricity
                };
                orders::set_import_mpxn(device, form, &point(facts, known)?.to_string(), None)
            }
            ("8.2", _) => orders::read_inventory(dcc, device),
            ("4.1.1", _) => orders::read_import_registers(device),
            (other, _) => return Err(Found::new("unknown").saying(format!("{other} is not made here"))),
        };
        Ok(order)
    }

    fn announce(&self, facts: &DeviceFacts, known: &Installation) -> Order {
        let announced = Announced {
            device: facts.id,
            kind: facts.kind,
            model: DeviceModel {
                manufacturer: facts.model.manufacturer.clone(),
                model: facts.model.model.clone(),
                hardware: facts.hardware.clone(),
                firmware: facts.model.firmware.clone(),
            },
            esme_variant: (facts.kind == DeviceKind::Esme).then(|| (self.variant)(facts.id)),
        };
        let proxy = known
            .facts
            .device(DeviceKind::Gpf)
            .filter(|_| facts.kind == DeviceKind::Chf);
        match proxy {
            Some(proxy) => orders::pre_notify_hub(self.client.dcc(), &announced, proxy.id),
            None => orders::pre_notify(self.client.dcc(), &announced),
        }
    }

    /// Whether what was refused is as planned already; none for requests that cannot be so.
    async fn is_so_already(
        &self,
        planned: Planned,
        facts: &DeviceFacts,
        known: &Installation,
    ) -> Option<Result<(), Found>> {
        let announcing = planned.request.to_string() == "12.2";
        if !announcing
            && planned
                .form
                .is_none_or(|form| matches!(form, Form::NetworkOperator | Form::Supplier))
        {
            return None;
        }
        let order = orders::read_inventory(self.client.dcc(), facts.id);
        let exchange = self.client.request(&order, self.limit).await.ok()?;
        let rows = rows(exchange.response());
        let row = rows
            .iter()
            .find(|row| row.child_text("DeviceID") == Some(&facts.id.to_string()))?;
        let text = |name| row.child_text(name).unwrap_or_default();
        let so = match planned.form {
            None if !is_model(row, facts) => {
                let text = format!(
                    "{} {} {}",
                    text("DeviceManufacturer"),
                    text("DeviceModel"),
                    text("DeviceFirmwareVersion")
                );
                return Some(Err(Found::new("already-announced-differently").saying(text)));
            }
            None => true,
            Some(Form::Installed) => ["InstalledNotCommissioned", "Commissioned"].contains(&text("DeviceStatus")),
            Some(Form::InService) => text("DeviceStatus") == "Commissioned",
            Some(_) => point(facts, known).is_ok_and(|point| text("ImportMPxN") == point.to_string()),
        };
        so.then_some(Ok(()))
    }

    /// What the answer to a read must say.
    fn compare(
        &self,
        planned: Planned,
        facts: &DeviceFacts,
        known: &Installation,
        record: Option<&InstallationRecord>,
        exchange: &Exchange,
    ) -> Result<(), Found> {
        match planned.request.to_string().as_str() {
            "8.2" => {
                let rows = rows(exchange.response());
                // What was gone on without is not planned any more.
                let mut planned = known.in_scope().filter(|(_, progress)| !progress.unjoined);
                let wrong = planned.find_map(|(device, _)| {
                    let id = device.id.to_string();
                    let Some(row) = rows.iter().find(|row| row.child_text("DeviceID") == Some(&id)) else {
                        return Some((device, "is not in the inventory".to_owned()));
                    };
                    let status = row.child_text("DeviceStatus").unwrap_or("without status");
                    if status != "Commissioned" {
                        return Some((device, format!("is {status}")));
                    }
                    (!is_model(row, device)).then(|| (device, "has another model or firmware".to_owned()))
                });
                wrong.map_or(Ok(()), |(device, text)| {
                    Err(about(
                        device,
                        &Found::new("inventory-differs").saying(format!("{} {text}", device.kind)),
                    ))
                })
            }
            "4.1.1" => {
                let Some(before) = snapshot(facts, known, record) else {
                    return Ok(());
                };
                let after = payload(exchange.response()).and_then(register);
                let plausible =
                    after.is_some_and(|after| (before..=before.saturating_add(PLAUSIBLE_MAX)).contains(&after));
                if plausible {
                    return Ok(());
                }
                let text = format!("{before} in the snapshot, {after:?} now");
                Err(about(facts, &Found::new("register-implausible").saying(text)))
            }
            _ => Ok(()),
        }
    }
}

fn done(exchange: &Exchange) -> Done {
    let octets = exchange
        .outcome
        .as_ref()
        .map_or(exchange.reply.xml.len(), |outcome| outcome.xml.len());
    Done::Step {
        request_id: exchange.id.to_string(),
        response_code: exchange.code().to_owned(),
        octets: u32::try_from(octets).unwrap_or(u32::MAX),
    }
}

fn failed(error: &ClientError) -> Found {
    match error {
        ClientError::NoOutcome { .. } => Found::new("no-outcome").saying(error.to_string()),
        // Its front door says nothing: it is away, and may have taken the request before it went.
        ClientError::Call { .. } => Found::new("dcc-down").saying(error.to_string()),
        _ => Found::new("refused").saying(error.to_string()),
    }
}

fn about(facts: &DeviceFacts, found: &Found) -> Found {
    Found {
        device: found.device.or(Some(facts.id)),
        ..found.clone()
    }
}

fn fuel(facts: &DeviceFacts) -> Fuel {
    if facts.kind.is_gas() {
        Fuel::Gas
    } else {
        Fuel::Electricity
    }
}

fn point(facts: &DeviceFacts, known: &Installation) -> Result<Mpxn, Found> {
    let fuel = fuel(facts);
    let point = known.facts.points.iter().find(|point| Fuel::of(point.mpxn) == fuel);
    let point = point.ok_or_else(|| about(facts, &Found::new("unknown").saying("no metering point of its fuel")))?;
    Ok(point.mpxn)
}

fn network_operator(facts: &DeviceFacts, known: &Installation) -> Option<Eui64> {
    let fuel = fuel(facts);
    let point = known.facts.points.iter().find(|point| Fuel::of(point.mpxn) == fuel)?;
    Some(point.network)
}

fn meter(known: &Installation) -> Result<Eui64, Found> {
    let meter = known.facts.device(DeviceKind::Esme).map(|facts| facts.id);
    meter.ok_or_else(|| Found::new("unknown").saying("no electricity meter"))
}

/// The register of a meter in the snapshot, in Wh or litres. A gas proxy that was not read itself shows its meter's.
fn snapshot(facts: &DeviceFacts, known: &Installation, record: Option<&InstallationRecord>) -> Option<i64> {
    let item = match facts.kind.is_gas() {
        true => DataItem::GasConsumption,
        false => DataItem::ActiveImport,
    };
    let meter = known
        .facts
        .device(DeviceKind::Gsme)
        .filter(|_| facts.kind == DeviceKind::Gpf);
    let of = |id: Eui64| {
        let read = record?.devices.iter().find(|read| read.device == id.0)?;
        let reading = read.readings.iter().find(|reading| reading.item == item.to_string())?;
        Some(reading.quantity.as_ref()?.value)
    };
    of(facts.id).or_else(|| of(meter?.id))
}

/// The `…Rsp` element, where a device answered.
fn payload(response: &Response) -> Option<&Element> {
    match &response.body {
        ResponseBody::Smets1 { content, .. } => match &content.body {
            SignedBody::Response { payload, .. } => payload.as_ref(),
            SignedBody::Alert(_) => None,
        },
        _ => None,
    }
}

/// The devices of an answer to 8.2.
fn rows(response: &Response) -> Vec<&Element> {
    match &response.body {
        ResponseBody::Message {
            payload: Some(payload), ..
        } => payload.children_named("Device").collect(),
        _ => Vec::new(),
    }
}

fn is_model(row: &Element, facts: &DeviceFacts) -> bool {
    let text = |name| row.child_text(name).unwrap_or_default();
    text("DeviceManufacturer") == facts.model.manufacturer
        && text("DeviceModel") == facts.model.model
        && text("DeviceFirmwareVersion") == facts.model.firmware
}

/// The register of an answer to 4.1.1, in Wh or litres.
fn register(payload: &Element) -> Option<i64> {
    if let Some(register) = payload.at(&["Electricity", "ActiveImportRegister"]) {
        return register.child_text("Value")?.trim().parse().ok();
    }
    let cubic_metres = payload.at(&["Gas", "ConsumptionRegister"])?.child_text("Value")?.trim();
    let (whole, rest) = cubic_metres.split_once('.').unwrap_or((cubic_metres, ""));
    (rest.len() <= 3).then_some(())?;
    format!("{whole}{rest:0<3}").parse().ok()
}
