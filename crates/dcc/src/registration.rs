//! Registration Data: who acts in which role at a metering point, from when until when.
//!
//! A registration that has not begun is a pending change. Dates without a time begin at midnight in London, as changes of
//! supplier do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use domain::{Eui64, Mpxn, SimInstant, UserRole};
use serde::{Deserialize, Deserializer};

use crate::directory::{DirectoryError, from_text};

/// Who acts in a role at a metering point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The metering point.
    #[serde(deserialize_with = "from_text")]
    pub mpxn: Mpxn,
    /// The role.
    #[serde(deserialize_with = "from_text")]
    pub role: UserRole,
    /// The user.
    #[serde(deserialize_with = "from_text")]
    pub user: Eui64,
    /// First instant; none: always was.
    #[serde(default, deserialize_with = "instant_from_text")]
    pub from: Option<SimInstant>,
    /// First instant at which it no longer holds; none: until another begins.
    #[serde(default, deserialize_with = "instant_from_text")]
    pub until: Option<SimInstant>,
}

impl Registration {
    /// One that always held and does not end.
    #[must_use]
    pub fn always(mpxn: Mpxn, role: UserRole, user: Eui64) -> Self {
        Self {
            mpxn,
            role,
            user,
            from: None,
            until: None,
        }
    }
}

/// All registrations, by metering point and role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    /// In the order they begin.
    by_point: BTreeMap<(Mpxn, UserRole), Vec<Registration>>,
}

impl Registrations {
    /// Adds one; it replaces another of the same metering point and role that begins at the same instant.
    pub fn add(&mut self, registration: Registration) {
        let of_point = self.by_point.entry((registration.mpxn, registration.role));
        // Most metering points keep the one they have.
        let of_point = of_point.or_insert_with(|| Vec::with_capacity(1));
        of_point.retain(|other| other.from != registration.from);
        let at = of_point.partition_point(|other| other.from < registration.from);
        of_point.insert(at, registration);
    }

    /// Who is registered in this role at this metering point at an instant.
    #[must_use]
    pub fn holder(&self, mpxn: Mpxn, role: UserRole, at: SimInstant) -> Option<Eui64> {
        let of_point = self.by_point.get(&(mpxn, role))?;
        let begun = of_point.iter().rfind(|one| one.from.is_none_or(|from| from <= at))?;
        begun.until.is_none_or(|until| at < until).then_some(begun.user)
    }

    /// The next change in this role at this metering point after an instant.
    #[must_use]
    pub fn pending(&self, mpxn: Mpxn, role: UserRole, after: SimInstant) -> Option<Registration> {
        let of_point = self.by_point.get(&(mpxn, role))?;
        of_point
            .iter()
            .copied()
            .find(|one| one.from.is_some_and(|from| from > after))
    }

    /// Whether anything at all is registered at this metering point.
    #[must_use]
    pub fn knows(&self, mpxn: Mpxn) -> bool {
        let [first, .., last] = UserRole::ALL;
        self.by_point.range((mpxn, first)..=(mpxn, last)).next().is_some()
    }

    /// All, by metering point, role and begin.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.by_point.values().flatten()
    }

    /// From CSV with the columns `mpxn,role,user,from,until`; the last two may be empty. Lines beginning with `#` are
    /// comments.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn from_csv(text: &str) -> Result<Self, DirectoryError> {
        let mut all = Self::default();
        let mut header = false;
        for (line, row) in (1..).zip(text.lines()) {
            let row = row.trim();
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let wrong = |problem: String| DirectoryError::Text(format!("line {line}: {problem}"));
            if !header {
                header = true;
                if row != COLUMNS {
                    return Err(wrong(format!("expected the columns {COLUMNS}, found {row:?}")));
                }
                continue;
            }
            let cells: Vec<&str> = row.split(',').map(str::trim).collect();
            let [mpxn, role, user, from, until] = cells[..] else {
                return Err(wrong(format!("expected 5 cells, found {}", cells.len())));
            };
            all.add(Registration {
                mpxn: mpxn.parse().map_err(|error| wrong(format!("mpxn: {error}")))?,
                role: role.parse().map_err(|error| wrong(format!("role: {error}")))?,
                user: user.parse().map_err(|error| wrong(format!("user: {error}")))?,
                from: optional(from).map_err(|error| wrong(format!("from: {error}")))?,
                until: optional(until).map_err(|error| wrong(format!("until: {error}")))?,
            });
        }
        Ok(all)
    }

    /// The same as CSV, in the order of [`Registrations::iter`].
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = format!("{COLUMNS}\n");
        let text = |at: Option<SimInstant>| at.map(|at| at.to_string()).unwrap_or_default();
        for one in self.iter() {
            // Writing to a String does not fail.
            let _ = writeln!(
                out,
                "{},{},{},{},{}",
                one.mpxn,
                one.role,
                one.user,
                text(one.from),
                text(one.until)
            );
        }
        out
    }
}

impl Extend<Registration> for Registrations {
    fn extend<T: IntoIterator<Item = Registration>>(&mut self, more: T) {
        more.into_iter().for_each(|one| self.add(one));
    }
}

const COLUMNS: &str = "mpxn,role,user,from,until";

/// A date and time, or a date: midnight in London.
pub(crate) fn instant(text: &str) -> Result<SimInstant, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let noon = SimInstant::from_str(&format!("{text}T12:00:00Z"));
    noon.map(domain::time::london_midnight)
        .map_err(|_| format!("expected a date such as 2020-06-01 or a date and time, found {text:?}"))
}

fn optional(text: &str) -> Result<Option<SimInstant>, String> {
    (!text.is_empty()).then(|| instant(text)).transpose()
}

fn instant_from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SimInstant>, D::Error> {
    instant(&String::deserialize(from)?)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "# who supplies whom\nmpxn,role,user,from,until\n\
        9901000000007,IS,90-B3-D5-1F-30-01-00-00,,\n\
        9901000000007,IS,90-B3-D5-1F-30-03-00-00,2020-07-01,\n\
        9901000000007,RSA,90-B3-D5-1F-30-05-00-00,2020-06-01,2020-06-15\n";

    fn at(text: &str) -> SimInstant {
        text.parse().unwrap()
    }

    #[test]
    fn a_change_of_supplier_pends_until_its_midnight() {
        let all = Registrations::from_csv(CSV).unwrap();
        let (point, role) = ("9901000000007".parse().unwrap(), UserRole::ImportSupplier);
        let (old, new) = (
            "90-B3-D5-1F-30-01-00-00".parse().unwrap(),
            "90-B3-D5-1F-30-03-00-00".parse().unwrap(),
        );
        // British summer time: midnight is 23:00 UTC.
        assert_eq!(all.holder(point, role, at("2020-06-30T22:59:59Z")), Some(old));
        assert_eq!(all.holder(point, role, at("2020-06-30T23:00:00Z")), Some(new));
        assert_eq!(all.pending(point, role, at("2020-06-01T00:00:00Z")).unwrap().user, new);
        assert_eq!(all.pending(point, role, at("2020-07-01T00:00:00Z")), None);
        let agent = |text| all.holder(point, UserRole::RegisteredSupplierAgent, at(text)).is_some();
        assert_eq!(
            ["2020-05-31T00:00:00Z", "2020-06-10T00:00:00Z", "2020-06-15T12:00:00Z"].map(agent),
            [false, true, false]
        );
        assert!(all.knows(point) && !all.knows("1200000000001".parse().unwrap()));
    }

    #[test]
    fn csv_reads_as_it_writes_and_names_what_is_wrong() {
        let all = Registrations::from_csv(CSV).unwrap();
        assert_eq!(Registrations::from_csv(&all.to_csv()).unwrap(), all);
        for (from, to, expected) in [
            ("role", "roll", "line 2: expected the columns mpxn,role"),
            ("RSA", "XX", "line 5: role: expected one of IS"),
            ("2020-07-01", "July", "line 4: from: expected a date such as"),
            ("00,,", "00,", "line 3: expected 5 cells, found 4"),
        ] {
            let error = Registrations::from_csv(&CSV.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
