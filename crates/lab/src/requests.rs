//! Requests made for people: from the structure of the schema, aimed at a device, with the command variant it takes.

use std::collections::BTreeMap;

use domain::utrn::Utrn;
use domain::{DeviceKind, Eui64, Mpxn, RequestId, SimDuration, SimInstant, Srv};
use duis::template::{Fuel, Wishes};
use duis::{Element, Request};
use fleet::{Site, SiteDevice};
use proto::v1::DeviceEntry;
use steps::Row;
use steps::table::Mode;

/// Whom and when a request is aimed at: one installation, and a device of it unless the DCC answers itself.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The device; none for requests to the DCC.
    pub kind: Option<DeviceKind>,
    /// The installation's devices, by kind.
    pub devices: BTreeMap<DeviceKind, Eui64>,
    /// Its metering points.
    pub points: Vec<Mpxn>,
    /// What counts as now.
    pub now: SimInstant,
    /// Certificates to put in the place of made ones: for signatures and for key agreement, base64.
    pub certificates: Option<(String, String)>,
}

impl Aim {
    /// At a device of an installation.
    #[must_use]
    pub fn at(site: &Site, kind: Option<DeviceKind>, now: SimInstant) -> Self {
        Self::of(&site.devices(), kind, now)
    }

    /// At a device among these, which are one installation.
    #[must_use]
    pub fn of(devices: &[SiteDevice], kind: Option<DeviceKind>, now: SimInstant) -> Self {
        let mut points: Vec<Mpxn> = devices.iter().filter_map(|device| device.mpxn).collect();
        points.dedup();
        Self {
            kind,
            devices: devices.iter().map(|device| (device.kind, device.device)).collect(),
            points,
            now,
            certificates: None,
        }
    }

    /// At a device among those a lab lists: its whole installation, and whether the DCC has it in its inventory. None when
    /// it is not among them.
    #[must_use]
    pub fn among(entries: &[DeviceEntry], device: Eui64, now: SimInstant) -> Option<(Self, bool)> {
        let named = device.to_string();
        let own = entries.iter().find(|entry| entry.device == named)?;
        let site = entries.iter().filter(|entry| entry.hub == own.hub);
        let mut aim = Self {
            kind: own.kind.parse().ok(),
            devices: BTreeMap::new(),
            points: Vec::new(),
            now,
            certificates: None,
        };
        for entry in site {
            if let (Ok(kind), Ok(device)) = (entry.kind.parse(), entry.device.parse()) {
                aim.devices.insert(kind, device);
            }
            aim.points.extend(entry.mpxn.parse::<Mpxn>().ok());
        }
        aim.points.dedup();
        Some((aim, own.enrolled))
    }

    /// At nothing in particular.
    #[must_use]
    pub fn nowhere(now: SimInstant) -> Self {
        Self {
            kind: None,
            devices: BTreeMap::new(),
            points: Vec::new(),
            now,
            certificates: None,
        }
    }

    /// Ten pounds, another code at each instant.
    fn top_up_code(&self) -> Option<String> {
        let instant = u32::try_from(self.now.0 & 0xFFFF_FFFF).ok()?;
        Utrn::of_pence(1_000, 0, instant).ok().map(|utrn| utrn.to_string())
    }

    fn device(&self, kind: DeviceKind) -> Option<String> {
        self.devices.get(&kind).map(ToString::to_string)
    }

    fn point(&self, gas: bool) -> Option<String> {
        let fits = |point: &&Mpxn| matches!(point, Mpxn::Mprn(_)) == gas;
        self.points.iter().find(fits).map(ToString::to_string)
    }

    /// The service element with this installation's identities and dates in the place of its own. Dates from the year 3000
    /// on stay: they cancel.
    #[must_use]
    pub fn retarget(&self, body: &Element) -> Element {
        let mut retargeted = self.element(body);
        let other = match body.name {
            // A device that is not there yet.
            "DevicePrenotification" => Some(self.announced().to_string()),
            "UpdateHANDeviceLog" if body.child_text("RequestType") == Some("Add") => Some(self.announced().to_string()),
            "UpdateHANDeviceLog" => self.device(DeviceKind::Ppmid),
            _ => None,
        };
        if let Some(other) = other {
            for id in retargeted.children.iter_mut().filter(|child| child.name == "DeviceID") {
                id.text.clone_from(&other);
            }
        }
        retargeted
    }

    /// A device of which nobody knows yet, beside this installation.
    #[must_use]
    pub fn announced(&self) -> Eui64 {
        let hub = self.devices.get(&DeviceKind::Chf).copied().unwrap_or_default();
        Eui64(hub.0 ^ 0x0000_00FF_0000_0000)
    }

    fn element(&self, element: &Element) -> Element {
        let text = self.replacement(element).unwrap_or_else(|| element.text.clone());
        let children = element.children.iter().map(|child| self.element(child)).collect();
        Element {
            text,
            children,
            ..element.clone()
        }
    }

    fn replacement(&self, element: &Element) -> Option<String> {
        let own = self.kind.and_then(|kind| self.device(kind));
        let gas = self.kind.is_some_and(DeviceKind::is_gas);
        let day = |days| -> String {
            let at = self.now + SimDuration::from_days(days);
            at.to_string().chars().take(10).collect()
        };
        Some(match element.name {
            "DeviceID" => own.or_else(|| self.device(DeviceKind::Esme))?,
            "DeviceIDList" => self.device(DeviceKind::Esme)?,
            "OtherDeviceID" => match self.kind {
                Some(DeviceKind::Gpf) => self.device(DeviceKind::Gsme)?,
                _ => self
                    .device(DeviceKind::Ppmid)
                    .or_else(|| self.device(DeviceKind::Gpf))?,
            },
            "OldCHFID" | "OldGPFID" => self.announced().to_string(),
            "DigitalSigningCertificate" => self.certificates.as_ref()?.0.clone(),
            "KeyAgreementCertificate" => self.certificates.as_ref()?.1.clone(),
            "UTRN" if element.text.trim().parse::<Utrn>().is_err() => self.top_up_code()?,
            "ImportMPAN" | "ExportMPAN" => self.point(false)?,
            "ImportMPRN" => self.point(true)?,
            "MPxN" | "ImportMPxN" => self.point(gas)?,
            "StartDateTime" => (self.now - SimDuration::from_days(3)).to_string(),
            "EndDateTime" | "CurrentDateTime" | "RestrictionDateTime" => self.now.to_string(),
            "ExecutionDateTime" if element.text.trim() < "3000" => (self.now + SimDuration::from_hours(1)).to_string(),
            "ScheduleStartDate" => day(1),
            "ScheduleEndDate" => day(3),
            _ => return None,
        })
    }
}

/// A request to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Service reference variant.
    pub srv: Srv,
    /// Who sends it.
    pub user: Eui64,
    /// The DCC's own EUI-64: target of what no device answers.
    pub dcc: Eui64,
    /// The device it is for.
    pub device: Option<Eui64>,
    /// Whether the inventory has that device; others are taken for SMETS2 devices.
    pub in_inventory: bool,
    /// Which fuel's alternative is taken.
    pub fuel: Fuel,
    /// Optional elements to include and alternatives to take, some with a value.
    pub elements: BTreeMap<String, Option<String>>,
}

/// A request that cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotMade {
    /// There is no such service.
    #[error("there is no service request {0}; `s1lab duis templates` lists them")]
    NoService(Srv),
    /// It is for a device, and none is named.
    #[error("{0} goes to a device: name one with --device")]
    NoDevice(Srv),
    /// A value does not fit the schema.
    #[error("{0}")]
    Value(String),
}

/// What is included where nothing is wished for: of the ways to name something, by its device; and what else the least that
/// the schema permits needs to mean something.
#[must_use]
pub fn usual(srv: Srv) -> BTreeMap<String, Option<String>> {
    let more: &[(&str, Option<&str>)] = match srv.to_string().as_str() {
        "6.18.2" => &[("MaxDemandActivePowerImportValue", None)],
        "8.4" => &[("UpdateDeviceStatusExceptCH", Some("InstalledNotCommissioned"))],
        "8.11" => &[("RequestType", Some("Remove"))],
        "12.2" => &[("ESMEVariant", None), ("FirmwareVersion", None)],
        _ => &[],
    };
    let wish = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    let device = std::iter::once(("DeviceID".to_owned(), None));
    device.chain(more.iter().map(wish)).collect()
}

/// Makes a request: as little as the schema permits, plus what is wished for, with the identities and dates of the aim in
/// it. Its counter is that of the aim's time.
///
/// # Errors
/// [`NotMade`].
pub fn make(wanted: &Wanted, aim: &Aim) -> Result<Request, NotMade> {
    let row = steps::table().row(wanted.srv).ok_or(NotMade::NoService(wanted.srv))?;
    let target = match row.mode {
        Mode::DccOnly => wanted.dcc,
        Mode::Device => wanted.device.ok_or(NotMade::NoDevice(wanted.srv))?,
    };
    let wishes = Wishes {
        at: aim.now,
        fuel: wanted.fuel,
        elements: if wanted.elements.is_empty() {
            usual(wanted.srv)
        } else {
            wanted.elements.clone()
        },
    };
    let body = duis::template::body(row.body, &wishes).ok_or(NotMade::NoService(wanted.srv))?;
    let mut body = aim.retarget(&body);
    // What was wished for by value stays as it was wished.
    restore(&mut body, &wanted.elements);
    let id = RequestId {
        originator: wanted.user,
        target,
        counter: u64::try_from(aim.now.0).unwrap_or(0),
    };
    let request = Request::new(id, wanted.srv)
        .with_command_variant(command_variant(row, wanted.in_inventory))
        .with_body(body);
    duis::write::request(&request).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        NotMade::Value(source.unwrap_or_else(|| error.to_string()))
    })?;
    Ok(request)
}

/// The command variant a request takes: 8 for the DCC itself, 1 for a SMETS1 device; for a device that the inventory does
/// not have, and that another system will get, 4 where it is critical.
#[must_use]
pub fn command_variant(row: &Row, in_inventory: bool) -> u8 {
    match (row.mode, in_inventory, row.critical) {
        (Mode::DccOnly, ..) => 8,
        (Mode::Device, false, true) => 4,
        (Mode::Device, ..) => 1,
    }
}

fn restore(element: &mut Element, wished: &BTreeMap<String, Option<String>>) {
    if let Some(Some(value)) = wished.get(element.name) {
        element.text.clone_from(value);
    }
    element.children.iter_mut().for_each(|child| restore(child, wished));
}

/// The text of a request, a line per element.
///
/// # Errors
/// When a value does not fit the schema.
pub fn text(request: &Request) -> Result<String, NotMade> {
    let xml = duis::write::request(request).map_err(|error| NotMade::Value(error.to_string()))?;
    Ok(indented(&String::from_utf8_lossy(&xml)))
}

/// A document of our own writer with a line per element: it has no text beside elements, no comments and no `>` in values.
fn indented(xml: &str) -> String {
    let mut out = String::with_capacity(xml.len() * 2);
    let mut depth = 0_usize;
    let mut after_start = false;
    for piece in xml.split_inclusive('>') {
        let (text, tag) = piece.split_once('<').map_or((piece, ""), |(text, tag)| (text, tag));
        if tag.is_empty() {
            continue;
        }
        let end = tag.starts_with('/');
        if end {
            depth = depth.saturating_sub(1);
        }
        // The end of a leaf stays on its line.
        let leaf = end && after_start;
        if leaf {
            out.push_str(text);
        } else {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&"  ".repeat(depth));
        }
        out.push('<');
        out.push_str(tag);
        after_start = !end && !tag.ends_with("/>") && !tag.starts_with('?');
        if after_start {
            depth += 1;
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DCC: Eui64 = Eui64(0x90B3_D51F_3000_0002);
    const USER: Eui64 = Eui64(0x90B3_D51F_3001_0000);

    fn aim(kind: Option<DeviceKind>) -> (Aim, Option<Eui64>) {
        let estate = fleet::Estate::builtin("sit").expect("built in");
        let site = estate.sites().next().expect("an installation");
        let now = SimInstant::from_utc(2020, 6, 1, 9, 0, 0).expect("a date");
        (Aim::at(&site, kind, now), kind.and_then(|kind| site.device(kind)))
    }

    fn wanted(srv: &str, device: Option<Eui64>, elements: &[(&str, &str)]) -> Wanted {
        Wanted {
            srv: srv.parse().expect("a variant"),
            user: USER,
            dcc: DCC,
            device,
            in_inventory: true,
            fuel: Fuel::Electricity,
            elements: elements
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
        }
    }

    #[test]
    fn every_service_can_be_made_and_reads_back() {
        for row in steps::table().rows() {
            let kind = row.kinds.iter().copied().find(|kind| *kind != DeviceKind::Ppmid);
            let (aim, device) = aim(kind);
            let device = device.or(kind.map(|_| Eui64(1)));
            let request = make(&wanted(&row.srv.to_string(), device, &[]), &aim).expect("made");
            let text = text(&request).expect("written");
            let read = duis::read_request(text.as_bytes());
            assert_eq!(read.as_ref(), Ok(&request), "{}: {text}", row.srv);
        }
    }

    #[test]
    fn the_command_variant_follows_target_and_inventory() {
        let (aim, device) = aim(Some(DeviceKind::Esme));
        let made = |wanted: &Wanted| make(wanted, &aim).expect("made").command_variant;
        let critical = wanted("7.2", device, &[]);
        assert_eq!(made(&critical), 1);
        assert_eq!(
            made(&Wanted {
                in_inventory: false,
                ..critical
            }),
            4
        );
        assert_eq!(made(&wanted("8.2", None, &[])), 8);
        assert_eq!(
            make(&wanted("7.2", None, &[]), &aim),
            Err(NotMade::NoDevice(Srv::new(7, 2, 0)))
        );
    }

    #[test]
    fn wishes_win_over_the_aim() {
        let (aim, device) = aim(Some(DeviceKind::Esme));
        let date = "2020-06-02T00:00:00.000Z";
        let request = make(&wanted("4.1.1", device, &[("ExecutionDateTime", date)]), &aim).expect("made");
        assert_eq!(request.body.child_text("ExecutionDateTime"), Some(date));
        let wrong = make(&wanted("2.2", device, &[("UTRN", "1")]), &aim).expect_err("too short");
        assert!(wrong.to_string().contains("UTRN"), "{wrong}");
    }
}
