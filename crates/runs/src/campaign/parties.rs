//! The two parties of a campaign on the links of a lab, with what their checks can ask.

use std::sync::Arc;

use dmc::Catalogue;
use domain::DeviceKind;
use jiff::civil::Date;
use lab::Lab;
use lab::pki::{CP_EUI, RP_EUI};
use migration::InstallationId;
use migration::centre::answer;
use migration::faults::Spoilt;
use migration::machine::model::Facts;
use migration::party::{Cp, CpOptions, Enrolment, Requests, Rp, RpOptions};
use migration::planning::gates::{Combination, ListedModel, Lists};
use migration::planning::lists::CsvLists;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::LinkEnd;

use super::CampaignError;
use super::file::{CampaignFile, ReadError};
use crate::{LabImages, LabSurroundings};

/// What may be enrolled: lists from files, or everything.
pub(super) enum Eligible {
    Listed(CsvLists),
    Everything,
}

impl Eligible {
    pub(super) fn read(file: &CampaignFile, catalogue: Option<&Catalogue>) -> Result<Self, CampaignError> {
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
        let lists = CsvLists::read((&epcl.0, &epcl.1), (&cpl.0, &cpl.1), catalogue).map_err(ReadError::File)?;
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

/// Both parties of one world, and the control centre's ends of its links with them.
pub(super) struct Parties {
    pub(super) rp: Rp,
    pub(super) cp: Cp,
    pub(super) links: [LinkEnd; 2],
}

/// Starts both parties on the links of a lab, on their journals. Their tasks go into `tasks`.
pub(super) fn start(
    lab: &mut Lab,
    file: &CampaignFile,
    lists: &Arc<Eligible>,
    own: &[&Facts],
    tasks: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) -> Result<Parties, CampaignError> {
    let (parts, world) = (Arc::clone(lab.parts()), lab.world().clone());
    let links = lab.take_migration_links().ok_or(CampaignError::LinksTaken)?;
    let settings = Arc::new(file.settings.clone());
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
        cp: parts.certificate("the CP", &parts.pki.cp)?,
        images: Arc::new(LabImages(Arc::clone(&parts))),
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
        let about = own.iter().filter(|facts| rule.is_about(&world.seed, facts));
        (
            rule.clone(),
            about.map(|facts| facts.id).collect::<Vec<InstallationId>>(),
        )
    });
    let requests: Arc<dyn Requests> = Arc::new(Spoilt::new(enrolment, world.clock.clone(), named));
    let cp_options = CpOptions {
        eui: CP_EUI,
        key: parts.signing_key("the CP", &parts.pki.cp)?,
        rp: parts.certificate("the RP", &parts.pki.rp)?,
        settings,
        surroundings: Arc::new(LabSurroundings {
            dcc: lab.known_to_dcc(),
            lists: Arc::clone(lists) as _,
        }),
        requests,
    };
    let store = parts.journals.open(&super::journal_name(world.number, "cp"))?;
    let (to_rp, from_mcc) = world.link("mcc", "rp");
    tasks.spawn(answer(rp.clone(), from_mcc, shutdown.clone()));
    let (to_cp, from_mcc) = world.link("mcc", "cp");
    let (cp, cp_routers) = Cp::new(world, [cp_end, links.s1sp, links.dco], cp_options, store)?;
    tasks.spawn(rp.clone().run(rp_routers, shutdown.clone()));
    tasks.spawn(cp.clone().run(cp_routers, shutdown.clone()));
    tasks.spawn(answer(cp.clone(), from_mcc, shutdown.clone()));
    tasks.spawn(task.run(shutdown.clone()));
    Ok(Parties {
        rp,
        cp,
        links: [to_rp, to_cp],
    })
}
