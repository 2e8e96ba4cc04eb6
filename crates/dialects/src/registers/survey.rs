//! Logs as surveys: numbered records of a date-time and one value per channel.

use domain::time::HALF_HOUR;
use domain::{
    Access, Answer, DataItem, DeviceKind, Execution, LogKind, LogRow, Operation, Refusal, SimDuration, SimInstant,
};

use super::value::{double, put_time, whole};
use super::{FOUND_EXACT, FOUND_NEAREST, FOUND_NO_DATA, FOUND_NONE, table};
use crate::dlms::half_hourly;
use crate::{FaceProfile, Host};

/// How far back a log is looked for: longer than any SMETS1 log reaches.
const HISTORY: SimDuration = SimDuration::from_days(800);
/// Where the numbers of half-hourly records begin: 1996-01-01T00:00:00Z.
const EPOCH: SimInstant = SimInstant(820_454_400_000);
/// Octets of a record's date-time.
pub(super) const TIME_LEN: usize = 6;

/// One channel of a survey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Channel {
    /// `H`: event code.
    Code,
    /// `D`: a value; missing where it is no number.
    Item(DataItem),
}

impl Channel {
    pub(super) fn name(self) -> String {
        match self {
            Self::Code => "CODE".into(),
            Self::Item(item) => item.name(),
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "CODE" => Some(Self::Code),
            name => name.parse().ok().map(Self::Item),
        }
    }

    pub(super) fn letter(self) -> u8 {
        match self {
            Self::Code => b'H',
            Self::Item(_) => b'D',
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Code => 2,
            Self::Item(_) => 8,
        }
    }
}

/// Octets of a record with these channels.
pub(super) fn record_len(channels: &[Channel]) -> usize {
    TIME_LEN + channels.iter().map(|channel| channel.len()).sum::<usize>()
}

/// The log of a survey's number, and what the number is called.
pub(super) fn log_of(slot: DeviceKind, file: u16) -> Option<(LogKind, &'static str)> {
    let (_, above) = super::base(slot)?;
    let number = file.checked_sub(above)?;
    let found = table::SURVEYS.iter().find(|(survey, ..)| *survey == number);
    found.map(|(_, name, log)| (*log, *name))
}

/// The number of the survey that shows a log.
pub(super) fn file_of(slot: DeviceKind, log: LogKind) -> Option<u16> {
    let (_, above) = super::base(slot)?;
    let found = table::SURVEYS.iter().find(|(.., shown)| *shown == log);
    found.map(|(number, ..)| number + above)
}

/// Number of the half-hourly record that ends at `at`.
pub(super) fn number(at: SimInstant) -> i32 {
    let spans = at.0.saturating_sub(EPOCH.0).div_euclid(half_hour());
    i32::try_from(spans).unwrap_or(0)
}

/// Where the half-hourly record of this number ends.
pub(super) fn end_of(number: i32) -> SimInstant {
    SimInstant(EPOCH.0 + i64::from(number) * half_hour())
}

fn half_hour() -> i64 {
    i64::try_from(HALF_HOUR.as_millis()).unwrap_or(1)
}

/// One log, to be read by somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey<'a> {
    pub(super) slot: DeviceKind,
    pub(super) log: LogKind,
    pub(super) access: Access,
    pub(super) face: &'a FaceProfile,
}

impl Survey<'_> {
    /// Its channels besides the date-time.
    pub(super) fn channels(&self, host: &mut dyn Host) -> Result<Vec<Channel>, Refusal> {
        if let Some(item) = half_hourly(self.slot, self.log) {
            return Ok(vec![Channel::Item(item)]);
        }
        let mut channels = Vec::new();
        for row in self.rows(host)? {
            let values = row.values.iter().map(|(item, _)| Channel::Item(*item));
            for channel in values.chain(row.code.map(|_| Channel::Code)) {
                // A value whose unit no register tells cannot be shown.
                let known = match channel {
                    Channel::Code => true,
                    Channel::Item(item) => table::of_item(self.slot, item).is_some(),
                };
                if known && !channels.contains(&channel) {
                    channels.push(channel);
                }
            }
        }
        Ok(channels)
    }

    /// First record and number of records.
    pub(super) fn extent(&self, host: &mut dyn Host) -> Result<(i32, u32), Refusal> {
        if half_hourly(self.slot, self.log).is_none() {
            let rows = self.rows(host)?.len();
            return Ok((0, u32::try_from(rows).unwrap_or(u32::MAX)));
        }
        let now = host.now();
        match (self.first(now - HISTORY, host)?, self.last(now, host)?) {
            (Some(first), Some(last)) => {
                let (first, last) = (number(first), number(last));
                Ok((first, u32::try_from(last - first + 1).unwrap_or(0)))
            }
            _ => Ok((0, 0)),
        }
    }

    /// The record at an instant or next to it: number, time, result.
    pub(super) fn search(
        &self,
        at: SimInstant,
        onwards: bool,
        host: &mut dyn Host,
    ) -> Result<(i32, SimInstant, u8), Refusal> {
        let found = if half_hourly(self.slot, self.log).is_some() {
            let end = if onwards {
                self.first(at, host)?
            } else {
                self.last(at, host)?
            };
            end.map(|end| (number(end), end))
        } else {
            let rows = self.rows(host)?;
            let position = if onwards {
                rows.iter().position(|row| second(row.at) >= at)
            } else {
                rows.iter().rposition(|row| second(row.at) <= at)
            };
            position.and_then(|position| Some((i32::try_from(position).ok()?, second(rows.get(position)?.at))))
        };
        Ok(match found {
            Some((number, end)) if end == at => (number, end, FOUND_EXACT),
            Some((number, end)) => (number, end, FOUND_NEAREST),
            None if self.extent(host)?.1 == 0 => (0, at, FOUND_NO_DATA),
            None => (0, at, FOUND_NONE),
        })
    }

    /// The octets of up to `count` records from `first`; half-hours of which nothing is known are left out.
    pub(super) fn read(&self, first: i32, count: usize, host: &mut dyn Host) -> Result<(u16, Vec<u8>), Refusal> {
        let channels = self.channels(host)?;
        let rows = if half_hourly(self.slot, self.log).is_some() {
            let last = first.saturating_add(i32::try_from(count).unwrap_or(i32::MAX).saturating_sub(1));
            self.range(end_of(first), end_of(last), host)?
        } else {
            let skip = usize::try_from(first).unwrap_or(usize::MAX);
            self.rows(host)?.into_iter().skip(skip).take(count).collect()
        };
        let mut out = Vec::with_capacity(rows.len() * record_len(&channels));
        for row in &rows {
            out.extend_from_slice(&put_time(row.at, self.face));
            for channel in &channels {
                match channel {
                    Channel::Code => out.extend_from_slice(&row.code.unwrap_or(0).to_be_bytes()),
                    Channel::Item(item) => {
                        let value = row.values.iter().find(|(found, _)| found == item);
                        let value = value.map_or(f64::NAN, |(_, quantity)| double(quantity.value));
                        out.extend_from_slice(&value.to_be_bytes());
                    }
                }
            }
        }
        Ok((u16::try_from(rows.len()).unwrap_or(u16::MAX), out))
    }

    /// End of the first half-hour known from an instant on.
    fn first(&self, from: SimInstant, host: &mut dyn Host) -> Result<Option<SimInstant>, Refusal> {
        let (mut from, now) = (from.max(host.now() - HISTORY), host.now());
        while from <= now {
            let to = (from + self.window()).min(now);
            if let Some(row) = self.range(from, to, host)?.first() {
                return Ok(Some(row.at));
            }
            from = to + SimDuration(1);
        }
        Ok(None)
    }

    /// End of the last half-hour known up to an instant.
    fn last(&self, to: SimInstant, host: &mut dyn Host) -> Result<Option<SimInstant>, Refusal> {
        let (mut to, begin) = (to.min(host.now()), host.now() - HISTORY);
        while to >= begin {
            let from = (to - self.window()).max(begin);
            if let Some(row) = self.range(from, to, host)?.last() {
                return Ok(Some(row.at));
            }
            to = from - SimDuration(1);
        }
        Ok(None)
    }

    fn window(&self) -> SimDuration {
        SimDuration(HALF_HOUR.0 * u64::from(self.face.rows_per_fetch.max(1)))
    }

    fn rows(&self, host: &mut dyn Host) -> Result<Vec<LogRow>, Refusal> {
        let now = host.now();
        self.range(now - HISTORY, now + SimDuration::from_days(1), host)
    }

    fn range(&self, from: SimInstant, to: SimInstant, host: &mut dyn Host) -> Result<Vec<LogRow>, Refusal> {
        let read = Operation::ReadLog {
            log: self.log,
            from,
            to,
        };
        match host.execute(self.slot, self.access, &read, None) {
            Execution::Finished(Ok(Answer::Log(rows))) => Ok(rows),
            Execution::Finished(Err(refusal)) => Err(refusal),
            Execution::Finished(Ok(_)) | Execution::Queued(_) => Err(Refusal::Busy),
        }
    }
}

/// An instant as a record can say it.
pub(super) fn second(at: SimInstant) -> SimInstant {
    SimInstant(at.0.div_euclid(1000) * 1000)
}

/// The value at a channel's place in a record; `None` where it is missing.
pub(super) fn value(octets: [u8; 8]) -> Option<i64> {
    whole(f64::from_be_bytes(octets))
}
