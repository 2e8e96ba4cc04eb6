//! Where the time of a migration goes, without timers in what is measured: how often the run did something, times what that
//! costs apart, on messages and records of that very run.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::operation::{DataItem, Operation};
use domain::{Seed, SimInstant};
use duis::ReadError;
use duis::signature::{self, Proof, Scheme, SigningKey};
use lab::{Config, Parts};
use migration::machine::event::Entry;
use migration::machine::journal::Journal;
use proto::{
    DuisDelivery, DuisReply, DuisRequest, Envelope, FileDelivery, Kind, Message, MigrationFileContent,
    MigrationFileKind, S1spAlert, S1spResponse, Sealed,
};
use runs::campaign::{CampaignRun, Traffic};
use tokio::runtime::Builder;
use world::sealed::{OpeningKey, seal};
use world::{LinkName, MemoryStore, Tape, Verdict, World};

use super::chain::session;
use super::house::House;
use super::machine::{Stretch, micros_per_call};

/// The steps, in the order of [`of`].
pub(crate) const STEPS: [&str; 6] = [
    "XML to be signed: read, canonical form, digest",
    "XML that came: read and checked, canonical forms, digests",
    "messages on links: encode, tape and its digest, observer, decode",
    "secrets of groups: seal and open (ECDH P-256, AES-256-GCM)",
    "device exchanges: frames of DLMS ciphered, executed, answered; both ends",
    "campaign's journal: encode, hash, append",
];

const BUDGET: Duration = Duration::from_millis(200);

/// Microseconds that each of [`STEPS`] took in a run, all installations together.
pub(crate) fn of(run: &CampaignRun) -> Result<[f64; STEPS.len()]> {
    let traffic = &run.traffic;
    let [to_sign, came] = xml(traffic)?;
    Ok([
        to_sign,
        came,
        links(traffic)?,
        sealed(traffic, run.signatures.sealed)?,
        frames(traffic)?,
        journal(&run.entries)?,
    ])
}

fn count(traffic: &Traffic, kind: Kind) -> f64 {
    traffic.0.get(&kind).map_or(0.0, |passed| passed.count as f64)
}

/// The sampled bodies of one kind.
fn sample<M: Message + Default>(traffic: &Traffic, kind: Kind) -> Vec<M> {
    let bodies = traffic.0.get(&kind).into_iter().flat_map(|passed| &passed.sample);
    bodies.filter_map(|body| M::decode(body.clone()).ok()).collect()
}

/// Microseconds of some work for one of the texts, on average over them.
fn each<T>(texts: &[T], mut work: impl FnMut(&T)) -> f64 {
    if texts.is_empty() {
        return 0.0;
    }
    micros_per_call(BUDGET, || texts.iter().for_each(&mut work)) / texts.len() as f64
}

/// Both sides of signed XML but for the P-256 operations: a stand-in is in their place.
fn xml(traffic: &Traffic) -> Result<[f64; 2]> {
    let parts = Parts::build(Config::default())?;
    let key = parts.signing_key("the DCC", &parts.pki.dcc)?.with_scheme(Scheme::None);
    let signed = |texts: Vec<Vec<u8>>| signed(&key, &texts);
    let requests = sample::<DuisRequest>(traffic, Kind::DuisRequest);
    let requests = signed(requests.into_iter().map(|sent| sent.xml.to_vec()).collect())?;
    let replies = sample::<DuisReply>(traffic, Kind::DuisReply);
    let replies = signed(replies.into_iter().map(|sent| sent.xml.to_vec()).collect())?;
    let deliveries = sample::<DuisDelivery>(traffic, Kind::DuisDelivery);
    let deliveries = signed(deliveries.into_iter().map(|sent| sent.xml.to_vec()).collect())?;
    let responses = sample::<S1spResponse>(traffic, Kind::S1spResponse);
    let responses = signed(
        responses
            .into_iter()
            .map(|sent| sent.signed_response_xml.to_vec())
            .collect(),
    )?;
    let alerts = sample::<S1spAlert>(traffic, Kind::S1spAlert);
    let alerts = signed(alerts.into_iter().map(|sent| sent.signed_xml.to_vec()).collect())?;

    let sign = |xml: &Vec<u8>| drop(black_box(signature::sign(xml, &key)));
    let proved = |read: Result<Proof, ReadError>| {
        black_box(read.is_ok_and(|proof| proof.verify(key.certificate()).is_ok()));
    };
    let request = |xml: &Vec<u8>| proved(duis::read_request_and_proof(xml).map(|(_, proof)| proof));
    let response = |xml: &Vec<u8>| proved(duis::read_response_and_proof(xml).map(|(_, proof)| proof));
    // The DCC reads what the S1SP signed, the user reads and proves it.
    let twice = |xml: &Vec<u8>| {
        black_box(duis::read_signed_response(xml).is_ok());
        black_box(duis::read_signed_response(xml).is_ok());
        black_box(signature::verify(xml, key.certificate()).is_ok());
    };
    // The DCC, the S1SP and, for critical steps, the DCO read the user's request.
    let readings = [Kind::DuisRequest, Kind::CountersignedRequest, Kind::ApprovalRequest];
    let readings: f64 = readings.iter().map(|kind| count(traffic, *kind)).sum();
    let many = |kind| count(traffic, kind);
    let to_sign = many(Kind::DuisRequest) * each(&requests, sign)
        + many(Kind::DuisReply) * each(&replies, sign)
        + many(Kind::DuisDelivery) * each(&deliveries, sign)
        + many(Kind::S1spResponse) * each(&responses, sign)
        + many(Kind::S1spAlert) * each(&alerts, sign);
    let came = readings * each(&requests, request)
        + many(Kind::DuisReply) * each(&replies, response)
        + many(Kind::DuisDelivery) * each(&deliveries, response)
        + many(Kind::S1spResponse) * each(&responses, twice)
        + many(Kind::S1spAlert) * each(&alerts, twice);
    Ok([to_sign, came])
}

/// The texts signed anew by one key, as the keys of the run went with it.
fn signed(key: &SigningKey, texts: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    texts.iter().map(|xml| Ok(signature::sign(xml, key)?)).collect()
}

fn links(traffic: &Traffic) -> Result<f64> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let world = World {
        tape: Tape::keeping(0),
        ..World::virtual_at(SimInstant(0), Seed::root(1))
    };
    world
        .faults
        .install(|_: &LinkName, _: &Envelope, _: SimInstant| Verdict::Pass);
    let (to, mut from) = world.link("a", "b");
    let mut sum = 0.0;
    for (kind, passed) in &traffic.0 {
        let pass = |body: &_| {
            let body: &[u8] = AsRef::<[u8]>::as_ref(body);
            runtime.block_on(async {
                black_box(to.send(Envelope::default(), *kind, body).await.is_ok());
                black_box(from.recv().await.is_some());
            });
        };
        sum += passed.count as f64 * each(&passed.sample, pass);
    }
    Ok(sum)
}

fn sealed(traffic: &Traffic, count: u64) -> Result<f64> {
    let deliveries = sample::<FileDelivery>(traffic, Kind::FileDelivery);
    let files = deliveries
        .into_iter()
        .filter_map(|delivery| delivery.set)
        .flat_map(|set| set.files);
    let contents = files.filter_map(|file| MigrationFileContent::decode(file.signed).ok());
    let encrypted = contents.filter(|content| content.kind() == MigrationFileKind::GroupEncrypted);
    let texts: Vec<Sealed> = encrypted
        .filter_map(|content| Sealed::decode(content.payload).ok())
        .collect();
    let key = OpeningKey::generate()?;
    let one = each(&texts, |text| {
        let again = seal(&text.ciphertext, &key.public_key(), b"header");
        black_box(again.and_then(|again| key.open(&again, b"header")).is_ok());
    });
    Ok(count as f64 * one)
}

/// A frame of a connection in which a meter is read; each frame passes two links.
fn frames(traffic: &Traffic) -> Result<f64> {
    let mut house = House::new()?;
    let mut custody = house.custody();
    let items = [
        DataItem::Clock,
        DataItem::ActiveImport,
        DataItem::SupplyState,
        DataItem::ActiveImport,
    ];
    let reads: Vec<(Operation, bool)> = items.map(|item| (Operation::Read(item), false)).into();
    let frames = session(&mut house, &mut custody, &reads, &mut 0)?;
    let one = micros_per_call(BUDGET, || {
        drop(black_box(session(&mut house, &mut custody, &reads, &mut 0)));
    });
    Ok(count(traffic, Kind::WanData) / 2.0 * one / f64::from(frames))
}

fn journal(entries: &[Entry]) -> Result<f64> {
    let mut journal = Journal::open(Box::new(MemoryStore::default()), &mut |_, _| {}).context("an empty journal")?;
    let stretch = Stretch::begin();
    for entry in entries {
        journal.append(entry)?;
    }
    journal.commit()?;
    Ok(stretch.seconds() * 1e6)
}
