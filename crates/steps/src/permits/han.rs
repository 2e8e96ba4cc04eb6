//! What the requests about the home area network permit.

use domain::operation::{HanEntry, Octets};
use domain::{Eui64, Operation};
use duis::Element;

use super::arguments::{part, seconds, time};
use super::{Case, NotPermitted, same};

type Judged<T> = Result<T, NotPermitted>;

/// Judges an operation of a request about the HAN; `None` where no such request permits it.
pub(super) fn permits(case: &Case<'_>, operation: &Operation) -> Option<Result<(), NotPermitted>> {
    let other = || device(case.body, "OtherDeviceID");
    let permitted = match (case.service, operation) {
        ("8.1.1", Operation::SynchroniseClock { .. }) => clock(case.body),
        ("8.7.1", Operation::Join(_)) => other().map(Operation::Join),
        ("8.7.2", Operation::JoinListener(_)) => other().map(Operation::JoinListener),
        ("8.8.1", Operation::Unjoin(_)) => other().map(Operation::Unjoin),
        ("8.8.2", Operation::UnjoinListener(_)) => other().map(Operation::UnjoinListener),
        ("8.11", Operation::RemoveFromHan(_)) => wanted(case.body, "Remove")
            .and_then(|()| device(case.body, "DeviceID"))
            .map(Operation::RemoveFromHan),
        ("8.11", Operation::AddToHan(_)) => wanted(case.body, "Add").and_then(|()| entry(case.body)),
        ("8.12.1", Operation::RestoreDeviceLog(_)) => device(case.body, "OldCHFID").map(Operation::RestoreDeviceLog),
        ("8.12.2", Operation::RestoreDeviceLog(_)) => device(case.body, "OldGPFID").map(Operation::RestoreDeviceLog),
        _ => return None,
    };
    Some(permitted.and_then(|permitted| same(&permitted, operation)))
}

fn clock(body: &Element) -> Judged<Operation> {
    Ok(Operation::SynchroniseClock {
        time: time(part(body, "CurrentDateTime")?)?,
        tolerance_s: seconds(part(body, "TolerancePeriod")?)?,
    })
}

fn wanted(body: &Element, word: &str) -> Judged<()> {
    let found = part(body, "RequestType")?;
    if found.text.trim() == word {
        Ok(())
    } else {
        Err(strange(found))
    }
}

fn entry(body: &Element) -> Judged<Operation> {
    let details = body
        .children
        .iter()
        .any(|child| child.name == "AddDeviceToCHFWhitelist");
    let (code, within) = if details {
        let details = part(body, "AddDeviceToCHFWhitelist")?;
        let within = part(details, "JoinTimePeriod")?;
        let within = u16::try_from(seconds(within)?).map_err(|_| strange(within))?;
        (code(part(details, "InstallCode")?)?, within)
    } else {
        (Vec::new(), 0)
    };
    Ok(Operation::AddToHan(Box::new(HanEntry {
        device: device(body, "DeviceID")?,
        kind: None,
        install_code: Octets(code),
        join_within_s: within,
    })))
}

fn device(body: &Element, name: &str) -> Judged<Eui64> {
    let found = part(body, name)?;
    found.text.trim().parse().map_err(|_| strange(found))
}

/// Pairs of hexadecimal digits.
fn code(element: &Element) -> Judged<Vec<u8>> {
    let text = element.text.trim();
    let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let plain = text.len().is_multiple_of(2) && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    let octets = (0..text.len()).step_by(2).map(pair).collect::<Option<Vec<u8>>>();
    octets.filter(|_| plain).ok_or_else(|| strange(element))
}

fn strange(element: &Element) -> NotPermitted {
    NotPermitted::Unreadable(format!("{} cannot be read", element.name))
}
