//! The users' directory of a lab: from files, or shared out over the estate so that the same files give the same data.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dcc::{Directory, DirectoryError, Property, Records, Registration, Registrations};
use domain::{CertificateId, Credentials, Eui64, Mpxn, Notified, PartyCredentials, SimInstant, UserRole};
use duis::signature::Certificate;
use fleet::{Estate, Site};

use crate::config::{ChangeConfig, Config, ConfigError};
use crate::files::read_text;
use crate::parts::{BuildError, Parts};
use crate::pki::{CP_EUI, Pki, User, XML_SIGNING};

/// Users of the PKI, and the Registration Data: who is registered says the configured file or else the estate, where the
/// points are the estate.
///
/// # Errors
/// When a user appears twice or the file cannot be read.
pub(crate) fn directory(config: &Config, pki: &Pki, estate: &Estate) -> Result<Directory, BuildError> {
    let users = pki.users.iter().map(|user| {
        let configured = config.users.iter().find(|other| other.eui == user.eui);
        dcc::User {
            eui: user.eui,
            name: user.name.clone(),
            roles: user.roles.clone(),
            certificates: named(&user.certificate_pem),
            call_back: user.listener.clone(),
            schema: configured
                .and_then(|other| other.schema.as_ref())
                .map(|schema| dcc::SchemaPolicy {
                    version: schema.version.clone(),
                    others: schema.others,
                }),
            fetches: configured.is_some_and(|other| other.fetches),
            suspended: configured.is_some_and(|other| other.suspended),
        }
    });
    // No user of the configuration: its own role, and nobody registers it anywhere.
    let commissioning = dcc::User {
        eui: CP_EUI,
        name: "commissioning party".to_owned(),
        roles: vec![UserRole::CommissioningParty],
        certificates: Vec::new(),
        call_back: None,
        schema: None,
        fetches: false,
        suspended: false,
    };
    let mut registrations = match &config.access.registration {
        Some(path) => from_file(path)?,
        None => shared_out(pki, &estate.sites().collect::<Vec<_>>()),
    };
    for change in &config.access.changes {
        registrations.add(changed(change)?);
    }
    let named = |error: &DirectoryError| ConfigError {
        file: config
            .folders
            .users
            .as_deref()
            .unwrap_or(Path::new("<configuration>"))
            .display()
            .to_string(),
        line: None,
        problem: error.to_string(),
        hint: None,
    };
    let directory = Directory::new(users.chain([commissioning]), registrations.iter().copied());
    let mut directory = directory.map_err(|error| named(&error))?;
    estate.sites().for_each(|site| directory.locate(located(&site)));
    Ok(directory)
}

/// Where the metering points of an installation are, enrolled or not: who has the points registers them, not who operates
/// the devices.
pub(crate) fn located(site: &Site) -> impl Iterator<Item = (Mpxn, Arc<Property>)> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let property = Arc::new(Property {
        uprn: given(site.uprn()),
        post_code: given(site.post_code()),
        address_identifier: given(site.address()),
    });
    let points = [Some(Mpxn::Mpan(site.mpan())), site.mprn().map(Mpxn::Mprn)];
    points
        .into_iter()
        .flatten()
        .map(move |mpxn| (mpxn, Arc::clone(&property)))
}

/// The serial number of a certificate that is not one for XML signatures: such a one signs only because it is named here.
fn named(pem: &str) -> Vec<String> {
    let certificate = Certificate::from_pem(pem).ok();
    let other = certificate.filter(|certificate| certificate.role() != Some(XML_SIGNING));
    other
        .map(|certificate| certificate.serial().to_owned())
        .into_iter()
        .collect()
}

/// The records of notified certificates at the start: those of the users registered then, of every enrolled device that
/// has a metering point.
///
/// # Errors
/// When a certificate cannot be read.
pub(crate) fn records(parts: &Parts, world: u32) -> Result<Records, BuildError> {
    Ok(records_of(parts, &parts.sites(world), parts.config.clock.start)?
        .into_iter()
        .collect())
}

/// The records of notified certificates of installations: those of the users registered at an instant, of every enrolled
/// device that has a metering point.
///
/// # Errors
/// When a certificate cannot be read.
pub(crate) fn records_of(
    parts: &Parts,
    sites: &[Site],
    at: SimInstant,
) -> Result<Vec<(Eui64, Credentials)>, BuildError> {
    let mut credentials = BTreeMap::new();
    for user in &parts.pki.users {
        credentials.insert(user.eui, of_user(user)?);
    }
    let directory = parts.live.directory();
    let enrolled = sites.iter().filter(|site| site.enrolled());
    let devices = enrolled.flat_map(Site::devices);
    let records = devices.filter_map(|device| {
        let mpxn = device.mpxn?;
        let of = |roles: [UserRole; 2]| {
            let holder = roles.into_iter().find_map(|role| directory.registered(mpxn, role, at));
            holder
                .and_then(|holder| credentials.get(&holder).cloned())
                .unwrap_or_default()
        };
        let record = Credentials {
            supplier: of([UserRole::ImportSupplier, UserRole::GasSupplier]),
            network_operator: of([UserRole::ElectricityDistributor, UserRole::GasTransporter]),
            cos_counter: 0,
        };
        Some((device.device, record))
    });
    Ok(records.collect())
}

/// What a record names of a user: the organisation's certificates, or where there are none the one it signs with.
fn of_user(user: &User) -> Result<PartyCredentials, BuildError> {
    let notified = |pem: &str| {
        let certificate = Certificate::from_pem(pem).map_err(|error| BuildError::Certificate {
            whose: user.eui.to_string(),
            problem: error.to_string(),
        })?;
        Ok::<_, BuildError>(Notified {
            id: CertificateId {
                serial: certificate.serial().to_owned(),
                issuer: certificate.issuer_common_name().unwrap_or_default().to_owned(),
            },
            party: certificate.eui(),
            fingerprint: certificate.fingerprint(),
        })
    };
    let (critical, other) = match &user.organisation {
        Some(organisation) => (&organisation.signing, &organisation.agreement),
        None => (&user.certificate_pem, &user.certificate_pem),
    };
    Ok(PartyCredentials {
        critical: Some(Arc::new(notified(critical)?)),
        non_critical: Some(Arc::new(notified(other)?)),
        execution_counter: 0,
    })
}

/// A change of registration as the configuration has it.
fn changed(change: &ChangeConfig) -> Result<Registration, BuildError> {
    let wrong = |key: &str, error: String| ConfigError {
        file: "<configuration>".to_owned(),
        line: None,
        problem: format!("access.change.{key}: {error}"),
        hint: None,
    };
    let from = format!("{}T00:00:00Z", change.from);
    Ok(Registration {
        mpxn: change
            .mpxn
            .parse()
            .map_err(|error: domain::ParseError| wrong("mpxn", error.to_string()))?,
        role: change
            .role
            .parse()
            .map_err(|error: domain::ParseError| wrong("role", error.to_string()))?,
        user: change
            .user
            .parse()
            .map_err(|error: domain::ParseError| wrong("user", error.to_string()))?,
        from: Some(
            from.parse()
                .map_err(|error: domain::ParseError| wrong("from", error.to_string()))?,
        ),
        until: None,
    })
}

fn from_file(path: &Path) -> Result<Registrations, BuildError> {
    let text = read_text(path)?;
    let read = if path.extension().is_some_and(|ending| ending == "toml") {
        Directory::from_toml(&text).map(|directory| directory.registrations().clone())
    } else {
        Registrations::from_csv(&text)
    };
    let file = path.display().to_string();
    read.map_err(|error| {
        ConfigError {
            file,
            line: None,
            problem: error.to_string(),
            hint: None,
        }
        .into()
    })
}

/// Every metering point of these installations registered in every role that some user has: the first installation of a template
/// with the first user of the role, the second with the second, and so on in turn; where gas has a supplier of its own,
/// with the next one's. It follows from the files alone.
pub(crate) fn shared_out(pki: &Pki, sites: &[Site]) -> Registrations {
    use UserRole as R;
    let with = |role: UserRole| -> Vec<Eui64> {
        let users = pki.users.iter().filter(|user| user.roles.contains(&role));
        users.map(|user| user.eui).collect()
    };
    let electricity = [
        R::ImportSupplier,
        R::ExportSupplier,
        R::ElectricityDistributor,
        R::RegisteredSupplierAgent,
    ]
    .map(|role| (role, with(role)));
    let gas = [R::GasSupplier, R::GasTransporter, R::RegisteredSupplierAgent].map(|role| (role, with(role)));
    let mut all = Registrations::default();
    for site in sites {
        let position = site.position() as usize;
        let mut register = |mpxn: Mpxn, role: UserRole, users: &[Eui64], next: usize| {
            let turn = (position + next).checked_rem(users.len());
            if let Some(user) = turn.and_then(|turn| users.get(turn)) {
                all.add(Registration::always(mpxn, role, *user));
            }
        };
        for (role, users) in &electricity {
            // The export metering point is not in an estate: the import one stands for it.
            register(Mpxn::Mpan(site.mpan()), *role, users, 0);
        }
        if let Some(mprn) = site.mprn() {
            for (role, users) in &gas {
                let own = *role == R::GasSupplier && site.two_suppliers();
                register(Mpxn::Mprn(mprn), *role, users, usize::from(own));
            }
        }
    }
    all
}
