//! What a bearer does to messages: numbers, and draws from the seed.

use domain::seed::mix;
use domain::{Eui64, Seed, SimDuration};

/// A delay between its shortest and its longest, evenly spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Shortest.
    pub min: SimDuration,
    /// Longest.
    pub max: SimDuration,
}

impl Spread {
    /// From milliseconds; the longest is at least the shortest.
    #[must_use]
    pub const fn from_millis(min: u64, max: u64) -> Self {
        let max = if max < min { min } else { max };
        Self {
            min: SimDuration::from_millis(min),
            max: SimDuration::from_millis(max),
        }
    }

    fn at(self, draw: u64) -> SimDuration {
        let width = self.max.0.saturating_sub(self.min.0).saturating_add(1);
        SimDuration(self.min.0 + draw % width)
    }
}

/// One mobile bearer. All figures are ours (invented): no measured figures of the real ones are public.
///
/// Chances are in parts per million. Latencies follow the latency scale of the lab's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bearer {
    /// One way through the network, for connection octets.
    pub latency: Spread,
    /// Chance that a piece of a connection is lost on the air and sent again.
    pub loss_ppm: u32,
    /// Wait before the first repetition; doubles with each further one.
    pub repeat_after: SimDuration,
    /// Repetitions after which the connection is given up and both sides see it closed.
    pub repeats_max: u32,
    /// Octets per second and direction of one hub; none: no limit.
    pub rate: Option<u32>,
    /// From the hub's wish to connect to the head-end seeing the connection, besides the latency: network attach and
    /// connection set-up.
    pub attach: Spread,
    /// Time a text message is under way.
    pub sms_delay: Spread,
    /// Chance that a text message is lost.
    pub sms_loss_ppm: u32,
    /// Chance that a text message arrives twice, the second time after another delay.
    pub sms_duplication_ppm: u32,
}

impl Bearer {
    /// Without delay, loss and limit: for tests of what is above the WAN.
    #[must_use]
    pub const fn ideal() -> Self {
        let none = Spread::from_millis(0, 0);
        Self {
            latency: none,
            loss_ppm: 0,
            repeat_after: SimDuration::from_secs(1),
            repeats_max: 5,
            rate: None,
            attach: none,
            sms_delay: none,
            sms_loss_ppm: 0,
            sms_duplication_ppm: 0,
        }
    }
}

impl Default for Bearer {
    /// A working 2G data bearer in ordinary conditions.
    fn default() -> Self {
        Self {
            latency: Spread::from_millis(150, 400),
            loss_ppm: 5_000,
            repeat_after: SimDuration::from_secs(1),
            repeats_max: 5,
            rate: Some(4_000),
            attach: Spread::from_millis(500, 2_000),
            sms_delay: Spread::from_millis(3_000, 12_000),
            sms_loss_ppm: 1_000,
            sms_duplication_ppm: 500,
        }
    }
}

/// The draws of one hub: the same for the same seed and hub, whatever other hubs do.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    number: u64,
    index: u64,
}

impl Draws {
    pub(crate) fn new(seed: &Seed, hub: u64) -> Self {
        Self {
            number: seed.child("wan").child(Eui64(hub).to_bytes()).number(),
            index: 0,
        }
    }

    pub(crate) fn spread(&mut self, spread: Spread) -> SimDuration {
        spread.at(self.next())
    }

    pub(crate) fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.next() % 1_000_000 < u64::from(ppm)
    }

    fn next(&mut self) -> u64 {
        self.index += 1;
        mix(self.number, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_the_spread_and_repeat() {
        let spread = Spread::from_millis(10, 12);
        let draw = |hub| {
            let mut draws = Draws::new(&Seed::root(1), hub);
            (0..50).map(|_| draws.spread(spread).0).collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|ms| (10..=12).contains(ms)) && draw(1).contains(&10) && draw(1).contains(&12));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut draws = Draws::new(&Seed::root(1), 1);
        assert!((0..100).all(|_| !draws.chance(0)) && (0..100).all(|_| draws.chance(1_000_000)));
    }
}
