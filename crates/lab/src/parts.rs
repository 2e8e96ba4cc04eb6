//! Everything the roles of a lab are built from, read and checked once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcc::{Inventory, SmiStatus};
use dmc::Catalogue;
use domain::keys::Party;
use domain::operation::CriticalOperations;
use domain::{DeviceKind, SimInstant};
use duis::signature::{Certificate, CertificateBook, Scheme, SigningKey};
use fleet::{Estate, Site, SiteFault, Surroundings};
use head_end::{OnFile, OnFiles};
use world::{MemoryStore, Store, StoreError};

use crate::config::{Config, ConfigError, EstateConfig};
use crate::custody::{self, Custody};
use crate::faces::Faces;
use crate::file_store::{FileReader, FileStore};
use crate::files::{FileError, read_text};
use crate::live::Live;
use crate::pki::{self, Identity, Pki};

/// What every role takes its share of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// Device profiles.
    pub catalogue: Arc<Catalogue>,
    /// The installations at the start.
    pub estate: Arc<Estate>,
    /// Authorities, parties, users.
    pub pki: Arc<Pki>,
    /// Relation secrets. Each role is given its own only.
    pub custody: Custody,
    /// What needs an approval.
    pub critical: CriticalOperations,
    /// Certificates of the DCC, the S1SP and all users.
    pub certificates: Arc<CertificateBook>,
    /// Users and Registration Data at the start.
    pub directory: Arc<dcc::Directory>,
    /// Where journals are kept.
    pub journals: Journals,
    /// Where programs that provide faces are attached.
    pub faces: Faces,
    /// Installations and directory as they are now.
    pub live: Live,
}

/// What keeps a lab from being built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The lab's calendar.
    #[error("tie the lab's calendar to the machine's")]
    Calendar(#[from] crate::calendar::Error),
    /// A certificate or key that signatures cannot be made or verified with.
    #[error("use the certificate of {whose}: {problem}")]
    Certificate {
        /// Whose.
        whose: String,
        /// Why not.
        problem: String,
    },
    /// Tables of codes.
    #[error("put rows over the tables of codes")]
    Codes(#[from] steps::OverlayError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Custody.
    #[error("take custody of the relation secrets")]
    Custody(#[from] custody::Error),
    /// A device profile file.
    #[error("load the device profiles")]
    Dmc(#[from] dmc::Error),
    /// The estate.
    #[error("read the estate")]
    Estate(#[from] fleet::EstateError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A fleet's profiles.
    #[error("build the fleet")]
    Fleet(#[from] fleet::FleetError),
    /// A role that is never restarted by itself.
    #[error("the {role} is not restarted by itself: its devices live in memory")]
    NotRestarted {
        /// Which role.
        role: &'static str,
    },
    /// The PKI.
    #[error("build the lab's PKI")]
    Pki(#[from] pki::Error),
    /// A role's end of a link is still in use.
    #[error("the {role} still holds its link with {peer}")]
    StillRunning {
        /// Which role.
        role: &'static str,
        /// The other end.
        peer: String,
    },
    /// A journal.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Parts {
    /// Reads and checks everything the configuration names; makes keys and custody where it names none.
    ///
    /// # Errors
    /// [`BuildError`], before anything runs.
    pub fn build(config: Config) -> Result<Arc<Self>, BuildError> {
        crate::explain::use_codes(&config)?;
        let (pki, custody) = keys(&config)?;
        let catalogue = Arc::new(if config.dmc.folders.is_empty() {
            Catalogue::builtin()?
        } else {
            Catalogue::load(&config.dmc.folders)?
        });
        let estate = estate(&config.estate, &catalogue)?;
        let journals = match &config.folders.state {
            Some(state) => Journals::on_disk(state),
            None => Journals::default(),
        };
        of_the_dcc(&config, &pki)?;
        let certificates = Arc::new(book(&pki, config.signatures)?);
        let live = Live::open(&config, &pki, &catalogue, estate, journals.clone())?;
        Ok(Arc::new(Self {
            config,
            catalogue,
            estate: live.estate(),
            pki: Arc::new(pki),
            custody,
            critical: steps::critical_operations(),
            certificates,
            directory: live.directory(),
            journals,
            faces: Faces::default(),
            live,
        }))
    }

    /// The installations of one world out of the configured number, in the order of the file, as they are now.
    #[must_use]
    pub fn sites(&self, world: u32) -> Vec<Site> {
        let count = self.config.worlds.count.max(1);
        let mut sites: Vec<Site> = self.live.estate().sites().collect();
        sites.retain(|site| world::worlds::world_of(site.hub(), count) == world);
        sites
    }

    /// The directory of the installations that `party` operates in one world.
    #[must_use]
    pub fn head_end_directory(&self, world: u32, party: Party) -> head_end::Directory {
        let directory = head_end::Directory::default();
        for site in self.sites(world) {
            if site.enrolled() == (party == Party::S1sp) {
                directory.insert(self.known_to_head_end(&site));
            }
        }
        directory
    }

    /// An installation as its operator knows it.
    #[must_use]
    pub fn known_to_head_end(&self, site: &Site) -> head_end::Site {
        let devices = site.devices().into_iter().filter_map(|device| {
            let profile = Arc::clone(self.catalogue.profile(&device.profile)?);
            Some(head_end::Device::new(device.device, device.kind, profile))
        });
        head_end::Site {
            hub: site.hub(),
            devices: devices.collect(),
        }
    }

    /// What the SMSO has on file of the installations it operates in one world, and which devices it operates for nobody.
    #[must_use]
    pub fn smso_files(&self, world: u32) -> OnFiles {
        let files = OnFiles::default();
        for site in self.sites(world) {
            Self::put_on_file(&files, &site);
        }
        files
    }

    /// Puts on file what the SMSO has of an installation, where it operates it.
    pub fn put_on_file(files: &OnFiles, site: &Site) {
        if site.enrolled() {
            return;
        }
        let on_file = OnFile {
            master_keys: !site.has_fault(SiteFault::NoMasterKeys),
            active: site.active(DeviceKind::Chf),
        };
        let devices = site.devices().into_iter();
        let dormant = devices.filter(|device| !device.active).map(|device| device.device);
        files.put(site.hub(), on_file, dormant);
    }

    /// The inventory at the start: enrolled installations, commissioned a month before the calendar starts.
    #[must_use]
    pub fn inventory(&self, world: u32) -> Inventory {
        let since = self.config.clock.start - domain::SimDuration::from_days(30);
        let mut inventory = Inventory::default();
        for site in self.sites(world) {
            self.inventory_of(&site, since)
                .into_iter()
                .for_each(|device| inventory.put(device));
        }
        inventory
    }

    /// The devices of an installation as the inventory has them, in service since then; none of one that is not enrolled.
    #[must_use]
    pub fn inventory_of(&self, site: &Site, since: SimInstant) -> Vec<dcc::Device> {
        if !site.enrolled() {
            return Vec::new();
        }
        let meters = [DeviceKind::Esme, DeviceKind::Gpf, DeviceKind::Gsme].map(|kind| site.device(kind));
        let displays = [DeviceKind::Ppmid, DeviceKind::Ihd].map(|kind| site.device(kind));
        let entry = |device: fleet::SiteDevice| {
            let profile = self.catalogue.profile(&device.profile)?;
            let model = Arc::new(profile.model.clone());
            let mut entry = dcc::Device::new(device.device, device.kind, model, SmiStatus::Commissioned, since);
            entry.hub = Some(device.hub);
            entry.mpxn = device.mpxn;
            entry.s1sp = Some(Arc::from("s1lab"));
            if device.kind == DeviceKind::Esme {
                let variant = if site.second_element() { "B" } else { "A" };
                entry.esme_variant = Some(Arc::from(variant));
            }
            // Displays are fitted joined with the meters.
            let joined = match device.kind {
                DeviceKind::Ppmid | DeviceKind::Ihd => meters.as_slice(),
                DeviceKind::Esme | DeviceKind::Gpf | DeviceKind::Gsme => displays.as_slice(),
                _ => &[],
            };
            for other in joined.iter().flatten() {
                entry.more_mut().joined.push(*other);
            }
            Some(entry)
        };
        site.devices().into_iter().filter_map(entry).collect()
    }

    /// A signing key of the PKI, signing by the lab's scheme.
    ///
    /// # Errors
    /// When key and certificate are not what signatures need.
    pub fn signing_key(&self, whose: &str, identity: &Identity) -> Result<SigningKey, BuildError> {
        let key = SigningKey::from_pem(identity.expose_key_pem(), &identity.certificate_pem);
        let key = key.map_err(|error| BuildError::Certificate {
            whose: whose.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(key.with_scheme(self.config.signatures))
    }

    /// A certificate of the PKI, proving by the lab's scheme.
    ///
    /// # Errors
    /// When it is not what signatures need.
    pub fn certificate(&self, whose: &str, identity: &Identity) -> Result<Certificate, BuildError> {
        certificate(whose, &identity.certificate_pem, self.config.signatures)
    }
}

/// Where the roles' journals are: in memory or each in a folder of its own. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Journals {
    folder: Option<PathBuf>,
    in_memory: Arc<std::sync::Mutex<BTreeMap<String, MemoryStore>>>,
}

impl Journals {
    /// Journals below a state folder; those that are there go on.
    #[must_use]
    pub fn on_disk(state: &Path) -> Self {
        Self {
            folder: Some(state.join("journals")),
            ..Self::default()
        }
    }

    /// Whether they outlive the process.
    #[must_use]
    pub fn are_durable(&self) -> bool {
        self.folder.is_some()
    }

    /// Opens a role's journal. One that is open must be closed first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(&self, name: &str) -> Result<Box<dyn Store>, StoreError> {
        match &self.folder {
            Some(folder) => Ok(Box::new(FileStore::open(&folder.join(name))?)),
            None => {
                let mut all = self.in_memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(Box::new(all.entry(name.to_owned()).or_default().reopened()))
            }
        }
    }

    /// A role's journal to be read while the role has it open.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(&self, name: &str) -> Result<Box<dyn Store>, StoreError> {
        match &self.folder {
            Some(folder) => Ok(Box::new(FileReader::new(&folder.join(name)))),
            None => {
                let all = self.in_memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(Box::new(all.get(name).cloned().unwrap_or_default()))
            }
        }
    }
}

/// Keys and custody from the named folder, or made for this run.
fn keys(config: &Config) -> Result<(Pki, Custody), BuildError> {
    let (mut pki, custody) = match &config.folders.pki {
        Some(folder) => (Pki::load(folder)?, Custody::load(folder)?),
        None => (Pki::generate(config)?, Custody::of_run(config)),
    };
    if let (Some(certificate), Some(key)) = (&config.dcc.certificate, &config.dcc.key) {
        pki.dcc = Identity::new(read_text(certificate)?, read_text(key)?);
    }
    if let Some(path) = &config.folders.users {
        for given in pki::load_users(path)? {
            pki.users.retain(|user| user.eui != given.eui);
            pki.users.push(given);
        }
    }
    for user in &mut pki.users {
        let configured = config.users.iter().find(|other| other.eui == user.eui);
        if let Some(listener) = configured.and_then(|other| other.listener.clone()) {
            user.listener = Some(listener);
        }
    }
    Ok((pki, custody))
}

/// The DCC's certificate must name the DCC: everybody else looks for that.
fn of_the_dcc(config: &Config, pki: &Pki) -> Result<(), BuildError> {
    let wrong = |problem: String| BuildError::Certificate {
        whose: "the DCC".to_owned(),
        problem,
    };
    let certificate = Certificate::from_pem(&pki.dcc.certificate_pem).map_err(|error| wrong(error.to_string()))?;
    if certificate.eui() == config.dcc.eui {
        return Ok(());
    }
    Err(wrong(format!(
        "it is of {}, while dcc.eui is {}; set dcc.eui to the certificate's",
        certificate.eui(),
        config.dcc.eui
    )))
}

fn certificate(whose: &str, pem: &str, scheme: Scheme) -> Result<Certificate, BuildError> {
    let certificate = Certificate::from_pem(pem).map_err(|error| BuildError::Certificate {
        whose: whose.to_owned(),
        problem: error.to_string(),
    })?;
    Ok(certificate.with_scheme(scheme))
}

fn book(pki: &Pki, scheme: Scheme) -> Result<CertificateBook, BuildError> {
    let mut book = CertificateBook::new();
    let parties = [
        ("the DCC", &pki.dcc),
        ("the S1SP", &pki.s1sp),
        ("the requesting party", &pki.rp),
        ("the commissioning party", &pki.cp),
    ]
    .map(|(w, i)| (w.to_owned(), &i.certificate_pem));
    let users = pki
        .users
        .iter()
        .map(|user| (user.eui.to_string(), &user.certificate_pem));
    for (whose, pem) in parties.into_iter().chain(users) {
        let added = book.add(certificate(&whose, pem, scheme)?);
        added.map_err(|error| BuildError::Certificate {
            whose,
            problem: error.to_string(),
        })?;
    }
    Ok(book)
}

/// The configured estate; files it names are looked for beside it.
///
/// # Errors
/// [`BuildError`] when a file cannot be read, or says something wrong.
pub fn estate(config: &EstateConfig, catalogue: &Catalogue) -> Result<Estate, BuildError> {
    let Some(path) = &config.file else {
        let name = config.builtin.as_deref().unwrap_or(BUILTIN_ESTATE);
        return Ok(Estate::builtin_with(name, catalogue, &config.directed)?);
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let open = |name: &str| read_text(&folder.join(name)).map_err(|error| error.to_string());
    let surroundings = Surroundings {
        catalogue,
        directed: &config.directed,
        open: &open,
    };
    Ok(Estate::read(
        &path.display().to_string(),
        &read_text(path)?,
        &surroundings,
    )?)
}

/// The estate of a lab that is told of none.
const BUILTIN_ESTATE: &str = "sit";
