//! A campaign inside one world: the chain, the two parties, and the control centre's desk with them.

use std::sync::Arc;

use lab::{Lab, Parts};
use migration::centre::Desk;
use migration::faults::{Rule, Target};
use migration::invariants::Observations;
use migration::machine::model::Facts;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::worlds::{WorldContext, world_of};

use super::file::CampaignFile;
use super::observer::{Observer, Signatures, Traffic};
use super::parties::{Eligible, Parties, PartiesOptions};
use super::regression::{self, Regression};
use super::shared::Shared;
use super::{CampaignError, truth};

/// What one world leaves.
pub(super) struct End {
    pub(super) observations: Observations,
    pub(super) signatures: Signatures,
    pub(super) traffic: Traffic,
    pub(super) regression: Regression,
}

/// Works until the control centre takes no more turns, then looks at what is so.
pub(super) async fn campaign(
    context: WorldContext,
    file: &CampaignFile,
    parts: &Arc<Parts>,
    lists: &Arc<Eligible>,
    all: &[Facts],
    shared: &Shared,
    after_kill: bool,
) -> Result<End, CampaignError> {
    let world = context.world.clone();
    let here = |facts: &&Facts| world_of(facts.hub, context.worlds) == world.number;
    let own: Vec<&Facts> = all.iter().filter(here).collect();
    let observer = Observer::new(after_kill);
    world.faults.install(observer.hook());
    for rule in &file.faults {
        let about = own.iter().filter(|facts| rule.is_about(&world.seed, facts));
        let targets: Vec<_> = about.map(|facts| (facts.id, Target::of(facts))).collect();
        if let Some(rule) = Rule::new(rule.clone(), targets) {
            world.faults.install(rule);
        }
    }
    let mut lab = Lab::start_in(world.clone(), Arc::clone(parts))?;
    let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
    let options = PartiesOptions {
        settings: Arc::new(file.settings.clone()),
        lists: Arc::clone(lists) as _,
        faults: &file.faults,
        installations: &own,
    };
    let parties = Parties::start(&mut lab, options, &mut tasks, &shutdown)?;
    let mut desk = Desk::new(&world, parties.answer_centre(&world, &mut tasks, &shutdown));
    while shared.runs() {
        tokio::select! {
            biased;
            reports = desk.reported() => shared.reported(world.number, world.clock.now(), reports),
            () = context.exchange.exchanged() => {
                shared.errands(world.number).into_iter().for_each(|errand| desk.send(errand));
            }
        }
    }
    drop(desk);
    let mut seen = observer.take();
    let (signatures, traffic) = (seen.signatures, std::mem::take(&mut seen.traffic));
    let (mut observations, mut found) = (Observations::default(), Regression::default());
    if let Some(campaign) = shared.campaign() {
        observations = truth::observe(&lab, &campaign, seen, (&parties.rp, &parties.cp)).await;
        if file.regression {
            found = regression::of_world(&lab, &campaign).await;
        }
    }
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    lab.stop().await;
    Ok(End {
        observations,
        signatures,
        traffic,
        regression: found,
    })
}
