//! What others may ask of a running lab: the control service, and tests.

mod desk;
mod estate;
mod vending;

pub use desk::FETCH_MAX;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use domain::keys::{Party, Purpose};
use domain::{Eui64, SimInstant};
use duis::signature;
use proto::v1::{
    AuditEntry, DeviceAssociation, DeviceEntry, DeviceRule, DeviceState, InventoryEntry, LabUser, Screen,
    SendRequestReply, ShowDeviceReply, ShownItem, ShownMessage, StatusReply,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use world::{Clock, World};

use crate::audit::{self, Subject};
use crate::chain::Handles;
use crate::duis_http::in_calendar;
use crate::expose::Exposed;
use crate::parts::Parts;
use crate::user_port::UserPorts;

/// A handle on a running lab. Cheap to clone.
#[derive(Clone)]
pub struct LabHandle(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Arc<Parts>,
    pub(crate) world: World,
    pub(crate) roles: Arc<Mutex<Handles>>,
    pub(crate) ports: UserPorts,
    pub(crate) wall: Clock,
    pub(crate) addresses: Mutex<BTreeMap<String, String>>,
    pub(crate) stop: CancellationToken,
    /// Exposed ports; awaited when the lab stops.
    pub(crate) tasks: TaskTracker,
    pub(crate) counters: Mutex<BTreeMap<Eui64, u64>>,
    /// How many fleets have connected, where the fleet is elsewhere.
    pub(crate) tunnel: OnceLock<watch::Receiver<u64>>,
    /// Held while installations come, go or change: one change at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

/// A question that a running lab cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// What was asked is malformed.
    #[error("{0}")]
    BadQuestion(String),
    /// Keys or certificates cannot be used.
    #[error(transparent)]
    Build(#[from] crate::parts::BuildError),
    /// The DCC does not answer.
    #[error(transparent)]
    Dcc(#[from] dcc::HandleError),
    /// Tables of installations that say something wrong.
    #[error(transparent)]
    Estate(#[from] fleet::EstateError),
    /// The fleet does not answer.
    #[error(transparent)]
    Fleet(#[from] fleet::AskError),
    /// The fleet is in another process.
    #[error("the fleet of this lab runs elsewhere; ask there")]
    FleetElsewhere,
    /// The port could not be bound.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Nothing of that identity.
    #[error("there is no {what} {id} in this lab")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its identity.
        id: String,
    },
    /// The DCC did not reply.
    #[error("the DCC did not reply")]
    NoReply(#[source] world::CallError),
    /// A journal cannot be read.
    #[error(transparent)]
    Store(#[from] world::StoreError),
}

impl LabHandle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Seed, clock, addresses and users.
    #[must_use]
    pub fn status(&self) -> StatusReply {
        let config = &self.0.parts.config;
        let users = self.0.parts.pki.users.iter().map(|user| LabUser {
            eui: user.eui.to_string(),
            name: user.name.clone(),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            listener: user.listener.clone().unwrap_or_default(),
            can_sign: user.identity.is_some(),
        });
        StatusReply {
            seed: config.seed,
            clock: config.clock.mode.to_string(),
            now_ms: self.0.world.clock.now().0,
            installations: u32::try_from(self.0.parts.live.estate().len()).unwrap_or(u32::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            addresses: self
                .0
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
                .into_iter()
                .collect(),
            users: users.collect(),
        }
    }

    /// Tells where something of this lab listens, for [`LabHandle::status`].
    pub fn note_address(&self, name: &str, address: SocketAddr) {
        let mut addresses = self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.insert(name.to_owned(), address.to_string());
    }

    pub(crate) fn note_tunnel(&self, connected: watch::Receiver<u64>) {
        // A lab has one tunnel: a second one is not taken.
        let _taken = self.0.tunnel.set(connected);
    }

    /// Waits until so many fleets have connected from elsewhere, each start of one counted. Safe to cancel.
    ///
    /// # Errors
    /// Where the fleet is not elsewhere, or the tunnel has ended.
    pub async fn fleets_connected(&self, count: u64) -> Result<(), ViewError> {
        let bad = |problem: &str| ViewError::BadQuestion(problem.to_owned());
        let mut connected = self.0.tunnel.get().cloned().ok_or_else(|| bad("the fleet runs here"))?;
        let reached = connected.wait_for(|reached| *reached >= count).await;
        reached.map(|_| ()).map_err(|_| bad("the tunnel has ended"))
    }

    /// All devices of the estate.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceEntry> {
        self.0
            .parts
            .live
            .estate()
            .devices()
            .map(|device| entry(&device))
            .collect()
    }

    /// One device: model, rules with their provenance, associations and, when asked for, test keys. It is shown as it has
    /// become, or as it was fitted where the fleet runs elsewhere.
    ///
    /// # Errors
    /// When there is no such device, or the profile of it is gone.
    pub async fn show(&self, device: &str, secrets: bool) -> Result<ShowDeviceReply, ViewError> {
        let id = parse::<Eui64>(device)?;
        let missing = || ViewError::NotFound {
            what: "device",
            id: id.to_string(),
        };
        let found = self
            .0
            .parts
            .live
            .estate()
            .devices()
            .find(|other| other.device == id)
            .ok_or_else(missing)?;
        let found = match self.fleet() {
            Ok(fleet) => fleet.status(id).await?.device,
            Err(_) => found,
        };
        let profile = self.0.parts.catalogue.profile(&found.profile).ok_or_else(missing)?;
        let rules = profile.rules.iter().map(|rule| DeviceRule {
            id: rule.id.clone(),
            side: rule.side.as_str().to_owned(),
            text: rule.text.clone(),
            confidence: rule.provenance.confidence.to_string(),
            source: rule.provenance.source.clone(),
            clause: rule.clause.clone().unwrap_or_default(),
        });
        let custody = &self.0.parts.custody;
        let approval_key = custody.dco.device_key(id, EPOCH, Purpose::Approval);
        Ok(ShowDeviceReply {
            manufacturer: profile.model.manufacturer.clone(),
            model: profile.model.model.clone(),
            firmware: profile.native_firmware.clone(),
            family: profile.family.clone(),
            confidence: profile.confidence().to_string(),
            rules: rules.collect(),
            associations: self.associations(&found, &profile.face, secrets),
            approval_key: if secrets && found.enrolled {
                hex::encode(approval_key.expose())
            } else {
                String::new()
            },
            entry: Some(entry(&found)),
            state: None,
        })
    }

    /// How a device is now; `None` where the fleet runs elsewhere.
    ///
    /// # Errors
    /// When there is no such device, or it does not answer.
    pub async fn state(&self, device: &str) -> Result<Option<DeviceState>, ViewError> {
        let id = parse::<Eui64>(device)?;
        let Ok(fleet) = self.fleet() else { return Ok(None) };
        let status = fleet.status(id).await?;
        let screen = fleet.screen(id).await?;
        Ok(Some(DeviceState {
            party: status.party.as_str().to_owned(),
            epoch: status.epoch,
            connected_to: status.connected_to.unwrap_or_default(),
            pending: u32::try_from(status.pending).unwrap_or(u32::MAX),
            screen: screen.map(|screen| shown(&screen)),
        }))
    }

    fn associations(
        &self,
        device: &fleet::SiteDevice,
        face: &dialects::FaceProfile,
        secrets: bool,
    ) -> Vec<DeviceAssociation> {
        let Some(server_sap) = face.saps.of(device.kind) else {
            return Vec::new();
        };
        let (party, secret) = if device.enrolled {
            (Party::S1sp, &self.0.parts.custody.s1sp)
        } else {
            (Party::Smso, &self.0.parts.custody.smso)
        };
        let key = |purpose| {
            let key = secret.device_key(device.device, EPOCH, purpose);
            if secrets {
                hex::encode(key.expose())
            } else {
                String::new()
            }
        };
        let gmac = |name: &str, client_sap, authentication, encryption| DeviceAssociation {
            name: name.to_owned(),
            client_sap,
            server_sap: u32::from(server_sap),
            authentication: "hls-gmac".to_owned(),
            party: party.as_str().to_owned(),
            password: String::new(),
            authentication_key: key(authentication),
            encryption_key: key(encryption),
        };
        let plain = |name: &str, client_sap, authentication: &str| DeviceAssociation {
            name: name.to_owned(),
            client_sap,
            server_sap: u32::from(server_sap),
            authentication: authentication.to_owned(),
            ..DeviceAssociation::default()
        };
        vec![
            plain("public", 16, "none"),
            DeviceAssociation {
                party: party.as_str().to_owned(),
                password: key(Purpose::ReaderPassword),
                ..plain("reader", 17, "lls")
            },
            gmac(
                "management",
                1,
                Purpose::ManagementAuthentication,
                Purpose::ManagementEncryption,
            ),
            gmac(
                "critical",
                2,
                Purpose::CriticalAuthentication,
                Purpose::CriticalEncryption,
            ),
        ]
    }

    /// Opens a plain TCP port on which any DLMS client can talk to one device; gives the bound address.
    ///
    /// # Errors
    /// When there is no such device here or the address cannot be bound.
    pub async fn expose(&self, device: &str, listen: SocketAddr) -> Result<SocketAddr, ViewError> {
        let id = parse::<Eui64>(device)?;
        let fleet = self.fleet()?;
        fleet.status(id).await?;
        let failed = |source| ViewError::Listen {
            address: listen,
            source,
        };
        let exposed = Exposed::bind(listen, fleet, id).await.map_err(failed)?;
        let address = exposed.address().map_err(failed)?;
        self.0.tasks.spawn(exposed.run(self.0.stop.child_token()));
        Ok(address)
    }

    /// The service audit trail of a request, of a device or of everything at a metering point, by time: the DCC's records,
    /// the DCO's decisions and, for a request, every message on the way as far as the tape still has it.
    ///
    /// # Errors
    /// When the text is none of these or a journal cannot be read.
    pub async fn audit(&self, subject: &str) -> Result<Vec<AuditEntry>, ViewError> {
        let subject: Subject = parse(subject)?;
        audit::trail(&self.0.parts, &self.0.world, &self.dcc()?, subject).await
    }

    /// The inventory as the DCC has it now.
    ///
    /// # Errors
    /// When the DCC does not run.
    pub async fn inventory(&self) -> Result<Vec<InventoryEntry>, ViewError> {
        let dcc = self.dcc()?;
        let mut entries = Vec::new();
        for device in self.0.parts.live.estate().devices() {
            for found in dcc.look_up(dcc::Lookup::Device(device.device)).await? {
                if found.id == device.device {
                    entries.push(InventoryEntry {
                        device: found.id.to_string(),
                        kind: found.kind.to_string(),
                        status: found.status.map(|status| status.to_string()).unwrap_or_default(),
                        firmware: found.model.firmware.clone(),
                        mpxn: found.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
                    });
                }
            }
        }
        Ok(entries)
    }

    /// Sends a request as one of the lab's users and, if asked to, waits for its outcome.
    ///
    /// An unsigned request gets a fresh counter and the signature of the user it names as originator. Without a path the
    /// command variant chooses the service. Safe to cancel; the request then goes on.
    ///
    /// # Errors
    /// When the message cannot be read, the user has no key here, or the DCC does not reply.
    pub async fn send(&self, xml: &[u8], path: &str, wait_ms: u64) -> Result<SendRequestReply, ViewError> {
        let signed = self.signed(xml)?;
        let request = crate::user_port::request_id_of(&signed)
            .ok_or_else(|| ViewError::BadQuestion("the message has no RequestID".into()))?;
        let path = if path.is_empty() {
            path_of(&signed)
        } else {
            path.to_owned()
        };
        let port = self.0.ports.for_message(&signed).ok_or_else(|| ViewError::NotFound {
            what: "user",
            id: request.originator.to_string(),
        })?;
        let speed = self.0.parts.config.clock.mode.speed();
        let allowed = in_calendar(self.0.parts.config.http.reply_ms, speed);
        let reply = port.post(&path, signed, allowed).await.map_err(ViewError::NoReply)?;
        let acknowledged =
            duis::read_response(&reply.xml).is_ok_and(|response| response.header.code == duis::ResponseCode::I99);
        let mut outcome = Bytes::new();
        let mut timed_out = false;
        if acknowledged && wait_ms > 0 {
            let waited = self.0.wall.timeout(
                domain::SimDuration::from_millis(wait_ms),
                port.mailbox().answer_to(request),
            );
            match waited.await {
                Ok(delivery) => outcome = delivery.xml,
                Err(_) => timed_out = true,
            }
        }
        Ok(SendRequestReply {
            request_id: request.to_string(),
            http_status: u32::from(reply.status),
            acknowledgement_xml: reply.xml,
            outcome_xml: outcome,
            timed_out,
        })
    }

    /// The message with a signature: its own, or a fresh one.
    fn signed(&self, xml: &[u8]) -> Result<Bytes, ViewError> {
        if is_signed(xml) {
            return Ok(Bytes::copy_from_slice(xml));
        }
        let mut request =
            duis::read_request(xml).map_err(|error| ViewError::BadQuestion(format!("read the request: {error}")))?;
        let originator = request.id.originator;
        request.id.counter = self.fresh_counter(originator);
        let user = self.0.parts.pki.users.iter().find(|user| user.eui == originator);
        let identity = user
            .and_then(|user| user.identity.as_ref())
            .ok_or_else(|| ViewError::NotFound {
                what: "user with a key",
                id: originator.to_string(),
            })?;
        let bad = |error: String| ViewError::BadQuestion(error);
        let key = self
            .0
            .parts
            .signing_key("the user", identity)
            .map_err(|error| bad(error.to_string()))?;
        let plain = duis::write::request(&request).map_err(|error| bad(format!("write the request: {error}")))?;
        let signed = signature::sign(&plain, &key).map_err(|error| bad(format!("sign the request: {error}")))?;
        Ok(signed.into())
    }

    /// Rises per user: the calendar's milliseconds, as the published tools do, or one more than the last.
    fn fresh_counter(&self, user: Eui64) -> u64 {
        let SimInstant(now) = self.0.world.clock.now();
        let mut counters = self.0.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let last = counters.entry(user).or_default();
        *last = u64::try_from(now).unwrap_or(0).max(last.saturating_add(1));
        *last
    }

    /// The ports of the users.
    #[must_use]
    pub fn ports(&self) -> &UserPorts {
        &self.0.ports
    }

    /// The parts it was built from.
    #[must_use]
    pub fn parts(&self) -> &Arc<Parts> {
        &self.0.parts
    }

    /// The world it runs in: clock, tape, fault rules.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// Asks the lab to stop.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Cancelled when the lab is to stop.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    fn roles<R>(&self, act: impl FnOnce(&Handles) -> R) -> R {
        act(&self.0.roles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn dcc(&self) -> Result<dcc::Handle, ViewError> {
        let handle = self.roles(|roles| roles.dcc.clone());
        handle.ok_or(ViewError::Dcc(dcc::HandleError::NotRunning))
    }

    /// The fleet's handle.
    ///
    /// # Errors
    /// [`ViewError::FleetElsewhere`].
    pub fn fleet(&self) -> Result<fleet::Handle, ViewError> {
        let handle = self.roles(|roles| roles.fleet.clone());
        handle.ok_or(ViewError::FleetElsewhere)
    }
}

/// What a display shows, as the control service tells it.
fn shown(screen: &meter::Screen) -> Screen {
    let fuels = [("electricity", &screen.electricity), ("gas", &screen.gas)];
    let items = fuels.into_iter().flat_map(|(fuel, panel)| {
        panel.iter().flat_map(move |panel| {
            panel.items.iter().map(move |(item, value)| ShownItem {
                fuel: fuel.to_owned(),
                item: item.name(),
                value: dmc::value_words(value),
                at_ms: panel.at.0,
            })
        })
    });
    let messages = screen.messages.iter().map(|message| ShownMessage {
        at_ms: message.at.0,
        text: message.text.clone(),
        acknowledged: message.acknowledged,
    });
    Screen {
        joined: screen.joined,
        blocked: screen.blocked,
        items: items.collect(),
        messages: messages.collect(),
    }
}

/// A device of an estate as the control service lists it.
#[must_use]
pub fn entry(device: &fleet::SiteDevice) -> DeviceEntry {
    DeviceEntry {
        device: device.device.to_string(),
        kind: device.kind.to_string(),
        hub: device.hub.to_string(),
        profile: device.profile.to_string(),
        mpxn: device.mpxn.map(|mpxn| mpxn.to_string()).unwrap_or_default(),
        enrolled: device.enrolled,
    }
}

/// The service a message belongs to, by its command variant (DUIS: 4 is transform; 2, 6 and 8 come back at once).
#[must_use]
pub fn path_of(xml: &[u8]) -> String {
    let service = match duis::read_request(xml).map(|request| request.command_variant) {
        Ok(4) => "serviceT",
        Ok(2 | 6 | 8) => "serviceD",
        _ => "serviceS",
    };
    format!("/api/v1/{service}")
}

/// Whether a document has a signature, good or not.
pub(crate) fn is_signed(xml: &[u8]) -> bool {
    contains(xml, b"SignatureValue")
}

fn parse<T: FromStr<Err = domain::ParseError>>(text: &str) -> Result<T, ViewError> {
    text.trim()
        .parse()
        .map_err(|error: domain::ParseError| ViewError::BadQuestion(error.to_string()))
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Key epoch of every device while no keys are rotated.
const EPOCH: u32 = 1;
