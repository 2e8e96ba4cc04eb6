//! Readings that a hub sends by itself, where its profile has it do so.

use dialects::Notification;
use domain::seed::mix;
use domain::{Access, Answer, Association, DataItem, DeviceKind, Execution, LogRow, Operation, SimInstant, Value};

use crate::hub::Hub;

/// What is read of which device.
const WHAT: [(DeviceKind, DataItem); 3] = [
    (DeviceKind::Esme, DataItem::ActiveImport),
    (DeviceKind::Esme, DataItem::ActiveExport),
    (DeviceKind::Gpf, DataItem::GasConsumption),
];

/// Sets the moment within the period apart from other things drawn for a hub.
const LABEL: u64 = 0x7265_6164_696e_6773;

impl Hub {
    /// The next moment after `now` at which readings are sent: each hub has its own within the period.
    pub(crate) fn readings_after(&self, now: SimInstant) -> SimInstant {
        let Ok(period) = i64::try_from(self.kit.chf.face.readings_every.as_millis()) else {
            return SimInstant(i64::MAX);
        };
        if period == 0 {
            return SimInstant(i64::MAX);
        }
        let own = i64::try_from(mix(self.eui().0 ^ LABEL, 0) % period.unsigned_abs()).unwrap_or(0);
        let begun = (now.0 - own).div_euclid(period);
        SimInstant((begun + 1) * period + own)
    }

    /// Sends the readings that are due.
    pub(crate) fn send_readings(&mut self, now: SimInstant) {
        self.next_readings = self.readings_after(now);
        if !self.installation.powered() || self.asleep() {
            return;
        }
        for slot in [DeviceKind::Esme, DeviceKind::Gpf] {
            if self.installation.device(slot).is_none() {
                continue;
            }
            let party = self.installation.active_party(slot);
            let access = Access {
                association: Association::Management,
                party: Some(party),
            };
            let mut row = LogRow {
                at: now,
                values: Vec::new(),
                code: None,
            };
            for (_, item) in WHAT.into_iter().filter(|(of, _)| *of == slot) {
                let (installation, context) = self.parts(now);
                let read = installation.execute(&context, slot, access, &Operation::Read(item), None);
                if let Execution::Finished(Ok(Answer::Value(Value::Quantity(quantity)))) = read {
                    row.values.push((item, quantity));
                }
            }
            if !row.values.is_empty() {
                self.tell_or_keep(now, party, Notification::Readings { slot, row });
            }
        }
    }
}
