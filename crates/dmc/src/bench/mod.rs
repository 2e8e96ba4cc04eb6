//! One profile on a bench: a pure installation around it, driven by a short script of acts and looks.
//!
//! That is how a rule is shown to do something, and how two profiles are compared by what they answer. Statements are
//! separated by `;`, acts come before the looks they bear on:
//!
//! ```
//! let catalogue = dmc::Catalogue::builtin()?;
//! let profile = catalogue.find("as300p@LAB-E001").expect("a built-in profile");
//! let mut bench = dmc::Bench::new(&catalogue, profile)?;
//! assert_eq!(bench.run("log daily-read 40d")?, "10 rows");
//! assert_eq!(bench.run("do disable-supply; do enable-supply; read supply-state")?, "done; done; armed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acts;
mod firmware;
mod home;
mod script;
mod words;

use std::sync::Arc;

use domain::keys::RelationSecret;
use domain::operation::{CriticalOperations, ImageHash};
use domain::{
    Access, Association, DeviceKind, Eui64, Execution, Mpan, Mprn, Operation, Outcome, Refusal, Seed, SimDuration,
    SimInstant,
};
use meter::{Context, Effect, Installation, InstallationConfig, Profiles, Relations};

pub use script::{ScriptError, length};
pub use words::{outcome_words, quantity_words, value_words};

use crate::catalogue::Catalogue;
use crate::profile::DeviceProfile;

/// A profile cannot be put on a bench.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("route {route} has no {kind} that {profile} could be tried with")]
pub struct NoCompanion {
    /// The profile's route.
    pub route: String,
    /// What is missing.
    pub kind: DeviceKind,
    /// The profile.
    pub profile: String,
}

/// One installation, and the device in it that is looked at.
pub struct Bench {
    profiles: Set,
    kind: DeviceKind,
    relations: Relations,
    critical: CriticalOperations,
    config: InstallationConfig,
    now: SimInstant,
    started: bool,
    installation: Installation,
    alerts: Vec<(DeviceKind, u16)>,
    /// Devices let into the HAN so far.
    guests: u64,
    /// Firmware images brought so far.
    images: Vec<ImageHash>,
}

/// The profiles of one installation.
#[derive(Clone)]
struct Set {
    chf: Arc<DeviceProfile>,
    esme: Arc<DeviceProfile>,
    gpf: Arc<DeviceProfile>,
    gsme: Arc<DeviceProfile>,
    /// The display that is looked at, if one is.
    display: Option<Arc<DeviceProfile>>,
}

impl Bench {
    /// The profile with the plainest companions of its route, dual fuel, at 10:07 on 20 March 2019.
    ///
    /// # Errors
    /// Where the route has no hub, electricity meter, gas proxy or gas meter.
    pub fn new(catalogue: &Catalogue, profile: &Arc<DeviceProfile>) -> Result<Self, NoCompanion> {
        let companion = |kind: DeviceKind| {
            if profile.kind == kind {
                return Ok(Arc::clone(profile));
            }
            catalogue
                .companion(&profile.route, kind)
                .cloned()
                .ok_or_else(|| NoCompanion {
                    route: profile.route.clone(),
                    kind,
                    profile: profile.id.to_string(),
                })
        };
        let profiles = Set {
            chf: companion(DeviceKind::Chf)?,
            esme: companion(DeviceKind::Esme)?,
            gpf: companion(DeviceKind::Gpf)?,
            gsme: companion(DeviceKind::Gsme)?,
            display: is_display(profile.kind).then(|| Arc::clone(profile)),
        };
        let mpan = Mpan::new(9_900_000_000_001).expect("13 digits");
        let mut config = InstallationConfig::new(Eui64(1), Eui64(2), mpan, Seed::root(7));
        config.gas = Some((Eui64(3), Eui64(4)));
        config.mprn = Mprn::new(9_000_000_001).ok();
        config.ppmid = (profile.kind == DeviceKind::Ppmid).then_some(Eui64(5));
        config.ihd = (profile.kind == DeviceKind::Ihd).then_some(Eui64(6));
        config.second_element = profiles.esme.second_element;
        config.annual_import_kwh = Some(3_100);
        config.annual_gas_m3 = Some(1_100);
        let relations = Relations {
            smso: RelationSecret::new([1; 32]),
            s1sp: RelationSecret::new([2; 32]),
            dco: RelationSecret::new([3; 32]),
        };
        // What is critical is the business of the service request table, not of profiles.
        let critical = CriticalOperations::default();
        let now = SimInstant::from_utc(2019, 3, 20, 10, 7, 0).expect("a moment of the calendar");
        let context = context(&profiles, &relations, &critical, now);
        let installation = Installation::new(&config, &context);
        Ok(Self {
            kind: profile.kind,
            relations,
            critical,
            config,
            now,
            started: false,
            installation,
            alerts: Vec::new(),
            guests: 0,
            images: Vec::new(),
            profiles,
        })
    }

    /// The lab's time.
    #[must_use]
    pub fn now(&self) -> SimInstant {
        self.now
    }

    /// The device that is looked at.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// Executes an operation on a device of the installation and waits for its outcome, at most two days. Gives it with
    /// the time it took.
    pub fn execute(&mut self, slot: DeviceKind, operation: &Operation) -> (Outcome, SimDuration) {
        let party = self.installation.active_party(slot);
        let association = if operation.changes_state() {
            Association::Critical
        } else {
            Association::Management
        };
        let access = Access {
            association,
            party: Some(party),
        };
        let execution = self.with(|installation, context| installation.execute(context, slot, access, operation, None));
        match execution {
            Execution::Finished(outcome) => (outcome, SimDuration::ZERO),
            Execution::Queued(ticket) => self.late(ticket),
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, span: SimDuration) {
        let until = self.now + span;
        loop {
            let next = self.installation.next_wake();
            if next > until {
                break;
            }
            // A driver wakes the installation when it asks for it, never in the past.
            self.now = next.max(self.now);
            self.with(|installation, context| installation.wake(context));
            self.drain();
            if self.installation.next_wake() <= self.now {
                self.now += SimDuration::from_secs(1);
            }
        }
        self.now = until.max(self.now);
        self.with(|installation, context| installation.wake(context));
        self.drain();
    }

    /// The profile of a device of the installation.
    fn profile_of(&self, slot: DeviceKind) -> Option<Arc<DeviceProfile>> {
        let profiles = &self.profiles;
        match slot {
            DeviceKind::Chf => Some(Arc::clone(&profiles.chf)),
            DeviceKind::Esme => Some(Arc::clone(&profiles.esme)),
            DeviceKind::Gpf => Some(Arc::clone(&profiles.gpf)),
            DeviceKind::Gsme => Some(Arc::clone(&profiles.gsme)),
            DeviceKind::Ppmid | DeviceKind::Ihd | DeviceKind::Cad => profiles.display.clone(),
        }
    }

    fn late(&mut self, ticket: u32) -> (Outcome, SimDuration) {
        let start = self.now;
        while self.now.since(start) < LATE_MAX {
            let next = self.installation.next_wake();
            self.now = next.max(self.now + SimDuration::from_millis(1));
            self.with(|installation, context| installation.wake(context));
            for effect in self.take_effects() {
                if let Effect::LateResult {
                    ticket: of, outcome, ..
                } = effect
                    && of == ticket
                {
                    return (outcome, self.now.since(start));
                }
            }
        }
        (Err(Refusal::Unreachable), self.now.since(start))
    }

    fn drain(&mut self) {
        self.take_effects();
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(effect) = self.installation.pop_effect() {
            if let Effect::Alert { slot, code, .. } = &effect {
                self.alerts.push((*slot, *code));
            }
            effects.push(effect);
        }
        effects
    }

    /// Does something to the installation itself, at the bench's time.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Installation, &Context<'_>) -> T) -> T {
        self.started = true;
        let context = context(&self.profiles, &self.relations, &self.critical, self.now);
        act(&mut self.installation, &context)
    }

    /// Builds the installation anew: only before anything has happened to it.
    fn rebuild(&mut self, change: impl FnOnce(&mut InstallationConfig)) {
        change(&mut self.config);
        let context = context(&self.profiles, &self.relations, &self.critical, self.now);
        self.installation = Installation::new(&self.config, &context);
    }
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bench({} at {})", self.kind, self.now)
    }
}

fn context<'a>(
    profiles: &'a Set,
    relations: &'a Relations,
    critical: &'a CriticalOperations,
    now: SimInstant,
) -> Context<'a> {
    let display = |kind| {
        let display = profiles.display.as_ref().filter(|display| display.kind == kind);
        display.map(|display| &display.meter)
    };
    Context {
        now,
        profiles: Profiles {
            chf: &profiles.chf.meter,
            esme: &profiles.esme.meter,
            gpf: Some(&profiles.gpf.meter),
            gsme: Some(&profiles.gsme.meter),
            ppmid: display(DeviceKind::Ppmid),
            ihd: display(DeviceKind::Ihd),
        },
        relations,
        critical,
    }
}

fn is_display(kind: DeviceKind) -> bool {
    matches!(kind, DeviceKind::Ppmid | DeviceKind::Ihd)
}

/// Nobody waits longer for a late result.
const LATE_MAX: SimDuration = SimDuration::from_days(2);
