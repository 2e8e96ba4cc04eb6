//! What has changed about a lab's installations since its files were read: which came, which went, what is wrong with them,
//! and who is registered for them.
//!
//! Each change is a record in a journal of its own, so that a lab that is started again on its state folder has it. The
//! files are read first and the records applied to them in their order: a file that no longer fits them is refused then.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dcc::{Directory, Property, Registration};
use dmc::Catalogue;
use domain::{Eui64, Mpxn, SimInstant, UserRole};
use fleet::{Csv, Estate, EstateError, Site, SiteFault, Surroundings};
use prost::Message;
use world::{Store, StoreError};

use crate::config::Config;
use crate::parts::{BuildError, Journals};
use crate::pki::Pki;
use crate::registration;

/// Name of the journal.
const JOURNAL: &str = "estate";

/// Estate and directory as they are now. Clones share them.
#[derive(Clone)]
pub struct Live(Arc<Mutex<State>>);

struct State {
    estate: Arc<Estate>,
    directory: Arc<Directory>,
    /// Hubs of installations that went.
    gone: BTreeSet<Eui64>,
    journals: Journals,
    /// Opened with the first change.
    store: Option<Box<dyn Store>>,
}

/// One change that has been checked: it is in the journal once it is [`Live::keep`]t.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    record: Record,
    estate: Arc<Estate>,
    registrations: Vec<Registration>,
    properties: Vec<(Mpxn, Arc<Property>)>,
}

/// Tables of installations to add, as a user names and gives them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tables {
    /// Name of the table of devices in messages.
    pub devices_file: String,
    /// The table of devices: the columns of `s1lab estate export`.
    pub devices: String,
    /// Name of the table of registration data in messages.
    pub registration_file: String,
    /// The table of registration data; empty where there is none.
    pub registration: String,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, optional, tag = "1")]
    added: Option<Added>,
    /// Hub of an installation that went.
    #[prost(fixed64, optional, tag = "2")]
    removed: Option<u64>,
    #[prost(message, optional, tag = "3")]
    faults: Option<Faults>,
    #[prost(message, repeated, tag = "4")]
    registered: Vec<Registered>,
}

#[derive(Clone, PartialEq, Message)]
struct Added {
    #[prost(string, tag = "1")]
    devices_file: String,
    #[prost(string, tag = "2")]
    devices: String,
    #[prost(string, tag = "3")]
    registration_file: String,
    #[prost(string, tag = "4")]
    registration: String,
}

#[derive(Clone, PartialEq, Message)]
struct Faults {
    #[prost(fixed64, tag = "1")]
    hub: u64,
    /// By the words of estate files; these and no others.
    #[prost(string, repeated, tag = "2")]
    names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Registered {
    #[prost(string, tag = "1")]
    mpxn: String,
    #[prost(string, tag = "2")]
    role: String,
    #[prost(fixed64, tag = "3")]
    user: u64,
    #[prost(int64, tag = "4")]
    from_ms: i64,
}

impl Live {
    /// The estate and the directory of the files, with everything the journal says came after them.
    ///
    /// # Errors
    /// When the journal cannot be read, or its changes do not fit the files any more.
    pub(crate) fn open(
        config: &Config,
        pki: &Pki,
        catalogue: &Catalogue,
        estate: Estate,
        journals: Journals,
    ) -> Result<Self, BuildError> {
        let (mut records, mut strange) = (Vec::new(), 0u32);
        journals
            .look(JOURNAL)?
            .replay(&mut |octets| match Record::decode(octets) {
                Ok(record) => records.push(record),
                Err(_) => strange += 1,
            })?;
        if strange > 0 {
            return Err(misfit(format!("{strange} record(s) that are none")).into());
        }
        let (mut estate, mut gone, mut registrations) = (estate, BTreeSet::new(), Vec::new());
        for record in records {
            (estate, gone) = applied(&estate, gone, &record, catalogue, config)?;
            registrations.extend(registrations_of(&record)?);
        }
        let mut directory = registration::directory(config, pki, &estate)?;
        registrations.into_iter().for_each(|one| directory.register(one));
        Ok(Self(Arc::new(Mutex::new(State {
            estate: Arc::new(estate),
            directory: Arc::new(directory),
            gone,
            journals,
            store: None,
        }))))
    }

    /// The installations as they are now.
    #[must_use]
    pub fn estate(&self) -> Arc<Estate> {
        Arc::clone(&self.lock().estate)
    }

    /// Users and Registration Data as they are now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.lock().directory)
    }

    /// Hubs of installations that went and have not come again.
    #[must_use]
    pub fn gone(&self) -> BTreeSet<Eui64> {
        self.lock().gone.clone()
    }

    /// The installations of these tables come. Nothing has changed yet.
    pub(crate) fn adding(
        &self,
        tables: Tables,
        catalogue: &Catalogue,
        config: &Config,
        pki: &Pki,
    ) -> Result<(Change, Vec<Site>), EstateError> {
        let (estate, sites) = with_tables(&self.estate(), &tables, catalogue, config)?;
        let registrations = match &config.access.registration {
            // Who is registered stands in that file, and nowhere else.
            Some(_) => Vec::new(),
            None => registration::shared_out(pki, &sites).iter().copied().collect(),
        };
        let change = Change {
            record: Record {
                added: Some(Added {
                    devices_file: tables.devices_file,
                    devices: tables.devices,
                    registration_file: tables.registration_file,
                    registration: tables.registration,
                }),
                ..Record::default()
            },
            estate: Arc::new(estate),
            registrations,
            properties: sites.iter().flat_map(registration::located).collect(),
        };
        Ok((change, sites))
    }

    /// The installation behind a hub goes; `None` where there is none. Nothing has changed yet.
    pub(crate) fn removing(&self, hub: Eui64) -> Option<Change> {
        Some(Change {
            estate: Arc::new(self.estate().without(hub)?),
            record: Record {
                removed: Some(hub.0),
                ..Record::default()
            },
            registrations: Vec::new(),
            properties: Vec::new(),
        })
    }

    /// These things are wrong with the installation behind a hub, where it is said, and these registrations begin. `None`
    /// where there is no such installation. Nothing has changed yet.
    pub(crate) fn patching(
        &self,
        hub: Eui64,
        faults: Option<&[SiteFault]>,
        registrations: Vec<Registration>,
    ) -> Option<Change> {
        let estate = match faults {
            Some(faults) => Arc::new(self.estate().with_faults(hub, faults)?),
            None => self.estate(),
        };
        let registered = registrations.iter().map(|one| Registered {
            mpxn: one.mpxn.to_string(),
            role: one.role.as_str().to_owned(),
            user: one.user.0,
            from_ms: one.from.map_or(0, |from| from.0),
        });
        let names = |faults: &[SiteFault]| faults.iter().map(|fault| fault.as_str().to_owned()).collect();
        Some(Change {
            estate,
            record: Record {
                faults: faults.map(|faults| Faults {
                    hub: hub.0,
                    names: names(faults),
                }),
                registered: registered.collect(),
                ..Record::default()
            },
            registrations,
            properties: Vec::new(),
        })
    }

    /// Makes a change: it is on disk when this returns, and nothing has changed where it could not be written.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn keep(&self, change: Change) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.store.is_none() {
            state.store = Some(state.journals.open(JOURNAL)?);
        }
        if let Some(store) = &mut state.store {
            store.append(&change.record.encode_to_vec())?;
            store.commit()?;
        }
        state.gone.extend(change.record.removed.map(Eui64));
        let there: Vec<Eui64> = state
            .gone
            .iter()
            .copied()
            .filter(|hub| change.estate.site(*hub).is_some())
            .collect();
        state.gone.retain(|hub| !there.contains(hub));
        state.estate = change.estate;
        if !change.registrations.is_empty() || !change.properties.is_empty() {
            let mut directory = Directory::clone(&state.directory);
            change.registrations.into_iter().for_each(|one| directory.register(one));
            directory.locate(change.properties);
            state.directory = Arc::new(directory);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({} installations)", self.estate().len())
    }
}

/// An estate with one more record of the journal, and the hubs that are gone then.
fn applied(
    estate: &Estate,
    mut gone: BTreeSet<Eui64>,
    record: &Record,
    catalogue: &Catalogue,
    config: &Config,
) -> Result<(Estate, BTreeSet<Eui64>), BuildError> {
    let mut estate = estate.clone();
    if let Some(added) = &record.added {
        let tables = Tables {
            devices_file: added.devices_file.clone(),
            devices: added.devices.clone(),
            registration_file: added.registration_file.clone(),
            registration: added.registration.clone(),
        };
        let (with, sites) = with_tables(&estate, &tables, catalogue, config)?;
        sites.iter().for_each(|site| {
            gone.remove(&site.hub());
        });
        estate = with;
    }
    let no_hub = |hub: Eui64| {
        misfit(format!(
            "it is about the installation behind {hub}, which the estate does not have"
        ))
    };
    if let Some(hub) = record.removed.map(Eui64) {
        estate = estate.without(hub).ok_or_else(|| no_hub(hub))?;
        gone.insert(hub);
    }
    if let Some(faults) = &record.faults {
        let hub = Eui64(faults.hub);
        let known = |name: &String| {
            let found = SiteFault::ALL.into_iter().find(|fault| fault.as_str() == name);
            found.ok_or_else(|| misfit(format!("{name:?} is no fault")))
        };
        let faults = faults.names.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        estate = estate.with_faults(hub, &faults).ok_or_else(|| no_hub(hub))?;
    }
    Ok((estate, gone))
}

fn registrations_of(record: &Record) -> Result<Vec<Registration>, StoreError> {
    let read = |one: &Registered| {
        let bad = |error: domain::ParseError| misfit(error.to_string());
        Ok(Registration {
            mpxn: one.mpxn.parse::<Mpxn>().map_err(bad)?,
            role: one.role.parse::<UserRole>().map_err(bad)?,
            user: Eui64(one.user),
            from: Some(SimInstant(one.from_ms)),
            until: None,
        })
    };
    record.registered.iter().map(read).collect()
}

fn with_tables(
    estate: &Estate,
    tables: &Tables,
    catalogue: &Catalogue,
    config: &Config,
) -> Result<(Estate, Vec<Site>), EstateError> {
    let open = |_: &str| Err("tables name no other files".to_owned());
    let surroundings = Surroundings {
        catalogue,
        directed: &config.estate.directed,
        open: &open,
    };
    let devices = Csv {
        file: &tables.devices_file,
        text: &tables.devices,
    };
    let registration = Csv {
        file: &tables.registration_file,
        text: &tables.registration,
    };
    let registration = Some(registration).filter(|table| !table.text.trim().is_empty());
    estate.with_added(devices, registration, &surroundings)
}

/// The journal of changes does not fit the files.
fn misfit(problem: String) -> StoreError {
    StoreError {
        journal: JOURNAL.to_owned(),
        problem: format!("{problem}; start on another state folder, or with the files it was made with"),
    }
}
