//! What is so at the end of a campaign, beside what the journal says: inventory and devices, accounts and supply, files that
//! come again, secrets where they must not be.

use domain::{DataItem, Operation};
use lab::{Lab, Parts};
use migration::invariants::{InventoryRow, Observations, ReadingPair, SupplyPair, exposures};
use migration::machine::state::State;
use migration::machine::{Campaign, model::Installation};
use migration::party::{Cp, Rp};

use super::observer::Seen;

/// What a migration must leave alone in a meter in credit mode: nobody pays, owes or is lent anything meanwhile.
const ACCOUNT: [DataItem; 6] = [
    DataItem::MeterBalance,
    DataItem::EmergencyCreditBalance,
    DataItem::AccumulatedDebt,
    DataItem::TimeDebt(1),
    DataItem::TimeDebt(2),
    DataItem::PaymentDebt,
];

/// Gathers the evidence. `journal` is everything of the journal and the reports that somebody may read.
pub(super) async fn observe(
    lab: &Lab,
    campaign: &Campaign,
    seen: Seen,
    parties: (&Rp, &Cp),
    journal: &[u8],
    twin: Option<[u8; 32]>,
) -> Observations {
    let confirmed: Vec<&Installation> = campaign
        .installations()
        .filter(|known| {
            matches!(
                known.state,
                State::Confirmed | State::Migrated | State::PartiallyMigrated
            )
        })
        .collect();
    let (readings, supply) = accounts(lab, &confirmed, &seen).await;
    Observations {
        exposed: Some(exposed(lab.parts(), journal, &seen.readable)),
        inventory: Some(inventory(lab, &confirmed).await),
        replayed: Some(replayed(&seen, parties).await),
        readings: Some(readings),
        supply: Some(supply),
        removed: Some(seen.removed),
        executed: Some(seen.executed),
        twin,
    }
}

async fn inventory(lab: &Lab, confirmed: &[&Installation]) -> Vec<InventoryRow> {
    let Some(fleet) = lab.fleet() else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for known in confirmed {
        let devices = lab.inventory_behind(known.facts.hub).await;
        for (facts, _) in known.keyed() {
            let Some(device) = devices.iter().find(|device| device.id == facts.id) else {
                continue;
            };
            let status = fleet.status(facts.id).await.ok();
            // A gas meter sleeps; what it runs follows from its profile.
            let asleep = status
                .as_ref()
                .and_then(|status| lab.parts().catalogue.profile(&status.device.profile));
            let firmware = match fleet
                .true_read(facts.id, Operation::Read(DataItem::FirmwareVersion))
                .await
            {
                Ok(Ok(domain::Answer::Value(domain::Value::Text(text)))) => text,
                _ => asleep
                    .map(|profile| profile.native_firmware.clone())
                    .unwrap_or_default(),
            };
            // The device says its own identifier; the inventory has the catalogue's name of it.
            let profile = lab
                .parts()
                .catalogue
                .profiles()
                .find(|profile| profile.native_firmware == firmware && profile.model.model == device.model.model);
            rows.push(InventoryRow {
                installation: known.id(),
                device: facts.id,
                status: device.status.map(|status| status.to_string()).unwrap_or_default(),
                firmware: device.model.firmware.clone(),
                true_firmware: profile.map_or(firmware, |profile| profile.model.firmware.clone()),
                with_dcc: status.is_some_and(|status| status.party != domain::keys::Party::Smso),
            });
        }
    }
    rows
}

async fn accounts(lab: &Lab, confirmed: &[&Installation], seen: &Seen) -> (Vec<ReadingPair>, Vec<SupplyPair>) {
    let (mut readings, mut supply) = (Vec::new(), Vec::new());
    let Some(fleet) = lab.fleet() else {
        return (readings, supply);
    };
    for known in confirmed {
        let credit = !known.facts.prepayment();
        for (facts, _) in known.keyed() {
            let Some(before) = seen.snapshots.get(&facts.id.0) else {
                continue;
            };
            let value = |item: DataItem| {
                let read = before.readings.iter().find(|read| read.item == item.to_string())?;
                read.quantity.as_ref().map(|quantity| quantity.value)
            };
            if let (Some(before), Ok(truth)) = (value(DataItem::SupplyState), fleet.truth(facts.id).await)
                && let Some(state) = truth.supply
            {
                let words = ["disabled", "armed", "enabled"];
                let before = usize::try_from(before)
                    .ok()
                    .and_then(|at| words.get(at))
                    .unwrap_or(&"unknown");
                supply.push(SupplyPair {
                    device: facts.id,
                    before: (*before).to_owned(),
                    after: format!("{state:?}").to_lowercase(),
                });
            }
            // Of a prepayment meter only the device knows what was used up meanwhile.
            for item in ACCOUNT.into_iter().filter(|_| credit) {
                let (Some(before), Ok(Ok(domain::Answer::Value(domain::Value::Quantity(after))))) =
                    (value(item), fleet.true_read(facts.id, Operation::Read(item)).await)
                else {
                    continue;
                };
                readings.push(ReadingPair {
                    device: facts.id,
                    item: item.to_string(),
                    before,
                    after: after.value,
                    used: 0,
                });
            }
        }
    }
    (readings, supply)
}

/// Sends the first file sets again, as somebody would who has captured them.
async fn replayed(seen: &Seen, (rp, cp): (&Rp, &Cp)) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for ((from, to), sets) in &seen.sets {
        for delivery in sets {
            let name = format!("{from} to {to}: {}", delivery.reference);
            let again = match from.as_str() {
                "rp" => rp.send_again(delivery).await,
                _ => cp.send_again(to, delivery).await,
            };
            // No answer is no effect.
            all.push((name, again.is_some_and(|answer| answer.accepted)));
        }
    }
    all
}

/// Secrets of this lab in what others can read.
fn exposed(parts: &Parts, journal: &[u8], readable: &[u8]) -> Vec<String> {
    let relations = parts.custody.relations();
    let secrets: Vec<Vec<u8>> = [&relations.smso, &relations.s1sp, &relations.dco]
        .into_iter()
        .flat_map(|relation| relation.expose().as_chunks::<16>().0.iter().map(|half| half.to_vec()))
        .collect();
    let mut found = exposures("the journal and the reports", journal, &secrets);
    found.extend(exposures("a file for the commissioning party", readable, &secrets));
    found
}
