//! What is so at the end of a campaign, beside what the journal says: inventory and devices, accounts and supply, files that
//! come again, secrets where they must not be.

use domain::operation::SupplyState;
use domain::{DataItem, Eui64, Operation};
use lab::{Lab, Parts};
use migration::invariants::{Accepted, InventoryRow, LetThrough, Observations, ReadingPair, SupplyPair, exposures};
use migration::machine::state::State;
use migration::machine::{Campaign, model::Installation};
use migration::party::{Cp, Rp};
use world::worlds::world_of;
use world::{Store, StoreError};

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

/// What one world shows at the end of a campaign.
pub(super) async fn observe(lab: &Lab, campaign: &Campaign, seen: Seen, parties: (&Rp, &Cp)) -> Observations {
    let (world, worlds) = (lab.world().number, lab.parts().config.worlds.count);
    let confirmed: Vec<&Installation> = campaign
        .installations()
        .filter(|known| {
            world_of(known.facts.hub, worlds) == world
                && matches!(
                    known.state,
                    State::Confirmed | State::Migrated | State::PartiallyMigrated
                )
        })
        .collect();
    let (readings, supply) = accounts(lab, &confirmed, &seen).await;
    let secrets = secrets(lab.parts());
    Observations {
        exposed: Some(exposures(
            "a file for the commissioning party",
            &seen.readable,
            &secrets,
        )),
        inventory: Some(inventory(lab, &confirmed).await),
        replayed: Some(replayed(&seen, parties).await),
        readings: Some(readings),
        supply: Some(supply),
        removed: Some(seen.removed),
        executed: Some(seen.executed),
        accepted: Some(accepted(lab, campaign).await),
        twin: None,
    }
}

/// What several worlds showed, as one.
pub(super) fn together(all: impl IntoIterator<Item = Observations>) -> Observations {
    fn join<T>(into: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
        match (into.as_mut(), more) {
            (Some(known), Some(more)) => known.extend(more),
            (Some(_), None) => {}
            (None, more) => *into = more,
        }
    }
    let mut whole = Observations::default();
    for one in all {
        join(&mut whole.executed, one.executed);
        join(&mut whole.accepted, one.accepted);
        join(&mut whole.exposed, one.exposed);
        join(&mut whole.inventory, one.inventory);
        join(&mut whole.removed, one.removed);
        join(&mut whole.readings, one.readings);
        join(&mut whole.supply, one.supply);
        join(&mut whole.replayed, one.replayed);
    }
    if let Some(executed) = &mut whole.executed {
        executed.sort_by_key(|command| (command.at, command.device));
    }
    whole
}

/// Secrets of this lab in the campaign's journal.
pub(super) fn exposed_in_journal(parts: &Parts, store: &dyn Store) -> Result<Vec<String>, StoreError> {
    /// Octets searched at once.
    const PIECE: usize = 1 << 20;
    let secrets = secrets(parts);
    let (mut piece, mut found) = (Vec::with_capacity(PIECE), std::collections::BTreeSet::new());
    let mut search = |piece: &mut Vec<u8>| {
        found.extend(exposures("the journal", piece, &secrets));
        piece.clear();
    };
    store.replay(&mut |record| {
        piece.extend_from_slice(record);
        if piece.len() >= PIECE {
            search(&mut piece);
        }
    })?;
    search(&mut piece);
    Ok(found.into_iter().collect())
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

/// Whom every device of the campaign let change it, as it remembers itself.
async fn accepted(lab: &Lab, campaign: &Campaign) -> Vec<Accepted> {
    let Some(fleet) = lab.fleet() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let (world, worlds) = (lab.world().number, lab.parts().config.worlds.count);
    let here = campaign
        .installations()
        .filter(|known| world_of(known.facts.hub, worlds) == world);
    for facts in here.flat_map(|known| &known.facts.devices) {
        let Ok(truth) = fleet.truth(facts.id).await else {
            continue;
        };
        let of = |smso: bool| {
            let mut spans = truth.accepted.iter();
            spans.find(|span| (span.party == domain::keys::Party::Smso) == smso)
        };
        let at_epoch = |at, epoch| LetThrough { at, epoch };
        all.push(Accepted {
            device: facts.id,
            last_of_smso: of(true).map(|span| at_epoch(span.last.at, span.last.epoch)),
            first_of_dcc: of(false).map(|span| at_epoch(span.first.at, span.first.epoch)),
        });
    }
    all
}

/// Whether a meter has no credit left.
async fn ran_out(fleet: &fleet::Handle, meter: Eui64) -> bool {
    let mut values = [0; 2];
    for (value, item) in values
        .iter_mut()
        .zip([DataItem::MeterBalance, DataItem::DisablementThreshold])
    {
        match fleet.true_read(meter, Operation::Read(item)).await {
            Ok(Ok(domain::Answer::Value(domain::Value::Quantity(read)))) => *value = read.value,
            _ => return false,
        }
    }
    values[0] <= values[1]
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
            // Nobody buys credit in a campaign: a meter that used up what it had disables supply by itself.
            let ran_out = !credit && ran_out(&fleet, facts.id).await;
            if let (Some(before), Ok(truth)) = (value(DataItem::SupplyState), fleet.truth(facts.id).await)
                && let Some(state) = truth.supply
                && !(ran_out && state == SupplyState::Disabled)
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

/// Secrets of this lab, in halves: as they are used.
fn secrets(parts: &Parts) -> Vec<Vec<u8>> {
    let relations = parts.custody.relations();
    [&relations.smso, &relations.s1sp, &relations.dco]
        .into_iter()
        .flat_map(|relation| relation.expose().as_chunks::<16>().0.iter().map(|half| half.to_vec()))
        .collect()
}
