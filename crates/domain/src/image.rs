//! Firmware images as this lab has them: a head that says what they make of a device, then filler.
//!
//! What real images look like inside is known to their makers alone. Ours are invented and say so: whoever has a real one
//! cannot use it here, because no device of the lab would know what it becomes. Every image of a profile is the same in
//! every lab, so that its hash can stand in a product list.
//!
//! ```
//! use domain::image::{ImageHead, ImagePart};
//!
//! let head = ImageHead {
//!     profile: "as300p@LAB-E001".parse()?,
//!     manufacturer: "Honeywell Elster".into(),
//!     model: "AS300P".into(),
//!     firmware: "LAB-E001".into(),
//!     part: ImagePart::Application,
//!     from: Vec::new(),
//! };
//! let image = head.image(4_096);
//! assert_eq!(image.len(), 4_096);
//! assert_eq!(ImageHead::read(&image), Some(head));
//! assert_eq!(ImageHead::read(b"anything else"), None);
//! # Ok::<(), domain::ParseError>(())
//! ```

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ProfileId;
use crate::operation::ImageHash;

/// Octets in which the head of an image ends at the latest.
pub const HEAD_MAX: usize = 1_024;

/// Octets that an image has where nobody asks for another length.
pub const USUAL_OCTETS: usize = 16_384;

const MAGIC: &str = "S1LAB-IMAGE 1";

/// What an image is for and what it makes of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageHead {
    /// What the device is afterwards.
    pub profile: ProfileId,
    /// The manufacturer of devices that take it, as they report it themselves.
    pub manufacturer: String,
    /// Their model, as they report it themselves.
    pub model: String,
    /// The firmware identifier that the device reports afterwards.
    pub firmware: String,
    /// Which firmware of the device it replaces.
    pub part: ImagePart,
    /// Firmware identifiers from which this one can be reached; empty: from any.
    pub from: Vec<String>,
}

/// Which firmware of a device an image replaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ImagePart {
    /// The one whose identifier is the device's.
    Application,
    /// The one that measures, where it is apart.
    Metrology,
}

impl ImageHead {
    /// An image of so many octets; at least as many as its head takes.
    #[must_use]
    pub fn image(&self, octets: usize) -> Vec<u8> {
        let mut head = format!("{MAGIC}\n");
        // Writing to a text cannot fail.
        let _ = writeln!(head, "profile {}", self.profile);
        let _ = writeln!(head, "manufacturer {}", self.manufacturer);
        let _ = writeln!(head, "model {}", self.model);
        let _ = writeln!(head, "firmware {}", self.firmware);
        if self.part == ImagePart::Metrology {
            head.push_str("part metrology\n");
        }
        for from in &self.from {
            let _ = writeln!(head, "from {from}");
        }
        head.push('\n');
        let mut image = head.into_bytes();
        let seed: [u8; 32] = Sha256::digest(&image).into();
        for block in 0u64.. {
            if image.len() >= octets {
                break;
            }
            let filler = Sha256::new_with_prefix(seed)
                .chain_update(block.to_be_bytes())
                .finalize();
            let rest = octets - image.len();
            image.extend(filler.into_iter().take(rest));
        }
        image
    }

    /// Reads the head of an image, of which the first [`HEAD_MAX`] octets are enough; `None` for one that is none of ours.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let octets = octets.get(..HEAD_MAX).unwrap_or(octets);
        let end = octets.windows(2).position(|pair| pair == b"\n\n")?;
        let text = std::str::from_utf8(octets.get(..end)?).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return None;
        }
        let mut next = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let mut head = Self {
            profile: next("profile")?.parse().ok()?,
            manufacturer: next("manufacturer")?,
            model: next("model")?,
            firmware: next("firmware")?,
            part: ImagePart::Application,
            from: Vec::new(),
        };
        for line in lines {
            match line.split_once(' ')? {
                ("part", "metrology") => head.part = ImagePart::Metrology,
                ("from", firmware) => head.from.push(firmware.to_owned()),
                _ => return None,
            }
        }
        Some(head)
    }
}

/// The SHA-256 of an image.
#[must_use]
pub fn hash(image: &[u8]) -> ImageHash {
    ImageHash(Sha256::digest(image).into())
}

/// A SHA-256 that comes block by block and can be laid aside in between: a device keeps this, not the octets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RollingHash {
    state: [u32; 8],
    octets: u64,
    tail: Vec<u8>,
}

impl Default for RollingHash {
    fn default() -> Self {
        Self {
            // The initial value of the standard (FIPS 180-4, 5.3.3).
            state: [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
            octets: 0,
            tail: Vec::new(),
        }
    }
}

impl RollingHash {
    /// Takes the next octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.octets = self.octets.wrapping_add(octets.len() as u64);
        self.tail.extend_from_slice(octets);
        let (blocks, rest) = self.tail.as_chunks::<BLOCK>();
        sha2::block_api::compress256(&mut self.state, blocks);
        self.tail = rest.to_vec();
    }

    /// The hash of everything taken so far.
    #[must_use]
    pub fn finish(&self) -> ImageHash {
        let mut end = self.clone();
        let bits = self.octets.wrapping_mul(8);
        let mut padding = vec![0x80];
        let filled = (self.tail.len() + 1) % BLOCK;
        let zeros = (2 * BLOCK - 8 - filled) % BLOCK;
        padding.resize(1 + zeros, 0);
        padding.extend_from_slice(&bits.to_be_bytes());
        end.update(&padding);
        let mut out = [0; 32];
        for (place, word) in out.chunks_exact_mut(4).zip(end.state) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        ImageHash(out)
    }
}

const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> ImageHead {
        ImageHead {
            profile: "e470@LAB-L001".parse().expect("a profile"),
            manufacturer: "Landis+Gyr".into(),
            model: "E470".into(),
            firmware: "LAB-L001".into(),
            part: ImagePart::Metrology,
            from: vec!["DCC-ELIG".into(), "BASE".into()],
        }
    }

    #[test]
    fn an_image_says_what_it_is_and_nothing_else_does() {
        let image = head().image(USUAL_OCTETS);
        assert_eq!(ImageHead::read(&image), Some(head()));
        assert_eq!(ImageHead::read(&image[..HEAD_MAX]), Some(head()));
        assert_eq!(image, head().image(USUAL_OCTETS), "the same in every lab");
        assert!(ImageHead::read(&head().image(0)).is_some(), "a head at least");
        for cut in [0, 5, 40, 90] {
            assert_eq!(ImageHead::read(&image[..cut]), None);
        }
        let mut other = image.clone();
        other[12] = b'2';
        assert_eq!(ImageHead::read(&other), None);
    }

    proptest! {
        #[test]
        fn block_by_block_the_hash_is_the_same(octets in prop::collection::vec(any::<u8>(), 0..700), size in 1usize..130) {
            let mut rolling = RollingHash::default();
            for block in octets.chunks(size) {
                rolling.update(block);
            }
            prop_assert_eq!(rolling.finish(), hash(&octets));
        }
    }
}
