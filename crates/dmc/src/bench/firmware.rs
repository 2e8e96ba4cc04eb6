//! Looks at firmware: images that come, are checked and run.

use domain::image::{self, ImagePart};
use domain::operation::{ImageHash, ImageState, ImageStatus, Octets};
use domain::{Answer, DataItem, DeviceKind, Operation, Refusal, SimDuration, Value};

use super::Bench;
use super::words::outcome_words;

impl Bench {
    /// Brings an image of the looked-at profile to the device and waits for its check; gives the size of blocks, and what
    /// was found after how long. `how` may say `metrology`, `damaged` and `through-hub`.
    pub(super) fn bring_image(&mut self, slot: DeviceKind, octets: &str, how: &[&str]) -> Result<String, String> {
        let octets = octets.parse().map_err(|_| "no number of octets".to_owned())?;
        let profile = self.profile_of(slot).ok_or_else(|| "no such device".to_owned())?;
        let mut head = profile.image_head();
        let mut damaged = false;
        let sleeps = matches!(slot, DeviceKind::Gsme | DeviceKind::Ppmid);
        let mut carrier = if sleeps { DeviceKind::Chf } else { slot };
        for word in how {
            match *word {
                "metrology" => head.part = ImagePart::Metrology,
                "damaged" => damaged = true,
                "through-hub" => carrier = DeviceKind::Chf,
                _ => return Err("an image is metrology, damaged or through-hub".to_owned()),
            }
        }
        let mut image = head.image(octets);
        let hash = image::hash(&image);
        if let Some(octet) = image.last_mut().filter(|_| damaged) {
            *octet ^= 1;
        }
        let device = (carrier != slot).then(|| self.installation.device(slot)).flatten();
        let begin = Operation::BeginImage {
            octets: u32::try_from(image.len()).unwrap_or(u32::MAX),
            hash,
            device,
        };
        if let Err(refusal) = self.execute(carrier, &begin).0 {
            return Ok(outcome_words(&Err(refusal)));
        }
        let size = self
            .image_status(carrier)
            .map_err(|refusal| refusal.to_string())?
            .block_octets;
        for (number, block) in (0..).zip(image.chunks(usize::from(size.max(1)))) {
            let block = Operation::ImageBlock {
                number,
                octets: Octets(block.to_vec()),
            };
            if let Err(refusal) = self.execute(carrier, &block).0 {
                return Ok(outcome_words(&Err(refusal)));
            }
        }
        if let Err(refusal) = self.execute(carrier, &Operation::VerifyImage).0 {
            return Ok(outcome_words(&Err(refusal)));
        }
        self.images.push(hash);
        let state = self.after(carrier, ImageState::Verifying)?;
        Ok(format!("{size} octets a block, {state}"))
    }

    /// Has the device run the first or the last image that came; gives what came of it after how long.
    pub(super) fn run_image(&mut self, slot: DeviceKind, which: &str) -> Result<String, String> {
        let hash = match which {
            "first" => self.images.first(),
            "last" => self.images.last(),
            _ => return Err("the first or the last image".to_owned()),
        };
        let hash: ImageHash = *hash.ok_or_else(|| "no image came".to_owned())?;
        if let Err(refusal) = self.execute(slot, &Operation::ActivateImage { hash }).0 {
            return Ok(outcome_words(&Err(refusal)));
        }
        let state = self.after(slot, ImageState::Activating)?;
        let became = self.with(|installation, _| installation.take_new_firmware());
        let runs = became.map_or_else(|| "what it was".to_owned(), |(_, profile)| profile.to_string());
        Ok(format!("{state}, {runs}"))
    }

    /// What a device says of its image once it says something else than this, and after how long.
    fn after(&mut self, slot: DeviceKind, state: ImageState) -> Result<String, String> {
        let start = self.now;
        while self.now.since(start) < WAIT_MAX {
            match self.image_status(slot) {
                Ok(status) if status.state != state => {
                    let waited = self.now.since(start).as_millis() / 1_000;
                    return Ok(format!("{:?} after {waited} s", status.state).to_lowercase());
                }
                Ok(_) | Err(Refusal::Unreachable) => self.wait(SimDuration::from_secs(1)),
                Err(refusal) => return Err(refusal.to_string()),
            }
        }
        Err("it never ends".to_owned())
    }

    fn image_status(&mut self, slot: DeviceKind) -> Result<ImageStatus, Refusal> {
        match self.execute(slot, &Operation::Read(DataItem::ImageStatus)).0 {
            Ok(Answer::Value(Value::Image(status))) => Ok(status),
            Ok(_) => Err(Refusal::NotSupported),
            Err(refusal) => Err(refusal),
        }
    }
}

const WAIT_MAX: SimDuration = SimDuration::from_hours(2);
