//! Firmware of prepayment interfaces, which have no address on the WAN.

use domain::DeviceKind;
use domain::image::USUAL_OCTETS;
use fleet::ConsumerAct;
use meter::Acted;
use users::orders;

use crate::bench::{Bench, HOUR, image_of, text};

/// A home with a prepayment interface.
const WITH_DISPLAY: &str = r#"
[estate]
name = "with-display"
source = "invented"

[[template]]
name = "home"
count = 1
provider = "vodafone"
chf = "am110r@BASE"
esme = "as300p@BASE"
ppmid = "elster-ppmid@BASE"
enrolled = true
"#;

#[tokio::test(start_paused = true)]
async fn a_prepayment_interface_gets_its_image_by_the_request_for_meters() {
    use DeviceKind::{Esme, Ppmid};
    let bench = Bench::of(WITH_DISPLAY);
    let image = image_of("elster-ppmid@LAB-D001", USUAL_OCTETS);
    assert_eq!(bench.read(Ppmid).await, "BASE", "the hub answers for it");
    assert_eq!(bench.distribute(Ppmid, "LAB-D001", &image).await.code(), "I0");
    bench.settled().await;
    bench.wait(HOUR).await;
    assert_eq!(bench.truth(Ppmid).await.firmware, "LAB-D001");
    assert_eq!(bench.truth(Esme).await.firmware, "BASE");
    let told = bench.told(Esme);
    assert!(!told.iter().any(|text| text.contains("DCC alert N")), "{told:?}");
    assert_eq!(bench.inventory(Ppmid).await, "BASE", "nobody has asked it");
    assert_eq!(bench.read(Ppmid).await, "LAB-D001");
    assert_eq!(bench.inventory(Ppmid).await, "LAB-D001");

    // Switched off it says nothing, and the hub does not make it up.
    let fleet = bench.lab.fleet().expect("here");
    let off = fleet.act(bench.device(Ppmid), ConsumerAct::SwitchDisplay(false)).await;
    assert_eq!(off, Ok(Acted::Done));
    let order = orders::read_firmware_version(bench.device(Ppmid));
    let answer = text(&bench.ask(Ppmid, &order).await);
    assert!(answer.contains("MessageSuccess=\"false\""), "{answer}");
    bench.lab.stop().await;
}
