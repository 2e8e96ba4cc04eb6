//! One operation at the head end's side, as the requests that carry it out.

use std::collections::VecDeque;

use cosem::client::{Ask, Event};
use cosem::codec::Reader;
use cosem::request::Item;
use cosem::types::CaptureObject;
use cosem::{AccessResult, Attribute, Data, Method, Obis, Selection};
use domain::operation::{ImageStatus, octets};
use domain::{
    Answer, Approval, Association, DataItem, DeviceKind, LogKind, LogRow, Operation, Outcome, Quantity, Refusal,
    SimDuration, SimInstant, Unit, Value,
};

use super::image;
use super::logs::{self, Column};
use super::objects::*;
use super::time::{from_wire, to_wire};
use super::values;
use crate::submission::submission;
use crate::{FaceError, FaceProfile, compact};

/// Most rows of a log that are taken from one answer.
const ROWS_MAX: usize = 100_000;

/// An operation on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) slot: DeviceKind,
    pub(crate) association: Association,
    operation: Operation,
    steps: VecDeque<(Step, Ask)>,
    columns: Vec<Column>,
    /// What is known so far of how far an image is.
    image: ImageStatus,
    /// A refused counter was made good; once per operation.
    pub(crate) retried: bool,
    /// The code of a refusal of which the reason is being asked.
    denied: Option<AccessResult>,
}

/// What is to happen after an answer.
#[derive(Debug)]
pub(crate) enum Next {
    /// Ask the next thing.
    Ask,
    Finished(Outcome),
    Queued(u32),
    Send(Vec<u8>),
}

/// What an answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// The columns of a log follow.
    Columns,
    /// Done when this is done.
    Do,
    /// Why the device denied what came before.
    Fault,
    /// One attribute of how far an image is.
    Image(i8),
    /// Goes before what is really wanted.
    Prepare,
    /// The rows of a log.
    Rows(LogKind),
    Submit,
    Value(Place),
}

impl Job {
    pub(crate) fn new(
        slot: DeviceKind,
        association: Association,
        operation: &Operation,
        approval: Option<&Approval>,
        face: &FaceProfile,
    ) -> Self {
        let mut job = Self {
            slot,
            association,
            operation: operation.clone(),
            steps: VecDeque::new(),
            columns: Vec::new(),
            image: image::unknown(),
            retried: false,
            denied: None,
        };
        // A sleeping gas meter takes everything through its queue, and the queue takes what no object expresses.
        if slot == DeviceKind::Gsme || !job.plan(approval, face) {
            job.steps.clear();
            let parameter = Data::OctetString(submission(operation, approval)).to_bytes();
            job.push(Step::Submit, action(CLASS_LAB_QUEUE, LAB_QUEUE, 1, parameter));
        }
        job
    }

    /// The request that is due; the same again until it is answered.
    pub(crate) fn ask(&self) -> Ask {
        match self.steps.front() {
            Some((_, ask)) => ask.clone(),
            // There is always a step while a job lives; the clock is harmless to read.
            None => get(CLASS_CLOCK, CLOCK, 2, None),
        }
    }

    /// Takes the answer to what was asked last.
    pub(crate) fn answered(&mut self, event: Event, face: &FaceProfile) -> Result<Next, FaceError> {
        let malformed = || FaceError::Malformed("an answer of another kind than the request".into());
        let (step, _) = self.steps.pop_front().ok_or_else(malformed)?;
        let refused = match &event {
            Event::Got(Err(code)) | Event::Acted(Err(code)) | Event::Was(Err(code)) => Some(*code),
            _ => None,
        };
        if let Some(code) = refused {
            return Ok(self.refused(step, code));
        }
        match (step, event) {
            (Step::Columns, Event::Got(Ok(octets))) => {
                self.columns = self.read_columns(&octets)?;
                Ok(Next::Ask)
            }
            (Step::Do, Event::Acted(Ok(None)) | Event::Was(Ok(()))) => Ok(Next::Finished(Ok(Answer::Done))),
            // A device that slept after all.
            (Step::Do, Event::Acted(Ok(Some(octets)))) => match data(&octets)? {
                Data::UInt32(ticket) => Ok(Next::Queued(ticket)),
                _ => Ok(Next::Finished(Ok(Answer::Done))),
            },
            (Step::Fault, Event::Got(Ok(octets))) => {
                let code = data(&octets)?
                    .as_i64()
                    .and_then(|code| u8::try_from(code).ok())
                    .unwrap_or(0);
                let fault = compact::fault_of(code);
                Ok(Next::Finished(Err(fault.unwrap_or_else(|| self.unexplained()))))
            }
            (Step::Image(index), Event::Got(Ok(octets))) => {
                image::take(&mut self.image, index, &data(&octets)?).ok_or_else(malformed)?;
                Ok(if self.steps.is_empty() {
                    Next::Finished(Ok(Answer::Value(Value::Image(self.image))))
                } else {
                    Next::Ask
                })
            }
            (Step::Prepare, Event::Acted(Ok(_)) | Event::Was(Ok(()))) => Ok(Next::Ask),
            (Step::Rows(log), Event::Got(Ok(octets))) => {
                Ok(Next::Finished(Ok(Answer::Log(self.read_rows(log, &octets, face)?))))
            }
            (Step::Submit, Event::Acted(Ok(Some(octets)))) => match data(&octets)? {
                Data::UInt32(ticket) => Ok(Next::Queued(ticket)),
                Data::OctetString(outcome) => {
                    let outcome = octets::outcome(&outcome).map_err(|error| FaceError::Malformed(error.to_string()))?;
                    Ok(Next::Finished(outcome))
                }
                _ => Err(malformed()),
            },
            (Step::Value(place), Event::Got(Ok(octets))) => {
                let value = values::decode(&data(&octets)?, place.shape, face)?;
                Ok(Next::Finished(Ok(Answer::Value(value))))
            }
            _ => Err(malformed()),
        }
    }

    fn refused(&mut self, step: Step, code: AccessResult) -> Next {
        let ciphered = !matches!(self.association, Association::Public | Association::Reader);
        let checked = self.operation == Operation::VerifyImage && code == AccessResult::TemporaryFailure;
        let denied = code == AccessResult::ReadWriteDenied && self.operation.changes_state();
        // Of an image, the standard's codes say next to nothing.
        let of_image = step == Step::Do && image::method(&self.operation).is_some() && !checked;
        if (denied || of_image) && ciphered && step != Step::Fault {
            // The code alone does not say whether it was the approval, or what of the image.
            self.steps.clear();
            self.denied = Some(code);
            self.push(Step::Fault, get(CLASS_LAB_APPROVAL, LAB_APPROVAL, 3, None));
            return Next::Ask;
        }
        if checked {
            // It is being checked: the status will say what was found.
            return Next::Finished(Ok(Answer::Done));
        }
        let refusal = if step == Step::Fault {
            self.unexplained()
        } else {
            values::refusal(code)
        };
        Next::Finished(Err(refusal))
    }

    /// A refusal of which the device says nothing more than its code.
    fn unexplained(&self) -> Refusal {
        self.denied.map_or(Refusal::NotPermitted, values::refusal)
    }

    fn push(&mut self, step: Step, ask: Ask) {
        self.steps.push_back((step, ask));
    }

    /// Plans over standard objects; `false` when they cannot express the operation.
    fn plan(&mut self, approval: Option<&Approval>, face: &FaceProfile) -> bool {
        if let Some(approval) = approval {
            let parameter = Data::OctetString(approval.to_bytes().to_vec()).to_bytes();
            self.push(Step::Prepare, action(CLASS_LAB_APPROVAL, LAB_APPROVAL, 1, parameter));
        }
        match self.operation.clone() {
            Operation::ArmSupply => self.supply(SCRIPT_ARM),
            Operation::DisableSupply => self.supply(SCRIPT_DISABLE),
            Operation::EnableSupply => self.supply(SCRIPT_ENABLE),
            Operation::Read(DataItem::ImageStatus) => self.read_image_status(),
            Operation::BeginImage { .. } | Operation::ImageBlock { .. } | Operation::VerifyImage => self.image(),
            Operation::Read(item) => self.read(item),
            Operation::ReadLog { log, from, to } => self.read_log(log, from, to, face),
            Operation::SynchroniseClock { time, tolerance_s } => self.synchronise(time, tolerance_s, face),
            // No object of this face expresses it.
            _ => false,
        }
    }

    fn supply(&mut self, script: u16) -> bool {
        if self.slot != DeviceKind::Esme {
            return false;
        }
        self.push(
            Step::Do,
            action(CLASS_SCRIPTS, SUPPLY_SCRIPTS, 1, Data::UInt16(script).to_bytes()),
        );
        true
    }

    fn image(&mut self) -> bool {
        match image::method(&self.operation).filter(|_| takes_images(self.slot)) {
            Some((index, parameter)) => {
                let ask = action(CLASS_IMAGE, IMAGE_TRANSFER, index, parameter.to_bytes());
                self.push(Step::Do, ask);
                true
            }
            None => false,
        }
    }

    fn read_image_status(&mut self) -> bool {
        let takes = takes_images(self.slot);
        for index in image::STATUS.into_iter().filter(|_| takes) {
            self.push(Step::Image(index), get(CLASS_IMAGE, IMAGE_TRANSFER, index, None));
        }
        takes
    }

    fn read(&mut self, item: DataItem) -> bool {
        let Some(place) = place(self.slot, item) else {
            return false;
        };
        let Attribute { class, object, index } = place.attribute;
        self.push(Step::Value(place), get(class, object, index, None));
        true
    }

    fn read_log(&mut self, log: LogKind, from: SimInstant, to: SimInstant, face: &FaceProfile) -> bool {
        let (Some(profile), Some(by)) = (logs::profile(self.slot, log), logs::capture(self.slot, Column::Time)) else {
            return false;
        };
        match logs::fixed_columns(self.slot, log) {
            Some(columns) => self.columns = columns,
            None => self.push(Step::Columns, get(CLASS_PROFILE, profile, 3, None)),
        }
        // Hundredths on the wire: round both ends outwards, and drop what is outside when it comes.
        let end = SimInstant(to.0.saturating_add(9));
        let limit = |at| Data::OctetString(to_wire(at, 0, face).to_vec());
        let range = Selection::Range {
            by,
            from: limit(from),
            to: limit(end),
            columns: Vec::new(),
        };
        self.push(Step::Rows(log), get(CLASS_PROFILE, profile, 2, Some(range)));
        true
    }

    fn synchronise(&mut self, time: SimInstant, tolerance_s: u32, face: &FaceProfile) -> bool {
        // An approval covers the exact time, so it must survive the way in hundredths of a second.
        let tolerance = SimDuration::from_secs(tolerance_s.into());
        let octets = |at| Data::OctetString(to_wire(at, 0, face).to_vec());
        let exact = from_wire(&to_wire(time, 0, face), face) == Some((time, to_wire(time, 0, face)[11]));
        if !exact {
            return false;
        }
        let preset = Data::Structure(vec![octets(time), octets(time - tolerance), octets(time + tolerance)]);
        self.push(Step::Prepare, action(CLASS_CLOCK, CLOCK, 5, preset.to_bytes()));
        self.push(Step::Do, action(CLASS_CLOCK, CLOCK, 4, Data::Int8(0).to_bytes()));
        true
    }

    fn read_columns(&self, octets: &[u8]) -> Result<Vec<Column>, FaceError> {
        let unknown = || FaceError::Malformed("capture objects that are none of this device".into());
        let captured = data(octets)?;
        let list = captured.as_list().ok_or_else(unknown)?;
        list.iter()
            .map(|each| logs::column(self.slot, &CaptureObject::from_data(each)?))
            .collect::<Option<_>>()
            .ok_or_else(unknown)
    }

    /// Decodes row by row, so that a long log never stands as a tree of values.
    fn read_rows(&self, log: LogKind, octets: &[u8], face: &FaceProfile) -> Result<Vec<LogRow>, FaceError> {
        let malformed = |error: cosem::DecodeError| FaceError::Malformed(error.to_string());
        let mut reader = Reader::closed(octets);
        reader.expect(cosem::data::tag::ARRAY, "log").map_err(malformed)?;
        let count = reader.length().map_err(malformed)?;
        if count > ROWS_MAX {
            return Err(FaceError::Malformed(format!("a log of {count} rows")));
        }
        let (from, to) = match self.operation {
            Operation::ReadLog { from, to, .. } => (from, to),
            _ => (SimInstant(i64::MIN), SimInstant(i64::MAX)),
        };
        let mut rows = Vec::new();
        for _ in 0..count {
            let row = Data::decode(&mut reader).map_err(malformed)?;
            let row = self.read_row(log, &row, face)?;
            if from <= row.at && row.at <= to {
                rows.push(row);
            }
        }
        reader.finish().map_err(malformed)?;
        Ok(rows)
    }

    fn read_row(&self, log: LogKind, row: &Data, face: &FaceProfile) -> Result<LogRow, FaceError> {
        let wrong = || FaceError::Malformed(format!("a row that is none of the {log:?} log"));
        let Data::Structure(parts) = row else {
            return Err(wrong());
        };
        if parts.len() != self.columns.len() {
            return Err(wrong());
        }
        let mut read = LogRow {
            at: SimInstant(i64::MIN),
            values: Vec::new(),
            code: None,
        };
        for (column, part) in self.columns.iter().zip(parts) {
            match (column, part) {
                (Column::Time, part) => {
                    (read.at, _) = part
                        .as_octets()
                        .and_then(|octets| from_wire(octets, face))
                        .ok_or_else(wrong)?;
                }
                (Column::Item(_), Data::DontCare | Data::Null) => {}
                (Column::Item(item), part) => {
                    let value = part.as_i64().ok_or_else(wrong)?;
                    read.values.push((*item, Quantity::new(value, self.unit(*item))));
                }
                (Column::Code, part) => {
                    let code = part.as_i64().and_then(|code| u16::try_from(code).ok());
                    read.code = Some(code.ok_or_else(wrong)?);
                }
            }
        }
        Ok(read)
    }

    fn unit(&self, item: DataItem) -> Unit {
        match place(self.slot, item).map(|place| place.shape) {
            Some(Shape::Register(unit, ..) | Shape::Number(unit)) => unit,
            _ => Unit::Count,
        }
    }
}

fn data(octets: &[u8]) -> Result<Data, FaceError> {
    Data::decode_all(octets).map_err(|error| FaceError::Malformed(error.to_string()))
}

fn get(class: u16, object: Obis, index: i8, selection: Option<Selection>) -> Ask {
    Ask::Get(Item {
        attribute: Attribute { class, object, index },
        selection,
    })
}

fn action(class: u16, object: Obis, index: i8, parameter: Vec<u8>) -> Ask {
    Ask::Action(Method { class, object, index }, Some(parameter))
}
