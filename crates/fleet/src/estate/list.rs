//! Installations listed one by one, as two tables: devices, and the registration data of their metering points.
//!
//! The tables are those that [`devices_csv`](crate::devices_csv) and [`registration_csv`](crate::registration_csv) write.
//! They are taken whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmc::{FileError, Row, Table};
use domain::operation::PaymentMode;
use domain::{CommunicationsProvider, DeviceKind, Dmc, Eui64, Mpan, Mprn, Mpxn, ProfileId, Seed};

use super::deal::Spread;
use super::read::{PAYMENT_MODES, SUPPLIERS, Surroundings, in_scope};
use super::{Combination, Dealt, Estate, EstateError, Service, Shares, SiteFault, TEMPLATES_MAX, Template};

/// Columns of the table of devices, in the order they are written. Those after `mpxn` say something of the installation
/// and are the same on all its rows, but `service`, which is the device's.
pub(crate) const DEVICE_COLUMNS: [&str; 16] = [
    "hub",
    "device",
    "kind",
    "profile",
    "firmware",
    "mpxn",
    "service",
    "template",
    "enrolled",
    "provider",
    "payment_mode",
    "suppliers",
    "second_element",
    "cohort",
    "smso",
    "faults",
];

/// Columns of the table of registration data, in the order they are written.
pub(crate) const REGISTRATION_COLUMNS: [&str; 8] = [
    "mpxn",
    "fuel",
    "smso",
    "smets_version",
    "meter_type",
    "uprn",
    "post_code",
    "address",
];

/// What a listed installation is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identities {
    /// By kind.
    pub(super) devices: BTreeMap<DeviceKind, Eui64>,
    pub(super) mpan: Mpan,
    pub(super) mprn: Option<Mprn>,
    pub(super) property: Property,
}

/// Where an installation is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Property {
    pub(super) uprn: String,
    pub(super) post_code: String,
    pub(super) address: String,
}

/// One table: the name faults are reported under, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Csv<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Estate {
    /// The installations of a table of devices and one of registration data.
    ///
    /// # Errors
    /// [`EstateError`] with the row: an unknown or missing column, a value that is none, a profile the catalogue does not
    /// have or that is not in scope, rows of one installation that disagree, a device or metering point twice, a metering
    /// point without registration data or without device.
    pub fn from_tables(
        name: &str,
        devices: Csv<'_>,
        registration: Csv<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Self, EstateError> {
        let templates = read(devices, registration, surroundings, 1)?;
        let estate = Self::of_templates(name.to_owned(), templates);
        estate.nothing_twice(devices.file)?;
        Ok(estate)
    }

    /// No device and no metering point stands in the estate twice.
    pub(super) fn nothing_twice(&self, file: &str) -> Result<(), EstateError> {
        let (mut devices, mut points) = (BTreeSet::new(), BTreeSet::new());
        for site in self.sites() {
            for device in site.devices() {
                if !devices.insert(device.device) {
                    return Err(whole(file, format!("device {} is in the estate twice", device.device)));
                }
            }
            let own = [Some(Mpxn::Mpan(site.mpan())), site.mprn().map(Mpxn::Mprn)];
            for point in own.into_iter().flatten() {
                if !points.insert(point.to_string()) {
                    return Err(whole(file, format!("metering point {point} is in the estate twice")));
                }
            }
        }
        Ok(())
    }
}

fn whole(file: &str, problem: String) -> EstateError {
    EstateError {
        file: file.to_owned(),
        line: 0,
        problem,
        hint: None,
    }
}

/// One installation as its rows have it.
struct Listed {
    template: String,
    identities: Identities,
    combination: Combination,
    service: Service,
    payment: PaymentMode,
    two_suppliers: bool,
    second_element: bool,
    enrolled: bool,
    faults: u8,
}

/// The templates of two tables, numbered from `first`.
pub(super) fn read(
    devices: Csv<'_>,
    registration: Csv<'_>,
    surroundings: &Surroundings<'_>,
    first: u8,
) -> Result<Vec<Arc<Template>>, EstateError> {
    let properties = properties(registration)?;
    let table = Table::read(devices.file, devices.text, &NEEDED, &DEVICE_COLUMNS)?;
    let mut rows: BTreeMap<Eui64, Vec<Row<'_>>> = BTreeMap::new();
    let mut order = Vec::new();
    for row in table.rows() {
        let hub: Eui64 = row.parse("hub")?;
        let of_hub = rows.entry(hub).or_default();
        if of_hub.is_empty() {
            order.push(hub);
        }
        of_hub.push(row);
    }
    let mut by_template: Vec<(String, Vec<Listed>)> = Vec::new();
    let mut used = BTreeSet::new();
    let mut lines = BTreeMap::new();
    for hub in order {
        let of_hub = rows.get(&hub).map(Vec::as_slice).unwrap_or_default();
        for row in of_hub {
            let device: Eui64 = row.parse("device")?;
            if let Some(line) = lines.insert(device, row.line()) {
                return Err(row
                    .error(format!("device {device} stands already in line {line}"))
                    .into());
            }
        }
        let listed = installation(hub, of_hub, &properties, surroundings)?;
        let points = [
            Some(Mpxn::Mpan(listed.identities.mpan)),
            listed.identities.mprn.map(Mpxn::Mprn),
        ];
        for point in points.into_iter().flatten() {
            if !used.insert(point.to_string()) {
                let serves = |row: &&Row<'_>| row.text("mpxn").trim() == point.to_string();
                let line = of_hub.iter().find(serves).map_or(0, Row::line);
                let problem = format!("metering point {point} is served by an installation above");
                return Err(EstateError {
                    line,
                    ..whole(devices.file, problem)
                });
            }
        }
        match by_template.iter_mut().find(|(name, _)| *name == listed.template) {
            Some((_, members)) => members.push(listed),
            None => by_template.push((listed.template.clone(), vec![listed])),
        }
    }
    if let Some((point, (line, _))) = properties.iter().find(|(point, _)| !used.contains(*point)) {
        return Err(EstateError {
            line: *line,
            ..whole(
                registration.file,
                format!("no device of the other table serves {point}"),
            )
        });
    }
    if usize::from(first) - 1 + by_template.len() > TEMPLATES_MAX {
        let problem = format!("{} templates, at most {TEMPLATES_MAX} in an estate", by_template.len());
        return Err(whole(devices.file, problem));
    }
    let numbered = (first..).zip(by_template);
    Ok(numbered
        .map(|(number, (name, members))| Arc::new(template(name, number, members)))
        .collect())
}

/// Property and line by metering point.
fn properties(csv: Csv<'_>) -> Result<BTreeMap<String, (usize, Property)>, EstateError> {
    let needed = ["mpxn", "fuel", "smets_version"];
    let table = Table::read(csv.file, csv.text, &needed, &REGISTRATION_COLUMNS)?;
    let mut all = BTreeMap::new();
    for row in table.rows() {
        let point: Mpxn = row.parse("mpxn")?;
        let fuel = match point {
            Mpxn::Mpan(_) => "electricity",
            Mpxn::Mprn(_) => "gas",
        };
        if row.text("fuel") != fuel {
            return Err(row
                .error(format!(
                    "fuel is {:?}, but {point} is a point of {fuel}",
                    row.text("fuel")
                ))
                .into());
        }
        if !["S1", "NONE"].contains(&row.text("smets_version")) {
            return Err(row
                .unknown("smets_version", row.text("smets_version"), ["S1", "NONE"])
                .into());
        }
        for (column, max) in [("uprn", 12), ("post_code", 8), ("address", 30)] {
            if row.text(column).chars().count() > max {
                return Err(row.error(format!("{column} takes up to {max} characters")).into());
            }
        }
        let property = Property {
            uprn: row.text("uprn").to_owned(),
            post_code: row.text("post_code").to_owned(),
            address: row.text("address").to_owned(),
        };
        if let Some((first, _)) = all.insert(point.to_string(), (row.line(), property)) {
            return Err(row.error(format!("{point} stands already in line {first}")).into());
        }
    }
    Ok(all)
}

fn installation(
    hub: Eui64,
    rows: &[Row<'_>],
    properties: &BTreeMap<String, (usize, Property)>,
    surroundings: &Surroundings<'_>,
) -> Result<Listed, EstateError> {
    let mut devices: BTreeMap<DeviceKind, (&Row<'_>, Eui64, ProfileId)> = BTreeMap::new();
    for row in rows {
        let kind: DeviceKind = row.parse("kind")?;
        let id: Eui64 = row.parse("device")?;
        let profile = profile(row, kind, surroundings)?;
        if devices.insert(kind, (row, id, profile)).is_some() {
            return Err(row.error(format!("installation {hub} has a second {kind}")).into());
        }
    }
    let first = rows
        .first()
        .ok_or_else(|| whole("", format!("installation {hub} has no row")))?;
    let need = |kind| {
        devices
            .get(&kind)
            .ok_or_else(|| first.error(format!("installation {hub} has no {kind}")))
    };
    let (chf, hub_id, _) = need(DeviceKind::Chf)?;
    if *hub_id != hub {
        return Err(chf
            .error(format!(
                "the hub's own identity is {hub_id}, but it stands behind {hub}"
            ))
            .into());
    }
    for row in rows {
        for column in SAME {
            if row.text(column) != chf.text(column) {
                let (own, hubs) = (row.text(column), chf.text(column));
                let problem = format!(
                    "{column} is {own:?}, but {hubs:?} in line {} of the same hub",
                    chf.line()
                );
                return Err(row.error(problem).into());
            }
        }
    }
    let of = |kind| devices.get(&kind).map(|(_, _, profile)| profile.clone());
    let gas = devices.contains_key(&DeviceKind::Gsme);
    if gas != devices.contains_key(&DeviceKind::Gpf) {
        return Err(first
            .error("a gas proxy (GPF) and a gas meter (GSME) come together or not at all")
            .into());
    }
    let (electricity_row, ..) = need(DeviceKind::Esme)?;
    let mpan = match electricity_row.parse("mpxn")? {
        Mpxn::Mpan(mpan) => mpan,
        Mpxn::Mprn(_) => {
            return Err(electricity_row
                .error("an electricity meter has an MPAN of 13 digits")
                .into());
        }
    };
    let mprn = match devices.get(&DeviceKind::Gsme) {
        None => None,
        Some((row, ..)) => match row.parse("mpxn")? {
            Mpxn::Mprn(mprn) => Some(mprn),
            Mpxn::Mpan(_) => return Err(row.error("a gas meter has an MPRN of up to 10 digits").into()),
        },
    };
    if let (Some((proxy, ..)), Some((meter, ..))) = (devices.get(&DeviceKind::Gpf), devices.get(&DeviceKind::Gsme))
        && proxy.text("mpxn") != meter.text("mpxn")
    {
        return Err(proxy.error("gas proxy and gas meter serve one metering point").into());
    }
    let registered = |row: &Row<'_>, point: Mpxn| {
        let found = properties.get(&point.to_string()).map(|(_, property)| property.clone());
        found.ok_or_else(|| row.error(format!("{point} has no registration data")))
    };
    let property = registered(electricity_row, Mpxn::Mpan(mpan))?;
    if let (Some((row, ..)), Some(mprn)) = (devices.get(&DeviceKind::Gsme), mprn) {
        registered(row, Mpxn::Mprn(mprn))?;
    }
    let esme = of(DeviceKind::Esme).and_then(|id| surroundings.catalogue.profile(&id));
    let given = |column: &str, own: Option<&String>| match chf.text(column) {
        "" => own.cloned().unwrap_or_default(),
        text => text.to_owned(),
    };
    let active = |kind| match devices.get(&kind) {
        Some((row, ..)) => word(row, "service", &[("active", true), ("dormant", false)]),
        None => Ok(true),
    };
    let mut faults = 0;
    for name in chf.text("faults").split_whitespace() {
        let known = SiteFault::ALL.into_iter().find(|fault| fault.as_str() == name);
        let fault = known.ok_or_else(|| chf.unknown("fault", name, SiteFault::ALL.map(SiteFault::as_str)))?;
        faults |= fault.bit();
    }
    Ok(Listed {
        template: match chf.text("template") {
            "" => "listed".to_owned(),
            name => name.to_owned(),
        },
        combination: Combination {
            dmc: Dmc {
                provider: chf.parse::<CommunicationsProvider>("provider")?,
                chf: of(DeviceKind::Chf).ok_or_else(|| first.error("no hub"))?,
                esme: of(DeviceKind::Esme).ok_or_else(|| first.error("no electricity meter"))?,
                gpf: of(DeviceKind::Gpf),
                gsme: of(DeviceKind::Gsme),
                ppmid: of(DeviceKind::Ppmid),
                ihd: of(DeviceKind::Ihd),
            },
            cohort: given("cohort", esme.map(|profile| &profile.slug)),
            smso: given("smso", esme.map(|profile| &profile.smso_code)),
        },
        service: Service {
            electricity: active(DeviceKind::Esme)?,
            gas: active(DeviceKind::Gsme)?,
        },
        payment: word(chf, "payment_mode", &PAYMENT_MODES)?,
        two_suppliers: word(chf, "suppliers", &SUPPLIERS)?,
        second_element: word(chf, "second_element", &[("false", false), ("true", true)])?,
        enrolled: word(chf, "enrolled", &[("false", false), ("true", true)])?,
        faults,
        identities: Identities {
            devices: devices.iter().map(|(kind, (_, id, _))| (*kind, *id)).collect(),
            mpan,
            mprn,
            property,
        },
    })
}

/// The profile of a row: one of the catalogue, of this kind, in scope, with the firmware the row names where it names one.
fn profile(row: &Row<'_>, kind: DeviceKind, surroundings: &Surroundings<'_>) -> Result<ProfileId, EstateError> {
    let name = row.text("profile");
    let found = surroundings.catalogue.find(name).map_err(|near| FileError {
        suggestion: near,
        ..row.error(format!("there is no device profile {name}"))
    })?;
    if found.kind != kind {
        return Err(row
            .error(format!("{name} is of kind {}, expected {kind}", found.kind))
            .into());
    }
    let firmware = row.text("firmware");
    if !firmware.is_empty() && firmware != found.native_firmware {
        let problem = format!("firmware is {firmware:?}, but {name} has {:?}", found.native_firmware);
        return Err(row.error(problem).into());
    }
    if !in_scope(found, surroundings.directed) {
        let problem = format!(
            "{name} is of {}, a group that is in scope only if the government directs so",
            found.group
        );
        return Err(row.error(problem).into());
    }
    Ok(found.id.clone())
}

/// One of these words; the first where the cell is empty.
fn word<T: Copy>(row: &Row<'_>, column: &str, words: &[(&str, T)]) -> Result<T, EstateError> {
    let text = row.text(column);
    let found = words.iter().find(|(known, _)| text.is_empty() || *known == text);
    let unknown = || row.unknown(column, text, words.iter().map(|(known, _)| *known)).into();
    found.map(|(_, meant)| *meant).ok_or_else(unknown)
}

fn template(name: String, number: u8, members: Vec<Listed>) -> Template {
    let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let mut combinations: Vec<Combination> = Vec::new();
    let mut which = Vec::new();
    for member in &members {
        let known = combinations.iter().position(|known| *known == member.combination);
        let at = known.unwrap_or_else(|| {
            combinations.push(member.combination.clone());
            combinations.len() - 1
        });
        which.push(u16::try_from(at).unwrap_or(u16::MAX));
    }
    let dealt = Dealt {
        combination: Spread::Each(which),
        service: Spread::Each(members.iter().map(|member| member.service).collect()),
        payment: Spread::Each(members.iter().map(|member| member.payment).collect()),
        two_suppliers: Spread::Each(members.iter().map(|member| member.two_suppliers).collect()),
        second_element: Spread::Each(members.iter().map(|member| member.second_element).collect()),
        enrolled: Spread::Each(members.iter().map(|member| member.enrolled).collect()),
        faults: Spread::Each(members.iter().map(|member| member.faults).collect()),
    };
    Template {
        shares: Shares {
            combinations: vec![(0, 1)],
            services: vec![],
            payment: vec![],
            two_suppliers: vec![],
            faults: vec![],
            second_element: false,
            enrolled: false,
            seed: Seed::root(1).child(&name),
        },
        name,
        number,
        count,
        combinations,
        dealt,
        head_end: None,
        identities: members.into_iter().map(|member| member.identities).collect(),
    }
}

/// What the table of devices must have.
pub(super) const NEEDED: [&str; 8] = [
    "hub", "device", "kind", "profile", "mpxn", "provider", "enrolled", "service",
];

/// What all rows of an installation agree on.
const SAME: [&str; 9] = [
    "template",
    "enrolled",
    "provider",
    "payment_mode",
    "suppliers",
    "second_element",
    "cohort",
    "smso",
    "faults",
];
