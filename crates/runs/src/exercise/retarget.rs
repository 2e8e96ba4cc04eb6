//! A request from elsewhere made one of this lab: its identities, metering points and dates are put in the place of the
//! document's.

use domain::{DeviceKind, Eui64, SimDuration, SimInstant};
use duis::{Element, Request};
use fleet::Site;

/// Whom and when a request is aimed at.
pub(crate) struct Aim<'a> {
    /// The installation the request has for itself.
    pub(crate) site: &'a Site,
    /// The device; none for requests to the DCC.
    pub(crate) kind: Option<DeviceKind>,
    pub(crate) now: SimInstant,
    /// Certificates to put in the place of made ones: for signatures and for key agreement, base64.
    pub(crate) certificates: Option<(String, String)>,
}

/// How a document asks for its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timing {
    /// At once.
    OnDemand,
    /// At a time to come.
    Dated,
    /// A request dated before is to be cancelled.
    Cancels,
}

impl Timing {
    /// The word tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Dated => "dated",
            Self::Cancels => "cancels",
        }
    }

    /// Of a request: by its `ExecutionDateTime`, which from the year 3000 on cancels.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request.body.child_text("ExecutionDateTime") {
            None => Self::OnDemand,
            Some(date) if date.trim() >= "3000" => Self::Cancels,
            Some(_) => Self::Dated,
        }
    }
}

/// The service element with this lab's identities and dates.
pub(crate) fn body(body: &Element, aim: &Aim<'_>) -> Element {
    let mut retargeted = element(body, aim);
    if body.name == "DevicePrenotification" {
        // A device that is not there yet.
        let announced = Eui64(aim.site.hub().0 ^ 0x0000_00FF_0000_0000);
        for id in retargeted.children.iter_mut().filter(|child| child.name == "DeviceID") {
            id.text = announced.to_string();
        }
    }
    retargeted
}

fn element(body: &Element, aim: &Aim<'_>) -> Element {
    let text = replacement(body, aim).unwrap_or_else(|| body.text.clone());
    let children = body.children.iter().map(|child| element(child, aim)).collect();
    Element {
        text,
        children,
        ..body.clone()
    }
}

fn replacement(element: &Element, aim: &Aim<'_>) -> Option<String> {
    let site = aim.site;
    let device = |kind| site.device(kind).map(|device: Eui64| device.to_string());
    let own = aim.kind.and_then(device);
    let gas = aim.kind.is_some_and(DeviceKind::is_gas);
    Some(match element.name {
        "DeviceID" => own.or_else(|| device(DeviceKind::Esme))?,
        "DeviceIDList" => device(DeviceKind::Esme)?,
        "OtherDeviceID" => match aim.kind {
            Some(DeviceKind::Gpf) => device(DeviceKind::Gsme)?,
            _ => device(DeviceKind::Gpf)?,
        },
        "DigitalSigningCertificate" => aim.certificates.as_ref()?.0.clone(),
        "KeyAgreementCertificate" => aim.certificates.as_ref()?.1.clone(),
        "ImportMPAN" => site.mpan().to_string(),
        "ImportMPRN" => site.mprn()?.to_string(),
        "MPxN" | "ImportMPxN" if gas => site.mprn()?.to_string(),
        "MPxN" | "ImportMPxN" => site.mpan().to_string(),
        "StartDateTime" => (aim.now - SimDuration::from_days(3)).to_string(),
        "EndDateTime" | "CurrentDateTime" | "RestrictionDateTime" => aim.now.to_string(),
        "ExecutionDateTime" if element.text.trim() < "3000" => (aim.now + SimDuration::from_hours(1)).to_string(),
        "ScheduleStartDate" => (aim.now + SimDuration::from_days(1))
            .to_string()
            .chars()
            .take(10)
            .collect(),
        "ScheduleEndDate" => (aim.now + SimDuration::from_days(3))
            .to_string()
            .chars()
            .take(10)
            .collect(),
        _ => return None,
    })
}
