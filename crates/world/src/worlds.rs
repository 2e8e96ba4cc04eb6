//! Runs of several worlds.

use domain::Eui64;
use domain::seed::mix;

/// The world, of `worlds`, that the installation of this hub belongs to: the same on every machine and in every run.
#[must_use]
pub fn world_of(hub: Eui64, worlds: u32) -> u32 {
    u32::try_from(mix(hub.0, 0x5731) % u64::from(worlds.max(1))).unwrap_or(0)
}
