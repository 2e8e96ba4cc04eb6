//! The role on its links: takes requests, sees to it that each gets one outcome, passes alerts on.

mod images;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use domain::{Eui64, RequestId, SimInstant};
use duis::signature::Certificates;
use duis::{SignedBody, SignedHeader};
use head_end::{DeviceAlert, Engine};
use proto::{Accepted, CountersignedServiceRequest, Envelope, ImageJob, ImageJobResult, Kind, Message, S1spAlert};
use steps::Failure;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use world::call::Router;
use world::{CallError, Caller, LinkEnd, LinkReceiver, LinkSender, StoreError, World};

use crate::hand_over::{HandOver, HandOverOptions, Held};
use crate::journal::{Found, Journal, Standing, ToDcc};
use crate::options::Options;
use crate::verify::verify;
use crate::work::{Context, Outcome, Task, failure_response};

/// The S1SP at work.
pub struct S1sp {
    context: Arc<Context>,
    certificates: Arc<dyn Certificates + Send + Sync>,
    dcc: Eui64,
    to_dcc: Caller,
    from_dcc: Router,
    from_dco: Router,
    engine: Option<Engine>,
    alerts: mpsc::Receiver<DeviceAlert>,
    at_once: mpsc::Receiver<S1spAlert>,
    alert_counters: BTreeMap<u64, u64>,
    found: Found,
    tasks: JoinSet<Done>,
    under_way: usize,
    /// For firmware images on their way to devices.
    places: Arc<Semaphore>,
    hand_over: Option<(Arc<HandOver>, LinkSender, LinkReceiver)>,
}

/// How a task of the role ended.
enum Done {
    Request(Box<Outcome>),
    /// An image job has come to its result.
    Image(Box<(ImageJob, ImageJobResult)>),
    /// What a device turned out to run, where that could be found out.
    Firmware(Eui64, Option<String>),
    /// The DCC has taken the message with this number; `true` when the journal has it.
    Taken(u64, bool),
    Nothing,
}

impl S1sp {
    /// An S1SP on its three links and its two journals.
    ///
    /// # Errors
    /// When a journal cannot be read.
    pub fn new(world: World, dcc: LinkEnd, dco: LinkEnd, wan: LinkEnd, options: Options) -> Result<Self, StoreError> {
        let engine_options = head_end::Options {
            critical: steps::critical_operations(),
            ..options.engine
        };
        let (engine, handle, alerts) = Engine::new(
            world.clone(),
            "s1sp",
            wan,
            options.custody.clone(),
            options.directory.clone(),
            engine_options,
            options.engine_store,
        )?;
        let (journal, mut found) = Journal::open(options.store, options.limits.snapshot_after_octets)?;
        for (device, profile) in journal.profiles() {
            match options.models.profile(profile) {
                Some(profile) => {
                    options.directory.change(device, |known| known.profile = profile);
                }
                None => tracing::warn!(%device, profile, leg = "s1sp", "a profile that no file describes any more"),
            }
        }
        let (to_dcc, from_dcc) = world::call::split(dcc);
        let (to_dco, from_dco) = world::call::split(dco);
        let places = Arc::new(Semaphore::new(options.limits.images_under_way));
        let (tell, at_once) = mpsc::channel(AT_ONCE_MAX);
        let context = Context {
            world,
            engine: handle,
            dco: to_dco,
            signing_key: options.signing_key,
            custody: options.custody,
            directory: options.directory,
            models: options.models,
            held: Held::default(),
            limits: options.limits,
            vending: options.vending,
            at_once: tell,
            journal: Mutex::new(journal),
            cache: Mutex::default(),
        };
        Ok(Self {
            context: Arc::new(context),
            certificates: options.certificates,
            dcc: options.dcc,
            to_dcc,
            from_dcc,
            from_dco,
            engine: Some(engine),
            alerts,
            at_once,
            alert_counters: std::mem::take(&mut found.alert_counters),
            found,
            tasks: JoinSet::new(),
            under_way: 0,
            places,
            hand_over: None,
        })
    }

    /// The same S1SP, which also takes part in migrations: `cp` is its link with the commissioning party.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn with_hand_over(mut self, cp: LinkEnd, options: HandOverOptions) -> Result<Self, StoreError> {
        let context = &self.context;
        let desk = HandOver::open(
            context.world.clone(),
            context.engine.clone(),
            context.directory.clone(),
            Arc::clone(&self.certificates),
            context.held.clone(),
            options,
        )?;
        let (to_cp, from_cp) = cp.split();
        self.hand_over = Some((Arc::new(desk), to_cp, from_cp));
        Ok(self)
    }

    /// A handle to its engine: what else may operate the same devices with the same keys, for example a migration.
    #[must_use]
    pub fn engine(&self) -> head_end::Handle {
        self.context.engine.clone()
    }

    /// Runs until cancelled, or until the link to the DCC closes. Requests under way stay in the journal and
    /// are resumed, or ended, by the next start.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let stop = shutdown.child_token();
        let mut engine = JoinSet::new();
        if let Some(work) = self.engine.take() {
            engine.spawn(work.run(stop.clone()));
        }
        self.resume();
        let mut stopped = pin!(shutdown.cancelled());
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(ended) = engine.join_next() => {
                    tracing::error!(leg = "s1sp", ?ended, "the head-end broke");
                    break;
                }
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Ok(done) => self.done(done),
                    Err(error) => tracing::error!(leg = "s1sp", %error, "a task broke"),
                },
                Some(late) = self.from_dco.recv() => {
                    tracing::debug!(from = %late.from, "an approval nobody waits for");
                }
                envelope = self.from_dcc.recv() => match envelope {
                    Some(envelope) => self.take(envelope),
                    None => break,
                },
                envelope = from_cp(&mut self.hand_over), if self.hand_over.is_some() => match envelope {
                    Some((desk, envelope, to)) => {
                        self.tasks.spawn(async move {
                            desk.take(envelope, to).await;
                            Done::Nothing
                        });
                    }
                    None => self.hand_over = None,
                },
                Some(alert) = self.at_once.recv() => self.alert(alert),
                Some(alert) = self.alerts.recv() => self.device_alert(&alert),
            }
        }
        stop.cancel();
        self.tasks.shutdown().await;
        while engine.join_next().await.is_some() {}
        if let Err(error) = self.context.journal().flush() {
            tracing::warn!(leg = "s1sp", %error, "confirmations not journalled");
        }
    }

    /// What the journal says is not finished.
    fn resume(&mut self) {
        let found = std::mem::take(&mut self.found);
        for (number, message) in found.untaken {
            self.send(number, message, true);
        }
        self.resume_images();
        for (id, unfinished) in found.unfinished {
            match verify(&unfinished.request, self.certificates.as_ref(), self.dcc) {
                Ok(verified) => {
                    tracing::info!(request_id = %id, leg = "s1sp", began = unfinished.began.len(), "resumed");
                    let accepted_at = SimInstant(unfinished.at_ms);
                    let task = Task {
                        verified,
                        message: unfinished.request,
                        accepted_at,
                        began: unfinished.began,
                    };
                    self.start(task, None);
                }
                Err(error) => {
                    let response = failure_response(&id.to_string(), Failure::S1spRejected, &error.to_string());
                    self.done(Done::Request(Box::new(Outcome::of(id, response))));
                }
            }
        }
    }

    fn take(&mut self, envelope: Envelope) {
        match envelope.kind() {
            Kind::CountersignedRequest => self.request(envelope),
            Kind::FirmwareImage => self.image(envelope),
            Kind::ImageJob => self.image_job(envelope),
            // A confirmation that came after the message was sent again: the next one counts.
            Kind::Accepted => {}
            kind => tracing::warn!(from = %envelope.from, ?kind, "a message to the s1sp that is not for it"),
        }
    }

    fn request(&mut self, envelope: Envelope) {
        let message = match CountersignedServiceRequest::decode(envelope.body.clone()) {
            Ok(message) => message,
            Err(error) => return self.reject(envelope, &error.to_string()),
        };
        let verified = match verify(&message, self.certificates.as_ref(), self.dcc) {
            Ok(verified) => verified,
            Err(rejected) => return self.reject(envelope, &rejected.to_string()),
        };
        let id = verified.request.id;
        let standing = self.context.journal().standing(id, verified.originator_counter);
        match standing {
            Some(Standing::UnderWay) => self.accepted(envelope, id.to_string()),
            Some(Standing::Ended) => {
                self.accepted(envelope, id.to_string());
                self.again(id);
            }
            Some(Standing::Forgotten) => self.reject(envelope, "it is older than what is remembered of its device"),
            None => {
                let now = self.context.world.clock.now();
                let journalled = self
                    .context
                    .journal()
                    .accept(id, verified.originator_counter, &message, now.0);
                if let Err(error) = journalled {
                    // Without a journal nothing may be promised: the DCC hears nothing and says so to its user.
                    tracing::error!(request_id = %id, leg = "s1sp", %error, "request not taken");
                    return;
                }
                let task = Task {
                    verified,
                    message,
                    accepted_at: now,
                    began: Vec::new(),
                };
                self.start(task, Some(envelope));
            }
        }
    }

    /// Confirms the request if it came just now, and works on it.
    fn start(&mut self, task: Task, envelope: Option<Envelope>) {
        let context = Arc::clone(&self.context);
        let busy = self.under_way >= context.limits.requests_under_way;
        self.under_way += 1;
        let sender = self.to_dcc.sender().clone();
        self.tasks.spawn(async move {
            if let Some(envelope) = envelope {
                let accepted = Accepted {
                    request_id: task.verified.request.id.to_string(),
                };
                // A closed link shows in the role's loop by itself.
                let _ = sender.reply(&envelope, Kind::Accepted, &accepted.encode_to_vec()).await;
            }
            let outcome = if busy {
                context.failed(
                    &task.verified,
                    Failure::Busy,
                    "the S1SP has too many requests under way",
                )
            } else {
                context.work(task).await
            };
            Done::Request(Box::new(outcome))
        });
    }

    fn accepted(&mut self, envelope: Envelope, request_id: String) {
        let sender = self.to_dcc.sender().clone();
        self.tasks.spawn(async move {
            let accepted = Accepted { request_id };
            // A closed link shows in the role's loop by itself.
            let _ = sender.reply(&envelope, Kind::Accepted, &accepted.encode_to_vec()).await;
            Done::Nothing
        });
    }

    /// Says no to what cannot be believed. It is not journalled, so that a forged message cannot use up a RequestID; and
    /// one that names a request which is known gets nothing at all, since that request has its own outcome.
    fn reject(&mut self, envelope: Envelope, reason: &str) {
        tracing::warn!(trace_id = %envelope.trace_id, leg = "s1sp", reason, "request rejected");
        let known = envelope
            .trace_id
            .parse()
            .is_ok_and(|id| self.context.journal().known(id).is_some());
        if known {
            return;
        }
        let response = failure_response(&envelope.trace_id, Failure::S1spRejected, reason);
        let request_id = envelope.trace_id.clone();
        self.accepted(envelope, request_id);
        let number = self.context.journal().number();
        self.send(number, ToDcc::Response(response), false);
    }

    /// A request came again after it had ended: the same outcome once more.
    fn again(&mut self, id: RequestId) {
        let found = self.context.journal().outcome(id);
        match found {
            Ok(Some(response)) => {
                let number = self.context.journal().number();
                self.send(number, ToDcc::Response(response), false);
            }
            Ok(None) => tracing::error!(request_id = %id, leg = "s1sp", "the journal has lost an outcome"),
            Err(error) => tracing::error!(request_id = %id, leg = "s1sp", %error, "outcome not read"),
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Image(ended) => self.job_done(&ended.0, ended.1),
            Done::Firmware(device, firmware) => self.report_firmware(device, firmware),
            Done::Taken(number, journalled) => {
                if journalled && let Err(error) = self.context.journal().taken(number) {
                    tracing::warn!(leg = "s1sp", %error, "confirmation not journalled");
                }
            }
            Done::Request(outcome) => {
                self.under_way = self.under_way.saturating_sub(1);
                let Outcome {
                    id,
                    response,
                    mut alert,
                    alert_first,
                    ..
                } = *outcome;
                if let Some(alert) = alert.take_if(|_| alert_first) {
                    self.alert(alert);
                }
                let ended = self.context.journal().end(&response);
                match ended {
                    Ok(number) => self.send(number, ToDcc::Response(response), true),
                    Err(error) => {
                        tracing::error!(request_id = %id, leg = "s1sp", %error, "outcome not journalled");
                        return;
                    }
                }
                if let Some(alert) = alert {
                    self.alert(alert);
                }
            }
        }
    }

    fn device_alert(&mut self, alert: &DeviceAlert) {
        if self.context.held.contains(alert.hub) {
            // Its devices are nobody's at the DCC yet.
            tracing::debug!(device = %alert.device, code = alert.code, leg = "s1sp", "alert before the release");
            return;
        }
        let counter = self.alert_counters.get(&alert.device.0).copied().unwrap_or(0) + 1;
        // Which users it concerns is the DCC's knowledge: the header names the DCC as target.
        let header = SignedHeader {
            at: Some(alert.at),
            from_gsme: (alert.slot == domain::DeviceKind::Gsme).then_some(true),
            ..SignedHeader::new(alert.device, self.dcc, counter)
        };
        let body = SignedBody::Alert(duis::DeviceAlert {
            code: Some(alert.code),
            description: Some(alert.description.chars().take(250).collect()),
            at: alert.at,
            payload: None,
        });
        let signed = duis::write::smets1_signed_response(&header, &body)
            .map_err(|error| error.to_string())
            .and_then(|xml| self.context.sign(&xml));
        match signed {
            Ok(signed) => {
                let device = alert.device.0;
                self.alert(S1spAlert {
                    device,
                    signed_xml: signed.into(),
                    is_s1sp_alert: false,
                    counter: 0,
                    ..S1spAlert::default()
                });
            }
            Err(reason) => tracing::error!(device = %alert.device, leg = "s1sp", reason, "alert not made"),
        }
    }

    /// Numbers, journals and sends an alert.
    fn alert(&mut self, mut alert: S1spAlert) {
        alert.counter = self.next_alert_counter(alert.device);
        let journalled = self.context.journal().alert(&alert);
        match journalled {
            Ok(number) => self.send(number, ToDcc::Alert(alert), true),
            Err(error) => tracing::error!(leg = "s1sp", %error, "alert not journalled"),
        }
    }

    /// The next number of what the DCC is told about a device by itself.
    fn next_alert_counter(&mut self, device: u64) -> u64 {
        let counter = self.alert_counters.entry(device).or_insert(0);
        *counter += 1;
        *counter
    }

    /// Sends a message until the DCC confirms it.
    fn send(&mut self, number: u64, message: ToDcc, journalled: bool) {
        let (kind, trace_id, body) = match &message {
            ToDcc::Response(response) => (
                Kind::S1spResponse,
                response.request_id.clone(),
                response.encode_to_vec(),
            ),
            ToDcc::Alert(alert) => {
                let trace_id = format!("alert {} {}", Eui64(alert.device), alert.counter);
                (Kind::S1spAlert, trace_id, alert.encode_to_vec())
            }
            ToDcc::Image(result) => (Kind::ImageJobResult, result.job_id.clone(), result.encode_to_vec()),
            ToDcc::Firmware(report) => {
                let trace_id = format!("firmware {} {}", Eui64(report.device), report.counter);
                (Kind::FirmwareReport, trace_id, report.encode_to_vec())
            }
        };
        let (caller, context) = (self.to_dcc.clone(), Arc::clone(&self.context));
        self.tasks.spawn(async move {
            let mut within = context.limits.confirm_within;
            loop {
                let envelope = Envelope {
                    trace_id: trace_id.clone(),
                    ..Envelope::default()
                };
                match caller.call(envelope, kind, &body, within).await {
                    Ok(reply) if reply.kind() == Kind::Accepted => return Done::Taken(number, journalled),
                    // Closed: the journal has it, the next start sends it again.
                    Err(CallError::Closed(_)) => return Done::Nothing,
                    Ok(_) | Err(CallError::TooManyOutstanding { .. }) => context.world.clock.sleep(within).await,
                    Err(_) => {}
                }
                within = (within + within).min(context.limits.confirm_within_max);
            }
        });
    }
}

/// The next message of the commissioning party, with what it takes to answer it; `None` when its link is closed.
async fn from_cp(
    hand_over: &mut Option<(Arc<HandOver>, LinkSender, LinkReceiver)>,
) -> Option<(Arc<HandOver>, Envelope, LinkSender)> {
    let (desk, to, from) = hand_over.as_mut()?;
    let envelope = from.recv().await?;
    Some((Arc::clone(desk), envelope, to.clone()))
}

impl std::fmt::Debug for S1sp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S1sp({} requests under way)", self.under_way)
    }
}

/// Alerts that wait to be sent before the outcome of their request; more wait in the tasks that raise them.
const AT_ONCE_MAX: usize = 256;
