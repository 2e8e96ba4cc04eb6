//! A lab in memory, for tests and virtual runs: one world, all roles, the test in the place of the users.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Eui64, RequestId, SimDuration, UserRole};
use proto::v1::AuditEntry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use users::Client;
use world::{LinkEnd, World};

use crate::audit::{self, Subject};
use crate::chain::{Chain, MigrationLinks, Role};
use crate::config::Config;
use crate::known::KnownToDcc;
use crate::parts::{BuildError, Parts};
use crate::view::ViewError;

/// A running lab in memory.
///
/// Must be started inside a tokio runtime; for a virtual run a current-thread one with paused time.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
/// # runtime.block_on(async {
/// let lab = lab::embedded::Lab::start(lab::Config::default())?;
/// assert!(lab.users().len() >= 2);
/// lab.stop().await;
/// # Ok::<(), lab::BuildError>(())
/// # }).unwrap();
/// ```
pub struct Lab {
    chain: Chain,
    users: Vec<Client>,
    others: Vec<(Eui64, LinkEnd)>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Lab {
    /// Builds and starts a lab of one world on a virtual clock.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn start(config: Config) -> Result<Self, BuildError> {
        let world = World::virtual_at(config.clock.start, config.world_seed());
        Self::start_in(world, Parts::build(config)?)
    }

    /// Starts a lab in a world that exists, from parts that are built: one of several worlds of a run.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn start_in(world: World, parts: Arc<Parts>) -> Result<Self, BuildError> {
        let mut chain = Chain::start(world, parts, true)?;
        let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        let (mut users, mut others) = (Vec::new(), Vec::new());
        for (eui, link) in chain.take_user_links() {
            let user = chain.parts().pki.users.iter().find(|user| user.eui == eui);
            let Some(identity) = user.and_then(|user| user.identity.as_ref()) else {
                others.push((eui, link));
                continue;
            };
            let options = users::Options {
                eui,
                dcc: chain.parts().config.dcc.eui,
                key: Arc::new(chain.parts().signing_key(&eui.to_string(), identity)?),
                certificates: Arc::clone(&chain.parts().certificates) as _,
                reply_limit: REPLY_LIMIT,
            };
            let (client, task) = Client::new(chain.world(), link, options);
            tasks.spawn(task.run(shutdown.clone()));
            users.push(client);
        }
        Ok(Self {
            chain,
            users,
            others,
            tasks,
            shutdown,
        })
    }

    /// The users the lab holds keys of, as clients, in the order of the configuration.
    #[must_use]
    pub fn users(&self) -> &[Client] {
        &self.users
    }

    /// The first user with this role.
    #[must_use]
    pub fn user_in(&self, role: UserRole) -> Option<&Client> {
        let with_role = |client: &&Client| {
            let parts = self.chain.parts();
            let user = parts.directory.user(client.eui());
            user.is_some_and(|user| user.roles.contains(&role))
        };
        self.users.iter().find(with_role)
    }

    /// The user registered in this role for a device now; the first with the role where no registration says who.
    #[must_use]
    pub fn user_for(&self, device: Eui64, role: UserRole) -> Option<&Client> {
        let (parts, now) = (self.chain.parts(), self.world().clock.now());
        let devices = self.devices();
        let site = devices
            .values()
            .find(|devices| devices.iter().any(|other| other.device == device))?;
        let own = site.iter().find(|other| other.device == device)?.mpxn;
        let points = own.into_iter().chain(site.iter().filter_map(|other| other.mpxn));
        let holder = points
            .into_iter()
            .find_map(|mpxn| parts.live.directory().registered(mpxn, role, now));
        match holder {
            Some(holder) => self.users.iter().find(|client| client.eui() == holder),
            None => self.user_in(role),
        }
    }

    /// The links of users whose keys the lab does not hold, once: EUI-64 and the user's end.
    pub fn take_other_users(&mut self) -> Vec<(Eui64, LinkEnd)> {
        std::mem::take(&mut self.others)
    }

    /// The supplier's end of its link with the operator before enrolment, once.
    pub fn take_smso_supplier(&mut self) -> Option<LinkEnd> {
        self.chain.take_smso_link()
    }

    /// The ends of those who migrate installations, once.
    pub fn take_migration_links(&mut self) -> Option<MigrationLinks> {
        self.chain.take_migration_links()
    }

    /// Loses everything on the links between two roles from now on. A prefix will do: `user` means every user.
    pub fn cut(&self, left: &str, right: &str) {
        self.chain.world().faults.cut(left, right);
    }

    /// Takes all fault rules away.
    pub fn mend(&self) {
        self.chain.world().faults.clear();
    }

    /// Ends a role as a crash would and starts it again on its journal.
    ///
    /// # Errors
    /// When it cannot be started again; see [`Chain::restart`].
    pub async fn restart(&mut self, role: Role) -> Result<(), BuildError> {
        self.chain.restart(role).await
    }

    /// The world: clock, tape, fault rules.
    #[must_use]
    pub fn world(&self) -> &World {
        self.chain.world()
    }

    /// What it was built from.
    #[must_use]
    pub fn parts(&self) -> &Arc<Parts> {
        self.chain.parts()
    }

    /// The tape so far.
    #[must_use]
    pub fn tape(&self) -> &world::Tape {
        &self.chain.world().tape
    }

    /// The audit trail of one request: the DCC's records and the DCO's decisions, by time.
    ///
    /// # Errors
    /// When the DCC does not run or a journal cannot be read.
    pub async fn audit(&self, request: RequestId) -> Result<Vec<AuditEntry>, ViewError> {
        let dcc = self.chain.dcc().ok_or(ViewError::Dcc(dcc::HandleError::NotRunning))?;
        audit::trail(self.chain.parts(), self.chain.world(), &dcc, Subject::Request(request)).await
    }

    /// The DCC's handle, as of its last start.
    #[must_use]
    pub fn dcc(&self) -> Option<dcc::Handle> {
        self.chain.dcc()
    }

    /// Has the code of a top-up made for a meter, in a supplier's place; `for_the_keys`: only to be given to the customer.
    /// Gives the DCC's own request about it, which alert and outcome name.
    ///
    /// # Errors
    /// Where a top-up by that supplier would be refused, or the DCC does not run.
    pub async fn vend(
        &self,
        user: Eui64,
        device: Eui64,
        pence: u32,
        for_the_keys: bool,
    ) -> Result<RequestId, ViewError> {
        let dcc = self.chain.dcc().ok_or(ViewError::Dcc(dcc::HandleError::NotRunning))?;
        let vend = dcc::Vend {
            user,
            device,
            pence,
            for_the_keys,
        };
        Ok(dcc.vend(vend).await?)
    }

    /// What its DCC knows of devices and metering points.
    #[must_use]
    pub fn known_to_dcc(&self) -> KnownToDcc {
        self.chain.known_to_dcc()
    }

    /// The devices behind a hub as the DCC's inventory has them; none where the DCC does not run.
    pub async fn inventory_behind(&self, hub: Eui64) -> Vec<dcc::Device> {
        let Some(dcc) = self.dcc() else { return Vec::new() };
        dcc.look_up(dcc::Lookup::Device(hub)).await.unwrap_or_default()
    }

    /// The fleet's handle: consumer acts, direct sessions, and truth for checks only.
    #[must_use]
    pub fn fleet(&self) -> Option<fleet::Handle> {
        self.chain.fleet()
    }

    /// The devices of this world, by hub.
    #[must_use]
    pub fn devices(&self) -> BTreeMap<Eui64, Vec<fleet::SiteDevice>> {
        let world = self.chain.world().number;
        self.chain
            .parts()
            .sites(world)
            .into_iter()
            .map(|site| (site.hub(), site.devices()))
            .collect()
    }

    /// Ends all roles in order and waits for them.
    pub async fn stop(mut self) {
        self.chain.stop().await;
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// How long a user waits for the reply: what real clients wait.
const REPLY_LIMIT: SimDuration = SimDuration::from_secs(3);
