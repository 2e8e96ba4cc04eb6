//! Requests from files, one by one: each as it stands, and each made a request of this lab, with what became of it.
//!
//! A document is sent as it stands but for its signature, which is made by the lab's user it names. Then it is retargeted:
//! identities, metering points, counters and dates of this lab, to each kind of device it is meant for. A critical one that
//! asks for a pre-command is sent both with its own command variant, which is refused for a SMETS1 device, and with
//! variant 1. Every retargeted request has an installation to itself.

mod expect;
mod outcome;
mod prepare;
mod timing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::{DeviceKind, RequestId, SimDuration, Srv, UserRole};
use duis::template::{Fuel, Wishes};
use duis::{Element, Request};
use fleet::Site;
use futures_util::future::join_all;
use lab::requests::Aim;
use lab::{Config, Lab, Parts};
use serde::Serialize;
use steps::Row;
use steps::table::Mode;
use users::Client;
use world::TapeRecord;
use world::worlds::{self, WorldContext};

pub use expect::{Expectations, NotExpectations};
pub use outcome::Outcome;
pub use timing::Timing;

use crate::sit::SitError;

/// One document to exercise.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, for example the file's.
    pub name: String,
    /// A DUIS request; its signature counts nothing.
    pub xml: Vec<u8>,
}

/// How a document was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Unchanged but for its signature.
    AsItStands,
    /// To this lab, with its own command variant where that is not 1.
    SameVariant,
    /// To this lab, with command variant 1 (8 for the DCC's own).
    Retargeted,
    /// Made by this lab from the structure of the schema.
    Made,
}

impl Form {
    /// The word reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsItStands => "as-it-stands",
            Self::SameVariant => "same-variant",
            Self::Retargeted => "retargeted",
            Self::Made => "made",
        }
    }
}

/// What became of one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Exercised {
    /// The document.
    pub document: String,
    /// Service reference variant.
    pub srv: String,
    /// Kind of device it went to; `DCC` for the DCC itself.
    pub target: String,
    /// How it was sent.
    pub form: Form,
    /// `on-demand`, `dated` or `cancels`.
    pub timing: &'static str,
    /// What became of it: `worked`, `device-refused`, `no-outcome`, or the class of the refusal.
    pub outcome: String,
    /// The code and more words.
    pub detail: String,
}

/// Everything that was exercised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Default)]
pub struct Report {
    /// In the order of the documents.
    pub exercised: Vec<Exercised>,
}

impl Report {
    /// How many came to which outcome, by form.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Form, &str), usize> {
        let mut counts = BTreeMap::new();
        for one in &self.exercised {
            *counts.entry((one.form, one.outcome.as_str())).or_default() += 1;
        }
        counts
    }

    /// The service requests marked as applying to SMETS1 devices, or to some models of them, with the kinds of device (or
    /// `DCC`) of which none worked in any form.
    #[must_use]
    pub fn never_worked(&self) -> Vec<(Srv, String)> {
        use steps::table::Applicability;
        let applies = |row: &&Row| matches!(row.smets1, Applicability::Yes | Applicability::ByModel);
        let mut missing = Vec::new();
        for row in steps::table().rows().filter(applies) {
            let targets: Vec<String> = match row.mode {
                Mode::DccOnly => vec![DCC.to_owned()],
                Mode::Device => {
                    let kinds = row.kinds.iter().filter(|kind| SLOTS.contains(kind));
                    kinds.map(ToString::to_string).collect()
                }
            };
            let srv = row.srv.to_string();
            missing.extend(targets.into_iter().filter_map(|target| {
                let worked = self
                    .exercised
                    .iter()
                    .any(|one| one.srv == srv && one.target == target && one.outcome == outcome::WORKED);
                (!worked).then_some((row.srv, target))
            }));
        }
        missing
    }
}

/// All requests of a folder, by name: the files that end in `.xml` in either case.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn documents(folder: &Path) -> std::io::Result<Vec<Document>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push(Document {
                name,
                xml: std::fs::read(&path)?,
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Exercises documents, and, if asked for, a made request of every service for every kind of device. Blocks the calling
/// thread; must be called outside any runtime.
///
/// # Errors
/// [`SitError`] when the lab cannot be built. What is refused is a result, not an error.
pub fn run(config: Config, documents: &[Document], made: bool) -> Result<Report, SitError> {
    run_recorded(config, documents, made).map(|(report, _)| report)
}

/// The same, with the tape.
///
/// # Errors
/// As [`run`].
pub fn run_recorded(
    mut config: Config,
    documents: &[Document],
    made: bool,
) -> Result<(Report, Vec<TapeRecord>), SitError> {
    config.worlds.count = 1;
    if config.estate.file.is_none() {
        config.estate.builtin.get_or_insert_with(|| "exercise".into());
    }
    let parts = Parts::build(config)?;
    let options = worlds::Options::new(parts.config.clock.start, parts.config.world_seed());
    let run = worlds::run(1, &options, async |context: WorldContext| {
        in_world(context, &parts, documents, made).await
    })?;
    let mut report = Report::default();
    for world in run.results {
        report.exercised.extend(world?);
    }
    Ok((report, run.records))
}

async fn in_world(
    context: WorldContext,
    parts: &Arc<Parts>,
    documents: &[Document],
    made: bool,
) -> Result<Vec<Exercised>, lab::BuildError> {
    let lab = Lab::start_in(context.world.clone(), Arc::clone(parts))?;
    let mut exercised = Vec::new();
    for document in documents {
        exercised.push(as_it_stands(&lab, document).await);
    }
    let cases = cases(documents, made);
    let mut sites = Sites::new(parts);
    let placed: Vec<(&Case, Option<Site>)> = cases.iter().map(|case| (case, sites.next_for(case))).collect();
    // Those to the DCC one after the other: counters rise per user and target, and all have the same target.
    let (to_dcc, to_devices): (Vec<_>, Vec<_>) = placed.iter().partition(|(case, _)| case.kind.is_none());
    let turn = Turn::new(());
    for (case, site) in to_dcc {
        exercised.push(send(&lab, case, site.as_ref(), &turn).await);
    }
    let sent = to_devices
        .into_iter()
        .map(|(case, site)| send(&lab, case, site.as_ref(), &turn));
    exercised.extend(join_all(sent).await);
    lab.stop().await;
    Ok(exercised)
}

/// One request to be made for this lab.
struct Case {
    document: String,
    request: Request,
    kind: Option<DeviceKind>,
    form: Form,
}

fn cases(documents: &[Document], made: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for document in documents {
        let Ok(request) = duis::read_request(&document.xml) else {
            continue;
        };
        let Some(row) = steps::table().row(request.srv) else {
            continue;
        };
        let plain = match row.mode {
            Mode::DccOnly => 8,
            Mode::Device => 1,
        };
        for kind in kinds(row, &document.name) {
            let mut case = |command_variant, form| {
                cases.push(Case {
                    document: document.name.clone(),
                    request: request.clone().with_command_variant(command_variant),
                    kind,
                    form,
                });
            };
            if request.command_variant != plain {
                case(request.command_variant, Form::SameVariant);
            }
            case(plain, Form::Retargeted);
        }
    }
    if made {
        cases.extend(steps::table().rows().flat_map(made_of));
    }
    cases
}

/// The kinds of device a document is meant for: by the use case at the beginning of its name, else by the table.
fn kinds(row: &Row, name: &str) -> Vec<Option<DeviceKind>> {
    if row.mode == Mode::DccOnly {
        return vec![None];
    }
    let named: &[DeviceKind] = match name {
        name if name.contains("_GPF_") => &[DeviceKind::Gpf],
        name if name.contains("_GSME_") => &[DeviceKind::Gsme],
        name if name.starts_with("ECS") => &[DeviceKind::Esme],
        name if name.starts_with("GCS") => &[DeviceKind::Gsme, DeviceKind::Gpf],
        name if name.starts_with("CCS") || name.starts_with("DBCH") => &[DeviceKind::Chf],
        _ => &SLOTS,
    };
    let meant: Vec<_> = named
        .iter()
        .filter(|kind| row.kinds.contains(kind))
        .map(|kind| Some(*kind))
        .collect();
    match named.first() {
        // Not for any of them by the table: sent once, to see it refused.
        Some(first) if meant.is_empty() => vec![Some(*first)],
        _ => meant,
    }
}

/// A request of our own for every kind of device that a service is for.
fn made_of(row: &Row) -> Vec<Case> {
    let targets: Vec<Option<DeviceKind>> = match row.mode {
        Mode::DccOnly => vec![None],
        Mode::Device => row
            .kinds
            .iter()
            .filter(|kind| SLOTS.contains(kind))
            .map(|kind| Some(*kind))
            .collect(),
    };
    targets
        .into_iter()
        .filter_map(|kind| {
            let fuel = if kind.is_some_and(DeviceKind::is_gas) {
                Fuel::Gas
            } else {
                Fuel::Electricity
            };
            let wishes = Wishes {
                fuel,
                elements: lab::requests::usual(row.srv),
                ..Wishes::default()
            };
            let body = duis::template::body(row.body, &wishes)?;
            let id = RequestId {
                originator: domain::Eui64(0),
                target: domain::Eui64(0),
                counter: 0,
            };
            let command_variant = if kind.is_some() { 1 } else { 8 };
            Some(Case {
                document: format!("{} for {}", row.srv, kind.map_or(DCC, DeviceKind::as_str)),
                request: Request::new(id, row.srv)
                    .with_command_variant(command_variant)
                    .with_body(body),
                kind,
                form: Form::Made,
            })
        })
        .collect()
}

/// Installations, each given away once.
struct Sites(BTreeMap<Need, Vec<Site>>);

/// What a case needs of its installation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Need {
    /// A gas meter that records flow.
    FlowRecorder,
    /// Nothing.
    Plain,
    /// Meters that pay in advance.
    Prepayment,
    /// A second element and auxiliary load switches.
    SecondElement,
}

impl Need {
    fn of(case: &Case) -> Self {
        let body = &case.request.body;
        match case.request.srv.to_string().as_str() {
            "1.1.2" | "1.2.2" | "4.11.2" | "7.5" | "7.6" | "7.7" => Self::SecondElement,
            "14.1" => Self::FlowRecorder,
            srv if srv.starts_with("2.") || body.child("PrepaymentMode").is_some() => Self::Prepayment,
            "4.3" | "4.14" | "4.18" => Self::Prepayment,
            _ => Self::Plain,
        }
    }

    /// What an installation is good for.
    fn met_by(parts: &Parts, site: &Site) -> Self {
        use domain::operation::PaymentMode;
        let records = |device: &fleet::SiteDevice| {
            let profile = parts.catalogue.profile(&device.profile);
            device.kind == DeviceKind::Gsme && profile.is_some_and(|profile| profile.meter.logs.records_flow)
        };
        if site.second_element() {
            Self::SecondElement
        } else if site.devices().iter().any(records) {
            Self::FlowRecorder
        } else if site.payment_mode() == PaymentMode::Prepayment {
            Self::Prepayment
        } else {
            Self::Plain
        }
    }
}

impl Sites {
    fn new(parts: &Parts) -> Self {
        let mut sites: BTreeMap<Need, Vec<Site>> = BTreeMap::new();
        for site in parts.estate.sites() {
            sites.entry(Need::met_by(parts, &site)).or_default().push(site);
        }
        // Given away from the end: so in the order of the file.
        sites.values_mut().for_each(|sites| sites.reverse());
        Self(sites)
    }

    /// One that meets the need; where there is none left, a plain one, or any.
    fn next_for(&mut self, case: &Case) -> Option<Site> {
        let mut needs = vec![Need::of(case), Need::Plain];
        needs.extend(self.0.keys().copied());
        needs.into_iter().find_map(|need| self.0.get_mut(&need)?.pop())
    }
}

/// A document with nothing changed but its signature, from the user it names.
async fn as_it_stands(lab: &Lab, document: &Document) -> Exercised {
    let request = duis::read_request(&document.xml);
    let (srv, timing) = match &request {
        Ok(request) => (request.srv.to_string(), Timing::of(request).as_str()),
        Err(_) => (String::new(), Timing::OnDemand.as_str()),
    };
    let base = Exercised {
        document: document.name.clone(),
        srv,
        target: "named".to_owned(),
        form: Form::AsItStands,
        timing,
        outcome: String::new(),
        detail: String::new(),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            return Exercised {
                outcome: "unreadable".to_owned(),
                detail: error.to_string(),
                ..base
            };
        }
    };
    let named = lab.users().iter().find(|user| user.eui() == request.id.originator);
    let Some(client) = named.or_else(|| lab.users().first()) else {
        return base;
    };
    // Documents of one set repeat their counters.
    if let Some(dcc) = lab.dcc() {
        let _ = dcc.reset_counters(request.id.originator).await;
    }
    let path = users::Order {
        target: request.id.target,
        srv: request.srv,
        command_variant: request.command_variant,
        body: Element::sr(""),
    }
    .path();
    let Outcome { word, detail } = outcome::of_document(lab, client, request.id, path, &document.xml).await;
    Exercised {
        outcome: word,
        detail,
        ..base
    }
}

/// A case sent to its installation by the user that is registered for it.
async fn send(lab: &Lab, case: &Case, site: Option<&Site>, turn: &Turn) -> Exercised {
    let request = &case.request;
    let mut result = Exercised {
        document: case.document.clone(),
        srv: request.srv.to_string(),
        target: case.kind.map_or(DCC, DeviceKind::as_str).to_owned(),
        form: case.form,
        timing: Timing::of(request).as_str(),
        outcome: "not-sent".to_owned(),
        detail: String::new(),
    };
    let Some(site) = site else {
        result.detail = "the estate has no installation left for it".to_owned();
        return result;
    };
    let device = case.kind.and_then(|kind| site.device(kind));
    let Some(client) = sender(lab, request, case.kind, site) else {
        result.detail = "no user of the lab may send it".to_owned();
        return result;
    };
    let aim = Aim {
        certificates: certificates(lab, client).filter(|_| case.form == Form::Made),
        ..Aim::at(site, case.kind, client.now())
    };
    let kind = case.kind.unwrap_or(DeviceKind::Esme);
    let profile = site.profile(kind).and_then(|id| lab.parts().catalogue.profile(id));
    let fitted = site.device(kind).zip(profile).map(|(id, profile)| prepare::Device {
        id,
        firmware: profile.model.firmware.clone(),
        head: profile.image_head(),
    });
    let fitted = fitted.as_ref();
    let mut body = aim.retarget(&request.body);
    let first = prepare::orders(
        (lab, client),
        &mut body,
        case.form,
        &aim,
        fitted.filter(|_| device.is_some()),
    );
    for order in first {
        let _turn = turn.lock().await;
        // What goes wrong shows in what the request itself comes to.
        let _ = client.request(&order, LIMIT).await;
    }
    lab.world().clock.sleep(prepare::wait(request, case.form)).await;
    let body = match fitted {
        Some(fitted) => fitted.firmware_of(body, client.dcc()),
        _ => body,
    };
    let order = users::Order {
        target: device.unwrap_or_else(|| client.dcc()),
        srv: request.srv,
        command_variant: request.command_variant,
        body,
    };
    let Outcome { word, detail } = outcome::of_order(lab, client, &order).await;
    result.outcome = word;
    result.detail = detail;
    result
}

/// The user registered for the device in the first role that may send this and fits the fuel; else the first that may.
/// Roles that the user named in the document has come first where it is no supplier.
fn sender<'a>(lab: &'a Lab, request: &Request, kind: Option<DeviceKind>, site: &Site) -> Option<&'a Client> {
    use UserRole as R;
    let row = steps::table().row(request.srv)?;
    let fits = |role: R| match (role, kind) {
        (R::ImportSupplier | R::ExportSupplier | R::ElectricityDistributor, Some(kind)) => !kind.is_gas(),
        (R::GasSupplier | R::GasTransporter, Some(kind)) => kind.is_gas() || kind == DeviceKind::Chf,
        _ => true,
    };
    let named = lab.parts().directory.user(request.id.originator);
    let operator = named.is_some_and(|user| user.roles.iter().all(|role| role.is_network_operator()));
    let anchor = kind.or(Some(DeviceKind::Esme)).and_then(|kind| site.device(kind))?;
    let mut fitting: Vec<R> = row.roles.iter().copied().filter(|role| fits(*role)).collect();
    fitting.sort_by_key(|role| operator && !role.is_network_operator());
    fitting
        .into_iter()
        .find_map(|role| lab.user_for(anchor, role))
        .or_else(|| row.roles.iter().find_map(|role| lab.user_in(*role)))
        .or_else(|| lab.users().first())
}

/// The organisation's certificates of a user, where it has some.
fn certificates(lab: &Lab, client: &Client) -> Option<(String, String)> {
    let mut users = lab.parts().pki.users.iter();
    let organisation = users.find(|user| user.eui == client.eui())?.organisation.as_ref()?;
    Some((
        lab::pki::base64_of(&organisation.signing),
        lab::pki::base64_of(&organisation.agreement),
    ))
}

/// Whose turn it is to ask the DCC for something first: its counters rise, whoever asks.
type Turn = futures_util::lock::Mutex<()>;

/// How long an outcome is awaited: longer than the DCC's own limit, so that its answer is seen.
const LIMIT: SimDuration = SimDuration::from_hours(6);
/// What reports call the DCC as a target.
const DCC: &str = "DCC";
/// The devices of an installation.
const SLOTS: [DeviceKind; 4] = [DeviceKind::Chf, DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme];
