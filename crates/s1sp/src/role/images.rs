//! Firmware images on their way to devices: each image once, a job per device, one result each, across restarts.
//!
//! A device that activates its firmware by itself (a hub) is then asked what it runs, and the DCC is told.

use std::sync::Arc;

use domain::{DeviceKind, Eui64, SimDuration, SimInstant, image};
use head_end::image::{NotStored, Transfer};
use head_end::survey::{Depth, Survey};
use prost::bytes::Bytes;
use proto::{Envelope, FirmwareImage, FirmwareReport, ImageJob, ImageJobResult, ImageOutcome, Message};

use super::{Done, S1sp};
use crate::journal::ToDcc;
use crate::work::Context;

/// How often and how long a device that activates its firmware by itself is looked for.
const LOOKS: u32 = 12;
const LOOK_EVERY: SimDuration = SimDuration::from_mins(2);

impl S1sp {
    /// Takes up the jobs that the journal has.
    pub(super) fn resume_images(&mut self) {
        let jobs = self.context.journal().image_jobs();
        for job in jobs {
            tracing::info!(job_id = job.job_id, leg = "s1sp", "image job resumed");
            self.start_job(job, None);
        }
    }

    pub(super) fn image(&mut self, envelope: Envelope) {
        let Ok(message) = FirmwareImage::decode(envelope.body.clone()) else {
            return tracing::warn!(leg = "s1sp", "a firmware image that is none");
        };
        let hash = image::hash(&message.image);
        if message.sha256.as_ref() != hash.0 {
            return tracing::warn!(leg = "s1sp", "a firmware image that does not have its hash");
        }
        if let Err(error) = self.context.journal().take_image(&message.image) {
            return tracing::error!(leg = "s1sp", %error, "firmware image not taken");
        }
        let name = envelope.trace_id.clone();
        self.accepted(envelope, name);
    }

    pub(super) fn image_job(&mut self, envelope: Envelope) {
        let Ok(job) = ImageJob::decode(envelope.body.clone()) else {
            return tracing::warn!(leg = "s1sp", "an image job that is none");
        };
        let name = job.job_id.clone();
        let known = self.context.journal().knows_job(&job);
        if known {
            // Its result comes, or was taken already.
            return self.accepted(envelope, name);
        }
        let image = self.context.journal().image(&job.image_sha256);
        if image.is_none() {
            self.accepted(envelope, name);
            let missing = result(&job, ImageOutcome::ImageMissing, "the S1SP does not have the image");
            let number = self.context.journal().number();
            return self.send(number, ToDcc::Image(missing), false);
        }
        if let Err(error) = self.context.journal().take_image_job(&job) {
            return tracing::error!(job_id = name, leg = "s1sp", %error, "image job not taken");
        }
        self.start_job(job, Some(envelope));
    }

    fn start_job(&mut self, job: ImageJob, envelope: Option<Envelope>) {
        if let Some(envelope) = envelope {
            self.accepted(envelope, job.job_id.clone());
        }
        let (context, places) = (Arc::clone(&self.context), Arc::clone(&self.places));
        let image = self.context.journal().image(&job.image_sha256);
        self.tasks.spawn(async move {
            // Closed never: whoever cannot have a place waits for it.
            let _place = places.acquire().await;
            let result = context.bring(&job, image).await;
            Done::Image(Box::new((job, result)))
        });
    }

    /// A job has come to its result.
    pub(super) fn job_done(&mut self, job: &ImageJob, result: ImageJobResult) {
        let stored = result.outcome() == ImageOutcome::Stored;
        let ended = self.context.journal().end_image_job(&result);
        match ended {
            Ok(number) => self.send(number, ToDcc::Image(result), true),
            Err(error) => {
                tracing::error!(job_id = job.job_id, leg = "s1sp", %error, "result not journalled");
                return;
            }
        }
        if stored && job.device_kind == DeviceKind::Chf.as_str() {
            let (context, hub) = (Arc::clone(&self.context), Eui64(job.hub));
            self.tasks.spawn(async move {
                let firmware = context.settled(hub).await;
                Done::Firmware(hub, firmware)
            });
        }
    }

    /// Tells the DCC what a device runs, which nobody has asked for.
    pub(super) fn report_firmware(&mut self, device: Eui64, firmware: Option<String>) {
        let Some(firmware_version) = firmware else {
            return tracing::debug!(%device, leg = "s1sp", "what it runs is not known");
        };
        let counter = self.next_alert_counter(device.0);
        let report = FirmwareReport {
            device: device.0,
            firmware_version,
            counter,
            active: true,
        };
        let journalled = self.context.journal().firmware(&report);
        match journalled {
            Ok(number) => self.send(number, ToDcc::Firmware(report), true),
            Err(error) => tracing::error!(leg = "s1sp", %error, "firmware report not journalled"),
        }
    }
}

impl Context {
    /// Brings an image to its device; one that is there already counts.
    async fn bring(&self, job: &ImageJob, image: Option<Bytes>) -> ImageJobResult {
        let failed = |reason: &str| result(job, ImageOutcome::NotDelivered, reason);
        let Some(image) = image else {
            return result(job, ImageOutcome::ImageMissing, "the S1SP does not have the image");
        };
        let (hub, device) = (Eui64(job.hub), Eui64(job.device));
        let Some(site) = self.directory.site(hub) else {
            return failed("no installation of this S1SP");
        };
        if site.device(device).is_none() {
            return failed("no device of this installation");
        }
        let hash = image::hash(&image);
        let transfer = Transfer {
            handle: &self.engine,
            site: &site,
            device,
            trace_id: &job.job_id,
            image: &image,
            hash,
            deadline: SimInstant(job.deadline_ms),
        };
        match transfer.run(&self.world.clock).await {
            Ok(()) => result(job, ImageOutcome::Stored, ""),
            Err(error @ NotStored::Refused(_)) => result(job, ImageOutcome::Refused, &error.to_string()),
            Err(error @ NotStored::NotDelivered(_)) => failed(&error.to_string()),
        }
    }

    /// What a hub runs once it is back from an activation, as its identifier in DUIS.
    async fn settled(&self, hub: Eui64) -> Option<String> {
        let before = self.directory.site(hub)?.device(hub)?.profile.native_firmware.clone();
        let mut last = None;
        for _ in 0..LOOKS {
            self.world.clock.sleep(LOOK_EVERY).await;
            let site = self.directory.site(hub)?;
            let survey = Survey {
                handle: &self.engine,
                site: &site,
                trace_id: "firmware",
                depth: Depth::Identity,
            };
            let deadline = self.world.clock.now() + self.limits.mains_within;
            let said = survey.ask(site.device(hub)?, deadline).await;
            let Ok(said) = said else { continue };
            let running = said.text(domain::DataItem::FirmwareVersion)?;
            self.learn(hub, running);
            let known = self.directory.site(hub)?.device(hub)?.profile.model.firmware.clone();
            last = Some(known);
            if running != before {
                break;
            }
        }
        last
    }
}

fn result(job: &ImageJob, outcome: ImageOutcome, reason: &str) -> ImageJobResult {
    ImageJobResult {
        job_id: job.job_id.clone(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        confidence: domain::Confidence::Invented.as_str().to_owned(),
        ..ImageJobResult::default()
    }
}
