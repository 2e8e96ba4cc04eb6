//! The SMSO role: a supplier's command in, one outcome out, over its own keys.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use dmc::Catalogue;
use domain::keys::Party;
use domain::{Answer, DataItem, Eui64, Operation, Seed, SimDuration, SimInstant, Value};
use head_end::{Models, Smso, SmsoLinks, SmsoOptions, SmsoStores};
use proto::{Envelope, Kind, Message, SmsoCommand, SmsoOutcome};
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, MemoryStore, World, semantic};

use house::{ESME, GSME, HUB, House, Shared};

fn command(reference: &str, device: Eui64, operation: &Operation) -> Vec<u8> {
    let operation = Some(semantic::operation_to_proto(operation));
    SmsoCommand {
        reference: reference.into(),
        device: device.0,
        operation,
    }
    .encode_to_vec()
}

async fn outcome(supplier: &mut LinkEnd) -> SmsoOutcome {
    let envelope = supplier.recv().await.unwrap();
    assert_eq!(envelope.kind(), Kind::SmsoOutcome);
    SmsoOutcome::decode(envelope.body).unwrap()
}

#[test]
fn commands_get_one_outcome_each_and_a_repeated_one_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::virtual_at(SimInstant(0), Seed::root(1));
        let (mut supplier, smso_end) = world.link("supplier", "smso");
        let (wan, house) = world.link("smso", "wan");
        let script = Shared::default();
        let models = Models::new(Arc::new(Catalogue::builtin().unwrap()));
        let options = SmsoOptions::new(house::custody(Party::Smso), house::directory(), models);
        options.files.put(HUB, head_end::OnFile::default(), [GSME]);
        let links = SmsoLinks {
            supplier: smso_end,
            rp: None,
            wan,
        };
        let stores = SmsoStores {
            engine: Box::new(MemoryStore::default()),
            books: Box::new(MemoryStore::default()),
        };
        let smso = Smso::new(world.clone(), links, options, stores).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(smso.run(stop.clone()));
        tokio::spawn(House::new(&world, "smso", Party::Smso, house, script.clone()).run());

        let read = command("a", ESME, &Operation::Read(DataItem::ActiveImport));
        for body in [read.as_slice(), &read, b"\xff"] {
            supplier
                .send(Envelope::default(), Kind::SmsoCommand, body)
                .await
                .unwrap();
        }
        let first = outcome(&mut supplier).await;
        let answer = semantic::outcome_from_proto(first.outcome.as_ref().unwrap()).unwrap();
        assert!(matches!(answer, Ok(Answer::Value(Value::Quantity(_)))), "{answer:?}");
        supplier
            .send(Envelope::default(), Kind::SmsoCommand, &read)
            .await
            .unwrap();
        assert_eq!(outcome(&mut supplier).await, first);
        assert_eq!(script.lock().executed.len(), 1);
        assert_eq!(script.lock().executed[0].1.party, Some(Party::Smso));

        let unknown = command("b", Eui64(99), &Operation::DisableSupply);
        supplier
            .send(Envelope::default(), Kind::SmsoCommand, &unknown)
            .await
            .unwrap();
        let refused = outcome(&mut supplier).await;
        assert!(
            refused.outcome.is_none() && refused.failure.contains("unknown to the smso"),
            "{refused:?}"
        );
        // Nobody has a contract for the gas meter: the device is not even asked.
        let dormant = command("c", GSME, &Operation::Read(DataItem::GasConsumption));
        supplier
            .send(Envelope::default(), Kind::SmsoCommand, &dormant)
            .await
            .unwrap();
        let refused = outcome(&mut supplier).await;
        assert!(
            refused.outcome.is_none() && refused.failure.contains("is dormant"),
            "{refused:?}"
        );
        assert_eq!(script.lock().executed.len(), 1);
        world.clock.sleep(SimDuration::from_mins(1)).await;
        stop.cancel();
        running.await.unwrap();
    });
}
