//! Logs as profiles: which rows and columns are wanted, and their delivery a few rows at a time.

use cosem::{AccessResult, Attribute, CaptureObject, Data, Obis, Selection, write};
use domain::time::HALF_HOUR;
use domain::{Access, Answer, DataItem, DeviceKind, Execution, LogKind, LogRow, Operation, SimDuration, SimInstant};

use super::objects::{self, CLASS_CLOCK, CLASS_DATA, CLOCK, EVENT_CODE};
use super::time::{from_wire, to_wire};
use super::values::{refusal_code, register};
use crate::{FaceProfile, Host};

/// How far back a log is looked for: longer than any SMETS1 log reaches.
const HISTORY: SimDuration = SimDuration::from_days(800);
const DAY: SimDuration = SimDuration::from_days(1);

/// One column of a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    Code,
    Item(DataItem),
    Time,
}

/// Where a long answer stands.
#[derive(Debug)]
pub(crate) struct LogCursor {
    log: LogKind,
    columns: Vec<Column>,
    /// First instant not fetched yet, and the last wanted.
    next: SimInstant,
    to: SimInstant,
    /// Rows to leave out, and rows still announced.
    skip: u64,
    left: u64,
}

/// Whose log is read, by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) slot: DeviceKind,
    pub(crate) access: Access,
    pub(crate) face: &'a FaceProfile,
}

/// The attribute that a column captures.
pub(crate) fn capture(slot: DeviceKind, column: Column) -> Option<CaptureObject> {
    let attribute = match column {
        Column::Code => Attribute {
            class: CLASS_DATA,
            object: EVENT_CODE,
            index: 2,
        },
        Column::Item(item) => objects::place(slot, item)?.attribute,
        Column::Time => Attribute {
            class: CLASS_CLOCK,
            object: CLOCK,
            index: 2,
        },
    };
    Some(CaptureObject { attribute, element: 0 })
}

/// The column that captures an attribute.
pub(crate) fn column(slot: DeviceKind, captured: &CaptureObject) -> Option<Column> {
    match (
        captured.attribute.class,
        captured.attribute.object,
        captured.attribute.index,
    ) {
        (CLASS_DATA, EVENT_CODE, 2) => Some(Column::Code),
        (CLASS_CLOCK, CLOCK, 2) => Some(Column::Time),
        _ => objects::item_at(slot, &captured.attribute).map(|place| Column::Item(place.item)),
    }
}

/// Columns that a log has whatever its rows hold; `None` when the rows decide.
pub(crate) fn fixed_columns(slot: DeviceKind, log: LogKind) -> Option<Vec<Column>> {
    match (log, objects::half_hourly(slot, log)) {
        (_, Some(item)) => Some(vec![Column::Time, Column::Item(item)]),
        (LogKind::Event | LogKind::Security, None) => Some(vec![Column::Time, Column::Code]),
        _ => None,
    }
}

impl Reader<'_> {
    /// All columns of a log.
    pub(crate) fn columns(&self, log: LogKind, host: &mut dyn Host) -> Result<Vec<Column>, AccessResult> {
        if let Some(columns) = fixed_columns(self.slot, log) {
            return Ok(columns);
        }
        let mut columns = vec![Column::Time];
        let (mut next, to) = bounds(host.now());
        while next <= to {
            let end = self.window_end(log, next, to);
            for row in self.rows(log, next, end, host)? {
                for (item, _) in row.values {
                    // Items without an object of their own cannot be captured.
                    let column = Column::Item(item);
                    if !columns.contains(&column) && objects::place(self.slot, item).is_some() {
                        columns.push(column);
                    }
                }
            }
            next = after(end);
        }
        Ok(columns)
    }

    /// How many rows a log holds.
    pub(crate) fn entries(&self, log: LogKind, host: &mut dyn Host) -> Result<u64, AccessResult> {
        let (from, to) = bounds(host.now());
        self.count(log, from, to, host)
    }

    /// Begins an answer: the header of the array goes to `out`, the rows come from the cursor.
    pub(crate) fn begin(
        &self,
        log: LogKind,
        selection: Option<&Selection>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) -> Result<LogCursor, AccessResult> {
        let (mut next, mut to) = bounds(host.now());
        let mut columns = self.columns(log, host)?;
        let (mut skip, mut left) = (0, None);
        match selection {
            None => {}
            Some(Selection::Range {
                by,
                from,
                to: until,
                columns: wanted,
            }) => {
                if column(self.slot, by) != Some(Column::Time) {
                    return Err(AccessResult::ScopeViolated);
                }
                next = next.max(self.limit(from)?.unwrap_or(next));
                to = to.min(self.limit(until)?.unwrap_or(to));
                if !wanted.is_empty() {
                    columns = wanted
                        .iter()
                        .map(|wanted| column(self.slot, wanted).filter(|column| columns.contains(column)))
                        .collect::<Option<_>>()
                        .ok_or(AccessResult::ScopeViolated)?;
                }
            }
            Some(Selection::Entry {
                from,
                to: until,
                from_column,
                to_column,
            }) => {
                let total = self.count(log, next, to, host)?;
                let last = if *until == 0 {
                    total
                } else {
                    total.min(u64::from(*until))
                };
                skip = u64::from(*from).max(1) - 1;
                left = Some(last.saturating_sub(skip));
                let first = usize::from(*from_column).max(1) - 1;
                let end = if *to_column == 0 {
                    columns.len()
                } else {
                    columns.len().min(usize::from(*to_column))
                };
                columns = columns
                    .get(first..end)
                    .filter(|c| !c.is_empty())
                    .ok_or(AccessResult::ScopeViolated)?
                    .to_vec();
            }
            Some(Selection::Other(..)) => return Err(AccessResult::ScopeViolated),
        }
        let left = match left {
            Some(left) => left,
            None => self.count(log, next, to, host)?,
        };
        write::array(out, usize::try_from(left).unwrap_or(usize::MAX));
        Ok(LogCursor {
            log,
            columns,
            next,
            to,
            skip,
            left,
        })
    }

    /// Appends the next rows; `false` when all announced rows are out.
    pub(crate) fn more(
        &self,
        cursor: &mut LogCursor,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) -> Result<bool, AccessResult> {
        if cursor.left == 0 {
            return Ok(false);
        }
        if cursor.next > cursor.to {
            // Rows fell out of the log since they were counted.
            return Err(AccessResult::LongAborted);
        }
        let end = self.window_end(cursor.log, cursor.next, cursor.to);
        for row in self.rows(cursor.log, cursor.next, end, host)? {
            if cursor.skip > 0 {
                cursor.skip -= 1;
            } else if cursor.left > 0 {
                cursor.left -= 1;
                self.encode(&row, &cursor.columns, out);
            }
        }
        cursor.next = after(end);
        Ok(cursor.left > 0)
    }

    fn encode(&self, row: &LogRow, columns: &[Column], out: &mut Vec<u8>) {
        write::structure(out, columns.len());
        for column in columns {
            match column {
                Column::Code => write::u16(out, row.code.unwrap_or(0)),
                Column::Item(item) => {
                    let value = match row.values.as_slice() {
                        // A half-hourly row has one value, under whatever item the device keeps it.
                        [(_, only)] if columns.len() <= 2 => Some(only),
                        values => values
                            .iter()
                            .find(|(each, _)| each == item)
                            .map(|(_, quantity)| quantity),
                    };
                    match value {
                        Some(quantity) => register(out, quantity.value),
                        None => out.push(cosem::data::tag::DONT_CARE),
                    }
                }
                Column::Time => write::octet_string(out, &to_wire(row.at, 0, self.face)),
            }
        }
    }

    fn limit(&self, data: &Data) -> Result<Option<SimInstant>, AccessResult> {
        match data.as_octets() {
            Some(octets) if octets.len() == 12 => Ok(from_wire(octets, self.face).map(|(at, _)| at)),
            _ => Err(AccessResult::TypeUnmatched),
        }
    }

    fn count(&self, log: LogKind, from: SimInstant, to: SimInstant, host: &mut dyn Host) -> Result<u64, AccessResult> {
        let mut next = from;
        let mut total = 0;
        while next <= to {
            let end = self.window_end(log, next, to);
            total += self.rows(log, next, end, host)?.len() as u64;
            next = after(end);
        }
        Ok(total)
    }

    /// Only logs with a period can be fetched in parts of a known size; the others are short.
    fn window_end(&self, log: LogKind, from: SimInstant, to: SimInstant) -> SimInstant {
        let period = match log {
            LogKind::DailyRead => DAY,
            _ if objects::half_hourly(self.slot, log).is_some() => HALF_HOUR,
            _ => return to,
        };
        let rows = u64::from(self.face.rows_per_fetch.max(1));
        to.min(from + SimDuration(period.0.saturating_mul(rows)) - SimDuration(1))
    }

    fn rows(
        &self,
        log: LogKind,
        from: SimInstant,
        to: SimInstant,
        host: &mut dyn Host,
    ) -> Result<Vec<LogRow>, AccessResult> {
        if self.slot == DeviceKind::Gsme {
            return Err(AccessResult::TemporaryFailure);
        }
        match host.execute(self.slot, self.access, &Operation::ReadLog { log, from, to }, None) {
            Execution::Finished(Ok(Answer::Log(rows))) => Ok(rows),
            Execution::Finished(Ok(_)) => Err(AccessResult::OTHER_REASON),
            Execution::Finished(Err(refusal)) => Err(refusal_code(&refusal)),
            Execution::Queued(_) => Err(AccessResult::TemporaryFailure),
        }
    }
}

/// First and last instant of which a log can hold rows; a device's clock may run ahead a little.
fn bounds(now: SimInstant) -> (SimInstant, SimInstant) {
    ((now - HISTORY).floor_to(HALF_HOUR), now + DAY)
}

fn after(end: SimInstant) -> SimInstant {
    end + SimDuration(1)
}

/// The profile that shows a log, as the head end asks for it.
pub(crate) fn profile(slot: DeviceKind, log: LogKind) -> Option<Obis> {
    objects::log_objects(slot, log).first().copied()
}
