//! One operation of a head end: what is asked, what the answer means, and what is asked next.

use cosem::codec::Reader;
use domain::operation::octets;
use domain::{
    Answer, Approval, Association, DataItem, DeviceKind, LogKind, LogRow, Operation, Outcome, Quantity, Refusal,
    SimInstant, SupplyState, Unit, Value,
};

use super::survey::{Channel, end_of, file_of, record_len, second, value};
use super::table::{self, Register};
use super::value::{Form, clock_status, put_time, supply_code, take, take_time};
use super::{
    ACK, CAN, CLOCK_STATUS, DATE_TIME, FILE, FOUND_EXACT, FOUND_NEAREST, LAB_APPROVAL, LAB_EXECUTE, LAB_REFUSAL,
    LAB_REPLY, LAB_SUBMISSION, LAB_TOLERANCE, RECORDS_MAX, SEVERAL_WITH_ERRORS, SUPPLY, base,
};
use crate::dlms::half_hourly;
use crate::submission::{split_reply, submission};
use crate::{FaceError, FaceProfile};

/// Most octets of a reply or rows of a survey put together from parts.
const REPLY_MAX: usize = 8 * 1024 * 1024;
const ROWS_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) slot: DeviceKind,
    pub(super) association: Association,
    pub(super) operation: Operation,
    pub(super) approval: Option<Approval>,
    pub(super) step: Step,
    pub(super) retried: bool,
}

/// What was asked last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The approval was presented.
    Approval,
    /// One channel of a survey: those known, and how many there are besides.
    Channel(Vec<Channel>, usize),
    /// How many channels a survey has.
    Channels,
    /// Done when this is done.
    Do,
    Execute,
    Login,
    /// The records from here to there.
    Records {
        channels: Vec<Channel>,
        next: i32,
        last: i32,
        rows: Vec<LogRow>,
    },
    /// Why it was refused.
    Refusal,
    /// How long the reply is.
    ReplyInfo,
    /// The reply so far, of so many octets.
    Reply(Vec<u8>, usize),
    SearchFrom(Vec<Channel>),
    SearchTo(Vec<Channel>, i32),
    /// The submission is written up to here.
    Submit(Vec<u8>, usize),
    Tolerance,
    Value(Register),
}

/// What is to happen after an answer.
pub(super) enum Next {
    Ask(Step, Vec<u8>),
    Finished(Outcome),
    Queued(u32),
}

impl Job {
    /// The first thing to ask.
    pub(super) fn first(&self, face: &FaceProfile) -> (Step, Vec<u8>) {
        if self.slot != DeviceKind::Gsme {
            match &self.operation {
                Operation::Read(item) => {
                    if let Some(register) = table::of_item(self.slot, *item) {
                        return (Step::Value(register), self.read_register(register));
                    }
                }
                Operation::ReadLog { log, .. } => {
                    if let Some(file) = file_of(self.slot, *log) {
                        return (Step::Channels, self.read_file_register(file, 0xF012));
                    }
                }
                _ if self.write(face).is_some() => {
                    return match &self.approval {
                        Some(approval) => (Step::Approval, self.write_register(LAB_APPROVAL, &approval.to_bytes())),
                        None => self.after_approval(face),
                    };
                }
                _ => {}
            }
        }
        let submission = submission(&self.operation, self.approval.as_ref());
        self.submit(submission, 0, face)
    }

    /// Register and value that carry the operation out; `None` when none do.
    fn write(&self, face: &FaceProfile) -> Option<(u32, Vec<u8>)> {
        let supply = |state| Some((SUPPLY, vec![supply_code(state)]));
        match &self.operation {
            Operation::DisableSupply if self.slot == DeviceKind::Esme => supply(SupplyState::Disabled),
            Operation::ArmSupply if self.slot == DeviceKind::Esme => supply(SupplyState::Armed),
            Operation::EnableSupply if self.slot == DeviceKind::Esme => supply(SupplyState::Enabled),
            Operation::SynchroniseClock { time, .. } => {
                let octets = put_time(*time, face);
                // An approval covers the exact time, so it must survive the way in seconds.
                (take_time(&octets, face) == Some(*time)).then_some((DATE_TIME, octets.to_vec()))
            }
            _ => None,
        }
    }

    fn after_approval(&self, face: &FaceProfile) -> (Step, Vec<u8>) {
        if let Operation::SynchroniseClock { tolerance_s, .. } = &self.operation {
            return (
                Step::Tolerance,
                self.write_register(LAB_TOLERANCE, &tolerance_s.to_be_bytes()),
            );
        }
        self.carry_out(face)
    }

    fn carry_out(&self, face: &FaceProfile) -> (Step, Vec<u8>) {
        let (register, value) = self.write(face).unwrap_or((SUPPLY, Vec::new()));
        (Step::Do, self.write_register(register, &value))
    }

    fn submit(&self, submission: Vec<u8>, at: usize, face: &FaceProfile) -> (Step, Vec<u8>) {
        let size = usize::from(face.pdu_max).saturating_sub(32).clamp(16, RECORDS_MAX);
        let rest = submission.get(at..).unwrap_or_default();
        let part = rest.get(..size).unwrap_or(rest);
        let mut body = self.file(b'W', LAB_SUBMISSION);
        body.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(&u16::try_from(part.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 1]);
        body.extend_from_slice(part);
        let end = at + part.len();
        (Step::Submit(submission, end), body)
    }

    pub(super) fn answered(&mut self, body: &[u8], face: &FaceProfile) -> Result<Next, FaceError> {
        let malformed = || FaceError::Malformed("an answer of another kind than the question".into());
        if let [CAN, code, ..] = body {
            return Ok(self.refused(*code));
        }
        let ask = |(step, body)| Ok(Next::Ask(step, body));
        let step = std::mem::replace(&mut self.step, Step::Do);
        match step {
            Step::Approval if body == [ACK] => ask(self.after_approval(face)),
            Step::Tolerance if body == [ACK] => ask(self.carry_out(face)),
            Step::Do if body == [ACK] => Ok(Next::Finished(Ok(Answer::Done))),
            Step::Execute if body == [ACK] => ask((Step::ReplyInfo, self.file(b'I', LAB_REPLY))),
            Step::Submit(submission, at) => {
                body.strip_prefix(self.file(b'W', LAB_SUBMISSION).as_slice())
                    .ok_or_else(malformed)?;
                if at < submission.len() {
                    ask(self.submit(submission, at, face))
                } else {
                    ask((Step::Execute, self.write_register(LAB_EXECUTE, &[1])))
                }
            }
            Step::ReplyInfo => {
                let info = body
                    .strip_prefix(self.file(b'I', LAB_REPLY).as_slice())
                    .ok_or_else(malformed)?;
                let Some([_, _, _, _, a, b, c, d, ..]) = info.get(..8) else {
                    return Err(malformed());
                };
                let total = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
                if total > REPLY_MAX {
                    return Err(malformed());
                }
                ask((Step::Reply(Vec::new(), total), self.read_reply(0)))
            }
            Step::Reply(mut reply, total) => {
                let records = body
                    .strip_prefix(self.file(b'R', LAB_REPLY).as_slice())
                    .and_then(|rest| rest.get(10..))
                    .filter(|records| !records.is_empty())
                    .ok_or_else(malformed)?;
                reply.extend_from_slice(records);
                if reply.len() < total {
                    let at = reply.len();
                    return ask((Step::Reply(reply, total), self.read_reply(at)));
                }
                match split_reply(&reply).ok_or_else(malformed)? {
                    domain::Execution::Finished(outcome) => Ok(Next::Finished(outcome)),
                    domain::Execution::Queued(ticket) => Ok(Next::Queued(ticket)),
                }
            }
            Step::Refusal => {
                let octets = body.get(5..).ok_or_else(malformed)?;
                let outcome = octets::outcome(octets).map_err(|_| malformed())?;
                Ok(Next::Finished(Err(outcome.err().unwrap_or(Refusal::NotPermitted))))
            }
            Step::Value(register) => self.value(register, body, face),
            step => self.survey(step, body, face),
        }
    }

    fn refused(&self, code: u8) -> Next {
        let changes = self.operation.changes_state();
        if changes && !matches!(self.step, Step::Refusal) {
            // The code alone does not say what was wrong.
            let register = self.register(LAB_REFUSAL);
            return Next::Ask(
                Step::Refusal,
                [b"M".as_slice(), register.to_be_bytes().as_slice()].concat(),
            );
        }
        Next::Finished(Err(refusal(code)))
    }

    fn value(&self, register: Register, body: &[u8], face: &FaceProfile) -> Result<Next, FaceError> {
        let malformed = || FaceError::Malformed(format!("no value of register {:04X}", register.number));
        let mut reader = Reader::closed(body);
        let marker = [b'M', 0, 0, 0xFF, 0xF1];
        if reader.take(marker.len()).ok() != Some(marker.as_slice()) {
            return Err(malformed());
        }
        match reader.u8().map_err(|_| malformed())? {
            0 => {}
            code => return Ok(Next::Finished(Err(refusal(code)))),
        }
        let mut value = take(&mut reader, register.form, face).ok_or_else(malformed)?;
        if let Value::Clock(at, _) = value {
            let status = match reader.array().map_err(|_| malformed())? {
                [0, code] => clock_status(code).ok_or_else(malformed)?,
                _ => return Err(malformed()),
            };
            value = Value::Clock(at, status);
        }
        reader.finish().map_err(|_| malformed())?;
        Ok(Next::Finished(Ok(Answer::Value(value))))
    }

    fn survey(&self, step: Step, body: &[u8], face: &FaceProfile) -> Result<Next, FaceError> {
        let malformed = || FaceError::Malformed("an answer of another kind than the question".into());
        let Operation::ReadLog { log, from, to } = self.operation else {
            return Err(malformed());
        };
        let file = file_of(self.slot, log).ok_or_else(malformed)?;
        let ask = |step, body| Ok(Next::Ask(step, body));
        let empty = || Ok(Next::Finished(Ok(Answer::Log(Vec::new()))));
        match step {
            Step::Channels => match body.get(5..) {
                Some([0, 0]) => empty(),
                Some([0, count]) => {
                    let step = Step::Channel(Vec::new(), usize::from(*count));
                    ask(step, self.read_file_register(file, 0xE401))
                }
                Some([code, ..]) => Ok(Next::Finished(Err(refusal(*code)))),
                _ => Err(malformed()),
            },
            Step::Channel(mut channels, left) => {
                let name = match body.get(5..) {
                    Some([0, name @ .., 0]) => std::str::from_utf8(name).ok(),
                    _ => None,
                };
                channels.push(name.and_then(Channel::of).ok_or_else(malformed)?);
                if left > 1 {
                    let next = 0xE401 + u16::try_from(channels.len()).unwrap_or(0);
                    return ask(Step::Channel(channels, left - 1), self.read_file_register(file, next));
                }
                // A record's time is cut to seconds.
                let body = self.search(file, second(from), true, face);
                ask(Step::SearchFrom(channels), body)
            }
            Step::SearchFrom(channels) => match self.found(file, body).ok_or_else(malformed)? {
                Some(first) => ask(
                    Step::SearchTo(channels, first),
                    self.search(file, second(to), false, face),
                ),
                None => empty(),
            },
            Step::SearchTo(channels, first) => match self.found(file, body).ok_or_else(malformed)? {
                Some(last) if last >= first => {
                    let body = self.read_records(file, first, last, &channels);
                    let (next, rows) = (first, Vec::new());
                    ask(
                        Step::Records {
                            channels,
                            next,
                            last,
                            rows,
                        },
                        body,
                    )
                }
                _ => empty(),
            },
            Step::Records {
                channels,
                next,
                last,
                mut rows,
            } => {
                let (asked, records) = self.records(file, body).ok_or_else(malformed)?;
                let first = rows.len();
                for record in records.chunks(record_len(&channels)) {
                    rows.push(self.row(record, &channels, log, face).ok_or_else(malformed)?);
                }
                if rows.len() > ROWS_MAX {
                    return Err(malformed());
                }
                // Half-hours are numbered whether they are known or not; other records without gaps.
                let half_hours = half_hourly(self.slot, log).is_some();
                let came = i32::try_from(rows.len() - first).unwrap_or(i32::MAX);
                let next = next.saturating_add(if half_hours { asked } else { came });
                if next <= last && (half_hours || came > 0) {
                    let body = self.read_records(file, next, last, &channels);
                    return ask(
                        Step::Records {
                            channels,
                            next,
                            last,
                            rows,
                        },
                        body,
                    );
                }
                rows.retain(|row| second(from) <= row.at && row.at <= to);
                Ok(Next::Finished(Ok(Answer::Log(rows))))
            }
            _ => Err(malformed()),
        }
    }

    fn search(&self, file: u16, at: SimInstant, onwards: bool, face: &FaceProfile) -> Vec<u8> {
        // Before 1996 and after 2095 a date-time cannot say.
        let first = SimInstant(820_454_400_000);
        let last = SimInstant(3_976_214_400_000);
        let mut body = self.survey_file(b'S', file);
        body.extend_from_slice(&0u32.to_be_bytes());
        body.extend_from_slice(&put_time(at.clamp(first, last), face));
        body.push(u8::from(onwards));
        body
    }

    /// The record that a search found: `None` within when there is none.
    fn found(&self, file: u16, body: &[u8]) -> Option<Option<i32>> {
        let rest = body.strip_prefix(self.survey_file(b'S', file).as_slice())?;
        let [a, b, c, d, .., result] = rest else { return None };
        let record = i32::from_be_bytes([*a, *b, *c, *d]);
        Some(matches!(*result, FOUND_EXACT | FOUND_NEAREST).then_some(record))
    }

    fn read_records(&self, file: u16, first: i32, last: i32, channels: &[Channel]) -> Vec<u8> {
        let size = record_len(channels);
        let most = i32::try_from((RECORDS_MAX / size).max(1)).unwrap_or(1);
        let count = last.saturating_sub(first).saturating_add(1).clamp(1, most);
        let mut body = self.survey_file(b'R', file);
        body.extend_from_slice(&first.to_be_bytes());
        body.extend_from_slice(&u16::try_from(count).unwrap_or(1).to_be_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&u16::try_from(size).unwrap_or(0).to_be_bytes());
        body
    }

    /// How many records one question covers, and the octets of those that came.
    fn records<'a>(&self, file: u16, body: &'a [u8]) -> Option<(i32, &'a [u8])> {
        let rest = body.strip_prefix(self.survey_file(b'R', file).as_slice())?;
        let [_, _, _, _, high, low, _, _, size_high, size_low, records @ ..] = rest else {
            return None;
        };
        let size = usize::from(u16::from_be_bytes([*size_high, *size_low]));
        let count = usize::from(u16::from_be_bytes([*high, *low]));
        if size == 0 || records.len() != count * size {
            return None;
        }
        let most = i32::try_from((RECORDS_MAX / size).max(1)).unwrap_or(1);
        Some((most, records))
    }

    fn row(&self, record: &[u8], channels: &[Channel], log: LogKind, face: &FaceProfile) -> Option<LogRow> {
        let mut reader = Reader::closed(record);
        let at = take_time(&reader.array().ok()?, face)?;
        let mut row = LogRow {
            at,
            values: Vec::new(),
            code: None,
        };
        for channel in channels {
            match channel {
                Channel::Code => row.code = Some(reader.u16().ok()?),
                Channel::Item(item) => {
                    if let Some(value) = value(reader.array().ok()?) {
                        row.values.push((*item, Quantity::new(value, self.unit(*item))));
                    }
                }
            }
        }
        if half_hourly(self.slot, log).is_some() {
            // In the doubled hour a local time says only one of two instants: the half-hour's own is the right one.
            let hour = domain::SimDuration::from_hours(1);
            let exact = [at, at + hour]
                .into_iter()
                .find(|at| end_of(super::survey::number(*at)) == *at);
            row.at = exact.unwrap_or(at);
        }
        Some(row)
    }

    fn unit(&self, item: DataItem) -> Unit {
        let register = table::of_item(self.slot, item);
        register
            .and_then(|register| register.form.unit())
            .unwrap_or(Unit::Count)
    }

    fn register(&self, number: u32) -> u32 {
        base(self.slot).map_or(0, |(base, _)| base) + number
    }

    fn read_register(&self, register: Register) -> Vec<u8> {
        let mut body = [b"M".as_slice(), SEVERAL_WITH_ERRORS.to_be_bytes().as_slice()].concat();
        body.extend_from_slice(&self.register(register.number).to_be_bytes());
        if register.form == Form::DateTime {
            body.extend_from_slice(&self.register(CLOCK_STATUS).to_be_bytes());
        }
        body
    }

    fn read_file_register(&self, file: u16, within: u16) -> Vec<u8> {
        let mut body = [b"M".as_slice(), SEVERAL_WITH_ERRORS.to_be_bytes().as_slice()].concat();
        body.extend_from_slice(&file.to_be_bytes());
        body.extend_from_slice(&within.to_be_bytes());
        body
    }

    fn write_register(&self, number: u32, value: &[u8]) -> Vec<u8> {
        [b"N".as_slice(), self.register(number).to_be_bytes().as_slice(), value].concat()
    }

    fn file(&self, command: u8, number: u16) -> Vec<u8> {
        let above = base(self.slot).map_or(0, |(_, above)| above);
        self.survey_file(command, number + above)
    }

    #[expect(clippy::unused_self, reason = "beside the methods it belongs with")]
    fn survey_file(&self, command: u8, file: u16) -> Vec<u8> {
        let register = u32::from(file) << 16 | FILE;
        [&[b'F', command], register.to_be_bytes().as_slice()].concat()
    }

    fn read_reply(&self, at: usize) -> Vec<u8> {
        let mut body = self.file(b'R', LAB_REPLY);
        body.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(&u16::try_from(RECORDS_MAX).unwrap_or(u16::MAX).to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 1]);
        body
    }
}

/// The refusal that an error code stands for.
fn refusal(code: u8) -> Refusal {
    match code {
        3 => Refusal::NotSupported,
        4 | 9 => Refusal::NotPermitted,
        6 => Refusal::HardwareFault,
        7 => Refusal::Busy,
        5 | 8 => Refusal::OutOfRange,
        _ => Refusal::WrongState,
    }
}
