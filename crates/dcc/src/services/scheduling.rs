//! 5.1, 5.2 and 5.3: schedules are made, shown and deleted.

use duis::Element;
use jiff::civil::Date;
use steps::Failure;

use super::{Answer, Change, Scene};
use crate::front_door::Denied;
use crate::options::SCHEDULES_SHOWN_MAX;
use crate::schedules::{Frequency, Offsets, Schedule, dsp_name, time_of_day};

pub(super) fn create(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let schedule = read_body(scene)?;
    check_dates(scene, &schedule)?;
    check_device(scene, &schedule)?;
    let of_user = scene
        .schedules
        .of_device(schedule.device)
        .filter(|other| other.owner == schedule.owner);
    if of_user.count() >= scene.limits.schedules_per_device_max || scene.schedules.len() >= scene.limits.schedules_max {
        let detail = format!("{} schedules in all", scene.schedules.len());
        return Err(Denied(Failure::ScheduleLimit, detail));
    }
    let Some(next) = schedule.run_after(scene.now) else {
        return Err(Denied(Failure::ScheduleEndFirst, "it would never run".to_owned()));
    };
    let schedule = Schedule {
        next: Some(next),
        ..schedule
    };
    let id = Element::sr("DSPScheduleID").with_text(schedule.id.to_string());
    let detail = format!(
        "schedule {}: {} {}, next at {next}",
        schedule.id,
        schedule.srv,
        schedule.frequency.as_str()
    );
    let answer = Answer::done(detail).with(id).about(schedule.device);
    Ok(answer.changing(Change::Schedule(Box::new(schedule))))
}

fn read_body(scene: &Scene<'_>) -> Result<Schedule, Denied> {
    let body = scene.body();
    let wrong = |name: &str| Denied(Failure::Schema, format!("{name}: {:?}", body.child_text(name)));
    let text = |name| body.child_text(name);
    let date = |name| match text(name) {
        None => Ok(None),
        // A date may carry a zone, which says nothing here.
        Some(text) => match text.get(..10).and_then(|day| day.parse::<Date>().ok()) {
            Some(day) => Ok(Some(day)),
            None => Err(wrong(name)),
        },
    };
    let frequency = Frequency::ALL
        .into_iter()
        .find(|frequency| Some(frequency.as_str()) == text("ScheduleFrequency"));
    let srv = text("DSPScheduledServiceReferenceVariant").and_then(|text| text.parse().ok());
    let srv: domain::Srv = srv.ok_or_else(|| wrong("DSPScheduledServiceReferenceVariant"))?;
    let start_time = match text("ScheduleExecutionStartTime") {
        None => None,
        Some(time) => Some(time_of_day(time).ok_or_else(|| wrong("ScheduleExecutionStartTime"))?),
    };
    let read = body.children.last();
    let name = read.map(|read| read.name).unwrap_or_default();
    let reference = text("DSPScheduledServiceReference").unwrap_or_default();
    if dsp_name(srv) != Some(name) || srv.reference().to_string() != reference {
        let detail = format!("{name} for {srv} of {reference}");
        return Err(Denied(Failure::ScheduleMismatch, detail));
    }
    Ok(Schedule {
        id: scene.schedules.next_id(),
        owner: scene.user.eui,
        device: scene.eui("DeviceID")?,
        srv,
        frequency: frequency.ok_or_else(|| wrong("ScheduleFrequency"))?,
        start: date("ScheduleStartDate")?.ok_or_else(|| wrong("ScheduleStartDate"))?,
        end: date("ScheduleEndDate")?,
        start_time,
        credential: text("KAPublicSecurityCredential").map(Box::from),
        offsets: read.map(offsets).transpose()?.flatten(),
        next: None,
        last_run: None,
    })
}

fn offsets(read: &Element) -> Result<Option<Offsets>, Denied> {
    if read.children.is_empty() {
        return Ok(None);
    }
    let wrong = |name: &str| Denied(Failure::Schema, format!("{name}: {:?}", read.child_text(name)));
    let days = |name| {
        let days = read.child_text(name).and_then(|text| text.trim().parse::<i32>().ok());
        days.ok_or_else(|| wrong(name))
    };
    let time = |name| read.child_text(name).and_then(time_of_day).ok_or_else(|| wrong(name));
    let offsets = Offsets {
        start_days: days("StartDateOffset")?,
        start_time: time("StartTime")?,
        end_days: days("EndDateOffset")?,
        end_time: time("EndTime")?,
    };
    if (offsets.start_days, offsets.start_time) > (offsets.end_days, offsets.end_time) {
        let detail = "the period ends before it starts".to_owned();
        return Err(Denied(Failure::ScheduleMismatch, detail));
    }
    Ok(Some(offsets))
}

fn check_dates(scene: &Scene<'_>, schedule: &Schedule) -> Result<(), Denied> {
    let today = scene.now.utc().date();
    if schedule.start < today {
        let detail = format!("{} is before today, {today}", schedule.start);
        return Err(Denied(Failure::ScheduleStartPassed, detail));
    }
    if let Some(end) = schedule.end.filter(|end| *end < schedule.start) {
        let detail = format!("{end} is before {}", schedule.start);
        return Err(Denied(Failure::ScheduleEndFirst, detail));
    }
    Ok(())
}

/// What the scheduled request would be refused for today, its schedule is refused for.
fn check_device(scene: &Scene<'_>, schedule: &Schedule) -> Result<(), Denied> {
    let row = steps::table().row(schedule.srv).ok_or_else(|| {
        Denied(
            Failure::ScheduleMismatch,
            format!("{} is never scheduled", schedule.srv),
        )
    })?;
    let Some(device) = scene.inventory.device(schedule.device) else {
        let detail = format!("the inventory has no device {}", schedule.device);
        return Err(Denied(Failure::ScheduleDevice, detail));
    };
    let authority = crate::access::Access::role(scene.user, row)
        .and_then(|()| scene.access.authority(scene.user, row, device, scene.now));
    authority.map_err(|Denied(_, detail)| Denied(Failure::ScheduleAuthority, detail))?;
    if let Some(status) = device.status.filter(|status| !status.accepts(schedule.srv)) {
        return Err(Denied(Failure::ScheduleStatus, format!("the device is {status}")));
    }
    row.applies_to(device.kind).map_err(|failure| match failure {
        Failure::NotEmulated => Denied(failure, schedule.srv.to_string()),
        _ => {
            let detail = format!("{} to a {}: {failure}", schedule.srv, device.kind);
            Denied(Failure::ScheduleNotApplicable, detail)
        }
    })
}

/// 5.2.
pub(super) fn read(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let failures = (Failure::ScheduleUnknown, Failure::ScheduleForeign);
    let found = find(scene, failures)?;
    if found.is_empty() {
        return Ok(Answer::done("none").warning("W050201"));
    }
    let detail = format!("{} schedules", found.len());
    let shown = found.iter().take(SCHEDULES_SHOWN_MAX).filter_map(|schedule| {
        let row = steps::table().row(schedule.srv)?;
        let id = Element::sr("DSPSchedules").with_leaf("DSPScheduleID", schedule.id.to_string());
        Some(id.with(schedule.details(row)))
    });
    Ok(Answer::done(detail).with(Element::sr("DSPSchedulesRead").with_all(shown)))
}

/// 5.3.
pub(super) fn delete(scene: &Scene<'_>) -> Result<Answer, Denied> {
    let failures = (Failure::ScheduleGone, Failure::ScheduleNotOwn);
    let found = find(scene, failures)?;
    if found.is_empty() {
        return Ok(Answer::done("none").warning("W050301"));
    }
    let ids: Vec<_> = found.iter().map(|schedule| schedule.id.to_string()).collect();
    let answer = Answer::done(format!("schedules {}", ids.join(" ")));
    Ok(found.iter().fold(answer, |answer, schedule| {
        answer.changing(Change::ScheduleDeleted(schedule.id))
    }))
}

/// The user's schedules that the body names: by number, or all of a device.
fn find<'a>(scene: &Scene<'a>, (unknown, foreign): (Failure, Failure)) -> Result<Vec<&'a Schedule>, Denied> {
    let own = |schedule: &&Schedule| schedule.owner == scene.user.eui;
    if let Some(text) = scene.body().child_text("DSPScheduleID") {
        let found = text.trim().parse().ok().and_then(|id| scene.schedules.get(id));
        let schedule = found.ok_or_else(|| Denied(unknown, format!("no schedule {text}")))?;
        return match own(&schedule) {
            true => Ok(vec![schedule]),
            false => Err(Denied(
                foreign,
                format!("schedule {} is of {}", schedule.id, schedule.owner),
            )),
        };
    }
    let device = scene.eui("DeviceID")?;
    Ok(scene.schedules.of_device(device).filter(own).collect())
}
