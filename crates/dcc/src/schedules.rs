//! Reads that the DCC runs by itself: which, for whom, and when next.

use std::collections::BTreeMap;

use domain::{Eui64, SimDuration, SimInstant, Srv, seed};
use duis::Element;
use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::index::take_out;

/// How often a schedule runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Frequency {
    /// Every day.
    Daily,
    /// Every seven days.
    Weekly,
    /// Every month, on the day of its start, or the last day of a shorter month.
    Monthly,
    /// Every three months, in the same way.
    Quarterly,
    /// Every six months, in the same way.
    HalfYearly,
    /// Every twelve months, in the same way.
    Yearly,
}

impl Frequency {
    /// All, in the order of the schema.
    pub const ALL: [Self; 6] = [
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Quarterly,
        Self::HalfYearly,
        Self::Yearly,
    ];

    /// The word DUIS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "Daily",
            Self::Weekly => "Weekly",
            Self::Monthly => "Monthly",
            Self::Quarterly => "Quarterly",
            Self::HalfYearly => "Half-Yearly",
            Self::Yearly => "Yearly",
        }
    }

    /// The day of the run with this number, counted from 0; none beyond the calendar.
    fn day(self, start: Date, number: i64) -> Option<Date> {
        let days = |days: i64| start.checked_add(days.days()).ok();
        let months = |months: i64| start.checked_add(months.months()).ok();
        match self {
            Self::Daily => days(number),
            Self::Weekly => days(number.checked_mul(7)?),
            Self::Monthly => months(number),
            Self::Quarterly => months(number.checked_mul(3)?),
            Self::HalfYearly => months(number.checked_mul(6)?),
            Self::Yearly => months(number.checked_mul(12)?),
        }
    }

    /// A number of runs that are certainly over by `day`.
    fn over_by(self, start: Date, day: Date) -> i64 {
        let days = start.until(day).map_or(0, |span| i64::from(span.get_days()));
        let longest = match self {
            Self::Daily => 1,
            Self::Weekly => 7,
            Self::Monthly => 31,
            Self::Quarterly => 92,
            Self::HalfYearly => 184,
            Self::Yearly => 366,
        };
        (days / longest).saturating_sub(1).max(0)
    }
}

/// Which period of a log a run reads, counted from the day of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offsets {
    /// Days, 0 or less.
    pub start_days: i32,
    /// Time of that day, UTC.
    pub start_time: Time,
    /// Days, 0 or less.
    pub end_days: i32,
    /// Time of that day, UTC.
    pub end_time: Time,
}

/// One schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Its number: `DSPScheduleID`.
    pub id: u64,
    /// Who created it: its results go there.
    pub owner: Eui64,
    /// Which device it reads.
    pub device: Eui64,
    /// What it reads.
    pub srv: Srv,
    /// How often.
    pub frequency: Frequency,
    /// First day.
    pub start: Date,
    /// Last day.
    pub end: Option<Date>,
    /// When on a day, UTC; none: the DCC chooses.
    pub start_time: Option<Time>,
    /// Certificate for results that only somebody unknown to the device may read; base64. SMETS1 devices do not use it.
    pub credential: Option<Box<str>>,
    /// Period of the log, where it reads one.
    pub offsets: Option<Offsets>,
    /// When it runs next; none: it is over.
    pub next: Option<SimInstant>,
    /// Counter of its last run's RequestID, whose originator is the DCC.
    pub last_run: Option<u64>,
}

/// Hours of the night over which the DCC spreads what has no time of its own (our choice).
const NIGHT: SimDuration = SimDuration::from_hours(5);

impl Schedule {
    /// The first run after an instant.
    #[must_use]
    pub fn run_after(&self, after: SimInstant) -> Option<SimInstant> {
        let number = self.frequency.over_by(self.start, after.utc().date());
        let mut runs = (number..).map_while(|number| self.frequency.day(self.start, number));
        let last = self.end.unwrap_or(Date::MAX);
        let run = runs.find_map(|day| {
            let at = self.instant(day)?;
            (at > after || day > last).then_some((day, at))
        })?;
        Some(run).filter(|(day, _)| *day <= last).map(|(_, at)| at)
    }

    /// When it runs on a day.
    fn instant(&self, day: Date) -> Option<SimInstant> {
        match self.start_time {
            Some(time) => utc(day, time),
            None => {
                let midnight = utc(day, Time::midnight())?;
                // Each schedule has its own minute of the night, the same every time.
                let minute = seed::mix(self.id, 0) % (NIGHT.as_millis() / 60_000);
                Some(midnight + SimDuration::from_mins(minute))
            }
        }
    }

    /// The body of the read that a run on this instant's day makes.
    #[must_use]
    pub fn read(&self, row: &steps::Row, at: SimInstant) -> Option<Element> {
        let body = Element::sr(row.body);
        let Some(offsets) = self.offsets else {
            return Some(body);
        };
        let today = at.utc().date();
        let on = |days: i32, time| utc(today.checked_add(i64::from(days).days()).ok()?, time);
        let period = Element::sr("ReadLogPeriod")
            .with_leaf("StartDateTime", on(offsets.start_days, offsets.start_time)?.to_string())
            .with_leaf("EndDateTime", on(offsets.end_days, offsets.end_time)?.to_string());
        Some(body.with(period))
    }

    /// `DSPScheduleDetails` as 5.2 shows it, in the order of the schema.
    #[must_use]
    pub fn details(&self, row: &steps::Row) -> Element {
        let leaf = |name, text: Option<String>| text.map(|text| Element::sr(name).with_text(text));
        let mut read = Element::sr(dsp_name(self.srv).unwrap_or(row.body));
        if let Some(offsets) = self.offsets {
            read = read
                .with_leaf("StartDateOffset", offsets.start_days.to_string())
                .with_leaf("StartTime", time_text(offsets.start_time))
                .with_leaf("EndDateOffset", offsets.end_days.to_string())
                .with_leaf("EndTime", time_text(offsets.end_time));
        }
        Element::sr("DSPScheduleDetails")
            .with_leaf("ScheduleFrequency", self.frequency.as_str())
            .with_leaf("ScheduleStartDate", self.start.to_string())
            .with_optional(leaf("ScheduleEndDate", self.end.map(|day| day.to_string())))
            .with_optional(leaf("ScheduleExecutionStartTime", self.start_time.map(time_text)))
            .with_optional(leaf(
                "KAPublicSecurityCredential",
                self.credential.as_deref().map(str::to_owned),
            ))
            .with_leaf("DSPScheduledServiceReference", self.srv.reference().to_string())
            .with_leaf("DSPScheduledServiceReferenceVariant", self.srv.to_string())
            .with_leaf("DeviceID", self.device.to_string())
            .with(read)
    }
}

/// All schedules.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    by_id: BTreeMap<u64, Schedule>,
    by_device: BTreeMap<Eui64, Vec<u64>>,
    last_id: u64,
}

impl Schedules {
    /// The number of the next one. Numbers are never used again.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    /// Counts a number as used.
    pub(crate) fn used(&mut self, id: u64) {
        self.last_id = self.last_id.max(id);
    }

    pub(crate) fn put(&mut self, schedule: Schedule) {
        self.used(schedule.id);
        let of_device = self.by_device.entry(schedule.device).or_default();
        if !of_device.contains(&schedule.id) {
            of_device.push(schedule.id);
        }
        self.by_id.insert(schedule.id, schedule);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Schedule> {
        let schedule = self.by_id.remove(&id)?;
        take_out(&mut self.by_device, &schedule.device, &id);
        Some(schedule)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Schedule> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Schedule> {
        self.by_id.get_mut(&id)
    }

    /// Those of a device, oldest first.
    pub(crate) fn of_device(&self, device: Eui64) -> impl Iterator<Item = &Schedule> {
        let ids = self.by_device.get(&device).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Schedule> {
        self.by_id.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// The element of 5.1 that names a scheduled read; none for a request that is never scheduled.
#[must_use]
pub(crate) fn dsp_name(srv: Srv) -> Option<&'static str> {
    Some(match srv.to_string().as_str() {
        "4.2" => "DSPReadInstantaneousExportRegisters",
        "4.6.1" => "DSPRetrieveImportDailyReadLog",
        "4.6.2" => "DSPRetrieveExportDailyReadLog",
        "4.8.1" => "DSPReadActiveImportProfileData",
        "4.8.2" => "DSPReadReactiveImportProfileData",
        "4.8.3" => "DSPReadExportProfileData",
        "4.10" => "DSPReadNetworkData",
        "4.12.1" => "DSPReadMaximumDemandImportRegisters",
        "4.12.2" => "DSPReadMaximumDemandExportRegisters",
        "4.14" => "DSPReadPrepaymentDailyReadLog",
        "4.15" => "DSPReadLoadLimitData",
        "4.16" => "DSPReadActivePowerImport",
        "4.17" => "DSPRetrieveDailyConsumptionLog",
        "14.1" => "DSPRecordNetworkDataGAS",
        _ => return None,
    })
}

/// A time of day of the schema, with or without fraction and zone; an offset is taken off, so that it is UTC.
#[must_use]
pub(crate) fn time_of_day(text: &str) -> Option<Time> {
    let text = text.trim();
    let (time, offset) = match text.find(['Z', '+', '-']) {
        None => (text, 0),
        Some(at) => {
            let (time, zone) = text.split_at(at);
            (time, offset_minutes(zone)?)
        }
    };
    // 24:00:00 is the end of the day, which as a time of day is its beginning.
    let time: Time = if time.starts_with("24:00:00") {
        Time::midnight()
    } else {
        time.parse().ok()?
    };
    Some(time.wrapping_sub(offset.minutes()))
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    Some(sign * minutes)
}

pub(crate) fn time_text(time: Time) -> String {
    format!(
        "{:02}:{:02}:{:02}.{:03}Z",
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

fn utc(day: Date, time: Time) -> Option<SimInstant> {
    let zoned = day.to_datetime(time).to_zoned_datetime(TimeZone::UTC).ok()?;
    Some(SimInstant(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(frequency: Frequency, start: &str, end: Option<&str>, time: Option<&str>) -> Schedule {
        Schedule {
            id: 7,
            owner: Eui64(1),
            device: Eui64(2),
            srv: Srv::new(4, 6, 1),
            frequency,
            start: start.parse().unwrap(),
            end: end.map(|day| day.parse().unwrap()),
            start_time: time.and_then(time_of_day),
            credential: None,
            offsets: None,
            next: None,
            last_run: None,
        }
    }

    fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let after: SimInstant = after.parse().unwrap();
        let next = |at: &SimInstant| schedule.run_after(*at);
        std::iter::successors(next(&after), next)
            .take(count)
            .map(|at| at.to_string()[..16].to_owned())
            .collect()
    }

    #[test]
    fn every_frequency_has_its_days() {
        let of = |frequency| {
            runs(
                &schedule(frequency, "2020-01-31", None, Some("02:30:00")),
                "2020-01-30T00:00:00Z",
                4,
            )
        };
        assert_eq!(
            of(Frequency::Daily),
            [
                "2020-01-31T02:30",
                "2020-02-01T02:30",
                "2020-02-02T02:30",
                "2020-02-03T02:30"
            ]
        );
        assert_eq!(of(Frequency::Weekly)[..2], ["2020-01-31T02:30", "2020-02-07T02:30"]);
        assert_eq!(
            of(Frequency::Monthly),
            [
                "2020-01-31T02:30",
                "2020-02-29T02:30",
                "2020-03-31T02:30",
                "2020-04-30T02:30"
            ]
        );
        assert_eq!(
            of(Frequency::Quarterly)[..3],
            ["2020-01-31T02:30", "2020-04-30T02:30", "2020-07-31T02:30"]
        );
        assert_eq!(
            of(Frequency::HalfYearly)[..3],
            ["2020-01-31T02:30", "2020-07-31T02:30", "2021-01-31T02:30"]
        );
        assert_eq!(of(Frequency::Yearly)[..2], ["2020-01-31T02:30", "2021-01-31T02:30"]);
    }

    #[test]
    fn a_schedule_long_begun_finds_its_next_run_at_once_and_ends_on_its_last_day() {
        for frequency in Frequency::ALL {
            let schedule = schedule(frequency, "2019-01-15", None, Some("12:00:00Z"));
            let next = schedule.run_after("2029-06-01T00:00:00Z".parse().unwrap()).unwrap();
            let before = schedule.run_after(next - SimDuration::from_millis(1)).unwrap();
            assert_eq!(before, next, "{frequency:?}");
            assert_eq!(
                next.utc().day() == 15,
                frequency != Frequency::Daily && frequency != Frequency::Weekly
            );
        }
        let ending = schedule(Frequency::Daily, "2020-06-01", Some("2020-06-02"), Some("00:00:00"));
        assert_eq!(
            runs(&ending, "2020-05-01T00:00:00Z", 9),
            ["2020-06-01T00:00", "2020-06-02T00:00"]
        );
    }

    #[test]
    fn what_has_no_time_of_its_own_runs_at_night_always_at_the_same_minute() {
        let schedule = schedule(Frequency::Daily, "2020-06-01", None, None);
        let runs = runs(&schedule, "2020-05-01T00:00:00Z", 2);
        assert_eq!(runs[0][10..], runs[1][10..]);
        assert!(runs[0][11..13].parse::<u32>().unwrap() < 5, "{runs:?}");
    }

    #[test]
    fn times_of_day_are_taken_in_utc() {
        let read = |text| time_of_day(text).map(time_text);
        assert_eq!(read("00:00:00.00Z").as_deref(), Some("00:00:00.000Z"));
        assert_eq!(read("01:30:00+01:00").as_deref(), Some("00:30:00.000Z"));
        assert_eq!(read("00:30:00+01:00").as_deref(), Some("23:30:00.000Z"));
        assert_eq!(read("24:00:00").as_deref(), Some("00:00:00.000Z"));
        assert_eq!(read("12:15").as_deref(), Some("12:15:00.000Z"));
        assert_eq!(read("noon"), None);
    }

    #[test]
    fn a_run_reads_the_period_its_offsets_name() {
        let mut schedule = schedule(Frequency::Daily, "2020-03-01", None, Some("03:00:00"));
        schedule.offsets = Some(Offsets {
            start_days: -1,
            start_time: Time::midnight(),
            end_days: 0,
            end_time: Time::midnight(),
        });
        let row = steps::table().row(schedule.srv).unwrap();
        let body = schedule.read(row, "2020-03-01T03:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(body.name, "RetrieveImportDailyReadLog");
        let period = body.child("ReadLogPeriod").unwrap();
        assert_eq!(period.child_text("StartDateTime"), Some("2020-02-29T00:00:00.000Z"));
        assert_eq!(period.child_text("EndDateTime"), Some("2020-03-01T00:00:00.000Z"));
    }

    #[test]
    fn every_schedulable_request_has_its_element() {
        let named: Vec<_> = steps::table()
            .rows()
            .filter(|row| dsp_name(row.srv).is_some())
            .collect();
        assert_eq!(named.len(), 14);
        for row in named {
            let name = dsp_name(row.srv).unwrap();
            assert_eq!(name.strip_prefix("DSP"), Some(row.body), "{}", row.srv);
            // The published matrix is older than the schema that added 4.2.
            assert!(row.schedulable || row.srv == Srv::new(4, 2, 0), "{}", row.srv);
        }
    }
}
