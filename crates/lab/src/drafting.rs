//! Requests for people: lists, templates and drafts, from words to text.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{DeviceKind, Eui64, ParseError, SimInstant, Srv};
use duis::template::Fuel;
use proto::v1::DeviceEntry;
use steps::table::{Applicability, Mode, State};

use crate::config::Config;
use crate::files::{FileError, write_public};
use crate::parts::{BuildError, Parts};
use crate::requests::{self, Aim, NotMade, Wanted};
use crate::view::entry;

/// Something that cannot be drafted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The configured lab cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The request cannot be made.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// A word that is not what it should be.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// One service request as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Service reference variant.
    pub srv: String,
    /// Its name.
    pub name: &'static str,
    /// What it takes for a SMETS1 device or the DCC.
    pub command_variant: u8,
    /// Whether it is critical.
    pub critical: bool,
    /// The roles that may send it.
    pub roles: Vec<String>,
    /// Kinds of device it is for; `DCC` for the DCC itself.
    pub targets: Vec<String>,
    /// Whether it applies to SMETS1 devices: `yes`, `no`, `by model`, `unknown`.
    pub smets1: &'static str,
    /// How sure that is.
    pub confidence: &'static str,
    /// `end to end`, `by the DCC`, `refused`.
    pub state: &'static str,
}

/// All 129 service requests.
#[must_use]
pub fn list() -> Vec<Listed> {
    let listed = |row: &steps::Row| Listed {
        srv: row.srv.to_string(),
        name: row.name,
        command_variant: requests::command_variant(row, true),
        critical: row.critical,
        roles: row.roles.iter().map(ToString::to_string).collect(),
        targets: match row.mode {
            Mode::DccOnly => vec!["DCC".to_owned()],
            Mode::Device => row.kinds.iter().map(ToString::to_string).collect(),
        },
        smets1: match row.smets1 {
            Applicability::ByModel => "by model",
            Applicability::No => "no",
            Applicability::Unknown => "unknown",
            Applicability::Yes => "yes",
        },
        confidence: row.confidence.as_str(),
        state: match row.state {
            State::Dcc => "by the DCC",
            State::EndToEnd => "end to end",
            State::Refused => "refused",
        },
    };
    steps::table().rows().map(listed).collect()
}

/// Writes a template of every service and kind of device it is for, aimed at the first installation of the estate. Gives
/// how many.
///
/// # Errors
/// When the lab cannot be built, has no installation, or a file exists already.
pub fn write_templates(config: &Config, folder: &Path) -> Result<usize, DraftError> {
    let parts = Parts::build(config.clone())?;
    let site = parts.estate.sites().next();
    let mut written = 0;
    for row in steps::table().rows() {
        let kinds: Vec<Option<DeviceKind>> = match row.mode {
            Mode::DccOnly => vec![None],
            Mode::Device => row.kinds.iter().map(|kind| Some(*kind)).collect(),
        };
        for kind in kinds {
            let aim = match &site {
                Some(site) => Aim::at(site, kind, config.clock.start),
                None => Aim::nowhere(config.clock.start),
            };
            let device = kind.map(|kind| aim.devices.get(&kind).copied().unwrap_or_default());
            let wanted = Wanted {
                device,
                fuel: fuel(kind),
                ..wanted(config, row.srv)
            };
            let request = requests::make(&wanted, &aim)?;
            let name = format!("{}-{}.xml", row.srv, kind.map_or("DCC", DeviceKind::as_str));
            write_public(&folder.join(name), &requests::text(&request)?)?;
            written += 1;
        }
    }
    Ok(written)
}

fn wanted(config: &Config, srv: Srv) -> Wanted {
    Wanted {
        srv,
        user: config.users.first().map(|user| user.eui).unwrap_or_default(),
        dcc: config.dcc.eui,
        device: None,
        in_inventory: true,
        fuel: Fuel::Electricity,
        elements: BTreeMap::new(),
    }
}

fn fuel(kind: Option<DeviceKind>) -> Fuel {
    if kind.is_some_and(DeviceKind::is_gas) {
        Fuel::Gas
    } else {
        Fuel::Electricity
    }
}

/// A request as a person asks for it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Service reference variant.
    pub srv: String,
    /// EUI-64 of the device.
    pub device: Option<String>,
    /// EUI-64 of the user; the first of the configuration without.
    pub user: Option<String>,
    /// `NAME` or `NAME=VALUE` of elements to include.
    pub with: Vec<String>,
}

/// A request drafted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drafted {
    /// Its text, unsigned.
    pub text: String,
    /// Whether its device is one of the lab; requests for others are made as for SMETS2 devices.
    pub known: bool,
}

/// Drafts a request. `running` are the devices and the calendar (milliseconds) of a running lab; without them the
/// configured estate and start are taken.
///
/// # Errors
/// [`DraftError`].
pub fn draft(config: &Config, asked: &Asked, running: Option<(Vec<DeviceEntry>, i64)>) -> Result<Drafted, DraftError> {
    let srv: Srv = asked.srv.parse()?;
    let parse = |text: &String| text.parse::<Eui64>();
    let device = asked.device.as_ref().map(parse).transpose()?;
    let user = asked.user.as_ref().map(parse).transpose()?;
    let (devices, now) = match running {
        Some((devices, now_ms)) => (devices, SimInstant(now_ms)),
        None => {
            let parts = Parts::build(config.clone())?;
            let devices = parts.estate.devices().map(|device| entry(&device)).collect();
            (devices, config.clock.start)
        }
    };
    let found = device.and_then(|device| Aim::among(&devices, device, now));
    let known = found.is_some() || device.is_none();
    let (aim, in_inventory) = found.unwrap_or_else(|| (Aim::nowhere(now), false));
    let base = wanted(config, srv);
    let wanted = Wanted {
        user: user.unwrap_or(base.user),
        device,
        in_inventory,
        fuel: fuel(aim.kind),
        elements: asked.with.iter().map(|with| element(with)).collect(),
        ..base
    };
    let request = requests::make(&wanted, &aim)?;
    Ok(Drafted {
        text: requests::text(&request)?,
        known,
    })
}

fn element(with: &str) -> (String, Option<String>) {
    match with.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (with.to_owned(), None),
    }
}

/// A request of a service for any device of a kind.
///
/// # Errors
/// When the structure of the schema does not permit one.
pub fn of_service(config: &Config, srv: Srv, kind: DeviceKind) -> Result<String, DraftError> {
    let wanted = Wanted {
        device: Some(ANY),
        fuel: fuel(Some(kind)),
        ..wanted(config, srv)
    };
    let request = requests::make(&wanted, &Aim::nowhere(config.clock.start))?;
    Ok(requests::text(&request)?)
}

/// Stands for a device where none is named.
const ANY: Eui64 = Eui64(0x021A_B000_0000_0001);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_takes_its_command_variant_from_the_estate() {
        let config = Config::default();
        let asked = |device: &str| Asked {
            srv: "7.2".into(),
            device: Some(device.into()),
            ..Asked::default()
        };
        let own = draft(&config, &asked("02-1A-B0-02-01-00-00-01"), None).expect("drafted");
        assert!(own.known && own.text.contains("CommandVariant>1<"), "{}", own.text);
        let other = draft(&config, &asked("00-DB-12-34-56-78-90-A0"), None).expect("drafted");
        assert!(
            !other.known && other.text.contains("CommandVariant>4<"),
            "{}",
            other.text
        );
    }

    #[test]
    fn templates_are_written_for_every_service() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = write_templates(&Config::default(), folder.path()).expect("written");
        assert!(written > 200, "{written}");
        assert_eq!(list().len(), 129);
        assert!(
            write_templates(&Config::default(), folder.path()).is_err(),
            "nothing is overwritten"
        );
    }
}
