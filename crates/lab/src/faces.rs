//! Programs that provide faces: who is attached under which name, and the connections they speak on.
//!
//! The words of both sides are those of `dialects::external`; here they are turned into messages and handed over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use dialects::Notification;
use dialects::external::{Attached, Back, End, FromFace, Line, ToFace};
use domain::keys::Purpose;
use domain::{Answer, Approval, Association, DeviceKind, Execution};
use proto::v1 as m;
use proto::v1::face_executed::Result as Executed;
use proto::v1::face_notification::Notification as Noted;
use proto::v1::from_face::Said;
use proto::v1::to_face::Told;
use tokio::sync::mpsc;
use world::semantic;

use crate::view::ViewError;

/// Messages that wait for a program; one that does not keep up loses the connection they belong to.
pub const TOLD_MAX: usize = 1024;

/// Where programs are attached. Clones share it.
#[derive(Clone, Default)]
pub struct Faces(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    programs: BTreeMap<(String, End), (u64, mpsc::Sender<m::ToFace>)>,
    sessions: BTreeMap<u64, Session>,
    last: u64,
    /// The end that is in another process, and where a program for it is attached.
    elsewhere: Option<(End, &'static str)>,
}

/// A connection: whose it is, and who hears what the program says on it.
struct Session {
    program: u64,
    back: Arc<Back>,
}

/// An attached program. Dropping it detaches it and ends its connections.
pub struct Program {
    faces: Faces,
    number: u64,
    told: mpsc::Receiver<m::ToFace>,
}

/// The lab's side of one connection.
struct ToProgram {
    faces: Faces,
    session: u64,
    end: End,
    told: mpsc::Sender<m::ToFace>,
}

impl Faces {
    /// Attaches a program under a name, for one end or both.
    ///
    /// # Errors
    /// When the name is empty, no end is named, an end is in another process, or another program is attached under it.
    pub fn attach(&self, attach: &m::AttachFace) -> Result<Program, ViewError> {
        let bad = |problem: String| Err(ViewError::BadQuestion(problem));
        let ends: Vec<End> = attach.ends().filter_map(end_of).collect();
        if attach.name.is_empty() || ends.is_empty() {
            return bad("a program is attached under a name, for the devices' end, the head-end's or both".into());
        }
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let mut state = self.lock();
        if let Some((_, place)) = state.elsewhere.filter(|(end, _)| ends.contains(end)) {
            return bad(place.to_owned());
        }
        for end in &ends {
            if state.programs.contains_key(&(attach.name.clone(), *end)) {
                return bad(format!("another program is attached as {:?} already", attach.name));
            }
        }
        state.last += 1;
        let number = state.last;
        for end in ends {
            state
                .programs
                .insert((attach.name.clone(), end), (number, tell.clone()));
        }
        drop(state);
        // There is room: nothing was told yet.
        let _attached = tell.try_send(message(0, Told::Attached(true)));
        Ok(Program {
            faces: self.clone(),
            number,
            told,
        })
    }

    /// One end is in another process: a program that asks for it is told `place`.
    pub(crate) fn without(&self, end: End, place: &'static str) {
        self.lock().elsewhere = Some((end, place));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn back_of(&self, session: u64, program: u64) -> Option<Arc<Back>> {
        let state = self.lock();
        let found = state.sessions.get(&session).filter(|found| found.program == program)?;
        Some(Arc::clone(&found.back))
    }
}

impl std::fmt::Debug for Faces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        write!(f, "Faces({:?})", state.programs.keys().collect::<Vec<_>>())
    }
}

impl Attached for Faces {
    fn open(&self, name: &str, end: End, back: Back) -> Option<Box<dyn Line>> {
        let mut state = self.lock();
        let (program, told) = state.programs.get(&(name.to_owned(), end)).cloned()?;
        state.last += 1;
        let session = state.last;
        let back = Arc::new(back);
        state.sessions.insert(session, Session { program, back });
        Some(Box::new(ToProgram {
            faces: self.clone(),
            session,
            end,
            told,
        }))
    }
}

impl Line for ToProgram {
    fn tell(&self, told: ToFace) -> bool {
        let taken = self
            .told
            .try_send(message(self.session, told_to_proto(told, self.end)))
            .is_ok();
        if !taken {
            let session = self.faces.lock().sessions.remove(&self.session);
            if let Some(session) = session {
                (session.back)(None);
            }
        }
        taken
    }
}

impl Drop for ToProgram {
    fn drop(&mut self) {
        self.faces.lock().sessions.remove(&self.session);
        // A program that has gone, or does not keep up, needs not be told.
        let _ = self.told.try_send(message(self.session, Told::Closed(true)));
    }
}

impl Program {
    /// Hears one message of the program. What it says of a connection that is over is ignored.
    ///
    /// # Errors
    /// When it is no message of this kind.
    pub fn hear(&self, message: m::FromFace) -> Result<(), ViewError> {
        let Some(back) = self.faces.back_of(message.session, self.number) else {
            return Ok(());
        };
        let said = message.said.ok_or_else(|| bad("a message that says nothing"))?;
        // A hub that has no room for it gives its connection up by itself.
        back(Some(said_from_proto(said)?));
        Ok(())
    }

    /// The next thing the program is to be told.
    pub fn poll_told(&mut self, context: &mut Context<'_>) -> Poll<Option<m::ToFace>> {
        self.told.poll_recv(context)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let mut state = self.faces.lock();
        state.programs.retain(|_, (number, _)| *number != self.number);
        let mut backs = Vec::new();
        state.sessions.retain(|_, session| {
            let kept = session.program != self.number;
            if !kept {
                backs.push(Arc::clone(&session.back));
            }
            kept
        });
        drop(state);
        for back in backs {
            back(None);
        }
    }
}

fn message(session: u64, told: Told) -> m::ToFace {
    m::ToFace {
        session,
        told: Some(told),
    }
}

fn bad(problem: impl Into<String>) -> ViewError {
    ViewError::BadQuestion(problem.into())
}

fn end_of(end: m::FaceEnd) -> Option<End> {
    match end {
        m::FaceEnd::Device => Some(End::Device),
        m::FaceEnd::HeadEnd => Some(End::HeadEnd),
        m::FaceEnd::Unspecified => None,
    }
}

fn told_to_proto(told: ToFace, end: End) -> Told {
    match told {
        ToFace::Opened { hub, party, devices } => Told::Opened(m::FaceOpened {
            end: match end {
                End::Device => m::FaceEnd::Device,
                End::HeadEnd => m::FaceEnd::HeadEnd,
            }
            .into(),
            hub: hub.to_string(),
            party: party.map(|party| party.as_str().to_owned()).unwrap_or_default(),
            devices: devices
                .into_iter()
                .map(|(kind, device)| (kind.to_string(), device.to_string()))
                .collect(),
        }),
        ToFace::Octets(octets) => Told::Octets(octets.into()),
        ToFace::Executed { call, execution } => Told::Executed(m::FaceExecuted {
            call,
            result: Some(match execution {
                Execution::Finished(outcome) => Executed::Outcome(semantic::outcome_to_proto(&outcome)),
                Execution::Queued(ticket) => Executed::Ticket(ticket),
            }),
        }),
        ToFace::Key { call, key } => Told::Key(m::FaceKey {
            call,
            key: key.map(|key| Bytes::copy_from_slice(key.expose())).unwrap_or_default(),
        }),
        ToFace::Notify(notification) => Told::Notify(notification_to_proto(notification)),
        ToFace::Start {
            slot,
            association,
            operation,
            approval,
        } => Told::Start(m::FaceStart {
            device: slot.to_string(),
            operation: Some(semantic::operation_to_proto(&operation)),
            association: word_of(association).to_owned(),
            approval: approval
                .map(|approval| Bytes::copy_from_slice(&approval.to_bytes()))
                .unwrap_or_default(),
        }),
        ToFace::Release => Told::Release(true),
    }
}

fn said_from_proto(said: Said) -> Result<FromFace, ViewError> {
    Ok(match said {
        Said::Attach(_) => return Err(bad("this program is attached already")),
        Said::Send(octets) => FromFace::Send(octets.to_vec()),
        Said::Close(_) => FromFace::Close,
        Said::Operate(operate) => FromFace::Operate {
            call: operate.call,
            slot: kind(&operate.device)?,
            association: association(&operate.association)?,
            operation: {
                let operation = operate.operation.ok_or_else(|| bad("no operation was given"))?;
                semantic::operation_from_proto(&operation).map_err(|error| bad(error.to_string()))?
            },
            approval: match operate.approval.as_ref() {
                [] => None,
                octets => {
                    let approval = Approval::from_bytes(octets);
                    Some(approval.ok_or_else(|| bad(format!("{} octets that are no approval", octets.len())))?)
                }
            },
        },
        Said::AskKey(ask) => FromFace::AskKey {
            call: ask.call,
            slot: kind(&ask.device)?,
            purpose: purpose(&ask.purpose)?,
        },
        Said::Identified(hub) => FromFace::Identified(
            hub.parse()
                .map_err(|error: domain::ParseError| bad(error.to_string()))?,
        ),
        Said::Finished(outcome) => {
            FromFace::Finished(semantic::outcome_from_proto(&outcome).map_err(|error| bad(error.to_string()))?)
        }
        Said::Queued(ticket) => FromFace::Queued(ticket),
        Said::Notified(notified) => FromFace::Notified(notification_from_proto(notified)?),
        Said::Released(_) => FromFace::Released,
        Said::Failed(reason) => FromFace::Failed(reason.chars().take(200).collect()),
    })
}

fn notification_to_proto(notification: Notification) -> m::FaceNotification {
    let notification = match notification {
        Notification::Alert {
            slot,
            code,
            description,
            at,
        } => Noted::Alert(m::FaceAlert {
            device: slot.to_string(),
            code: code.into(),
            description,
            at_ms: at.0,
        }),
        Notification::Readings { slot, row } => {
            let rows = semantic::answer_to_proto(&Answer::Log(vec![row]));
            Noted::Readings(m::FaceReadings {
                device: slot.to_string(),
                row: match rows.answer {
                    Some(m::answer::Answer::Log(mut log)) => log.rows.pop(),
                    _ => None,
                },
            })
        }
        Notification::LateResult { ticket, outcome } => Noted::LateResult(m::FaceLateResult {
            ticket,
            outcome: Some(semantic::outcome_to_proto(&outcome)),
        }),
    };
    m::FaceNotification {
        notification: Some(notification),
    }
}

fn notification_from_proto(notified: m::FaceNotification) -> Result<Notification, ViewError> {
    let nothing = || bad("a notification of nothing");
    Ok(match notified.notification.ok_or_else(nothing)? {
        Noted::Alert(alert) => Notification::Alert {
            slot: kind(&alert.device)?,
            code: u16::try_from(alert.code).map_err(|_| bad(format!("{} is no alert code", alert.code)))?,
            description: alert.description.chars().take(250).collect(),
            at: domain::SimInstant(alert.at_ms),
        },
        Noted::Readings(readings) => {
            let rows = m::LogRows {
                rows: readings.row.into_iter().collect(),
            };
            let answer = m::Answer {
                answer: Some(m::answer::Answer::Log(rows)),
            };
            match semantic::answer_from_proto(&answer).map_err(|error| bad(error.to_string()))? {
                Answer::Log(mut rows) => Notification::Readings {
                    slot: kind(&readings.device)?,
                    row: rows.pop().ok_or_else(nothing)?,
                },
                _ => return Err(nothing()),
            }
        }
        Noted::LateResult(late) => Notification::LateResult {
            ticket: late.ticket,
            outcome: {
                let outcome = late.outcome.ok_or_else(nothing)?;
                semantic::outcome_from_proto(&outcome).map_err(|error| bad(error.to_string()))?
            },
        },
    })
}

fn kind(text: &str) -> Result<DeviceKind, ViewError> {
    text.parse().map_err(|error: domain::ParseError| bad(error.to_string()))
}

fn association(text: &str) -> Result<Association, ViewError> {
    let known = [
        Association::Critical,
        Association::Management,
        Association::Public,
        Association::Reader,
    ];
    let found = known.into_iter().find(|known| word_of(*known) == text);
    found.ok_or_else(|| {
        bad(format!(
            "expected critical, management, reader or public, found {text:?}"
        ))
    })
}

/// The word of an association; one of staged keys has that of the keys in force: which they are follows from the operator.
fn word_of(association: Association) -> &'static str {
    match association.in_force() {
        Association::Critical => "critical",
        Association::Public => "public",
        Association::Reader => "reader",
        _ => "management",
    }
}

fn purpose(text: &str) -> Result<Purpose, ViewError> {
    Ok(match text {
        "critical-authentication" => Purpose::CriticalAuthentication,
        "critical-encryption" => Purpose::CriticalEncryption,
        "management-authentication" => Purpose::ManagementAuthentication,
        "management-encryption" => Purpose::ManagementEncryption,
        "reader-password" => Purpose::ReaderPassword,
        "wake-up" => Purpose::WakeUp,
        _ => return Err(bad(format!("no key is given for {text:?}"))),
    })
}
