//! The two parties of a campaign on the links of a lab, with what their checks can ask.

use std::sync::Arc;

use domain::{CommunicationsProvider, DeviceKind, Mpxn, SimInstant, UserRole};
use duis::signature::Certificate;
use jiff::civil::Date;
use lab::pki::{CP_EUI, RP_EUI};
use lab::{Lab, Parts};
use migration::InstallationId;
use migration::day::day_of;
use migration::faults::Spoilt;
use migration::machine::model::Facts;
use migration::party::{Cp, CpOptions, Enrolment, Requests, Rp, RpOptions, Surroundings};
use migration::planning::gates::{Combination, ListedModel, Lists};
use migration::planning::lists::CsvLists;
use migration::settings::Check;
use proto::{Condition, InstallationRecord};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::CampaignError;
use super::file::{CampaignFile, ReadError};

/// What may be enrolled: lists from files, or everything.
pub(super) enum Eligible {
    Listed(CsvLists),
    Everything,
}

impl Eligible {
    pub(super) fn read(file: &CampaignFile) -> Result<Self, CampaignError> {
        let Some((epcl, cpl)) = &file.lists else {
            return Ok(Self::Everything);
        };
        let text = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path).map_err(|cause| ReadError::Path {
                path: path.clone(),
                cause,
            })
        };
        let name = |path: &std::path::PathBuf| path.display().to_string();
        let (epcl, cpl) = ((name(epcl), text(epcl)?), (name(cpl), text(cpl)?));
        let lists = CsvLists::read((&epcl.0, &epcl.1), (&cpl.0, &cpl.1)).map_err(ReadError::File)?;
        Ok(Self::Listed(lists))
    }
}

impl Lists for Eligible {
    fn epcl(&self, combination: &Combination, day: Date) -> Option<String> {
        match self {
            Self::Listed(lists) => lists.epcl(combination, day),
            Self::Everything => Some("LAB-EVERYTHING".to_owned()),
        }
    }
    fn cpl_active(&self, kind: DeviceKind, model: &ListedModel) -> bool {
        match self {
            Self::Listed(lists) => lists.cpl_active(kind, model),
            Self::Everything => true,
        }
    }
    fn entry_facts(&self, epcl: &str) -> Option<(String, String)> {
        match self {
            Self::Listed(lists) => lists.entry_facts(epcl),
            Self::Everything => None,
        }
    }
    fn upgrade_target(&self, combination: &Combination, day: Date) -> Option<(String, Combination)> {
        match self {
            Self::Listed(lists) => lists.upgrade_target(combination, day),
            Self::Everything => None,
        }
    }
}

/// What the commissioning party's checks ask: Registration Data and the lists.
struct Around {
    parts: Arc<Parts>,
    lists: Arc<Eligible>,
}

impl Surroundings for Around {
    fn judge(&self, check: Check, record: &InstallationRecord, now: SimInstant) -> Option<Condition> {
        let found = |kind: &str, detail: String| Condition {
            kind: kind.into(),
            detail,
            ..Condition::default()
        };
        match check {
            Check::ResponsibleSupplier => record.points.iter().find_map(|point| {
                let mpxn: Mpxn = point.mpxn.parse().ok()?;
                let role = match mpxn {
                    Mpxn::Mpan(_) => UserRole::ImportSupplier,
                    Mpxn::Mprn(_) => UserRole::GasSupplier,
                };
                let registered = self.parts.directory.registered(mpxn, role, now)?;
                let differs = registered.0 != point.responsible_supplier;
                differs.then(|| found("supplier-differs", format!("{mpxn} is registered to {registered}")))
            }),
            Check::Epcl => {
                let listed = combination(record).is_some_and(|all| self.lists.epcl(&all, day_of(now)).is_some());
                (!listed).then(|| found("not-on-epcl", "no entry has this combination".into()))
            }
            _ => None,
        }
    }
}

fn combination(record: &InstallationRecord) -> Option<Combination> {
    let model = |kind: DeviceKind| {
        let device = record.devices.iter().find(|device| device.kind == kind.as_str())?;
        Some(ListedModel {
            manufacturer: device.manufacturer.clone(),
            model: device.model.clone(),
            firmware: device.firmware.clone(),
        })
    };
    let provider: CommunicationsProvider = record.communications_provider.parse().ok()?;
    Some(Combination {
        provider,
        hub: model(DeviceKind::Chf)?,
        esme: model(DeviceKind::Esme)?,
        gsme: model(DeviceKind::Gsme),
        ppmid: model(DeviceKind::Ppmid),
    })
}

/// Starts both parties on the links of a lab, on their journals. Their tasks go into `tasks`.
pub(super) fn start(
    lab: &mut Lab,
    file: &CampaignFile,
    lists: &Arc<Eligible>,
    all: &[Facts],
    tasks: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> Result<(Rp, Cp), CampaignError> {
    let (parts, world) = (Arc::clone(lab.parts()), lab.world().clone());
    let links = lab.take_migration_links().ok_or(CampaignError::LinksTaken)?;
    let settings = Arc::new(file.settings.clone());
    let certificate = |pem: &str| {
        Certificate::from_pem(pem).map_err(|error| lab::BuildError::Certificate {
            whose: "a party of the migration".into(),
            problem: error.to_string(),
        })
    };
    let (rp_end, cp_end) = world.link("rp", "cp");
    let rp_options = RpOptions {
        eui: RP_EUI,
        key: parts.signing_key("the RP", &parts.pki.rp)?,
        opening: parts.pki.rp_opening.key().map_err(lab::BuildError::from)?,
        s1sp: parts
            .pki
            .s1sp_opening
            .key()
            .map_err(lab::BuildError::from)?
            .public_key(),
        dco: parts.pki.dco_opening.key().map_err(lab::BuildError::from)?.public_key(),
        cp: certificate(&parts.pki.cp.certificate_pem)?,
        settings: Arc::clone(&settings),
    };
    let store = parts.journals.open(&super::journal_name(world.number, "rp"))?;
    let (rp, rp_routers) = Rp::new(world.clone(), [links.smso, rp_end], rp_options, store)?;
    let (client, task) = parts.commissioning_client(&world, links.dcc)?;
    let certificates = Arc::clone(&parts);
    let enrolment: Arc<dyn Requests> = Arc::new(Enrolment {
        client,
        certificates: Arc::new(move |user| certificates.organisation_certificates(user)),
        variant: Arc::new(parts.esme_variants()),
        limit: settings.timers.service_request(),
    });
    let named = file.faults.iter().map(|rule| {
        let about = all.iter().filter(|facts| rule.is_about(&world.seed, facts));
        (
            rule.clone(),
            about.map(|facts| facts.id).collect::<Vec<InstallationId>>(),
        )
    });
    let requests: Arc<dyn Requests> = Arc::new(Spoilt::new(enrolment, world.clock.clone(), named));
    let cp_options = CpOptions {
        eui: CP_EUI,
        key: parts.signing_key("the CP", &parts.pki.cp)?,
        rp: certificate(&parts.pki.rp.certificate_pem)?,
        settings,
        surroundings: Arc::new(Around {
            parts: Arc::clone(&parts),
            lists: Arc::clone(lists),
        }),
        requests,
    };
    let store = parts.journals.open(&super::journal_name(world.number, "cp"))?;
    let (cp, cp_routers) = Cp::new(world, [cp_end, links.s1sp, links.dco], cp_options, store)?;
    tasks.spawn(rp.clone().run(rp_routers, shutdown.clone()));
    tasks.spawn(cp.clone().run(cp_routers, shutdown.clone()));
    tasks.spawn(task.run(shutdown.clone()));
    Ok((rp, cp))
}
