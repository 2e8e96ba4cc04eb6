//! What must have been done before a request can work, and what it must name for that.

use domain::image::{self, ImageHead, USUAL_OCTETS};
use domain::{DeviceKind, Eui64, SimDuration, Srv};
use duis::{Element, Request};
use lab::Lab;
use lab::requests::Aim;
use users::orders::{self, Announced};
use users::{Client, Order};

use super::Form;

/// The orders to send first, in their order. A body that names a device which is to come gets one the lab can announce.
pub(super) fn orders(
    (lab, client): (&Lab, &Client),
    body: &mut Element,
    form: Form,
    aim: &Aim,
    fitted: Option<&Device>,
) -> Vec<Order> {
    let announce = |kind| Some(orders::pre_notify(client.dcc(), &announced(lab, aim, kind)?));
    match (body.name, fitted) {
        // An image is there, and checked.
        ("ActivateFirmware", Some(device)) if form != Form::SameVariant => {
            let image = device.image();
            vec![orders::update_firmware(
                client.dcc(),
                &[device.id],
                &device.firmware,
                &image,
            )]
        }
        // Emergency credit is there when the balance is low.
        ("ActivateEmergencyCredit", _) => {
            let Some(device) = aim.kind.and_then(|kind| aim.devices.get(&kind)) else {
                return Vec::new();
            };
            let reset = Element::sr("PrepaymentMode").with(Element::sr("ResetMeterBalance"));
            let body = Element::sr("UpdateMeterBalance").with(reset);
            vec![Order::to_device(*device, Srv::new(1, 5, 0), body)]
        }
        ("DevicePrenotification", _) => {
            if let Some(meter) = announced(lab, aim, DeviceKind::Esme) {
                let model = [
                    ("DeviceManufacturer", meter.model.manufacturer),
                    ("DeviceModel", meter.model.model),
                    ("DeviceType", meter.kind.to_string()),
                    ("FirmwareVersion", meter.model.firmware),
                ];
                model.into_iter().for_each(|(name, text)| set(body, name, &text));
            }
            Vec::new()
        }
        // What is not in service yet may be changed, and deleted.
        ("UpdateInventory", _) if body.child("UpdateMPxN").is_none() => {
            set(body, "DeviceID", &aim.announced().to_string());
            announce(DeviceKind::Esme).into_iter().collect()
        }
        ("UpdateHANDeviceLog", _) if body.child_text("RequestType") == Some("Add") => {
            announce(DeviceKind::Ppmid).into_iter().collect()
        }
        // What is restored is the log of a hub, or of a gas proxy, that is not in service.
        ("RestoreHANDeviceLog", _) => announce(DeviceKind::Chf).into_iter().collect(),
        ("RestoreGPFDeviceLog", _) => announce(DeviceKind::Gpf).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A device to come, of a model that the lab's catalogue has.
fn announced(lab: &Lab, aim: &Aim, kind: DeviceKind) -> Option<Announced> {
    let mut profiles = lab.parts().catalogue.profiles();
    let profile = profiles.find(|profile| profile.kind == kind && !profile.is_lab())?;
    Some(Announced {
        device: aim.announced(),
        kind,
        model: profile.model.clone(),
        esme_variant: (kind == DeviceKind::Esme).then(|| "A".to_owned()),
    })
}

/// Sets the text of the children of this name.
fn set(body: &mut Element, name: &str, text: &str) {
    for child in body.children.iter_mut().filter(|child| child.name == name) {
        text.clone_into(&mut child.text);
    }
}

/// A device a request is for, and what makes of it what it is already.
pub(super) struct Device {
    pub(super) id: Eui64,
    pub(super) firmware: String,
    pub(super) head: ImageHead,
}

impl Device {
    fn image(&self) -> Vec<u8> {
        self.head.image(USUAL_OCTETS)
    }

    /// The body with an image, or the hash of one, that means something to this device.
    pub(super) fn firmware_of(&self, mut body: Element, dcc: Eui64) -> Element {
        let image = self.image();
        if body.name == "UpdateFirmware" {
            return orders::update_firmware(dcc, &[self.id], &self.firmware, &image).body;
        }
        for child in body.children.iter_mut().filter(|child| child.name == "FirmwareHash") {
            let hash = image::hash(&image).0;
            child.text = hash.iter().map(|octet| format!("{octet:02X}")).collect();
        }
        body
    }
}

/// How long what was prepared takes until it can be built upon: an image waits for a gas meter's wake.
pub(super) fn wait(request: &Request, form: Form) -> SimDuration {
    match request.body.name {
        "ActivateFirmware" if form != Form::SameVariant => SimDuration::from_hours(2),
        _ => SimDuration::ZERO,
    }
}
