//! The same life of a firmware in every family: image by 11.1, activation by 11.3 where the device waits for it, another device,
//! and what is known of it only once it is read by 11.2.

use dmc::Catalogue;
use domain::DeviceKind;
use domain::image::USUAL_OCTETS;

use crate::bench::{Bench, HOUR, image_of, leaf};

/// The devices of a route: what each is fitted as, and what its image makes of it; nothing for the gas proxy, which goes with
/// its hub.
type Route = &'static [(DeviceKind, &'static str, Option<&'static str>)];

use DeviceKind::{Chf, Esme, Gpf, Gsme, Ppmid};

const ACLARA: Route = &[
    (Esme, "sgm1300@BASE", Some("sgm1300@LAB-A001")),
    (Gpf, "aclara-gpf@BASE", None),
    (Gsme, "g4szv@BASE", Some("g4szv@LAB-F001")),
    (Chf, "aclara-hub@BASE", Some("aclara-hub@LAB-H001")),
];

const EDMI: Route = &[
    (Esme, "es10a@BASE", Some("es10a@LAB-X001")),
    (Gpf, "edmi-gpf@BASE", None),
    (Gsme, "edmi-gas@BASE", Some("edmi-gas@LAB-X002")),
    (Chf, "edmi-hub@BASE", Some("edmi-hub@LAB-X003")),
];

const ELSTER: Route = &[
    (Esme, "as300p@BASE", Some("as300p@LAB-E001")),
    (Gpf, "am110r-gpf@BASE", None),
    (Gsme, "bk-g4e@BASE", Some("bk-g4e@LAB-G001")),
    (Ppmid, "elster-ppmid@BASE", Some("elster-ppmid@LAB-D001")),
    (Chf, "am110r@BASE", Some("am110r@LAB-C001")),
];

const ELSTER_MDS: Route = &[
    (Esme, "as300p-mds@BASE", Some("as300p-mds@LAB-E001")),
    (Gpf, "am110r-gpf-mds@BASE", None),
    (Gsme, "bk-g4e-mds@BASE", Some("bk-g4e-mds@LAB-G001")),
    (Ppmid, "elster-ppmid-mds@BASE", Some("elster-ppmid-mds@LAB-D001")),
    (Chf, "am110r-mds@BASE", Some("am110r-mds@LAB-C001")),
];

const ITRON: Route = &[
    (Esme, "itron-esme@BASE", Some("itron-esme@LAB-I001")),
    (Gpf, "itron-gpf@BASE", None),
    (Gsme, "itron-gsme@BASE", Some("itron-gsme@LAB-J001")),
    (Chf, "itron-hub@BASE", Some("itron-hub@LAB-K001")),
];

const LG_BG: Route = &[
    (Esme, "e470-bg@dcc-eligible", Some("e470-bg@LAB-L001")),
    (Gpf, "trilliant-gpf-bg@dcc-eligible", None),
    (Gsme, "lg-gas-bg@dcc-eligible", Some("lg-gas-bg@LAB-L002")),
    (Chf, "trilliant-bg@dcc-eligible", Some("trilliant-bg@LAB-L003")),
];

const LG_CGI: Route = &[
    (Esme, "e470-cgi@dcc-eligible", Some("e470-cgi@LAB-L001")),
    (Gpf, "trilliant-gpf-cgi@dcc-eligible", None),
    (Gsme, "lg-gas-cgi@dcc-eligible", Some("lg-gas-cgi@LAB-L002")),
    (Chf, "trilliant-cgi@dcc-eligible", Some("trilliant-cgi@LAB-L003")),
];

const LG_DXC: Route = &[
    (Esme, "e470-dxc@dcc-eligible", Some("e470-dxc@LAB-L001")),
    (Gpf, "trilliant-gpf-dxc@dcc-eligible", None),
    (Gsme, "lg-gas-dxc@dcc-eligible", Some("lg-gas-dxc@LAB-L002")),
    (Chf, "trilliant-dxc@dcc-eligible", Some("trilliant-dxc@LAB-L003")),
];

const SECURE: Route = &[
    (Esme, "liberty100@dcc-eligible", Some("liberty100@LAB-S001")),
    (Gpf, "skyline510-gpf@dcc-eligible", None),
    (Gsme, "secure-gas@dcc-eligible", Some("secure-gas@LAB-S002")),
    (Chf, "skyline510@dcc-eligible", Some("skyline510@LAB-S003")),
];

/// A gas meter that then loses a fifth of what it is sent: whoever asks again hears of it.
const DEAF: &[&str] = &["edmi-gas@LAB-X002"];

/// How often it is asked again.
const TRIES: u32 = 5;

/// Gas meters that then wake every two hours, or have their results two wakes later: longer than a request waits.
const NEVER_IN_TIME: &[&str] = &[
    "itron-gsme@LAB-J001",
    "lg-gas-bg@LAB-L002",
    "lg-gas-cgi@LAB-L002",
    "lg-gas-dxc@LAB-L002",
];

/// An estate with one enrolled home of the route.
fn estate(route: Route) -> String {
    let catalogue = Catalogue::builtin().expect("good profiles");
    let (_, first, _) = route[0];
    let provider = catalogue.find(first).expect("a built-in profile").provider;
    let devices = route.iter().map(|(kind, fitted, _)| {
        let kind = kind.as_str().to_ascii_lowercase();
        format!("{kind} = \"{fitted}\"\n")
    });
    let devices: String = devices.collect();
    format!(
        "[estate]\nname = \"home\"\nsource = \"invented\"\ndirected = [\"MOC-SECURE\", \"FOC-EDMI\"]\n\n\
         [[template]]\nname = \"home\"\ncount = 1\nenrolled = true\nprovider = \"{}\"\n{devices}",
        provider.as_str()
    )
}

/// What 11.1, 11.2 and the inventory call the firmware of a profile.
fn firmware(profile: &str) -> String {
    let catalogue = Catalogue::builtin().expect("good profiles");
    catalogue
        .find(profile)
        .expect("a built-in profile")
        .model
        .firmware
        .clone()
}

/// Every device of the route that has another firmware gets it, one after the other.
async fn upgraded(route: Route) {
    let bench = Bench::of(&estate(route));
    for (kind, fitted, image) in route {
        let Some(profile) = image else { continue };
        let (old, new) = (firmware(fitted), firmware(profile));
        let image = image_of(profile, USUAL_OCTETS);
        assert_eq!(bench.read(*kind).await, old, "{profile}");
        assert_eq!(bench.distribute(*kind, &new, &image).await.code(), "I0", "{profile}");
        bench.settled().await;
        let told = bench.told(Esme);
        let failed = |text: &&String| {
            ["N18", "N19", "N22"]
                .iter()
                .any(|code| text.contains(&format!("DCC alert {code}")))
        };
        assert_eq!(told.iter().find(failed), None, "{profile}");
        if matches!(kind, Esme | Gsme) {
            assert_eq!(
                bench.truth(*kind).await.to_string(),
                *fitted,
                "{profile}: stored is not run"
            );
            let done = bench.activate(*kind, &image).await;
            assert_eq!(leaf(&done, "ASN1Status"), "success", "{profile}: {done}");
            bench.wait(HOUR).await;
            assert_eq!(bench.inventory(*kind).await, old, "{profile}: nobody has asked it");
        } else {
            // These run what they found right by themselves.
            bench.wait(HOUR).await;
        }
        assert_eq!(bench.truth(*kind).await.to_string(), *profile);
        let mut answer = bench.asked_for_firmware(*kind).await;
        for _ in 0..TRIES {
            if !DEAF.contains(profile) || answer.contains("MessageSuccess=\"true\"") {
                break;
            }
            answer = bench.asked_for_firmware(*kind).await;
        }
        if NEVER_IN_TIME.contains(profile) {
            assert!(answer.contains("did not wake in time"), "{profile}: {answer}");
            assert_eq!(bench.inventory(*kind).await, old, "{profile}: nobody has heard of it");
            continue;
        }
        assert_eq!(leaf(&answer, "FirmwareVersion"), new, "{profile}");
        assert_eq!(bench.inventory(*kind).await, new, "{profile}");
    }
    bench.lab.stop().await;
}

#[tokio::test(start_paused = true)]
async fn aclara_is_upgraded() {
    upgraded(ACLARA).await;
}

#[tokio::test(start_paused = true)]
async fn edmi_is_upgraded() {
    upgraded(EDMI).await;
}

#[tokio::test(start_paused = true)]
async fn elster_on_cgi_ie_is_upgraded() {
    upgraded(ELSTER).await;
}

#[tokio::test(start_paused = true)]
async fn elster_on_mds_is_upgraded() {
    upgraded(ELSTER_MDS).await;
}

#[tokio::test(start_paused = true)]
async fn itron_is_upgraded() {
    upgraded(ITRON).await;
}

#[tokio::test(start_paused = true)]
async fn landis_gyr_on_bg_is_upgraded() {
    upgraded(LG_BG).await;
}

#[tokio::test(start_paused = true)]
async fn landis_gyr_on_cgi_ie_is_upgraded() {
    upgraded(LG_CGI).await;
}

#[tokio::test(start_paused = true)]
async fn landis_gyr_on_trilliant_is_upgraded() {
    upgraded(LG_DXC).await;
}

#[tokio::test(start_paused = true)]
async fn secure_is_upgraded() {
    upgraded(SECURE).await;
}
