//! Bringing a firmware image to a device: begin, blocks, check; resumed from where the device says it is.
//!
//! A device behind the hub that sleeps or has no keys of its own gets its image through the hub, which holds it until the
//! device is awake: the hub then answers for it. Some hubs hold all images.

use domain::operation::{ImageFault, ImageHash, ImageState, ImageStatus, Octets};
use domain::{Answer, DataItem, DeviceKind, Eui64, Operation, Outcome, Refusal, SimDuration, SimInstant, Value};
use world::Clock;

use crate::directory::Site;
use crate::engine::Handle;
use crate::job::{Failure, FailureKind, Job};
use crate::survey::Trouble;

/// Pause between two looks at a device that checks an image, or at a hub that hands one on.
const LOOK_EVERY: SimDuration = SimDuration::from_secs(60);

/// Times in a row that a transfer may come to nothing before it is given up.
const ATTEMPTS: u32 = 5;

/// Most octets of an image.
pub const IMAGE_MAX: usize = 7_680_000;

/// An image to be brought to one device.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The engine that asks.
    pub handle: &'a Handle,
    /// The installation.
    pub site: &'a Site,
    /// The device it is for.
    pub device: Eui64,
    /// Names the reason in every envelope.
    pub trace_id: &'a str,
    /// The octets.
    pub image: &'a [u8],
    /// Their SHA-256.
    pub hash: ImageHash,
    /// When to give up.
    pub deadline: SimInstant,
}

/// Why a device does not have the image.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotStored {
    /// It was not reached, or not in time.
    #[error("not delivered: {0}")]
    NotDelivered(Trouble),
    /// It has it, or its beginning, and will not have it.
    #[error("refused by the device: {0}")]
    Refused(Refusal),
}

impl Transfer<'_> {
    /// Brings the image there and has it checked; returns once the device says that it is right. An image that is there
    /// already is not sent again.
    ///
    /// # Errors
    /// [`NotStored`].
    pub async fn run(&self, clock: &Clock) -> Result<(), NotStored> {
        let mut failures = 0;
        loop {
            let reached = match self.progress(clock).await {
                Ok(()) => return Ok(()),
                Err(Stopped::Refused(refusal)) => return Err(NotStored::Refused(refusal)),
                Err(Stopped::Trouble { trouble, reached }) => {
                    if clock.now() >= self.deadline || failures + 1 >= ATTEMPTS && !reached {
                        return Err(NotStored::NotDelivered(trouble));
                    }
                    reached
                }
            };
            // Blocks that arrived make up for attempts that did not.
            failures = if reached { 0 } else { failures + 1 };
            clock.sleep(LOOK_EVERY).await;
        }
    }

    /// One attempt from wherever the device is.
    async fn progress(&self, clock: &Clock) -> Result<(), Stopped> {
        let status = self.status().await.map_err(Stopped::before)?;
        if status.verified == self.hash {
            return Ok(());
        }
        let octets = u32::try_from(self.image.len()).unwrap_or(u32::MAX);
        let (carrier, _) = self.carrier();
        let begin = Operation::BeginImage {
            octets,
            hash: self.hash,
            device: (carrier != self.device).then_some(self.device),
        };
        if status.state != ImageState::Verifying {
            // Beginning what has begun goes on where it was.
            self.must(begin).await?;
        }
        let status = self.status().await.map_err(Stopped::before)?;
        let size = usize::from(status.block_octets.max(1));
        let first = usize::try_from(status.first_missing).unwrap_or(usize::MAX);
        let mut reached = false;
        for (number, block) in self.image.chunks(size).enumerate().skip(first) {
            let block = Operation::ImageBlock {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                octets: Octets(block.to_vec()),
            };
            self.must(block).await.map_err(|stopped| stopped.after(reached))?;
            reached = true;
        }
        if status.state != ImageState::Verifying {
            self.must(Operation::VerifyImage)
                .await
                .map_err(|stopped| stopped.after(reached))?;
        }
        self.checked(clock).await.map_err(|stopped| stopped.after(reached))
    }

    /// Waits until the device has made up its mind.
    async fn checked(&self, clock: &Clock) -> Result<(), Stopped> {
        loop {
            let status = self.status().await.map_err(Stopped::before)?;
            if status.verified == self.hash {
                return Ok(());
            }
            match status.state {
                ImageState::Verifying if clock.now() + LOOK_EVERY < self.deadline => {}
                ImageState::Wrong => return Err(self.found_wrong().await),
                ImageState::Verifying => {
                    let late = Failure::after(FailureKind::Deadline, format!("{} did not finish in time", self.device));
                    return Err(Stopped::before(Trouble::Failed(late)));
                }
                // Blocks went missing, or somebody else began another image.
                _ => {
                    let lost = Failure::after(FailureKind::NoResponse, format!("{} has lost the image", self.device));
                    return Err(Stopped::before(Trouble::Failed(lost)));
                }
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Why a device found the image wrong: it says so when it is asked to check it once more.
    async fn found_wrong(&self) -> Stopped {
        match self.ask(Operation::VerifyImage).await {
            Ok(Err(refusal @ Refusal::Image(_))) => Stopped::Refused(refusal),
            // It says no more than that.
            _ => Stopped::Refused(Refusal::Image(ImageFault::Hash)),
        }
    }

    /// The device that is spoken to: itself where it is awake and has keys, unless its hub wants all images for itself.
    fn carrier(&self) -> (Eui64, DeviceKind) {
        let hub = self.site.slot(DeviceKind::Chf);
        let staged = hub.is_some_and(|hub| hub.profile.meter.image.staged_in_hub);
        match self.site.device(self.device).map(|device| device.slot) {
            Some(DeviceKind::Esme) if !staged => (self.device, DeviceKind::Esme),
            _ => (self.site.hub, DeviceKind::Chf),
        }
    }

    async fn status(&self) -> Result<ImageStatus, Trouble> {
        match self.ask(Operation::Read(DataItem::ImageStatus)).await {
            Ok(Ok(Answer::Value(Value::Image(status)))) => Ok(status),
            Ok(Ok(_)) => Err(Trouble::Refused(Refusal::NotSupported)),
            Ok(Err(refusal)) => Err(Trouble::Refused(refusal)),
            Err(failure) => Err(Trouble::Failed(failure)),
        }
    }

    async fn must(&self, operation: Operation) -> Result<(), Stopped> {
        match self.ask(operation).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal @ (Refusal::Busy | Refusal::WrongState | Refusal::Unreachable))) => {
                Err(Stopped::before(Trouble::Refused(refusal)))
            }
            // Blocks that are missing are sent again.
            Ok(Err(refusal @ Refusal::Image(ImageFault::Incomplete | ImageFault::NotBegun))) => {
                Err(Stopped::before(Trouble::Refused(refusal)))
            }
            Ok(Err(refusal)) => Err(Stopped::Refused(refusal)),
            Err(failure) => Err(Stopped::before(Trouble::Failed(failure))),
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Outcome, Failure> {
        let (device, slot) = self.carrier();
        let job = Job {
            trace_id: self.trace_id.to_owned(),
            hub: self.site.hub,
            device,
            slot,
            operation,
            approval: None,
            deadline: self.deadline,
        };
        self.handle.execute(job).await
    }
}

/// Why an attempt ended early.
enum Stopped {
    Refused(Refusal),
    Trouble {
        trouble: Trouble,
        /// Something of the image arrived in this attempt.
        reached: bool,
    },
}

impl Stopped {
    fn before(trouble: Trouble) -> Self {
        Self::Trouble {
            trouble,
            reached: false,
        }
    }

    fn after(self, reached: bool) -> Self {
        match self {
            Self::Trouble {
                trouble,
                reached: earlier,
            } => Self::Trouble {
                trouble,
                reached: earlier || reached,
            },
            refused @ Self::Refused(_) => refused,
        }
    }
}
