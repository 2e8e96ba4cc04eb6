//! Firmware of a device: an image comes in blocks, is checked, and is run after a restart.
//!
//! The octets themselves are not kept: of an image on its way a device has the running hash, the head and the few blocks
//! that came too early. A hub holds images for devices that sleep or have no keys, and hands them on when the device is
//! there. Hubs and prepayment interfaces run what they have found right by themselves.

use std::collections::BTreeMap;

use domain::image::{HEAD_MAX, ImageHead, ImagePart, RollingHash};
use domain::operation::{ImageFault, ImageHash, ImageState, ImageStatus};
use domain::seed::mix;
use domain::{Answer, DeviceKind, Eui64, Operation, Outcome, ProfileId, Refusal, SimInstant};
use serde::{Deserialize, Serialize};

use crate::alerts;
use crate::device::{Around, Device};
use crate::installation::{Installation, profile};
use crate::profile::{Context, ImageRules, Profile};

/// Blocks that came before an earlier one and are kept; one more is refused as busy.
const AHEAD_MAX: usize = 32;

/// Verified images that a device remembers, where it may run another than the last.
const VERIFIED_MAX: usize = 4;

/// What a device keeps of firmware images.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Images {
    /// The one that came last or is coming.
    incoming: Option<Incoming>,
    /// Checked and right, the last one last.
    verified: Vec<Verified>,
    activation: Option<Activation>,
    /// What the device has become and nobody has made of it yet.
    becomes: Option<String>,
    failed: bool,
}

/// An image on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Incoming {
    octets: u32,
    /// As announced; zeros where none was.
    hash: ImageHash,
    /// For whom a hub holds it.
    device: Option<Eui64>,
    block_octets: u16,
    first_missing: u32,
    rolling: RollingHash,
    /// The first octets.
    head: Vec<u8>,
    /// What came too early; lost in a restart.
    #[serde(skip)]
    ahead: BTreeMap<u32, Vec<u8>>,
    check: Check,
}

/// How far the check of an image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Check {
    /// Blocks are missing, or nobody has asked.
    Open,
    /// Asked for, and the device it is for has not been met since.
    Waiting {
        since: SimInstant,
    },
    /// Done at this instant.
    Until(SimInstant),
    Right,
    /// Not what was announced.
    Wrong,
    /// What was announced, and no firmware of the device it is for.
    NotForIt,
}

/// An image that was found right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Verified {
    hash: ImageHash,
    /// The profile that it makes.
    profile: String,
    /// It replaces the firmware whose identifier the device shows.
    shows: bool,
}

/// A restart under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Activation {
    verified: Verified,
    until: SimInstant,
}

impl Incoming {
    fn blocks(&self) -> u32 {
        self.octets.div_ceil(u32::from(self.block_octets.max(1)))
    }

    /// Octets that block `number` has.
    fn length(&self, number: u32) -> usize {
        let size = u32::from(self.block_octets);
        let before = number.saturating_mul(size);
        usize::try_from(self.octets.saturating_sub(before).min(size)).unwrap_or(0)
    }

    fn take(&mut self, number: u32, octets: &[u8]) -> Outcome {
        if number >= self.blocks() || octets.len() != self.length(number) {
            return Err(Refusal::Image(ImageFault::Block));
        }
        if number > self.first_missing {
            if self.ahead.len() >= AHEAD_MAX && !self.ahead.contains_key(&number) {
                return Err(Refusal::Busy);
            }
            self.ahead.insert(number, octets.to_vec());
            return Ok(Answer::Done);
        }
        if number == self.first_missing {
            self.append(octets);
            while let Some(next) = self.ahead.remove(&self.first_missing) {
                self.append(&next);
            }
        }
        Ok(Answer::Done)
    }

    fn append(&mut self, octets: &[u8]) {
        self.rolling.update(octets);
        let room = HEAD_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(octets.get(..room).unwrap_or(octets));
        self.first_missing += 1;
    }

    /// What the check finds on a device of this profile.
    fn check(&self, target: &Profile) -> Result<Verified, ImageFault> {
        let hash = self.rolling.finish();
        if self.hash != ImageHash::default() && self.hash != hash {
            return Err(ImageFault::Hash);
        }
        let head = ImageHead::read(&self.head).ok_or(ImageFault::NotForThisDevice)?;
        let fits = head.manufacturer == target.manufacturer && head.model == target.model;
        let reachable = head.from.is_empty() || head.from.contains(&target.firmware);
        let shows = head.part == ImagePart::Application;
        if !(fits && reachable && (shows || target.image.split)) {
            return Err(ImageFault::NotForThisDevice);
        }
        Ok(Verified {
            hash,
            profile: head.profile.to_string(),
            shows,
        })
    }
}

impl Images {
    fn state(&self) -> ImageState {
        let check = self.incoming.as_ref().map(|incoming| incoming.check);
        match check {
            _ if self.activation.is_some() => ImageState::Activating,
            _ if self.failed => ImageState::ActivationFailed,
            None => ImageState::Idle,
            Some(Check::Open) => ImageState::Receiving,
            Some(Check::Waiting { .. } | Check::Until(_)) => ImageState::Verifying,
            Some(Check::Right) => ImageState::Verified,
            Some(Check::Wrong | Check::NotForIt) => ImageState::Wrong,
        }
    }

    fn found_right(&mut self, verified: Verified) {
        self.verified.retain(|known| known.hash != verified.hash);
        self.verified.push(verified);
        if self.verified.len() > VERIFIED_MAX {
            self.verified.remove(0);
        }
    }

    fn begin(&mut self, wanted: Incoming) {
        let same = |incoming: &&Incoming| {
            !matches!(incoming.check, Check::Wrong | Check::NotForIt)
                && (incoming.octets, incoming.hash, incoming.device) == (wanted.octets, wanted.hash, wanted.device)
        };
        // What has begun goes on where it was.
        if self.incoming.as_ref().filter(same).is_none() || self.failed {
            self.failed = false;
            self.incoming = Some(wanted);
        }
    }

    fn block(&mut self, number: u32, octets: &[u8]) -> Outcome {
        match &mut self.incoming {
            Some(incoming) if incoming.check == Check::Open => incoming.take(number, octets),
            _ => Err(Refusal::Image(ImageFault::NotBegun)),
        }
    }

    /// Asks for the check; `met` where the device it is for is at hand, with how long it takes.
    fn verify(&mut self, now: SimInstant, met: Option<domain::SimDuration>) -> Outcome {
        let incoming = self.incoming.as_mut().ok_or(Refusal::Image(ImageFault::NotBegun))?;
        match incoming.check {
            Check::Open if incoming.first_missing < incoming.blocks() => {
                return Err(Refusal::Image(ImageFault::Incomplete));
            }
            Check::Open => {
                incoming.check = met.map_or(Check::Waiting { since: now }, |within| Check::Until(now + within))
            }
            // Asked again.
            Check::Waiting { .. } | Check::Until(_) | Check::Right => {}
            Check::Wrong => return Err(Refusal::Image(ImageFault::Hash)),
            Check::NotForIt => return Err(Refusal::Image(ImageFault::NotForThisDevice)),
        }
        Ok(Answer::Done)
    }

    fn activate(&mut self, now: SimInstant, hash: ImageHash, rules: &ImageRules) -> Outcome {
        let last = self.verified.last().ok_or(Refusal::Image(ImageFault::NotBegun))?;
        let found = match rules.only_latest {
            true => Some(last).filter(|last| last.hash == hash),
            false => self.verified.iter().find(|known| known.hash == hash),
        };
        let verified = found.cloned().ok_or(Refusal::Image(ImageFault::Hash))?;
        self.failed = false;
        self.activation = Some(Activation {
            verified,
            until: now + rules.reboot,
        });
        Ok(Answer::Done)
    }

    /// When something is due next.
    fn next(&self) -> Option<SimInstant> {
        let check = self.incoming.as_ref().and_then(|incoming| match incoming.check {
            Check::Until(at) => Some(at),
            _ => None,
        });
        let activation = self.activation.as_ref().map(|activation| activation.until);
        check.into_iter().chain(activation).min()
    }

    /// Octets on the heap.
    pub(crate) fn octets(&self) -> usize {
        let incoming = self.incoming.as_ref().map_or(0, |incoming| {
            incoming.head.capacity() + 64 + incoming.ahead.values().map(Vec::capacity).sum::<usize>()
        });
        size_of::<Self>() + incoming + self.verified.capacity() * size_of::<Verified>()
    }
}

/// Whether an operation is about firmware.
fn concerns(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::BeginImage { .. }
            | Operation::ImageBlock { .. }
            | Operation::VerifyImage
            | Operation::ActivateImage { .. }
    )
}

impl Device {
    fn images(&mut self) -> &mut Images {
        self.logs.images_mut()
    }

    /// How far this device's own firmware images are, or, of a hub, those it holds for others.
    pub(crate) fn image_status(&self, profile: &Profile) -> ImageStatus {
        let images = self.logs.images();
        let incoming = images.and_then(|images| images.incoming.as_ref());
        let last = images.and_then(|images| images.verified.last());
        ImageStatus {
            state: images.map_or(ImageState::Idle, Images::state),
            first_missing: incoming.map_or(0, |incoming| incoming.first_missing),
            block_octets: incoming.map_or(profile.image.block_max, |incoming| incoming.block_octets),
            verified: last.map_or_else(ImageHash::default, |last| last.hash),
        }
    }

    /// Begins to run an image; the restart follows, and the answer leaves before it.
    pub(crate) fn activate_image(&mut self, around: &mut Around<'_>, now: SimInstant, hash: ImageHash) -> Outcome {
        let outcome = self.images().activate(now, hash, &around.profile.image);
        if outcome.is_ok() {
            self.note(around, alerts::FIRMWARE_ACTIVATING);
        }
        outcome
    }

    /// Whether it is restarting with another firmware.
    pub(crate) fn is_restarting(&self) -> bool {
        self.logs.images().is_some_and(|images| images.activation.is_some())
    }
}

impl Installation {
    /// Carries out what is about firmware; rights and approval are checked. `None` for the rest.
    pub(crate) fn operate_image(
        &mut self,
        context: &Context<'_>,
        slot: DeviceKind,
        operation: &Operation,
    ) -> Option<Outcome> {
        if !concerns(operation) {
            return None;
        }
        let now = context.now;
        let begins = match operation {
            Operation::BeginImage { octets, hash, device } => {
                Some(self.incoming(context, slot, *octets, *hash, *device))
            }
            _ => None,
        };
        let check = matches!(operation, Operation::VerifyImage).then(|| self.meets(context, slot));
        let (device, mut around) = self.around(context, slot)?;
        let restarts = matches!(operation, Operation::ActivateImage { .. });
        let outcome = match operation {
            Operation::BeginImage { .. } => begins?.map(|incoming| {
                device.images().begin(incoming);
                Answer::Done
            }),
            Operation::ImageBlock { number, octets } => device.images().block(*number, &octets.0),
            Operation::VerifyImage => device.images().verify(now, check?),
            Operation::ActivateImage { hash } => device.activate_image(&mut around, now, *hash),
            _ => return None,
        };
        // The hub sits on the meter and goes down with it.
        self.hub_restarts |= restarts && outcome.is_ok();
        Some(outcome)
    }

    /// What begins when an image is announced to the device in `slot`.
    fn incoming(
        &self,
        context: &Context<'_>,
        slot: DeviceKind,
        octets: u32,
        hash: ImageHash,
        device: Option<Eui64>,
    ) -> Result<Incoming, Refusal> {
        let own = profile(context, slot);
        let staged = context.profiles.chf.image.staged_in_hub;
        let target = match device {
            None if slot == DeviceKind::Esme && staged => return Err(Refusal::NotSupported),
            None => slot,
            Some(device) => self.held_for(slot, device, staged)?,
        };
        let limit = own.image.size_max.min(profile(context, target).image.size_max);
        if octets == 0 || octets > limit {
            return Err(Refusal::OutOfRange);
        }
        Ok(Incoming {
            octets,
            hash,
            device,
            block_octets: own.image.block_max.min(profile(context, target).image.block_max).max(1),
            first_missing: 0,
            rolling: RollingHash::default(),
            head: Vec::new(),
            ahead: BTreeMap::new(),
            check: Check::Open,
        })
    }

    /// The slot of a device for which a hub takes images.
    fn held_for(&self, slot: DeviceKind, device: Eui64, staged: bool) -> Result<DeviceKind, Refusal> {
        if slot != DeviceKind::Chf {
            return Err(Refusal::NotSupported);
        }
        let mut kinds = HELD.into_iter().filter(|kind| staged || *kind != DeviceKind::Esme);
        kinds
            .find(|kind| self.device(*kind) == Some(device))
            .ok_or(Refusal::Image(ImageFault::NotForThisDevice))
    }

    /// How long the check of the image at the device in `slot` takes, where the device it is for is at hand.
    fn meets(&self, context: &Context<'_>, slot: DeviceKind) -> Option<domain::SimDuration> {
        let target = self.target(slot);
        let absent = self.display(target).is_some_and(|display| display.absent.is_some());
        (target != DeviceKind::Gsme && !absent).then(|| profile(context, target).image.verify)
    }

    /// The slot of the device that the image at the one in `slot` is for.
    fn target(&self, slot: DeviceKind) -> DeviceKind {
        let images = self.part(slot).and_then(|device| device.logs.images());
        let held = images.and_then(|images| images.incoming.as_ref()?.device);
        let found = held.and_then(|held| HELD.into_iter().find(|kind| self.device(*kind) == Some(held)));
        found.unwrap_or(slot)
    }

    /// Does what is due with firmware: images handed on, checks finished, restarts over.
    pub(crate) fn advance_images(&mut self, context: &Context<'_>) {
        for slot in WITH_IMAGES {
            if self.part(slot).is_some_and(|device| device.logs.images().is_some()) {
                self.hand_on(context, slot);
                self.finish_check(context, slot);
                self.finish_restart(context, slot);
            }
        }
    }

    /// A gas meter that was awake since it was asked for has taken its image from the hub, and checks it; so has a
    /// display that is there again.
    fn hand_on(&mut self, context: &Context<'_>, slot: DeviceKind) {
        let target = self.target(slot);
        let heard = match (target, &self.gas) {
            (DeviceKind::Gsme, Some(gas)) => gas.heard_at(),
            _ if self.meets(context, slot).is_some() => context.now,
            _ => return,
        };
        let within = profile(context, target).image.verify;
        let device = self.part_mut(slot);
        if let Some(incoming) = device.and_then(|device| device.images().incoming.as_mut())
            && let Check::Waiting { since } = incoming.check
            && heard > since
        {
            incoming.check = Check::Until(heard + within);
        }
    }

    fn finish_check(&mut self, context: &Context<'_>, slot: DeviceKind) {
        let target = self.target(slot);
        let rules = profile(context, target);
        let Some((device, mut around)) = self.around(context, slot) else {
            return;
        };
        let Some(incoming) = device.images().incoming.as_mut() else {
            return;
        };
        let due = matches!(incoming.check, Check::Until(at) if at <= context.now);
        if !due {
            return;
        }
        let found = incoming.check(rules);
        incoming.check = match &found {
            Ok(_) => Check::Right,
            Err(ImageFault::NotForThisDevice) => Check::NotForIt,
            Err(_) => Check::Wrong,
        };
        incoming.head = Vec::new();
        let alert = match found {
            Ok(_) => alerts::FIRMWARE_RIGHT,
            Err(_) => alerts::FIRMWARE_WRONG,
        };
        device.note(&mut around, alert);
        let Ok(verified) = found else { return };
        let hash = verified.hash;
        device.images().found_right(verified.clone());
        let Some((device, mut around)) = self.around(context, target) else {
            return;
        };
        if target != slot {
            device.images().found_right(verified);
        }
        if target.runs_images_by_itself() && device.activate_image(&mut around, context.now, hash).is_ok() {
            self.hub_restarts |= target == DeviceKind::Chf;
        }
    }

    fn finish_restart(&mut self, context: &Context<'_>, slot: DeviceKind) {
        let seed = self.seed.number();
        let Some((device, mut around)) = self.around(context, slot) else {
            return;
        };
        let fails = around.profile.image.fails_permille;
        let images = device.images();
        let Some(activation) = images.activation.take_if(|activation| activation.until <= context.now) else {
            return;
        };
        let drawn = mix(seed ^ ACTIVATION_LABEL ^ slot as u64, activation.until.0.unsigned_abs()) % 1000;
        if drawn < u64::from(fails) {
            images.failed = true;
            device.note(&mut around, alerts::FIRMWARE_STAYS);
            return;
        }
        images.incoming = None;
        if activation.verified.shows {
            images.becomes = Some(activation.verified.profile);
        }
        device.note(&mut around, alerts::FIRMWARE_RUNS);
    }

    /// When something is due with firmware.
    pub(crate) fn next_image_event(&self) -> Option<SimInstant> {
        let devices = WITH_IMAGES.into_iter().filter_map(|slot| self.part(slot));
        devices.filter_map(|device| device.logs.images()?.next()).min()
    }

    /// A device that has come back from an activation, and the profile it has now: whoever drives the installation gives
    /// that profile from here on. Asking takes it away.
    pub fn take_new_firmware(&mut self) -> Option<(DeviceKind, ProfileId)> {
        WITH_IMAGES.into_iter().find_map(|slot| {
            self.part(slot)?.logs.images()?;
            let becomes = self.part_mut(slot)?.images().becomes.take()?;
            Some((slot, becomes.parse().ok()?))
        })
    }

    /// The device cannot become what it has activated: the old firmware stays.
    pub fn roll_back(&mut self, context: &Context<'_>, slot: DeviceKind) {
        if let Some((device, mut around)) = self.around(context, slot) {
            device.images().failed = true;
            device.note(&mut around, alerts::FIRMWARE_STAYS);
        }
    }

    /// Whether the hub is restarting: nobody can speak to it, and it speaks to nobody.
    #[must_use]
    pub fn hub_is_restarting(&self) -> bool {
        self.chf.is_restarting()
    }
}

/// Devices that can have something to do with images, in the order of their slots; what a hub holds is with the hub.
const WITH_IMAGES: [DeviceKind; 5] = [
    DeviceKind::Chf,
    DeviceKind::Esme,
    DeviceKind::Gpf,
    DeviceKind::Gsme,
    DeviceKind::Ppmid,
];

/// Devices whose images a hub holds; the electricity meter's only where the hub says so.
const HELD: [DeviceKind; 3] = [DeviceKind::Esme, DeviceKind::Gsme, DeviceKind::Ppmid];

const ACTIVATION_LABEL: u64 = 0x4143_5449;
