//! A schedule as the journal has it.

use domain::{Eui64, SimInstant};
use prost::Message;

use crate::schedules::{Frequency, Offsets, Schedule, time_of_day, time_text};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScheduleMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(fixed64, tag = "2")]
    pub(crate) owner: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) device: u64,
    #[prost(string, tag = "4")]
    pub(crate) srv: String,
    #[prost(string, tag = "5")]
    pub(crate) frequency: String,
    #[prost(string, tag = "6")]
    pub(crate) start: String,
    #[prost(string, tag = "7")]
    pub(crate) end: String,
    #[prost(string, tag = "8")]
    pub(crate) start_time: String,
    #[prost(string, optional, tag = "9")]
    pub(crate) credential: Option<String>,
    #[prost(message, optional, tag = "10")]
    pub(crate) offsets: Option<OffsetsMessage>,
    #[prost(int64, optional, tag = "11")]
    pub(crate) next_ms: Option<i64>,
    #[prost(uint64, optional, tag = "12")]
    pub(crate) last_run: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OffsetsMessage {
    #[prost(sint32, tag = "1")]
    pub(crate) start_days: i32,
    #[prost(string, tag = "2")]
    pub(crate) start_time: String,
    #[prost(sint32, tag = "3")]
    pub(crate) end_days: i32,
    #[prost(string, tag = "4")]
    pub(crate) end_time: String,
}

impl ScheduleMessage {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        Self {
            id: schedule.id,
            owner: schedule.owner.0,
            device: schedule.device.0,
            srv: schedule.srv.to_string(),
            frequency: schedule.frequency.as_str().to_owned(),
            start: schedule.start.to_string(),
            end: schedule.end.map(|day| day.to_string()).unwrap_or_default(),
            start_time: schedule.start_time.map(time_text).unwrap_or_default(),
            credential: schedule.credential.as_deref().map(str::to_owned),
            offsets: schedule.offsets.map(|offsets| OffsetsMessage {
                start_days: offsets.start_days,
                start_time: time_text(offsets.start_time),
                end_days: offsets.end_days,
                end_time: time_text(offsets.end_time),
            }),
            next_ms: schedule.next.map(|at| at.0),
            last_run: schedule.last_run,
        }
    }

    /// None for a schedule that this program cannot run.
    pub(crate) fn read(self) -> Option<Schedule> {
        let offsets = match self.offsets {
            None => None,
            Some(offsets) => Some(Offsets {
                start_days: offsets.start_days,
                start_time: time_of_day(&offsets.start_time)?,
                end_days: offsets.end_days,
                end_time: time_of_day(&offsets.end_time)?,
            }),
        };
        Some(Schedule {
            id: self.id,
            owner: Eui64(self.owner),
            device: Eui64(self.device),
            srv: self.srv.parse().ok()?,
            frequency: Frequency::ALL
                .into_iter()
                .find(|frequency| frequency.as_str() == self.frequency)?,
            start: self.start.parse().ok()?,
            end: self.end.parse().ok(),
            start_time: time_of_day(&self.start_time),
            credential: self.credential.map(String::into_boxed_str),
            offsets,
            next: self.next_ms.map(SimInstant),
            last_run: self.last_run,
        })
    }
}
