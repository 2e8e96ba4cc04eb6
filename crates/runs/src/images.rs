//! Firmware images as files: made for a profile, and told what they are. The commands below `s1lab image`.

use std::path::Path;

use domain::image::{self, HEAD_MAX, ImageHead, USUAL_OCTETS};
use serde_json::{Value, json};

use crate::catalogue::{CatalogueError, Said, Shelf};

/// Heading of the rows for a product list, as the lab's configuration takes them.
const CPL_HEADING: &str = "device_type,maker,model,fw,status,image_sha256";

impl Shelf {
    /// Makes an image that turns a device of the model into this profile, and writes it to a file.
    ///
    /// # Errors
    /// When there is no such profile, the length is out of bounds, or the file cannot be written.
    pub fn make_image(&self, profile: &str, octets: Option<usize>, file: &Path) -> Result<Said, CatalogueError> {
        let profile = self.find(profile)?;
        if profile.id.firmware.is_empty() {
            let problem = format!("{} has no firmware: devices of its kind only listen", profile.id);
            return Err(CatalogueError::Question(problem));
        }
        let octets = octets.unwrap_or(USUAL_OCTETS);
        let largest = lab::IMAGE_MAX;
        if !(HEAD_MAX..=largest).contains(&octets) {
            let problem = format!("an image has {HEAD_MAX} to {largest} octets, not {octets}");
            return Err(CatalogueError::Question(problem));
        }
        let image = profile.image_head().image(octets);
        std::fs::write(file, &image).map_err(|source| CatalogueError::Write {
            path: file.to_owned(),
            source,
        })?;
        let (lines, json) = self.image_words(&file.display().to_string(), &image);
        Ok(Said {
            lines,
            json,
            good: true,
        })
    }

    /// What the images in a folder make of which devices; files that are none of the lab's are named as such.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn list_images(&self, folder: &Path) -> Result<Said, CatalogueError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| CatalogueError::Read { path, source }
        };
        let entries = std::fs::read_dir(folder).map_err(unreadable(folder))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for path in paths {
            let image = std::fs::read(&path).map_err(unreadable(&path))?;
            let (said, row) = self.image_words(&path.display().to_string(), &image);
            lines.extend(said);
            rows.push(row);
        }
        lines.push(format!("{} images", rows.len()));
        Ok(Said {
            lines,
            json: rows.into(),
            good: true,
        })
    }

    fn image_words(&self, name: &str, image: &[u8]) -> (Vec<String>, Value) {
        let hash: String = image::hash(image)
            .0
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let mut lines = vec![format!("{name}: {} octets", image.len()), format!("  SHA-256 {hash}")];
        let Some(head) = ImageHead::read(image) else {
            lines.push("  none of the lab's: every device of the lab refuses it".to_owned());
            return (lines, json!({ "file": name, "octets": image.len(), "sha256": hash }));
        };
        let profile = self.find(&head.profile.to_string()).ok();
        let from = if head.from.is_empty() {
            "any".to_owned()
        } else {
            head.from.join(", ")
        };
        lines.push(format!(
            "  makes {} of {} {}",
            head.profile, head.manufacturer, head.model
        ));
        lines.push(format!("  reports {}, reached from {from}", head.firmware));
        let row = profile.map(|profile| {
            let model = &profile.model;
            format!(
                "{},{},{},{},Active,{hash}",
                profile.kind, model.manufacturer, model.model, model.firmware
            )
        });
        match &row {
            Some(row) => {
                lines.push("  row for a product list:".to_owned());
                lines.push(format!("    {CPL_HEADING}"));
                lines.push(format!("    {row}"));
            }
            None => lines.push("  no profile file describes what it makes: devices roll it back".to_owned()),
        }
        let stable = profile.and_then(|profile| profile.stable_from).map(|at| at.to_string());
        let json = json!({
            "file": name, "octets": image.len(), "sha256": hash, "profile": head.profile.to_string(),
            "firmware": head.firmware, "from": head.from, "cpl": row, "stable_from": stable,
            "source": "made by the lab", "confidence": "invented",
        });
        (lines, json)
    }
}
