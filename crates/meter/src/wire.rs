//! Compact numbers for the durable octets: writing cannot fail, reading trusts nothing.

use domain::SimInstant;

use crate::durable::RestoreError;

/// Entries of one list at most: the longest profile log has 19 200.
const LIST_MAX: u64 = 100_000;

/// 2100-01-01T00:00:00Z.
const END_OF_CALENDAR_MS: i64 = 4_102_444_800_000;

/// No balance in millionths of a penny and no register in Wh comes near this.
const AMOUNT_MAX: u64 = 1 << 56;

/// Appends to octets.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(version: u8) -> Self {
        let mut octets = Vec::with_capacity(256);
        octets.push(version);
        Self(octets)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// Octets behind their number.
    pub(crate) fn sized(&mut self, octets: &[u8]) {
        self.count(octets.len());
        self.octets(octets);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.u64(u64::from(number));
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    pub(crate) fn i64(&mut self, number: i64) {
        self.u64(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(crate) fn instant(&mut self, at: SimInstant) {
        self.i64(at.0);
    }

    pub(crate) fn instant_option(&mut self, at: Option<SimInstant>) {
        self.flag(at.is_some());
        if let Some(at) = at {
            self.instant(at);
        }
    }

    /// The place of `value` in a list that is known to hold it.
    pub(crate) fn pick<T: PartialEq>(&mut self, list: &[T], value: &T) {
        self.count(list.iter().position(|entry| entry == value).unwrap_or(list.len()));
    }

    fn u64(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7F) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// Takes from octets; every surprise is [`RestoreError::Damaged`] with its place.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    /// The version octet and a reader of what follows.
    pub(crate) fn new(octets: &'a [u8]) -> Result<(u8, Self), RestoreError> {
        let (version, rest) = octets.split_first().ok_or(RestoreError::Damaged(0))?;
        Ok((
            *version,
            Self {
                rest,
                len: octets.len(),
            },
        ))
    }

    pub(crate) fn damaged(&self) -> RestoreError {
        RestoreError::Damaged(self.len - self.rest.len())
    }

    pub(crate) fn finish(self) -> Result<(), RestoreError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    pub(crate) fn octets<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(*octets)
    }

    /// Octets behind their number.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], RestoreError> {
        let count = usize::try_from(self.u64()?).map_err(|_| self.damaged())?;
        let (octets, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(octets)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, RestoreError> {
        match self.octets()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(self.damaged()),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RestoreError> {
        u8::try_from(self.u64()?).map_err(|_| self.damaged())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RestoreError> {
        u16::try_from(self.u64()?).map_err(|_| self.damaged())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RestoreError> {
        u32::try_from(self.u64()?).map_err(|_| self.damaged())
    }

    pub(crate) fn i64(&mut self) -> Result<i64, RestoreError> {
        let number = self.u64()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    /// True time of the lab: a calendar from 1970 to 2100.
    pub(crate) fn instant(&mut self) -> Result<SimInstant, RestoreError> {
        let at = self.time()?;
        if (0..END_OF_CALENDAR_MS).contains(&at.0) {
            Ok(at)
        } else {
            Err(self.damaged())
        }
    }

    /// Time that somebody else named: anything.
    pub(crate) fn time(&mut self) -> Result<SimInstant, RestoreError> {
        self.i64().map(SimInstant)
    }

    /// Money or energy: far from where sums overflow.
    pub(crate) fn amount(&mut self) -> Result<i64, RestoreError> {
        let amount = self.i64()?;
        if amount.unsigned_abs() <= AMOUNT_MAX {
            Ok(amount)
        } else {
            Err(self.damaged())
        }
    }

    pub(crate) fn instant_option(&mut self) -> Result<Option<SimInstant>, RestoreError> {
        if self.flag()? {
            self.instant().map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn pick<'l, T>(&mut self, list: &'l [T]) -> Result<&'l T, RestoreError> {
        let place = usize::try_from(self.u64()?).map_err(|_| self.damaged())?;
        list.get(place).ok_or_else(|| self.damaged())
    }

    /// A list whose entries `entry` reads.
    pub(crate) fn list<T>(
        &mut self,
        mut entry: impl FnMut(&mut Self) -> Result<T, RestoreError>,
    ) -> Result<Vec<T>, RestoreError> {
        let count = self.u64()?;
        if count > LIST_MAX || count > self.rest.len() as u64 {
            return Err(self.damaged());
        }
        let mut list = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for _ in 0..count {
            list.push(entry(self)?);
        }
        Ok(list)
    }

    fn u64(&mut self) -> Result<u64, RestoreError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [octet] = self.octets()?;
            let part = u64::from(octet & 0x7F);
            if shift == 63 && part > 1 {
                break;
            }
            number |= part << shift;
            if octet < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged())
    }
}
