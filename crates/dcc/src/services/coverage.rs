//! 12.1: whether there is coverage somewhere.

use duis::{Element, Version};
use steps::Failure;

use super::{Answer, Scene};
use crate::front_door::Denied;
use crate::wan_matrix::Coverage;

pub(super) fn read(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let body = scene.body();
    let unknown = |place: String| Denied(Failure::WanUnknown, place);
    let coverage = match (body.child_text("UPRN"), body.child("PartialAddress")) {
        (Some(uprn), _) => at_property(scene, uprn).ok_or_else(|| unknown(format!("property {uprn}")))?,
        (None, Some(address)) => {
            let post_code = address.child_text("PostCode").unwrap_or_default();
            let found = scene.wan.at_post_code(post_code);
            found.ok_or_else(|| unknown(format!("post code {post_code}")))?
        }
        (None, None) => return Err(Denied(Failure::Schema, "no place".to_owned())),
    };
    let echo = Element::sr("Request").with_all(body.children.iter().cloned());
    let matrix = Element::sr("DSPWANMatrix").with(echo);
    let region = Element::sr("CSPRegion").with_text(coverage.region.as_str());
    // Version 5.3 brought an answer per region; before it there was one for all. A user that says which version it works
    // with can read that one, whatever its request says.
    let policy = scene.user.schema.as_ref();
    let version = policy.map_or(&scene.request.schema_version, |policy| &policy.version);
    let matrix = match Version::of(version) {
        Version::V5_1 => matrix.with(region).with_all(leaves(coverage)),
        Version::V5_4 => matrix.with(
            Element::sr("DSPWANMatrixResponse")
                .with(region)
                .with_leaf("CSPRegionResponseCode", "I0")
                .with_all(leaves(coverage)),
        ),
    };
    let answer = Answer::done(format!("{}, {}", coverage.region, coverage.likelihood)).with(matrix);
    Ok(Answer {
        schema_version: Some(version.clone()),
        ..answer
    })
}

/// By its own row, or by the post code that Registration Data has for the property.
fn at_property<'a>(scene: &Scene<'a>, uprn: &str) -> Option<&'a Coverage> {
    scene.wan.at_property(uprn).or_else(|| {
        let properties = scene.access.directory.properties();
        let property = properties.of(*properties.at_uprn(uprn).first()?)?;
        scene.wan.at_post_code(property.post_code.as_deref()?)
    })
}

fn leaves(coverage: &Coverage) -> Vec<Element> {
    let leaf = |name, text: &str| Element::sr(name).with_text(text);
    let optional = |name, text: &Option<String>| text.as_deref().map(|text| leaf(name, text));
    [
        Some(leaf(
            "CoverageAvailability",
            if coverage.available { "true" } else { "false" },
        )),
        optional("AnticipatedCoverageDate", &coverage.expected),
        Some(leaf("WANTechnology", &coverage.technology)),
        Some(leaf("ConnectivityLikelihood", &coverage.likelihood)),
        optional("AuxiliaryEquipmentRequired", &coverage.auxiliary),
        optional("AdditionalInformation", &coverage.information),
    ]
    .into_iter()
    .flatten()
    .collect()
}
