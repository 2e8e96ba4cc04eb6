//! The `face.…` keys: what they set, and what they do not take.

use dialects::{FaceProfile, Family, Hdlc, Tunnel, TunnelAddress};
use dmc::Catalogue;

/// The face of a hub with these settings, or what is wrong with them.
fn face(settings: &[&str]) -> Result<FaceProfile, String> {
    let lines: Vec<String> = settings.iter().map(|line| format!("set.face.{line}")).collect();
    let text = format!(
        r#"[[family]]
id = "f"
manufacturer = "Example Meters"
text = "t"
source = "s"
confidence = "sourced"

[[route]]
id = "r"
family = "f"
group = "IOC-EXAMPLE"
cohort = "IOC"
provider = "vodafone"
smso = "Example Operator"
text = "t"
source = "s"
confidence = "sourced"

[[model]]
id = "hub"
route = "r"
kind = "CHF"
model = "H1"
text = "t"
source = "s"
confidence = "recalled"

[[firmware]]
id = "LAB-1"
model = "hub"
duis = "LAB-1"
identifier = {{ source = "s", confidence = "invented" }}
text = "t"
source = "s"
confidence = "invented"

[[firmware.rule]]
id = "FACE"
side = "device"
text = "t"
source = "s"
confidence = "invented"
{}
"#,
        lines.join("\n")
    );
    let catalogue = Catalogue::from_files([("my.toml", text.as_str())]).map_err(|error| error.to_string())?;
    let profile = catalogue.find("hub@LAB-1").map_err(|hint| format!("{hint:?}"))?;
    Ok(profile.face.clone())
}

#[test]
fn every_family_is_named_and_carries_its_own_settings() {
    for family in Family::ALL {
        let set = face(&[&format!("family = \"{}\"", family.as_str())]).expect("a family");
        assert_eq!(set.family, family);
    }
    let hdlc = face(&[
        "family = \"dlms-hdlc\"",
        "hdlc_information_max = 96",
        "hdlc_window = 3",
        "hdlc_physical_address = 145",
    ])
    .expect("a face");
    assert_eq!(
        hdlc.hdlc,
        Hdlc {
            information_max: 96,
            window: 3,
            physical: 145
        }
    );
    let tunnel = face(&["tunnel_address = \"access-point\"", "tunnel_check = false"]).expect("a face");
    assert_eq!(
        tunnel.tunnel,
        Tunnel {
            address: TunnelAddress::AccessPoint,
            check: false
        }
    );
}

#[test]
fn what_a_face_cannot_be_is_refused_with_what_it_could() {
    for (line, expected) in [
        ("family = \"dlms\"", "dlms-wrapper"),
        ("hdlc_information_max = 31", "32 to 2030"),
        ("hdlc_window = 8", "1 to 7"),
        ("hdlc_physical_address = 16383", "0 to 16382"),
        ("tunnel_address = \"eui\"", "identity"),
    ] {
        let error = face(&[line]).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
        assert!(error.starts_with("my.toml:43"), "{line}: {error}");
    }
}
