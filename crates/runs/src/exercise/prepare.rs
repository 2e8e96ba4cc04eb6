//! What must have been done on an installation before a request can work there.

use domain::image::{self, ImageHead, USUAL_OCTETS};
use domain::{Eui64, SimDuration, Srv};
use duis::{Element, Request};
use users::Order;

use super::Form;

/// The orders to send first, in their order.
pub(super) fn orders(request: &Request, form: Form, dcc: Eui64, device: Option<&Device>) -> Vec<Order> {
    let Some(device) = device else { return Vec::new() };
    let id = device.id;
    match request.body.name {
        // An image is there, and checked.
        "ActivateFirmware" if form != Form::SameVariant => {
            vec![users::orders::update_firmware(
                dcc,
                &[id],
                &device.firmware,
                &device.image(),
            )]
        }
        // Emergency credit is there when the balance is low.
        "ActivateEmergencyCredit" => {
            let reset = Element::sr("PrepaymentMode").with(Element::sr("ResetMeterBalance"));
            let body = Element::sr("UpdateMeterBalance").with(reset);
            vec![Order::to_device(id, Srv::new(1, 5, 0), body)]
        }
        _ => Vec::new(),
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
            return users::orders::update_firmware(dcc, &[self.id], &self.firmware, &image).body;
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
