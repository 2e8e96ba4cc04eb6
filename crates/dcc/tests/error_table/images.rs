//! Firmware images that cannot be distributed.

use domain::Eui64;
use steps::Failure as F;
use users::{Order, orders};

use super::{Case, asked, usual};
use crate::bench::*;

fn image(devices: &[Eui64], firmware: &str) -> Order {
    orders::update_firmware(DCC, devices, firmware, b"an image")
}

/// A list with a firmware of another image.
fn listed(bench: &mut Bench) {
    let digest = "0".repeat(64);
    let list = format!("device_type,maker,model,fw,status,image_sha256\nESME,Example,M1,00000002,Active,{digest}\n");
    bench.products.add_cpl(&list).unwrap();
}

/// A list with a firmware and no image of it.
fn without_image(bench: &mut Bench) {
    let list = "device_type,maker,model,fw,status\nESME,Example,M1,00000002,Active\n";
    bench.products.add_cpl(list).unwrap();
}

pub(super) const CASES: &[Case] = &[
    Case(F::ImageNotListed, listed, |bench| {
        asked(bench, &[image(&[ESME], "00000002")])
    }),
    // A firmware for which the list names no image at all: nothing shows that this is it.
    Case(F::ImageNotListed, without_image, |bench| {
        asked(bench, &[image(&[ESME], "00000002")])
    }),
    Case(F::ImageNoDevice, listed, |bench| {
        asked(bench, &[image(&[ESME], "00000009")])
    }),
    Case(F::ImageList, usual, |bench| {
        asked(bench, &[image(&[ESME, ESME], "00000002")])
    }),
    Case(F::ImageUnreadable, usual, |bench| {
        let mut unreadable = image(&[ESME], "00000002");
        unreadable.body.children[0].text = String::new();
        asked(bench, &[unreadable])
    }),
];
