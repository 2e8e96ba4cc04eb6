//! The tree of seeds: one root per run, a child per thing, so that adding a device does not change the others.

use rand::SeedableRng;
pub use rand::rngs::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A node of the seed tree. Not a secret: keys come from [`crate::keys`], never from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root seed of a run.
    #[must_use]
    pub fn root(number: u64) -> Self {
        Self(hash(&[b"s1lab root seed", &number.to_be_bytes()]))
    }

    /// The child with this label; equal labels give equal children.
    #[must_use]
    pub fn child(&self, label: impl AsRef<[u8]>) -> Self {
        Self(hash(&[b"child", &self.0, label.as_ref()]))
    }

    /// The generator of this node: ChaCha8, which is the same on every platform and release.
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }

    /// The first eight octets as a number, for ids and for cheap per-interval draws.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from_be_bytes([
            self.0[0], self.0[1], self.0[2], self.0[3], self.0[4], self.0[5], self.0[6], self.0[7],
        ])
    }

    /// The 32 octets.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A well-mixed 64-bit value of a number and an index: what a load model draws for one interval without state.
///
/// SplitMix64's finaliser; not for secrets.
#[must_use]
pub fn mix(number: u64, index: u64) -> u64 {
    let mut z = number.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn children_are_apart_and_repeatable() {
        let root = Seed::root(7);
        assert_eq!(root.child("a"), Seed::root(7).child("a"));
        assert_ne!(root.child("a"), root.child("b"));
        assert_ne!(root.child("a").child("b"), root.child("ab"));
        assert_eq!(root.rng().next_u64(), root.rng().next_u64());
    }
}
