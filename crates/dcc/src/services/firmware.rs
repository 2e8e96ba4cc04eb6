//! 11.1: a firmware image for many devices.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use domain::image::ImageHead;
use domain::{Cohort, DeviceKind, Eui64};
use duis::Element;
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};
use steps::Failure;

use super::{Answer, Change, Scene};
use crate::front_door::Denied;
use crate::images::{Distribution, Job, JobState, Known};
use crate::inventory::{Device, SmiStatus};
use crate::options::IMAGES_MAX;

pub(super) fn update(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let text = |name| scene.body().child_text(name).unwrap_or_default();
    let (image, sha256) = image(text("FirmwareImage"))?;
    let firmware = text("FirmwareVersion").to_owned();
    let list = list(text("DeviceIDList"))?;
    if scene.images.len() >= IMAGES_MAX {
        let detail = format!("{} images are under way", scene.images.len());
        return Err(Denied(Failure::Busy, detail));
    }
    let mut sorted = Sorted::default();
    let mut listed_images = None;
    let mut rows = BTreeSet::new();
    for id in &list {
        match sort(scene, *id, &firmware, &sha256) {
            Ok(job) => {
                rows.extend(row_of(scene, *id));
                sorted.jobs.insert(*id, job);
            }
            Err(Unfit::Invalid) => sorted.invalid.push(*id),
            Err(Unfit::NotCommissioned) => sorted.not_commissioned.push(*id),
            Err(Unfit::OtherRequest) => sorted.other_request.push(*id),
            Err(Unfit::Firmware) => sorted.not_applicable.push(*id),
            Err(Unfit::Image { listed }) => {
                sorted.not_applicable.push(*id);
                listed_images = listed_images.or(Some(listed));
            }
        }
    }
    if sorted.jobs.is_empty() {
        return Err(match listed_images {
            // Nothing but the image itself stands in the way of every device it could be for.
            Some(listed) if sorted.not_applicable.len() == list.len() => {
                let listed = match listed.iter().map(|image| hex(image)).collect::<Vec<_>>().as_slice() {
                    [] => "no image is listed for this firmware".to_owned(),
                    listed => format!("listed is {}", listed.join(", ")),
                };
                let detail = format!("its SHA-256 is {}, {listed}", hex(&sha256));
                Denied(Failure::ImageNotListed, detail)
            }
            _ => Denied(Failure::ImageNoDevice, sorted.counts()),
        });
    }
    let known = Known {
        sha256,
        octets: image.len(),
        owner: scene.user.eui,
        request: scene.id(),
        firmware: firmware.clone(),
        rows: rows.into_iter().collect(),
        makes: ImageHead::read(&image).map(|head| head.profile.to_string()),
        at: scene.now,
    };
    let detail = format!(
        "firmware {firmware} to {} of {} devices, {}",
        sorted.jobs.len(),
        list.len(),
        known.words()
    );
    let warning = sorted.warning();
    let distribution = Distribution {
        request: scene.id(),
        firmware,
        sha256,
        image,
        deadline: scene.now + scene.limits.image_limit,
        jobs: sorted.jobs,
        image_taken: false,
        attempts: 0,
        failed: BTreeMap::new(),
    };
    let distribution = (distribution, known);
    let answer = Answer::done(detail).changing(Change::Image(Box::new(distribution)));
    Ok(match warning {
        Some(payload) => answer.with(payload).warning("W110101"),
        None => answer,
    })
}

fn image(base64: &str) -> Result<(Bytes, [u8; 32]), Denied> {
    let unreadable = |detail: String| Denied(Failure::ImageUnreadable, detail);
    // Lines may be broken anywhere.
    let plain: Vec<u8> = base64.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let image = base64::engine::general_purpose::STANDARD
        .decode(plain)
        .map_err(|error| unreadable(error.to_string()))?;
    if image.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    let sha256 = Sha256::digest(&image).into();
    Ok((image.into(), sha256))
}

/// The devices, in the order of the list.
fn list(text: &str) -> Result<Vec<Eui64>, Denied> {
    let ids = text.split(',').map(|id| id.trim().parse::<Eui64>());
    let ids: Vec<_> = ids
        .collect::<Result<_, _>>()
        .map_err(|error| Denied(Failure::Schema, format!("DeviceIDList: {error}")))?;
    let mut seen = BTreeSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(twice) => Err(Denied(Failure::ImageList, format!("device {twice}"))),
        None => Ok(ids),
    }
}

/// Why a device does not get an image.
enum Unfit {
    /// The product list does not have the firmware as active for its model.
    Firmware,
    /// The list has the firmware, but this is none of the images it names for it.
    Image {
        listed: BTreeSet<[u8; 32]>,
    },
    /// Unknown, of a type that takes none, or not the user's.
    Invalid,
    NotCommissioned,
    OtherRequest,
}

fn sort(scene: &Scene<'_>, id: Eui64, firmware: &str, sha256: &[u8; 32]) -> Result<Job, Unfit> {
    let device = scene.inventory.device(id).ok_or(Unfit::Invalid)?;
    scene
        .access
        .authority(scene.user, scene.row, device, scene.now)
        .map_err(|_| Unfit::Invalid)?;
    let takes_images = match device.kind {
        DeviceKind::Chf | DeviceKind::Esme | DeviceKind::Gsme => true,
        // Display firmware came to SMETS1 with the second release.
        DeviceKind::Ppmid => scene.limits.release != Cohort::Ioc,
        DeviceKind::Gpf | DeviceKind::Ihd | DeviceKind::Cad => false,
    };
    if !takes_images {
        return Err(Unfit::Invalid);
    }
    if device.status != Some(SmiStatus::Commissioned) {
        return Err(Unfit::NotCommissioned);
    }
    fits(scene, device, firmware, sha256)?;
    if scene.images.is_busy(id) {
        return Err(Unfit::OtherRequest);
    }
    Ok(Job {
        kind: device.kind,
        hub: device.hub.unwrap_or_default(),
        state: JobState::Waiting,
    })
}

fn fits(scene: &Scene<'_>, device: &Device, firmware: &str, sha256: &[u8; 32]) -> Result<(), Unfit> {
    if !scene.products.has_cpl() {
        return Ok(());
    }
    let listed = scene.products.listed_firmware(device.kind, &device.model, firmware);
    match listed {
        Some(listed) if listed.status == dmc::CplStatus::Active && listed.images.contains(sha256) => Ok(()),
        Some(listed) if listed.status == dmc::CplStatus::Active => Err(Unfit::Image {
            listed: listed.images.clone(),
        }),
        _ => Err(Unfit::Firmware),
    }
}

/// The row of the product list that a device gets its image by: kind, maker and model.
fn row_of(scene: &Scene<'_>, id: Eui64) -> Option<String> {
    let device = scene.inventory.device(id).filter(|_| scene.products.has_cpl())?;
    Some(format!(
        "{} {} {}",
        device.kind, device.model.manufacturer, device.model.model
    ))
}

/// The devices of a list by what becomes of them.
#[derive(Default)]
struct Sorted {
    jobs: BTreeMap<Eui64, Job>,
    invalid: Vec<Eui64>,
    not_commissioned: Vec<Eui64>,
    not_applicable: Vec<Eui64>,
    other_request: Vec<Eui64>,
}

impl Sorted {
    fn counts(&self) -> String {
        format!(
            "{} invalid, {} not commissioned, {} for which the firmware is not listed, {} with another image under way",
            self.invalid.len(),
            self.not_commissioned.len(),
            self.not_applicable.len(),
            self.other_request.len()
        )
    }

    /// The lists of the warning, in the order of the schema; none where every device can take the image.
    fn warning(&self) -> Option<Element> {
        let lists = [
            ("InvalidDeviceIDList", &self.invalid),
            ("NotCommissionedDeviceIDList", &self.not_commissioned),
            ("NotApplicableFirmwareDeviceIDList", &self.not_applicable),
            ("OtherRequestInProgressList", &self.other_request),
        ];
        let leaves = lists.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(name, ids)| {
            let texts: Vec<_> = ids.iter().map(Eui64::to_string).collect();
            Element::sr(name).with_text(texts.join(","))
        });
        let warning = Element::sr("DSPUpdateFirmwareWarning").with_all(leaves);
        (!warning.children.is_empty()).then_some(warning)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
