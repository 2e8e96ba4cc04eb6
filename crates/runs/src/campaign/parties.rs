//! The two parties of a campaign on the links of a lab, with what their checks can ask.

use std::sync::Arc;

use dmc::Catalogue;
use domain::DeviceKind;
use jiff::civil::Date;
use lab::Lab;
use lab::pki::{CP_EUI, RP_EUI};
use migration::centre::answer;
use migration::faults::{FaultRule, Spoilt};
use migration::machine::model::Facts;
use migration::party::{Cp, CpOptions, Enrolment, Requests, Rp, RpOptions};
use migration::planning::gates::{Combination, ListedModel, Lists};
use migration::planning::lists::CsvLists;
use migration::{InstallationId, Settings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use users::Client;
use world::{LinkEnd, World};

use super::CampaignError;
use super::file::{CampaignFile, ReadError};
use crate::surroundings::{LabImages, LabSurroundings};

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

/// What the parties of a migration are started with.
pub struct PartiesOptions<'a> {
    /// The settings they work by.
    pub settings: Arc<Settings>,
    /// EPCL and CPL.
    pub lists: Arc<dyn Lists + Send + Sync>,
    /// What goes wrong; of these, the errors in the commissioning party's requests are made here.
    pub faults: &'a [FaultRule],
    /// The installations of their world.
    pub installations: &'a [&'a Facts],
}

/// Both parties of a migration on the links of a lab.
pub struct Parties {
    /// The requesting party.
    pub rp: Rp,
    /// The commissioning party.
    pub cp: Cp,
    /// The commissioning party as a user of the DCC.
    pub commissioning: Client,
}

impl Parties {
    /// Starts both on their journals. Their tasks go into `tasks`, and end with `shutdown`.
    ///
    /// # Errors
    /// [`CampaignError`] when the lab's links for them are taken, or keys or journals are not as they must be.
    pub fn start(
        lab: &mut Lab,
        options: PartiesOptions<'_>,
        tasks: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<Self, CampaignError> {
        let (parts, world) = (Arc::clone(lab.parts()), lab.world().clone());
        let links = lab.take_migration_links().ok_or(CampaignError::LinksTaken)?;
        let settings = options.settings;
        let (rp_end, cp_end) = world.link("rp", "cp");
        let opening = |opening: &lab::pki::Opening| opening.key().map_err(lab::BuildError::from);
        let rp_options = RpOptions {
            eui: RP_EUI,
            key: parts.signing_key("the RP", &parts.pki.rp)?,
            opening: opening(&parts.pki.rp_opening)?,
            s1sp: opening(&parts.pki.s1sp_opening)?.public_key(),
            dco: opening(&parts.pki.dco_opening)?.public_key(),
            cp: parts.certificate("the CP", &parts.pki.cp)?,
            images: Arc::new(LabImages(Arc::clone(&parts))),
            settings: Arc::clone(&settings),
        };
        let store = parts.journals.open(&super::journal_name(world.number, "rp"))?;
        let (rp, rp_routers) = Rp::new(world.clone(), [links.smso, rp_end], rp_options, store)?;
        let (commissioning, task) = parts.commissioning_client(&world, links.dcc)?;
        let certificates = Arc::clone(&parts);
        let enrolment: Arc<dyn Requests> = Arc::new(Enrolment {
            client: commissioning.clone(),
            certificates: Arc::new(move |user| certificates.organisation_certificates(user)),
            variant: Arc::new(parts.esme_variants()),
            limit: settings.timers.service_request(),
        });
        let named = options.faults.iter().map(|rule| {
            let about = options.installations.iter();
            let about = about.filter(|facts| rule.is_about(&world.seed, facts));
            (
                rule.clone(),
                about.map(|facts| facts.id).collect::<Vec<InstallationId>>(),
            )
        });
        let cp_options = CpOptions {
            eui: CP_EUI,
            key: parts.signing_key("the CP", &parts.pki.cp)?,
            rp: parts.certificate("the RP", &parts.pki.rp)?,
            settings,
            surroundings: Arc::new(LabSurroundings {
                dcc: lab.known_to_dcc(),
                lists: options.lists,
            }),
            requests: Arc::new(Spoilt::new(enrolment, world.clock.clone(), named)),
        };
        let store = parts.journals.open(&super::journal_name(world.number, "cp"))?;
        let (cp, cp_routers) = Cp::new(world, [cp_end, links.s1sp, links.dco], cp_options, store)?;
        tasks.spawn(rp.clone().run(rp_routers, shutdown.clone()));
        tasks.spawn(cp.clone().run(cp_routers, shutdown.clone()));
        tasks.spawn(task.run(shutdown.clone()));
        Ok(Self { rp, cp, commissioning })
    }

    /// Has both answer a control centre, and gives its ends of the links with them.
    pub(super) fn answer_centre(
        &self,
        world: &World,
        tasks: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> [LinkEnd; 2] {
        let (to_rp, from_mcc) = world.link("mcc", "rp");
        tasks.spawn(answer(self.rp.clone(), from_mcc, shutdown.clone()));
        let (to_cp, from_mcc) = world.link("mcc", "cp");
        tasks.spawn(answer(self.cp.clone(), from_mcc, shutdown.clone()));
        [to_rp, to_cp]
    }
}
