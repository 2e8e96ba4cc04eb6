//! Firmware images, the devices they are for, and what devices have become.

use std::collections::BTreeMap;

use domain::operation::ImageHash;
use domain::{Eui64, image};
use prost::bytes::Bytes;
use proto::{ImageJob, ImageJobResult};

use super::record::{Record, Stands};

/// Images kept although no job is for them: jobs may follow. Of an older one the DCC is asked again.
const IMAGES_KEPT: usize = 4;

/// What the records say of firmware.
#[derive(Default)]
pub(super) struct Images {
    /// Oldest first.
    kept: Vec<(ImageHash, Bytes)>,
    /// Without a result, by their ids.
    pub(super) jobs: BTreeMap<String, ImageJob>,
    /// The last job of a device that has its result: the DCC gives a device one at a time.
    ended: BTreeMap<Eui64, String>,
    /// Profiles that devices turned out to have.
    pub(super) became: BTreeMap<Eui64, String>,
}

impl Images {
    pub(super) fn image(&self, hash: &[u8]) -> Option<Bytes> {
        let found = self.kept.iter().find(|(known, _)| known.0 == hash);
        found.map(|(_, image)| image.clone())
    }

    pub(super) fn knows(&self, job: &ImageJob) -> bool {
        self.jobs.contains_key(&job.job_id) || self.ended.get(&Eui64(job.device)) == Some(&job.job_id)
    }

    pub(super) fn take_image(&mut self, image: Bytes) {
        let hash = image::hash(&image);
        self.kept.retain(|(known, _)| *known != hash);
        self.kept.push((hash, image));
        self.forget();
    }

    pub(super) fn take_job(&mut self, job: ImageJob) {
        self.jobs.insert(job.job_id.clone(), job);
    }

    pub(super) fn take_result(&mut self, result: &ImageJobResult) {
        if let Some(job) = self.jobs.remove(&result.job_id) {
            self.ended.insert(Eui64(job.device), job.job_id);
        }
        self.forget();
    }

    pub(super) fn take_stands(&mut self, stands: &Stands) {
        if !stands.last_job.is_empty() {
            self.ended.insert(Eui64(stands.device), stands.last_job.clone());
        }
    }

    /// Drops the oldest images that no job is for.
    fn forget(&mut self) {
        while self.kept.len() > IMAGES_KEPT {
            let jobs = &self.jobs;
            let needed = |hash: &ImageHash| jobs.values().any(|job| job.image_sha256.as_ref() == hash.0);
            let last = self.kept.len() - 1;
            let Some(place) = self.kept[..last].iter().position(|(hash, _)| !needed(hash)) else {
                return;
            };
            self.kept.remove(place);
        }
    }

    /// Records that stand for all that were taken.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let images = self.kept.iter().map(|(_, image)| Record::image(image));
        let jobs = self.jobs.values().map(Record::image_job);
        let ended = self.ended.iter().map(|(device, job)| {
            Record::stands(Stands {
                device: device.0,
                last_job: job.clone(),
                ..Stands::default()
            })
        });
        let became = self.became.iter();
        let became = became.map(|(device, profile)| Record::became(*device, profile.clone()));
        images.chain(jobs).chain(ended).chain(became)
    }
}
