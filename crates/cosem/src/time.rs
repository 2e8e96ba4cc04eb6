use crate::codec::DecodeError;

/// A COSEM date-time: 12 octets, each part of which may be unspecified.
///
/// UTC = local time + deviation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// Year; `None` is written FFFF.
    pub year: Option<u16>,
    /// 1 to 12; FD and FE stand for the days of the clock changes, FF for unspecified.
    pub month: u8,
    /// 1 to 31; FD and FE for the last days of a month, FF for unspecified.
    pub day: u8,
    /// 1 (Monday) to 7, or FF.
    pub weekday: u8,
    /// 0 to 23, or FF.
    pub hour: u8,
    /// 0 to 59, or FF.
    pub minute: u8,
    /// 0 to 59, or FF.
    pub second: u8,
    /// 0 to 99, or FF.
    pub hundredths: u8,
    /// Minutes from local time to UTC, -720 to 840; `None` is written 8000.
    pub deviation: Option<i16>,
    /// Bit 0 invalid, 1 doubtful, 2 different clock base, 3 invalid clock status, 7 summer time; FF is unspecified.
    pub status: u8,
}

impl DateTime {
    /// Status bit: the value is invalid.
    pub const INVALID: u8 = 0x01;
    /// Status bit: the value is doubtful.
    pub const DOUBTFUL: u8 = 0x02;
    /// Status bit: summer time is in force.
    pub const SUMMER: u8 = 0x80;

    /// The 12 octets.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let [y0, y1] = self.year.unwrap_or(0xFFFF).to_be_bytes();
        let [d0, d1] = self.deviation.unwrap_or(i16::MIN).to_be_bytes();
        [
            y0,
            y1,
            self.month,
            self.day,
            self.weekday,
            self.hour,
            self.minute,
            self.second,
            self.hundredths,
            d0,
            d1,
            self.status,
        ]
    }

    /// From 12 octets.
    ///
    /// # Errors
    /// [`DecodeError::Unexpected`] for another length (value: the length) or a part out of range (at: its octet).
    pub fn from_bytes(octets: &[u8]) -> Result<Self, DecodeError> {
        let &[
            y0,
            y1,
            month,
            day,
            weekday,
            hour,
            minute,
            second,
            hundredths,
            d0,
            d1,
            status,
        ] = octets
        else {
            return Err(DecodeError::Unexpected {
                what: "length of a date-time",
                value: octets.len() as u64,
                at: 0,
            });
        };
        let deviation = i16::from_be_bytes([d0, d1]);
        let fits = |value: u8, low: u8, high: u8, also: &[u8]| (low..=high).contains(&value) || also.contains(&value);
        let checks = [
            (2, month, fits(month, 1, 12, &[0xFD, 0xFE, 0xFF])),
            (3, day, fits(day, 1, 31, &[0xFD, 0xFE, 0xFF])),
            (4, weekday, fits(weekday, 1, 7, &[0xFF])),
            (5, hour, fits(hour, 0, 23, &[0xFF])),
            (6, minute, fits(minute, 0, 59, &[0xFF])),
            (7, second, fits(second, 0, 59, &[0xFF])),
            (8, hundredths, fits(hundredths, 0, 99, &[0xFF])),
            (9, d0, deviation == i16::MIN || (-840..=840).contains(&deviation)),
        ];
        if let Some((at, value, _)) = checks.into_iter().find(|(_, _, fits)| !fits) {
            return Err(DecodeError::Unexpected {
                what: "part of a date-time",
                value: value.into(),
                at,
            });
        }
        let year = Some(u16::from_be_bytes([y0, y1])).filter(|year| *year != 0xFFFF);
        let deviation = Some(deviation).filter(|deviation| *deviation != i16::MIN);
        Ok(Self {
            year,
            month,
            day,
            weekday,
            hour,
            minute,
            second,
            hundredths,
            deviation,
            status,
        })
    }
}
