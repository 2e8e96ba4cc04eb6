//! Instants as COSEM date-times.

use cosem::DateTime;
use domain::time::london;
use domain::{SimDuration, SimInstant};

use crate::{FaceProfile, TimeForm};

const HOUR: SimDuration = SimDuration::from_hours(1);

/// The 12 octets of `at`, with these status bits besides the summer flag. Finer than a hundredth of a second is cut.
pub(crate) fn to_wire(at: SimInstant, status: u8, face: &FaceProfile) -> [u8; 12] {
    let (civil, deviation, summer) = match face.time_form {
        TimeForm::London => {
            let local = london(at);
            (local.civil, Some(if local.summer { -60 } else { 0 }), local.summer)
        }
        TimeForm::UnspecifiedUtc => (at.utc(), None, false),
        TimeForm::Utc => (at.utc(), Some(0), false),
    };
    let part = |value: i8| u8::try_from(value).unwrap_or(0xFF);
    DateTime {
        year: u16::try_from(civil.year()).ok(),
        month: part(civil.month()),
        day: part(civil.day()),
        weekday: part(civil.weekday().to_monday_one_offset()),
        hour: part(civil.hour()),
        minute: part(civil.minute()),
        second: part(civil.second()),
        hundredths: u8::try_from(civil.millisecond() / 10).unwrap_or(0xFF),
        deviation: deviation.map(|minutes: i16| if face.deviation_sign_wrong { -minutes } else { minutes }),
        status: status | if summer { DateTime::SUMMER } else { 0 },
    }
    .to_bytes()
}

/// The instant and status of 12 octets; `None` for anything else, and where date, hour or minute is not specified.
///
/// Without a deviation it is read as the profile writes: UK civil time, or UTC.
pub(crate) fn from_wire(octets: &[u8], face: &FaceProfile) -> Option<(SimInstant, u8)> {
    let time = DateTime::from_bytes(octets).ok()?;
    let part = |value: u8| i8::try_from(value).ok();
    let or_zero = |value: u8| if value == 0xFF { 0 } else { value };
    let local = SimInstant::from_utc(
        i16::try_from(time.year?).ok()?,
        part(time.month)?,
        part(time.day)?,
        part(time.hour)?,
        part(time.minute)?,
        part(or_zero(time.second))?,
    )? + SimDuration::from_millis(u64::from(or_zero(time.hundredths)) * 10);
    let at = match (time.deviation, face.time_form) {
        (Some(minutes), _) => SimInstant(local.0.saturating_add(i64::from(minutes) * 60_000)),
        (None, TimeForm::London) if london(local - HOUR).summer => local - HOUR,
        (None, _) => local,
    };
    let status = if time.status == 0xFF { 0 } else { time.status };
    Some((at, status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn face(time_form: TimeForm) -> FaceProfile {
        FaceProfile {
            time_form,
            ..FaceProfile::default()
        }
    }

    #[test]
    fn deviation_leads_from_local_time_to_utc() {
        let summer: SimInstant = "2019-07-01T12:00:00Z".parse().expect("an instant");
        let octets = to_wire(summer, 0, &face(TimeForm::London));
        assert_eq!(octets, [0x07, 0xE3, 7, 1, 1, 13, 0, 0, 0, 0xFF, 0xC4, 0x80]);
        assert_eq!(from_wire(&octets, &face(TimeForm::Utc)), Some((summer, 0x80)));
        assert_eq!(to_wire(summer, 0, &face(TimeForm::Utc))[5..], [12, 0, 0, 0, 0, 0, 0]);
        let wrong = FaceProfile {
            deviation_sign_wrong: true,
            ..FaceProfile::default()
        };
        assert_eq!(
            from_wire(&to_wire(summer, 0, &wrong), &wrong).map(|(at, _)| at),
            Some(summer + HOUR + HOUR)
        );
    }

    #[test]
    fn the_doubled_hour_keeps_its_halves_apart() {
        for text in [
            "2019-10-27T00:30:00Z",
            "2019-10-27T01:30:00Z",
            "2019-03-31T00:59:59Z",
            "2019-03-31T01:00:00Z",
        ] {
            let at: SimInstant = text.parse().expect("an instant");
            let octets = to_wire(at, 0, &face(TimeForm::London));
            assert_eq!(
                from_wire(&octets, &face(TimeForm::London)).map(|(at, _)| at),
                Some(at),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn instants_round_trip_in_hundredths(ms in 0i64..4_000_000_000_000, form in 0..3usize) {
            let at = SimInstant(ms / 10 * 10);
            let face = face([TimeForm::London, TimeForm::UnspecifiedUtc, TimeForm::Utc][form]);
            prop_assert_eq!(from_wire(&to_wire(at, 1, &face), &face).map(|(at, _)| at), Some(at));
        }

        #[test]
        fn any_octets_are_taken_calmly(octets: [u8; 12]) {
            let _ = from_wire(&octets, &FaceProfile::default());
        }
    }
}
