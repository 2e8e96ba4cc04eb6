//! The roles of one world on their links, each started with its own share of the parts, each owned until it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use domain::keys::Party;
use domain::{Eui64, SimDuration, SimInstant};
use fleet::Share;
use head_end::{Models, Smso, SmsoLinks, SmsoOptions, SmsoStores};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wan::{Bearer, Wan};
use world::{LinkEnd, LinkSocket, World};

use crate::parts::{BuildError, Parts};
use crate::pki::{CP_EUI, RP_EUI};

/// The roles of the chain. Users are peers of it, not part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The mock DCC.
    Dcc,
    /// The Dual Control Organisation.
    Dco,
    /// The installations.
    Fleet,
    /// The SMETS1 Service Provider.
    S1sp,
    /// The operator before enrolment.
    Smso,
    /// The mobile network.
    Wan,
}

impl Role {
    /// All roles, in the order they are started: those that listen before those that speak.
    pub const ALL: [Self; 6] = [Self::Fleet, Self::Wan, Self::Smso, Self::Dco, Self::S1sp, Self::Dcc];

    /// The name on links.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dcc => "dcc",
            Self::Dco => "dco",
            Self::Fleet => "fleet",
            Self::S1sp => "s1sp",
            Self::Smso => "smso",
            Self::Wan => "wan",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = domain::ParseError;

    fn from_str(text: &str) -> Result<Self, domain::ParseError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| domain::ParseError {
                expected: "one of dcc, dco, fleet, s1sp, smso, wan",
                found: text.chars().take(80).collect(),
            })
    }
}

/// The running roles of one world. Dropping it ends them as a crash would; [`Chain::stop`] ends them in order.
pub struct Chain {
    world: World,
    parts: Arc<Parts>,
    shutdown: CancellationToken,
    sockets: BTreeMap<(Role, String), LinkSocket>,
    running: BTreeMap<Role, Running>,
    shared: Arc<Mutex<Handles>>,
    /// The fleet's end of its link with the WAN, where the fleet is elsewhere.
    fleet_link: Option<LinkEnd>,
    /// The users' ends of their links with the DCC, until they are taken.
    user_links: Vec<(Eui64, LinkEnd)>,
    /// The supplier's end of its link with the operator before enrolment, until it is taken.
    smso_link: Option<LinkEnd>,
    /// The ends of those who migrate, until they are taken.
    migration_links: Option<MigrationLinks>,
}

/// What those who migrate installations speak to the roles on.
#[derive(Debug)]
pub struct MigrationLinks {
    /// The requesting party's, with the operator before enrolment.
    pub smso: LinkEnd,
    /// The commissioning party's, with the S1SP.
    pub s1sp: LinkEnd,
    /// The commissioning party's, with the DCO.
    pub dco: LinkEnd,
    /// The commissioning party's, with the DCC: as a user.
    pub dcc: LinkEnd,
}

/// What can be asked of running roles; a restart puts new ones in.
#[derive(Default)]
pub(crate) struct Handles {
    pub(crate) dcc: Option<dcc::Handle>,
    pub(crate) fleet: Option<fleet::Handle>,
    /// Which installations the S1SP speaks to.
    pub(crate) s1sp: head_end::Directory,
    /// Which installations the SMSO speaks to, and what it has on file about them.
    pub(crate) smso: (head_end::Directory, head_end::OnFiles),
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Chain {
    /// Links all roles of `world` and starts them, the fleet included unless it is elsewhere. Must be called inside the
    /// runtime that is to run them.
    ///
    /// # Errors
    /// When a journal cannot be read or a key not be used; nothing is then left running.
    pub fn start(world: World, parts: Arc<Parts>, fleet_here: bool) -> Result<Self, BuildError> {
        let mut chain = Self {
            world,
            parts,
            shutdown: CancellationToken::new(),
            sockets: BTreeMap::new(),
            running: BTreeMap::new(),
            shared: Arc::default(),
            fleet_link: None,
            user_links: Vec::new(),
            smso_link: None,
            migration_links: None,
        };
        chain.link(fleet_here);
        for role in Role::ALL {
            if role != Role::Fleet || fleet_here {
                chain.start_role(role)?;
            }
        }
        Ok(chain)
    }

    /// Makes every link and keeps the roles' ends as sockets.
    fn link(&mut self, fleet_here: bool) {
        for (left, right) in [
            (Role::Dcc, Role::S1sp),
            (Role::S1sp, Role::Dco),
            (Role::S1sp, Role::Wan),
            (Role::Smso, Role::Wan),
            (Role::Wan, Role::Fleet),
        ] {
            let (left_end, right_end) = self.world.link(left.as_str(), right.as_str());
            self.keep(left, right.as_str(), left_end);
            if right == Role::Fleet && !fleet_here {
                self.fleet_link = Some(right_end);
            } else {
                self.keep(right, left.as_str(), right_end);
            }
        }
        let (supplier, smso) = self.world.link("supplier", Role::Smso.as_str());
        self.keep(Role::Smso, "supplier", smso);
        self.smso_link = Some(supplier);
        let mut migration = |party: &str, role: Role| {
            let (end, role_end) = self.world.link(party, role.as_str());
            self.keep(role, party, role_end);
            end
        };
        self.migration_links = Some(MigrationLinks {
            smso: migration(RP, Role::Smso),
            s1sp: migration(CP, Role::S1sp),
            dco: migration(CP, Role::Dco),
            dcc: migration(CP, Role::Dcc),
        });
        for user in self.parts.pki.users.iter().map(|user| user.eui).collect::<Vec<_>>() {
            let name = user_name(user);
            let (user_end, dcc_end) = self.world.link(&name, Role::Dcc.as_str());
            self.keep(Role::Dcc, &name, dcc_end);
            self.user_links.push((user, user_end));
        }
    }

    fn keep(&mut self, role: Role, peer: &str, mut end: LinkEnd) {
        self.sockets.insert((role, peer.to_owned()), end.socket());
    }

    fn end(&self, role: Role, peer: &str) -> Result<LinkEnd, BuildError> {
        self.sockets
            .get(&(role, peer.to_owned()))
            .and_then(LinkSocket::attach)
            .ok_or_else(|| BuildError::StillRunning {
                role: role.as_str(),
                peer: peer.to_owned(),
            })
    }

    fn start_role(&mut self, role: Role) -> Result<(), BuildError> {
        let stop = self.shutdown.child_token();
        let task = match role {
            Role::Dcc => self.start_dcc(stop.clone())?,
            Role::Dco => self.start_dco(stop.clone())?,
            Role::Fleet => self.start_fleet(stop.clone())?,
            Role::S1sp => self.start_s1sp(stop.clone())?,
            Role::Smso => self.start_smso(stop.clone())?,
            Role::Wan => self.start_wan(stop.clone())?,
        };
        self.running.insert(role, Running { stop, task });
        Ok(())
    }

    fn start_dcc(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let parts = &self.parts;
        let mut users = Vec::with_capacity(parts.pki.users.len());
        for user in &parts.pki.users {
            users.push((user.eui, self.end(Role::Dcc, &user_name(user.eui))?));
        }
        users.push((CP_EUI, self.end(Role::Dcc, CP)?));
        let dcc = &parts.config.dcc;
        let limits = dcc::Limits {
            firmware_octets_max: parts.config.http.body_max,
            enforce_registration: parts.config.access.enforce_registration,
            forward_unknown: parts.config.forward.address.is_some(),
            delivery_attempts: dcc.delivery_retries.saturating_add(1),
            delivery_gap: SimDuration::from_millis(dcc.delivery_gap_ms),
            delivery_pause: SimDuration::from_secs(dcc.delivery_pause_s),
            outcome_limit: SimDuration::from_secs(dcc.outcome_limit_s),
            dated_max: SimDuration::from_days(dcc.dated_days_max),
            refuse_past_dates: dcc.refuse_past_dates,
            throttle_max: dcc.alerts_per_hour_max,
            require_listed_combination: parts.config.products.require_combination,
            snapshot_after_octets: self.snapshot_after(dcc::Limits::default().snapshot_after_octets),
            ..dcc::Limits::default()
        };
        let options = dcc::Options {
            eui: dcc.eui,
            key: Arc::new(parts.signing_key("the DCC", &parts.pki.dcc)?),
            certificates: Arc::clone(&parts.certificates) as _,
            trust: parts.config.access.trust(),
            directory: parts.live.directory(),
            inventory: parts.inventory(self.world.number),
            // Checked when the configuration was read.
            thresholds: parts.config.access.anomaly_detection().unwrap_or_default(),
            credentials: crate::registration::records(parts, self.world.number)?,
            products: crate::products::products(&parts.config.products, &parts.catalogue)?,
            wan_matrix: crate::products::wan_matrix(&parts.config.products)?,
            holders: Arc::new(dcc::DccHolds),
            store: self.journal("dcc")?,
            limits,
        };
        let s1sp = self.end(Role::Dcc, Role::S1sp.as_str())?;
        let (dcc, handle) = dcc::Dcc::new(self.world.clone(), users, s1sp, options)?;
        self.handles(|handles| handles.dcc = Some(handle));
        Ok(tokio::spawn(async move {
            if let Err(error) = dcc.run(stop).await {
                tracing::error!(leg = "dcc", error = &error as &dyn std::error::Error, "the DCC ended");
            }
        }))
    }

    fn start_dco(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let parts = &self.parts;
        let mut options = dco::Options::new(
            Arc::clone(&parts.certificates) as _,
            parts.config.dcc.eui,
            parts.custody.dco.clone(),
        );
        options.approval_lifetime = SimDuration::from_secs(parts.config.dco.approval_lifetime_s);
        let link = self.end(Role::Dco, Role::S1sp.as_str())?;
        let hand_over = dco::HandOverOptions {
            rp: RP_EUI,
            cp: CP_EUI,
            opening: parts.pki.dco_opening.key()?,
            certificates: Arc::clone(&parts.certificates) as _,
            store: self.journal("dco-hand-over")?,
        };
        let dco = dco::Dco::new(self.world.clone(), link, options, self.journal("dco")?)?
            .with_hand_over(self.end(Role::Dco, CP)?, hand_over)?;
        Ok(tokio::spawn(dco.run(stop)))
    }

    fn start_s1sp(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let parts = &self.parts;
        let directory = parts.head_end_directory(self.world.number, Party::S1sp);
        let options = s1sp::Options {
            signing_key: parts.signing_key("the S1SP", &parts.pki.s1sp)?,
            certificates: Arc::clone(&parts.certificates) as _,
            dcc: parts.config.dcc.eui,
            custody: head_end::Custody {
                party: Party::S1sp,
                relation: parts.custody.s1sp.clone(),
                system_title: *b"LABS1SP\x01",
            },
            directory: directory.clone(),
            models: Models::new(Arc::clone(&parts.catalogue)),
            engine: self.engine_options(),
            store: self.journal("s1sp")?,
            engine_store: self.journal("s1sp-head-end")?,
            limits: s1sp::Limits {
                snapshot_after_octets: self.snapshot_after(s1sp::Limits::default().snapshot_after_octets),
                ..s1sp::Limits::default()
            },
            vending: parts.config.vending.policy(),
        };
        let [dcc, dco, wan] = [Role::Dcc, Role::Dco, Role::Wan].map(|peer| self.end(Role::S1sp, peer.as_str()));
        let hand_over = s1sp::HandOverOptions {
            rp: RP_EUI,
            cp: CP_EUI,
            opening: parts.pki.s1sp_opening.key()?,
            models: Models::new(Arc::clone(&parts.catalogue)),
            store: self.journal("s1sp-hand-over")?,
        };
        let s1sp = s1sp::S1sp::new(self.world.clone(), dcc?, dco?, wan?, options)?
            .with_hand_over(self.end(Role::S1sp, CP)?, hand_over)?;
        // Its journal may know installations that were taken out of the lab after they had been handed over to it.
        parts.live.gone().iter().for_each(|hub| directory.remove(*hub));
        self.handles(|handles| handles.s1sp = directory);
        Ok(tokio::spawn(async move {
            s1sp.run(stop).await;
        }))
    }

    fn start_smso(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let parts = &self.parts;
        let custody = head_end::Custody {
            party: Party::Smso,
            relation: parts.custody.smso.clone(),
            system_title: *b"LABSMSO\x01",
        };
        let directory = parts.head_end_directory(self.world.number, Party::Smso);
        let mut options = SmsoOptions::new(custody, directory.clone(), Models::new(Arc::clone(&parts.catalogue)));
        options.engine = self.engine_options();
        options.files = parts.smso_files(self.world.number);
        let links = SmsoLinks {
            supplier: self.end(Role::Smso, "supplier")?,
            rp: Some(self.end(Role::Smso, RP)?),
            wan: self.end(Role::Smso, Role::Wan.as_str())?,
        };
        let stores = SmsoStores {
            engine: self.journal("smso")?,
            books: self.journal("smso-books")?,
        };
        let files = options.files.clone();
        let smso = Smso::new(self.world.clone(), links, options, stores)?;
        self.handles(|handles| handles.smso = (directory, files));
        Ok(tokio::spawn(async move {
            smso.run(stop).await;
        }))
    }

    fn start_wan(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let mut head_ends = Vec::new();
        for role in [Role::S1sp, Role::Smso] {
            head_ends.push((role.as_str().to_owned(), self.end(Role::Wan, role.as_str())?));
        }
        let fleet = self.end(Role::Wan, Role::Fleet.as_str())?;
        let wan = Wan::new(self.world.clone(), head_ends, fleet, Bearer::default());
        Ok(tokio::spawn(async move {
            let traffic = wan.run(stop).await;
            tracing::debug!(leg = "wan", ?traffic, "the WAN ended");
        }))
    }

    fn start_fleet(&self, stop: CancellationToken) -> Result<JoinHandle<()>, BuildError> {
        let link = self.end(Role::Fleet, Role::Wan.as_str())?;
        // A virtual run in memory does without a journal: its devices end with it, and each change would cost a commit.
        let journal = self
            .parts
            .journals
            .are_durable()
            .then(|| self.journal("fleet"))
            .transpose()?;
        let (fleet, handle) = fleet_of(&self.world, link, &self.parts, journal)?;
        self.handles(|handles| handles.fleet = Some(handle));
        Ok(tokio::spawn(async move {
            fleet.run(stop).await;
        }))
    }

    /// Ends a role at once, as a crash would, and starts it again on its journal and on the links it had.
    ///
    /// # Errors
    /// When its journal cannot be read, or for the fleet, whose devices live in memory and would be born again.
    pub async fn restart(&mut self, role: Role) -> Result<(), BuildError> {
        if role == Role::Fleet {
            return Err(BuildError::NotRestarted { role: role.as_str() });
        }
        if let Some(running) = self.running.remove(&role) {
            running.task.abort();
            // An error only says that it was aborted, which is what was wanted.
            let _ended = running.task.await;
        }
        // Tasks of the role that still hold link ends are dropped on the runtime's next turns.
        for _ in 0..RELEASE_TURNS {
            match self.start_role(role) {
                Err(BuildError::StillRunning { .. } | BuildError::Store(_)) => tokio::task::yield_now().await,
                other => return other,
            }
        }
        self.start_role(role)
    }

    /// Ends all roles in order and waits for them.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        for (role, running) in std::mem::take(&mut self.running) {
            running.stop.cancel();
            if let Err(error) = running.task.await {
                tracing::error!(%role, %error, "a role ended badly");
            }
        }
    }

    /// The world it runs in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What it was built from.
    #[must_use]
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// The users' ends of their links with the DCC, once.
    pub fn take_user_links(&mut self) -> Vec<(Eui64, LinkEnd)> {
        std::mem::take(&mut self.user_links)
    }

    /// The supplier's end of its link with the operator before enrolment, once.
    pub fn take_smso_link(&mut self) -> Option<LinkEnd> {
        self.smso_link.take()
    }

    /// The ends of those who migrate installations, once.
    pub fn take_migration_links(&mut self) -> Option<MigrationLinks> {
        self.migration_links.take()
    }

    /// The fleet's end of its link with the WAN, once, where the fleet is elsewhere.
    pub fn take_fleet_link(&mut self) -> Option<LinkEnd> {
        self.fleet_link.take()
    }

    /// The DCC's handle, as of its last start.
    #[must_use]
    pub fn dcc(&self) -> Option<dcc::Handle> {
        self.handles(|handles| handles.dcc.clone())
    }

    /// The fleet's handle, where the fleet is here.
    #[must_use]
    pub fn fleet(&self) -> Option<fleet::Handle> {
        self.handles(|handles| handles.fleet.clone())
    }

    pub(crate) fn shared(&self) -> Arc<Mutex<Handles>> {
        Arc::clone(&self.shared)
    }

    fn handles<R>(&self, act: impl FnOnce(&mut Handles) -> R) -> R {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn journal(&self, role: &str) -> Result<Box<dyn world::Store>, BuildError> {
        Ok(self.parts.journals.open(&journal_name(self.world.number, role))?)
    }

    /// A journal in memory keeps its history in any case: a snapshot would only add to it.
    fn snapshot_after(&self, octets: u64) -> u64 {
        if self.parts.journals.are_durable() {
            octets
        } else {
            u64::MAX
        }
    }

    fn engine_options(&self) -> head_end::Options {
        let limits = &self.parts.config.head_end;
        head_end::Options {
            critical: self.parts.critical.clone(),
            attempts: limits.wake_up_attempts,
            connect_within: SimDuration::from_secs(limits.wake_up_timeout_s),
            answer_within: SimDuration::from_secs(limits.answer_timeout_s),
            faces: Some(Arc::new(self.parts.faces.clone())),
            ..head_end::Options::default()
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for running in self.running.values() {
            running.task.abort();
        }
    }
}

/// The fleet of one world, built from the parts; its devices take up where `journal` ends.
///
/// # Errors
/// When the catalogue lacks what the estate names, or the journal cannot be read.
pub fn fleet_of(
    world: &World,
    link: LinkEnd,
    parts: &Parts,
    journal: Option<Box<dyn world::Store>>,
) -> Result<(fleet::Fleet, fleet::Handle), BuildError> {
    let share = Share {
        world: world.number,
        worlds: parts.config.worlds.count,
    };
    let relations = parts.custody.relations();
    let (mut fleet, handle) = fleet::Fleet::new(
        world,
        link,
        &parts.live.estate(),
        share,
        &parts.catalogue,
        relations,
        parts.critical.clone(),
    )?;
    if let Some(journal) = journal {
        fleet = fleet.with_journal(journal)?;
    }
    fleet.counters_from(counter_floor(world.clock.now(), parts.config.clock.start));
    Ok((fleet.with_faces(Arc::new(parts.faces.clone())), handle))
}

/// Where devices' own counters go on at least. The journal has not every message of a device, while the head-ends remember
/// the highest counters they heard: a hundred for each second of the lab's life are more than a device uses, and last for
/// the better part of a year. Zero in a lab that has just been born.
pub(crate) fn counter_floor(now: SimInstant, born: SimInstant) -> u32 {
    let lived = now.since(born).as_millis() / 10;
    u32::try_from(lived).unwrap_or(u32::MAX / 2).min(u32::MAX / 2)
}

/// The name of a user on links.
#[must_use]
pub fn user_name(user: Eui64) -> String {
    format!("user:{user}")
}

/// The name of a role's journal in one world.
#[must_use]
pub(crate) fn journal_name(world: u32, role: &str) -> String {
    format!("{world}-{role}")
}

/// Names on links of those who migrate.
const RP: &str = "rp";
const CP: &str = "cp";

/// How often a restart looks whether the old role's tasks are gone.
const RELEASE_TURNS: usize = 1000;
