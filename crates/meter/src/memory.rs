//! What an installation takes in memory, added up from its parts.

use domain::RequestId;

use crate::device::Device;
use crate::gas::{Gas, Report};
use crate::han::{Command, HanResult, Held};
use crate::image::Images;
use crate::installation::Installation;
use crate::logs::Entries;
use crate::meter::Meter;
use crate::metering::Gaps;
use crate::prepayment::Account;
use crate::security::{Client, Epoch};

impl Installation {
    /// Octets this installation takes: inline and on the heap, without what an allocator adds and without what it
    /// shares with others (tariffs). Results and approvals under way are counted by their fixed size.
    #[must_use]
    pub fn memory(&self) -> usize {
        let gas = self.gas.as_ref().map_or(0, |gas| size_of::<Gas>() + gas_heap(gas));
        let han = self.membership.as_ref().map_or(0, |kept| {
            size_of_val(&**kept)
                + 16 * (kept.guests.capacity() + kept.joins.capacity())
                + 8 * kept.out.capacity()
                + 16 * kept.parted.capacity()
        });
        let displays = self.displays.as_ref().map_or(0, |displays| {
            let heap: usize = displays
                .all()
                .map(|display| device_heap(&display.device) + display.heap())
                .sum();
            size_of_val(&**displays) + heap + displays.for_gas.capacity() * size_of::<crate::DisplayAct>()
        });
        displays + han + size_of::<Self>() + device_heap(&self.chf) + meter_heap(&self.esme) + self.effects.heap() + gas
    }
}

fn gas_heap(gas: &Gas) -> usize {
    let report = |report: &Report| report.account.as_ref().map_or(0, |_| size_of::<Account>());
    let pending = gas
        .pending
        .as_ref()
        .map_or(0, |pending| size_of_val(&**pending) + report(&pending.1));
    let held = gas.queue.held.as_ref().map_or(0, |held| {
        size_of::<Held>()
            + held.commands.capacity() * size_of::<Command>()
            + held.results.capacity() * size_of::<HanResult>()
            + held.refused.capacity() * size_of::<RequestId>()
    });
    meter_heap(&gas.gsme) + device_heap(&gas.gpf) + report(&gas.mirror) + pending + held + gas.alerts.heap()
}

fn meter_heap(meter: &Meter) -> usize {
    let gaps = meter.metering.gaps.as_ref().map_or(0, |gaps| {
        size_of::<Gaps>() + gaps.closed.capacity() * 16 + gaps.folded.capacity() * size_of::<i64>()
    });
    let regimes = meter.metering.regimes.as_ref().map_or(0, |regimes| regimes.octets());
    let changed = meter.changed.as_ref().map_or(0, |changed| changed.octets());
    let history = meter.history.as_ref().map_or(0, |history| history.octets());
    device_heap(&meter.device) + size_of::<Account>() + gaps + regimes + changed + history
}

fn device_heap(device: &Device) -> usize {
    let logs = device.logs.0.as_ref().map_or(0, |entries| {
        size_of::<Entries>() + (entries.event.capacity() + entries.security.capacity() + entries.power.capacity()) * 16
    });
    let security = &device.security;
    let staged = security.staged.as_deref();
    let staged = staged.map_or(0, |staged| {
        size_of::<Epoch>() + staged.clients.len() * size_of::<Client>()
    });
    let images = device.logs.images().map_or(0, Images::octets);
    let witness = security.accepted.octets();
    logs + images + staged + witness + security.active.clients.len() * size_of::<Client>()
}
