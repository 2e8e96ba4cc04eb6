//! A device that has come back with another firmware is what it became, also after the fleet was started again.

#![expect(clippy::unwrap_used, reason = "a test stops where something is missing")]

use dmc::Catalogue;
use domain::image::{self, ImageHead};
use domain::keys::RelationSecret;
use domain::operation::{CriticalOperations, ImageState, Octets};
use domain::{
    Answer, DataItem, DeviceKind, Eui64, Execution, Operation, Outcome, Seed, SimDuration, SimInstant, Value,
};
use fleet::{Estate, Fleet, Handle, Share};
use meter::Relations;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::{LinkEnd, MemoryStore, World};

struct House {
    world: World,
    journal: MemoryStore,
    handle: Handle,
    running: JoinHandle<()>,
    _wan: LinkEnd,
}

fn start(world: &World, journal: &MemoryStore) -> (Handle, JoinHandle<()>, LinkEnd) {
    let (wan, end) = world.link("wan", "fleet");
    let secret = |octet| RelationSecret::new([octet; 32]);
    let relations = Relations {
        smso: secret(1),
        s1sp: secret(2),
        dco: secret(3),
    };
    let (estate, catalogue) = (Estate::builtin("sit").unwrap(), Catalogue::builtin().unwrap());
    let critical = CriticalOperations::default();
    let built = Fleet::new(world, end, &estate, Share::WHOLE, &catalogue, relations, critical);
    let (fleet, handle) = built.unwrap();
    let fleet = fleet.with_journal(Box::new(journal.clone())).unwrap();
    (handle, tokio::spawn(fleet.run(CancellationToken::new())), wan)
}

impl House {
    fn new() -> Self {
        let now = SimInstant::from_utc(2019, 3, 30, 0, 0, 0).unwrap();
        let (world, journal) = (World::virtual_at(now, Seed::root(1)), MemoryStore::default());
        let (handle, running, wan) = start(&world, &journal);
        Self {
            world,
            journal,
            handle,
            running,
            _wan: wan,
        }
    }

    /// Kills the fleet and starts it again on its journal.
    async fn restart(mut self) -> Self {
        self.running.abort();
        let _ended = self.running.await;
        let (handle, running, wan) = start(&self.world, &self.journal);
        (self.handle, self.running, self._wan) = (handle, running, wan);
        self
    }

    fn device(&self, kind: DeviceKind) -> Eui64 {
        let site = self.handle.sites().into_iter().next().unwrap();
        site.device(kind).unwrap()
    }

    async fn ask(&self, kind: DeviceKind, operation: Operation) -> Outcome {
        match self.handle.operate(self.device(kind), operation, None).await.unwrap() {
            Execution::Finished(outcome) => outcome,
            Execution::Queued(ticket) => panic!("queued under {ticket}"),
        }
    }

    async fn bring(&self, kind: DeviceKind, image: &[u8]) {
        let begin = Operation::BeginImage {
            octets: u32::try_from(image.len()).unwrap(),
            hash: image::hash(image),
            device: None,
        };
        self.ask(kind, begin).await.unwrap();
        for (number, block) in (0..).zip(image.chunks(512)) {
            let octets = Octets(block.to_vec());
            self.ask(kind, Operation::ImageBlock { number, octets }).await.unwrap();
        }
        self.ask(kind, Operation::VerifyImage).await.unwrap();
        self.wait(SimDuration::from_mins(1)).await;
    }

    async fn activate(&self, kind: DeviceKind, image: &[u8]) {
        let hash = image::hash(image);
        self.ask(kind, Operation::ActivateImage { hash }).await.unwrap();
        self.wait(SimDuration::from_mins(2)).await;
    }

    async fn profile(&self, kind: DeviceKind) -> String {
        let status = self.handle.status(self.device(kind)).await.unwrap();
        status.device.profile.to_string()
    }

    async fn says(&self, kind: DeviceKind) -> Value {
        match self.ask(kind, Operation::Read(DataItem::FirmwareVersion)).await {
            Ok(Answer::Value(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    async fn wait(&self, span: SimDuration) {
        self.world.clock.sleep(span).await;
    }
}

fn head(profile: &str) -> ImageHead {
    Catalogue::builtin().unwrap().find(profile).unwrap().image_head()
}

#[tokio::test(start_paused = true)]
async fn what_a_device_has_become_survives_the_fleet() {
    let house = House::new();
    let esme = DeviceKind::Esme;
    let image = head("as300p@LAB-E001").image(4_000);
    house.bring(esme, &image).await;
    let house = house.restart().await;
    assert_eq!(house.profile(esme).await, "as300p@BASE");
    house.activate(esme, &image).await;
    assert_eq!(house.profile(esme).await, "as300p@LAB-E001");
    assert_eq!(house.says(esme).await, Value::Text("LAB 01.02.03.0004".into()));
    let refused = house.ask(esme, Operation::Read(DataItem::ReactiveImport)).await;
    assert!(refused.is_err(), "this firmware has none");
    let house = house.restart().await;
    assert_eq!(house.profile(esme).await, "as300p@LAB-E001");
    assert_eq!(house.says(esme).await, Value::Text("LAB 01.02.03.0004".into()));
    house.running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_hub_takes_its_proxy_along_where_there_is_one_of_that_firmware() {
    let house = House::new();
    house
        .bring(DeviceKind::Chf, &head("am110r@LAB-C001").image(4_000))
        .await;
    house.wait(SimDuration::from_mins(2)).await;
    assert_eq!(house.profile(DeviceKind::Chf).await, "am110r@LAB-C001");
    assert_eq!(
        house.profile(DeviceKind::Gpf).await,
        "am110r-gpf@BASE",
        "there is none of LAB-C001"
    );
    house.running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_no_file_describes_is_rolled_back() {
    let house = House::new();
    let esme = DeviceKind::Esme;
    let mut head = head("as300p@LAB-E001");
    head.profile = "as300p@LAB-NONE".parse().unwrap();
    let image = head.image(4_000);
    house.bring(esme, &image).await;
    house.activate(esme, &image).await;
    assert_eq!(house.profile(esme).await, "as300p@BASE");
    match house.ask(esme, Operation::Read(DataItem::ImageStatus)).await {
        Ok(Answer::Value(Value::Image(status))) => assert_eq!(status.state, ImageState::ActivationFailed),
        other => panic!("{other:?}"),
    }
    house.running.abort();
}
