//! Firmware images on their way through the S1SP: the image once, a job per device, one result each.

use std::collections::BTreeMap;

use domain::{DeviceKind, Eui64, RequestId, SimInstant};
use duis::AlertPayload;
use prost::Message;
use prost::bytes::Bytes;
use proto::{Envelope, FirmwareImage, ImageJob, ImageJobResult, ImageOutcome, Kind};
use steps::codes::AlertTrigger;

use super::alerts::Notice;
use super::{Core, Effect};
use crate::audit::{Event, Record};
use crate::images::{Distribution, JobState, read_job_id};
use crate::journal::{Entry, ImagesMessage, JobEnded, JobsReported, id_octets};
use crate::options::{IMAGE_JOBS_SENT_MAX, IMAGE_REPORT_PAUSE};
use crate::timers::Timer;

impl Core {
    /// Takes an image in hand, as part of the entry that answers its request.
    pub(super) fn distribute(&mut self, entry: &mut Entry, distribution: Distribution, now: SimInstant) {
        let request = distribution.request;
        entry.images = Some(ImagesMessage::of(&distribution));
        let hubs = distribution.jobs.iter().filter(|(_, job)| job.kind == DeviceKind::Chf);
        let hubs: Vec<_> = hubs.map(|(device, _)| *device).collect();
        for hub in hubs {
            self.hub_firmware(entry, hub, &distribution.firmware, false, now);
        }
        self.timers.set(Timer::ImageDeadline(request), distribution.deadline);
        // Sent once the entry is safe: with the next wake, which is now.
        self.timers.set(Timer::ImageSend(request), now);
        self.images.by_request.insert(request, distribution);
    }

    /// Sends the image, or, once the S1SP has it, as many jobs as may be on their way.
    pub(super) fn send_images(&mut self, request: RequestId, now: SimInstant) {
        let limits = self.options.limits;
        let Some(distribution) = self.images.by_request.get_mut(&request) else {
            return;
        };
        if distribution.attempts >= limits.s1sp_attempts {
            return self.s1sp_takes_no_images(request, now);
        }
        let mut effects = Vec::new();
        if distribution.image_taken {
            let sent = distribution
                .jobs
                .values()
                .filter(|job| job.state == JobState::Sent)
                .count();
            // What was sent and not taken in time is sent again, with what fits beside it.
            let repeated = distribution.attempts > 0;
            let mut room = IMAGE_JOBS_SENT_MAX.saturating_sub(if repeated { 0 } else { sent });
            let ids: BTreeMap<Eui64, String> = distribution
                .jobs
                .keys()
                .map(|device| (*device, distribution.job_id(*device)))
                .collect();
            for (device, job) in &mut distribution.jobs {
                let due = job.state == JobState::Waiting || (repeated && job.state == JobState::Sent);
                if !due || room == 0 {
                    continue;
                }
                room -= 1;
                job.state = JobState::Sent;
                let Some(job_id) = ids.get(device).cloned() else {
                    continue;
                };
                let body = ImageJob {
                    job_id: job_id.clone(),
                    request_id: request.to_string(),
                    device: device.0,
                    device_kind: job.kind.as_str().to_owned(),
                    hub: job.hub.0,
                    firmware_version: distribution.firmware.clone(),
                    image_sha256: Bytes::copy_from_slice(&distribution.sha256),
                    image_octets: u32::try_from(distribution.image.len()).unwrap_or(u32::MAX),
                    deadline_ms: distribution.deadline.0,
                };
                effects.push((job_id, Kind::ImageJob, body.encode_to_vec()));
            }
        } else {
            let body = FirmwareImage {
                sha256: Bytes::copy_from_slice(&distribution.sha256),
                image: distribution.image.clone(),
            };
            effects.push((
                image_name(&distribution.sha256),
                Kind::FirmwareImage,
                body.encode_to_vec(),
            ));
        }
        if effects.is_empty() {
            return;
        }
        distribution.attempts += 1;
        for (trace_id, kind, body) in effects {
            let envelope = Envelope {
                trace_id,
                ..Envelope::default()
            };
            self.effects.push(Effect::ToS1sp { envelope, kind, body });
        }
        self.timers
            .set(Timer::ImageSend(request), now + limits.s1sp_accept_timeout);
    }

    /// The S1SP has an image.
    pub(super) fn image_taken(&mut self, name: &str, now: SimInstant) {
        let waiting = self.images.by_request.values_mut();
        let taken: Vec<_> = waiting
            .filter(|distribution| !distribution.image_taken && image_name(&distribution.sha256) == name)
            .map(|distribution| {
                distribution.image_taken = true;
                distribution.attempts = 0;
                distribution.request
            })
            .collect();
        if taken.is_empty() {
            tracing::debug!(name, "the S1SP accepts something that is no request");
        }
        taken.into_iter().for_each(|request| self.send_images(request, now));
    }

    /// The S1SP has a job.
    pub(super) fn image_job_taken(&mut self, request: RequestId, device: Eui64, now: SimInstant) {
        let Some(distribution) = self.images.by_request.get_mut(&request) else {
            return;
        };
        let Some(job) = distribution.jobs.get_mut(&device) else {
            return;
        };
        if job.state != JobState::Sent {
            return;
        }
        job.state = JobState::Taken;
        distribution.attempts = 0;
        if distribution.jobs.values().all(|job| job.state == JobState::Taken) {
            self.timers.cancel(&Timer::ImageSend(request));
            return;
        }
        let sent = distribution
            .jobs
            .values()
            .filter(|job| job.state == JobState::Sent)
            .count();
        if sent < IMAGE_JOBS_SENT_MAX / 2 {
            self.send_images(request, now);
        }
    }

    /// A job has its result.
    pub(super) fn image_job_ended(&mut self, envelope: &Envelope, now: SimInstant) {
        let Ok(result) = ImageJobResult::decode(envelope.body.clone()) else {
            return tracing::warn!("a result of an image job that is none");
        };
        self.confirm(envelope, result.job_id.clone());
        let Some((request, device)) = read_job_id(&result.job_id) else {
            return tracing::warn!(job_id = result.job_id, "a result of no image job");
        };
        let Some(distribution) = self.images.by_request.get_mut(&request) else {
            return;
        };
        let Some(job) = distribution.jobs.get_mut(&device) else {
            return;
        };
        let failed = match result.outcome() {
            ImageOutcome::Stored => None,
            ImageOutcome::ImageMissing => {
                job.state = JobState::Waiting;
                distribution.image_taken = false;
                return self.send_images(request, now);
            }
            ImageOutcome::Refused => Some(AlertTrigger::ImageRefused),
            ImageOutcome::NotDelivered | ImageOutcome::Unspecified => Some(AlertTrigger::ImageNotDelivered),
        };
        let mut entry = Entry::at(now);
        self.end_job(&mut entry, request, device, failed, &result.reason, now);
        self.write(entry, now);
        self.settle_images(request, now);
    }

    /// A device is out of service: no image is for it any more.
    pub(super) fn images_lose(&mut self, entry: &mut Entry, device: Eui64, now: SimInstant) {
        let with = self
            .images
            .by_request
            .values()
            .filter(|one| one.jobs.contains_key(&device));
        let requests: Vec<_> = with.map(|distribution| distribution.request).collect();
        for request in requests {
            let why = Some(AlertTrigger::ImageDeviceLeft);
            self.end_job(entry, request, device, why, "the device left service", now);
            self.timers.set(Timer::ImageReport(request), now);
        }
    }

    pub(super) fn images_overdue(&mut self, request: RequestId, now: SimInstant) {
        self.give_up_images(request, AlertTrigger::ImageTimeout, now);
    }

    fn s1sp_takes_no_images(&mut self, request: RequestId, now: SimInstant) {
        self.give_up_images(request, AlertTrigger::ImageS1spUnreachable, now);
    }

    /// Ends what the S1SP has not taken, or, when the time is up, everything.
    fn give_up_images(&mut self, request: RequestId, why: AlertTrigger, now: SimInstant) {
        let Some(distribution) = self.images.by_request.get(&request) else {
            return;
        };
        let all = why == AlertTrigger::ImageTimeout;
        let jobs = distribution
            .jobs
            .iter()
            .filter(|(_, job)| all || job.state != JobState::Taken);
        let devices: Vec<_> = jobs.map(|(device, _)| *device).collect();
        let mut entry = Entry::at(now);
        for device in devices {
            self.end_job(&mut entry, request, device, Some(why), why.alert().text, now);
        }
        self.write(entry, now);
        self.settle_images(request, now);
    }

    fn end_job(
        &mut self,
        entry: &mut Entry,
        request: RequestId,
        device: Eui64,
        failed: Option<AlertTrigger>,
        reason: &str,
        now: SimInstant,
    ) {
        let Some(distribution) = self.images.by_request.get_mut(&request) else {
            return;
        };
        if distribution.jobs.remove(&device).is_none() {
            return;
        }
        if let Some(why) = failed {
            distribution.failed.entry(why).or_default().insert(device);
        }
        entry.jobs_ended.push(JobEnded {
            request: id_octets(request),
            device: device.0,
            trigger: failed.map(|why| why.as_str().to_owned()).unwrap_or_default(),
        });
        let record = Record {
            device: Some(device),
            request: Some(request),
            user: Some(request.originator),
            hop: "s1sp".to_owned(),
            code: failed.map(|why| why.alert().code.to_string()),
            detail: match failed {
                None => format!("firmware {} is stored", distribution.firmware),
                Some(_) => reason.to_owned(),
            },
            ..Record::new(Event::ImageJob, now)
        };
        entry.audits.push(record.to_message());
    }

    /// What follows from an ended job: failed devices are reported soon, and at once with the last one.
    fn settle_images(&mut self, request: RequestId, now: SimInstant) {
        let Some(distribution) = self.images.by_request.get(&request) else {
            return;
        };
        if distribution.is_over() {
            self.report_images(request, now);
        } else if !distribution.failed.is_empty() && !self.timers.is_set(&Timer::ImageReport(request)) {
            self.timers.set(Timer::ImageReport(request), now + IMAGE_REPORT_PAUSE);
        }
    }

    /// Tells the user which devices failed since it was last told; with nothing under way the distribution is over.
    pub(super) fn report_images(&mut self, request: RequestId, now: SimInstant) {
        let Some(distribution) = self.images.by_request.get_mut(&request) else {
            return;
        };
        let failed = std::mem::take(&mut distribution.failed);
        let over = distribution.is_over();
        self.timers.cancel(&Timer::ImageReport(request));
        let mut entry = Entry::at(now);
        for (why, devices) in failed {
            let payload = AlertPayload::FirmwareDistributionFailure {
                request,
                devices: devices.into_iter().collect(),
            };
            let notice = Notice::new(why, payload).to(request.originator).because_of(request);
            self.raise(&mut entry, &notice, now);
            entry.jobs_reported.push(JobsReported {
                request: id_octets(request),
                trigger: why.as_str().to_owned(),
            });
        }
        if !entry.audits.is_empty() {
            self.write(entry, now);
        }
        if over {
            self.images.by_request.remove(&request);
            for timer in [Timer::ImageDeadline(request), Timer::ImageSend(request)] {
                self.timers.cancel(&timer);
            }
        }
    }
}

/// What an image is called on the link: the S1SP's Accepted repeats it.
fn image_name(sha256: &[u8; 32]) -> String {
    let digits: String = sha256.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("image {digits}")
}
