//! Where a profile makes an answer a matter of time, the pack waits: for a device to be done with what changed it, for a
//! gas meter to be about to wake, and for one that is busy now and then to have time.

use std::collections::BTreeMap;

use domain::{DeviceKind, Eui64, Refusal, SimDuration, SimInstant};
use fleet::SiteDevice;
use lab::Lab;
use users::{Client, ClientError, Exchange, Order, orders};

use super::expect::Ground;
use super::installation::failure_words;
use super::{REQUEST_LIMIT, installation};

/// What is known of the times of an installation's devices.
#[derive(Default)]
pub(crate) struct Timing {
    /// When a device was last changed, at the latest.
    changed: BTreeMap<Eui64, SimInstant>,
    /// A moment at which the gas meter was awake.
    woke: Option<SimInstant>,
}

impl Timing {
    /// Waits until `device` can be asked for something.
    pub(crate) async fn wait_for(&mut self, lab: &Lab, ground: &Ground<'_>, device: &SiteDevice) {
        let clock = &lab.world().clock;
        let busy = ground
            .profile(device.kind)
            .map_or(SimDuration::ZERO, |profile| profile.meter.timing.busy_after_write);
        if let Some(changed) = self.changed.get(&device.device).filter(|_| busy > SimDuration::ZERO) {
            clock.sleep_until(*changed + busy + A_LITTLE).await;
        }
        if device.kind == DeviceKind::Gsme
            && let Some((period, patience)) = impatient(ground)
        {
            if self.woke.is_none() {
                self.learn(lab, device).await;
            }
            if let Some(woke) = self.woke {
                // In the middle of the time before a wake in which the hub still has its patience.
                let half = SimDuration::from_millis(patience.as_millis() / 2);
                let mut at = woke + period - half;
                while at < clock.now() {
                    at += period;
                }
                clock.sleep_until(at).await;
            }
        }
    }

    /// Takes note of what became of a request to `device`.
    pub(crate) fn note(&mut self, device: &SiteDevice, now: SimInstant, changes: bool) {
        if changes {
            self.changed.insert(device.device, now);
        }
    }

    /// Asks the gas meter for something to learn when it wakes: whatever comes of it comes with a wake.
    async fn learn(&mut self, lab: &Lab, device: &SiteDevice) {
        let order = orders::read_firmware_version(device.device);
        if let Some(client) = installation::sender(lab, device, &order)
            && client.request(&order, REQUEST_LIMIT).await.is_ok()
        {
            self.woke = Some(lab.world().clock.now());
        }
    }
}

/// How often the gas meter wakes and how long the hub keeps its commands, where it gives them up before every wake was due.
fn impatient(ground: &Ground<'_>) -> Option<(SimDuration, SimDuration)> {
    let period = ground.profile(DeviceKind::Gsme)?.meter.wake_period;
    let patience = ground.profile(DeviceKind::Chf)?.meter.han_queue_lifetime;
    (patience < period).then_some((period, patience))
}

/// Sends an order; where the device's profile has it busy by chance, again while it says that it is. Gives also how often
/// it was sent.
pub(crate) async fn send(
    lab: &Lab,
    ground: &Ground<'_>,
    device: &SiteDevice,
    client: &Client,
    order: &Order,
) -> (Result<Exchange, ClientError>, u32) {
    let by_chance = ground
        .profile(device.kind)
        .is_some_and(|profile| profile.meter.timing.busy_permille > 0);
    let mut sent = 1;
    loop {
        let result = client.request(order, REQUEST_LIMIT).await;
        let busy = by_chance && sent < SENT_MAX && result.as_ref().is_ok_and(is_busy);
        if !busy {
            return (result, sent);
        }
        sent += 1;
        lab.world().clock.sleep(BUSY_PAUSE).await;
    }
}

fn is_busy(exchange: &Exchange) -> bool {
    failure_words(exchange).is_some_and(|words| words.ends_with(&Refusal::Busy.to_string()))
}

/// Times an order is sent to a device that is busy by chance: one in twenty is not busy ten times in a row.
const SENT_MAX: u32 = 10;
const BUSY_PAUSE: SimDuration = SimDuration::from_mins(1);
/// More than the way to a device takes.
const A_LITTLE: SimDuration = SimDuration::from_secs(1);
