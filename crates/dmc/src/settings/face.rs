//! The settings that fill `dialects::FaceProfile`.

use dialects::{Family, TimeForm, TunnelAddress};

use super::{CHF, Setting, word};
use crate::section::Scalar;

pub(super) const FACE: &[Setting] = &[
    key!("face.family", Face, &[], "The family of faces: what the octets on the WAN leg are", "\"dlms-wrapper\"",
    own "\"dlms-hdlc\", \"dlms-hub-tunnel\", \"dlms-wrapper\", \"edmi-registers\", \"external\" or \"lab-envelope\"" |parts, value| {
        parts.face.family = word(value, &Family::ALL.map(|family| (family.as_str(), family)))?;
        Some(())
    }),
    key!("face.external", Face, &[], "The name under which the program is attached that provides the octets of family \"external\"", "\"toy\"",
    own "1 to 40 letters, digits and hyphens" |parts, value| {
        let Scalar::Text(text) = value else { return None };
        let fits = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        fits.then_some(())?;
        parts.face.external.clone_from(text);
        Some(())
    }),
    key!("face.hdlc_information_max", Face, &[], "Longest information field of an HDLC frame, in octets", "128",
        number 32..=2030 face.hdlc.information_max),
    key!("face.hdlc_window", Face, &[], "HDLC frames under way without an answer", "1",
        number 1..=7 face.hdlc.window),
    key!("face.hdlc_physical_address", Face, &[], "Physical part of the HDLC server address", "17",
        number 0..=16_382 face.hdlc.physical),
    key!("face.tunnel_address", Face, &[], "How the hub's tunnel names the device a frame is for", "\"identity\"",
        word { "access-point" => TunnelAddress::AccessPoint, "identity" => TunnelAddress::Identity } face.tunnel.address),
    key!("face.tunnel_check", Face, &[], "The hub's tunnel closes each frame with a check sequence", "true",
        flag face.tunnel.check),
    key!("face.text_messages", Face, &[], "Reads of one value and payment codes go as the payload of a text message", "true",
        flag face.text_messages),
    key!("face.readings_every_s", Face, CHF, "The hub sends readings by itself so often; 0: it does not", "86400",
        seconds face.readings_every),
    key!("face.flag_id", Face, &[], "The FLAG manufacturer id that opens a logical device name", "\"ELS\"",
    own "three capital letters" |parts, value| {
        let Scalar::Text(text) = value else { return None };
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(())?;
        parts.face.flag_id = letters;
        Some(())
    }),
    key!("face.sap_esme", Face, &[], "Server access point of the electricity meter", "1",
        number 1..=65_535 face.saps.esme),
    key!("face.sap_gpf", Face, &[], "Server access point of the gas proxy", "2",
        number 1..=65_535 face.saps.gpf),
    key!("face.sap_gsme", Face, &[], "Server access point of the gas meter", "3",
        number 1..=65_535 face.saps.gsme),
    key!("face.sap_chf", Face, &[], "Server access point of the communications hub", "4",
        number 1..=65_535 face.saps.chf),
    key!("face.pdu_max", Face, &[], "Largest APDU the device takes and sends, in octets", "256",
        number 64..=65_535 face.pdu_max),
    key!("face.time_form", Clock, &[], "How instants are written on the wire", "\"utc\"",
        word {
            "london" => TimeForm::London,
            "unspecified-utc" => TimeForm::UnspecifiedUtc,
            "utc" => TimeForm::Utc
        } face.time_form),
    key!("face.rows_per_fetch", Face, &[], "Rows of a log taken from the device at once for a long answer", "48",
        number 1..=10_000 face.rows_per_fetch),
    key!("face.surplus_octet", Face, &[], "Defect: one octet too many after every value", "true",
        defect flag face.surplus_octet),
    key!("face.deviation_sign_wrong", Clock, &[], "Defect: the deviation from UTC has the wrong sign", "true",
        defect flag face.deviation_sign_wrong),
];
