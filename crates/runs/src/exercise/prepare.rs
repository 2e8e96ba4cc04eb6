//! What must have been done on an installation before a request can work there.

use domain::{Eui64, Srv};
use duis::{Element, Request};
use users::Order;

use lab::requests::Aim;

/// The orders to send first, in their order.
pub(super) fn orders(request: &Request, _aim: &Aim, device: Option<Eui64>) -> Vec<Order> {
    let Some(device) = device else { return Vec::new() };
    match request.body.name {
        // Emergency credit is there when the balance is low.
        "ActivateEmergencyCredit" => {
            let reset = Element::sr("PrepaymentMode").with(Element::sr("ResetMeterBalance"));
            let body = Element::sr("UpdateMeterBalance").with(reset);
            vec![Order::to_device(device, Srv::new(1, 5, 0), body)]
        }
        _ => Vec::new(),
    }
}
