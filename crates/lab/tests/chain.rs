//! One lab in memory, from the user's request to the device and back.

use domain::{DeviceKind, SimDuration, UserRole};
use lab::{Config, Lab};

fn device(lab: &Lab, kind: DeviceKind) -> domain::Eui64 {
    let devices = lab.devices();
    let found = devices.values().flatten().find(|device| device.kind == kind);
    found.expect("the built-in estate has one").device
}

#[tokio::test(start_paused = true)]
async fn a_read_reaches_the_meter_and_comes_back_signed() {
    let lab = Lab::start(Config::default()).expect("started");
    let supplier = lab.user_in(UserRole::ImportSupplier).expect("a supplier");
    let meter = device(&lab, DeviceKind::Esme);
    let order = users::orders::read_import_registers(meter);
    let exchange = supplier.request(&order, SimDuration::from_hours(1)).await;
    if let Ok(exchange) = &exchange {
        for entry in lab.audit(exchange.id).await.expect("audited") {
            println!("{} {} {} {}", entry.at_ms, entry.role, entry.event, entry.detail);
        }
    }
    for record in lab.tape().records() {
        println!("{} {} {:?}", record.at, record.link, record.verdict);
    }
    let exchange = exchange.expect("answered");
    assert!(exchange.reply.is_acknowledgement());
    let delivery = exchange.outcome.as_ref().expect("an outcome");
    let text = String::from_utf8_lossy(&delivery.xml);
    println!("{text}");
    assert_eq!(exchange.code(), "I0");
    assert!(text.contains("ActiveImportRegister"), "{text}");
    lab.stop().await;
}
