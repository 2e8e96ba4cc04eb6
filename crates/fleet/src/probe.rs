//! A hub looked at from its WAN, alone in a virtual world: when it connects, when it goes, what it tells.
//!
//! What a hub's profile says of its WAN shows nowhere else. Nothing of a head-end is needed for it.

use bytes::Bytes;
use dialects::{text_message, wake_up};
use dmc::{Catalogue, DeviceProfile};
use domain::keys::{Party, Purpose, RelationSecret};
use domain::operation::CriticalOperations;
use domain::{Association, DataItem, DeviceKind, Eui64, Operation, Seed, SimDuration, SimInstant};
use meter::Relations;
use proto::{Envelope, Kind, Message, WanClose, WanData, WanSms};
use tokio_util::sync::CancellationToken;
use world::worlds::{self, WorldContext};
use world::{LinkEnd, World};

use crate::estate::Estate;
use crate::fleet::{Fleet, Share};
use crate::handle::{ConsumerAct, Handle};
use crate::line::Custody;

/// What to look at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Look {
    /// What it says when mains fail.
    Gasp,
    /// The first octets it says on a new connection.
    Hello,
    /// After how much silence it goes.
    Idle,
    /// How often it sends readings by itself in three days.
    Readings,
    /// How often and how far apart it tries when it is turned away.
    Retries,
    /// How far apart two hubs come back that lost the network at once.
    Storm,
    /// What it makes of a read in a text message.
    Text,
    /// After how many text messages, and how long after the last, it connects.
    Wake,
}

/// Looks at a hub of this profile at a moment of the calendar; in words.
///
/// Blocks the calling thread and must be called outside any runtime.
///
/// # Errors
/// In words, where the profile is no hub or cannot be built.
pub fn look(catalogue: &Catalogue, profile: &DeviceProfile, look: Look, at: SimInstant) -> Result<String, String> {
    if profile.kind != DeviceKind::Chf {
        return Err(format!("{} is a {}, not a hub", profile.id, profile.kind));
    }
    let esme = catalogue
        .companion(&profile.route, DeviceKind::Esme)
        .ok_or_else(|| format!("route {} has no electricity meter", profile.route))?;
    let text = format!(
        "[estate]\nname = \"probe\"\nsource = \"ours\"\n[[template]]\nname = \"probe\"\ncount = 2\nprovider = \"{}\"\n\
         chf = \"{}\"\nesme = \"{}\"\nenrolled = true\n",
        profile.provider.as_str(),
        profile.id,
        esme.id
    );
    let estate = Estate::from_toml("probe", &text).map_err(|error| error.to_string())?;
    let options = worlds::Options::new(at, Seed::root(7));
    let run = worlds::run(1, &options, async |context: WorldContext| {
        watch(&context.world, &estate, catalogue, look).await
    });
    let run = run.map_err(|error| error.to_string())?;
    run.results
        .into_iter()
        .next()
        .unwrap_or_else(|| Err("no world ran".to_owned()))
}

async fn watch(world: &World, estate: &Estate, catalogue: &Catalogue, look: Look) -> Result<String, String> {
    let (wan, end) = world.link("wan", "fleet");
    let secret = |octet| RelationSecret::new([octet; 32]);
    let relations = Relations {
        smso: secret(1),
        s1sp: secret(2),
        dco: secret(3),
    };
    let critical = CriticalOperations::default();
    let built = Fleet::new(world, end, estate, Share::WHOLE, catalogue, relations.clone(), critical);
    let (fleet, handle) = built.map_err(|error| error.to_string())?;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(fleet.run(shutdown.clone()));
    let hubs: Vec<Eui64> = estate.sites().map(|site| site.hub()).collect();
    let mut probe = Probe {
        world: world.clone(),
        wan,
        handle,
        key: relations,
        hub: hubs.first().copied().unwrap_or_default(),
        texts: 0,
    };
    let seen = match look {
        Look::Gasp => probe.gasp(estate).await,
        Look::Hello => probe.hello().await,
        Look::Idle => probe.idle().await,
        Look::Readings => probe.readings().await,
        Look::Retries => probe.retries().await,
        Look::Storm => probe.storm(&hubs).await,
        Look::Text => probe.text_read(estate).await,
        Look::Wake => probe.wake().await,
    };
    shutdown.cancel();
    // A fleet that broke has said so in the log.
    let _ = running.await;
    seen
}

struct Probe {
    world: World,
    wan: LinkEnd,
    handle: Handle,
    key: Relations,
    hub: Eui64,
    texts: u32,
}

impl Probe {
    fn now(&self) -> SimInstant {
        self.world.clock.now()
    }

    async fn text(&mut self, hub: Eui64) -> Result<(), String> {
        self.texts += 1;
        let party = Party::S1sp;
        let key = self.key.s1sp.epoch_key(hub, 1, None, Purpose::WakeUp);
        let sms = WanSms {
            hub: hub.0,
            head_end: party.as_str().into(),
            payload: Bytes::from(wake_up::encode(&key, hub, self.texts)),
        };
        let sent = self
            .wan
            .send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec())
            .await;
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The next message of this kind within `span`.
    async fn next(&mut self, kind: Kind, span: SimDuration) -> Option<Envelope> {
        let until = self.now() + span;
        let clock = self.world.clock.clone();
        loop {
            let left = until.since(clock.now());
            let envelope = clock.timeout(left, self.wan.recv()).await.ok()??;
            if envelope.kind() == kind {
                return Some(envelope);
            }
        }
    }

    async fn opened(&mut self) -> Result<(), String> {
        if self.next(Kind::WanOpen, FIRST).await.is_some() {
            return Ok(());
        }
        for _ in 0..5 {
            self.text(self.hub).await?;
            if self.next(Kind::WanOpen, LONG).await.is_some() {
                return Ok(());
            }
        }
        Err("it does not connect".to_owned())
    }

    async fn wake(&mut self) -> Result<String, String> {
        if self.next(Kind::WanOpen, SimDuration::from_mins(2)).await.is_some() {
            return Ok("connected without a text message".to_owned());
        }
        for count in 1..=5 {
            self.text(self.hub).await?;
            let since = self.now();
            if self.next(Kind::WanOpen, LONG).await.is_some() {
                let seconds = self.now().since(since).as_millis() / 1000;
                return Ok(format!("text message {count}, connected after {seconds} s"));
            }
        }
        Ok("it does not connect".to_owned())
    }

    async fn hello(&mut self) -> Result<String, String> {
        self.opened().await?;
        let said = self.next(Kind::WanData, FIRST).await;
        let octets = said.and_then(|envelope| WanData::decode(envelope.body).ok());
        let octets = octets.ok_or_else(|| "it says nothing".to_owned())?.payload;
        let begins: String = octets.iter().take(8).map(|octet| format!("{octet:02X}")).collect();
        Ok(format!("{begins}, {} octets", octets.len()))
    }

    async fn idle(&mut self) -> Result<String, String> {
        self.opened().await?;
        let since = self.now();
        Ok(match self.next(Kind::WanClose, LONG).await {
            Some(_) => format!("closed after {} s", self.now().since(since).as_millis() / 1000),
            None => "stays".to_owned(),
        })
    }

    async fn turn_away(&mut self, hub: Eui64, session: u64) -> Result<(), String> {
        let close = WanClose {
            hub: hub.0,
            head_end: Party::S1sp.as_str().into(),
            session,
            reason: "turned away".into(),
        };
        let sent = self
            .wan
            .send(Envelope::default(), Kind::WanClose, &close.encode_to_vec())
            .await;
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn retries(&mut self) -> Result<String, String> {
        self.opened().await?;
        let mut session = 1;
        let mut last = self.now();
        let mut pauses = Vec::new();
        self.turn_away(self.hub, session).await?;
        while pauses.len() < 5 && self.next(Kind::WanOpen, LONG).await.is_some() {
            pauses.push(self.now().since(last).as_millis() / 1000);
            last = self.now();
            session += 1;
            self.turn_away(self.hub, session).await?;
        }
        let pauses: Vec<String> = pauses.iter().map(|pause| format!("{pause} s")).collect();
        Ok(format!(
            "again after {}",
            if pauses.is_empty() {
                "nothing".to_owned()
            } else {
                pauses.join(", ")
            }
        ))
    }

    /// Both hubs are connected, lose the network at once and come back.
    async fn storm(&mut self, hubs: &[Eui64]) -> Result<String, String> {
        let mut sessions = Vec::new();
        for hub in hubs {
            self.hub = *hub;
            while self.next(Kind::WanOpen, FIRST).await.is_none() {
                self.text(*hub).await?;
                if self.texts > 20 {
                    return Err("it does not connect".to_owned());
                }
            }
            sessions.push(*hub);
        }
        for hub in sessions {
            self.turn_away(hub, 1).await?;
        }
        let mut back = Vec::new();
        while back.len() < hubs.len() && self.next(Kind::WanOpen, HOURS).await.is_some() {
            back.push(self.now());
        }
        Ok(match back.as_slice() {
            [first, .., last] if first == last => "all at once".to_owned(),
            [first, .., last] => format!("{} s apart", last.since(*first).as_millis() / 1000),
            _ => "not all come back".to_owned(),
        })
    }

    /// Counts how often it tells something unasked; the first hours are its own affair.
    async fn readings(&mut self) -> Result<String, String> {
        self.world.clock.sleep(HOURS).await;
        while self.next(Kind::WanData, SimDuration::ZERO).await.is_some() {}
        let end = self.now() + SimDuration::from_days(3);
        let (mut told, mut last) = (0u32, SimInstant(0));
        while self.now() < end
            && let Some(said) = self.next(Kind::WanData, end.since(self.now())).await
        {
            let own = WanData::decode(said.body).is_ok_and(|said| said.hub == self.hub.0);
            if own {
                // What comes together is one telling.
                told += u32::from(self.now().since(last) > FIRST);
                last = self.now();
            }
        }
        Ok(format!("{told} times in three days"))
    }

    async fn text_read(&mut self, estate: &Estate) -> Result<String, String> {
        let site = estate.sites().next().ok_or("the estate is empty")?;
        let meter = site.device(DeviceKind::Esme).ok_or("there is no meter")?;
        let read = Operation::Read(DataItem::ActiveImport);
        let (to, association) = ((DeviceKind::Esme, meter), Association::Management);
        let mut keys = Custody::new(self.key.s1sp.clone(), 1);
        let text = text_message::ask(&mut keys, to, association, &read, None, 1);
        let text = text.ok_or("too long for a text message")?;
        let sms = WanSms {
            hub: self.hub.0,
            head_end: Party::S1sp.as_str().into(),
            payload: Bytes::from(text),
        };
        let sent = self
            .wan
            .send(Envelope::default(), Kind::WanSms, &sms.encode_to_vec())
            .await;
        sent.map_err(|error| error.to_string())?;
        let answer = self
            .next(Kind::WanSms, LONG)
            .await
            .and_then(|envelope| WanSms::decode(envelope.body).ok());
        let devices = site
            .devices()
            .into_iter()
            .map(|device| (device.kind, device.device))
            .collect();
        let told = answer.and_then(|sms| text_message::told(&mut keys, &devices, &sms.payload));
        Ok(match told {
            Some((1, _)) => "answers by text message",
            Some(_) => "answers something else",
            None => "does not answer",
        }
        .to_owned())
    }

    async fn gasp(&mut self, estate: &Estate) -> Result<String, String> {
        let meter = estate
            .sites()
            .next()
            .and_then(|site| site.device(DeviceKind::Esme))
            .unwrap_or_default();
        let mut told = Vec::new();
        for pause in [SimDuration::from_mins(30), SimDuration::from_mins(5)] {
            self.world.clock.sleep(pause).await;
            // What came before is not of interest.
            while self.next(Kind::WanData, SimDuration::ZERO).await.is_some() {}
            let cut = self.handle.act(meter, ConsumerAct::CutPower).await;
            cut.map_err(|error| error.to_string())?;
            let said = self.next(Kind::WanData, SimDuration::from_mins(1)).await.is_some();
            told.push(if said { "told" } else { "silent" });
            let restored = self.handle.act(meter, ConsumerAct::RestorePower).await;
            restored.map_err(|error| error.to_string())?;
        }
        Ok(format!(
            "{}, again within ten minutes: {}",
            told.first().unwrap_or(&""),
            told.last().unwrap_or(&"")
        ))
    }
}

const FIRST: SimDuration = SimDuration::from_secs(2);
const LONG: SimDuration = SimDuration::from_mins(9);
const HOURS: SimDuration = SimDuration::from_hours(3);
