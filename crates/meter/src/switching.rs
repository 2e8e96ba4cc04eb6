//! A switching table made ready: what counts in each half-hour of any local day.
//!
//! Switches stand on half-hours of the local clock; what holds before the first switch of a day is what the day before
//! ended with.

use domain::Refusal;
use domain::operation::{SwitchingTable, TariffAction, TariffDay};

use crate::calendar::LocalDay;
use crate::timetable;

/// What counts in one half-hour: a time-of-use register (1 to 48), or a time band of the blocks (1 to 8) with
/// [`BLOCK`] set. One octet, so that a day of them serves the load model as it stands.
pub(crate) type Action = u8;

/// Set in an action that counts in blocks.
pub(crate) const BLOCK: u8 = 0x80;

/// Half-hours of a local day.
pub(crate) type Pattern = [Action; 48];

/// Nothing said: what the day before ended with goes on.
const UNSAID: Action = 0;

/// Days looked back for what a day begins with.
const LOOK_BACK_DAYS: i64 = 8;

/// A switching table and what follows from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Switching {
    pub(crate) table: SwitchingTable,
    patterns: Vec<(u8, Pattern)>,
    /// The pattern of every day, where all are the same.
    uniform: Option<Pattern>,
}

/// What a kind of meter holds of a switching table at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    pub(crate) days: usize,
    pub(crate) weeks: usize,
    pub(crate) seasons: usize,
    pub(crate) special_days: usize,
    pub(crate) tou: u8,
    pub(crate) bands: u8,
}

impl Switching {
    /// Makes a table ready.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] for a table that says something of days, weeks or registers that there are not, that
    /// switches within a half-hour, or that is larger than the meter holds.
    pub(crate) fn new(table: SwitchingTable, bounds: &Bounds) -> Result<Self, Refusal> {
        if !fits(&table, bounds) {
            return Err(Refusal::OutOfRange);
        }
        Ok(Self::of_checked(table))
    }

    /// A table known to be right.
    pub(crate) fn of_checked(table: SwitchingTable) -> Self {
        let patterns: Vec<(u8, Pattern)> = table.days.iter().map(|day| (day.id, pattern(day))).collect();
        let uniform = uniform(&table, &patterns);
        Self {
            table,
            patterns,
            uniform,
        }
    }

    /// The pattern of every day, where all are the same.
    pub(crate) fn uniform(&self) -> Option<&Pattern> {
        self.uniform.as_ref()
    }

    /// What counts in a slot (0 to 47) of a day.
    pub(crate) fn action(&self, day: LocalDay, slot: usize) -> Action {
        match &self.uniform {
            Some(pattern) => pattern[slot],
            None => self.on(day)[slot],
        }
    }

    /// The pattern of a day.
    pub(crate) fn on(&self, day: LocalDay) -> Pattern {
        if let Some(pattern) = self.uniform {
            return pattern;
        }
        let mut pattern = self.said(day);
        if pattern[0] == UNSAID {
            let begins = (1..=LOOK_BACK_DAYS)
                .map(|back| self.said(LocalDay(day.0 - back))[47])
                .find(|action| *action != UNSAID);
            fill(&mut pattern, begins.unwrap_or(1));
        }
        pattern
    }

    fn said(&self, day: LocalDay) -> Pattern {
        let table = &self.table;
        let number = timetable::day_number(&table.seasons, &table.weeks, &table.special_days, day);
        let found = self.patterns.iter().find(|(id, _)| Some(*id) == number);
        found.map_or([UNSAID; 48], |(_, pattern)| *pattern)
    }

    /// The highest time-of-use register that ever counts.
    pub(crate) fn tou_registers(&self) -> u8 {
        self.actions().filter(|action| action & BLOCK == 0).max().unwrap_or(0)
    }

    /// The highest time band that ever counts in blocks.
    pub(crate) fn bands(&self) -> u8 {
        let bands = self.actions().filter(|action| action & BLOCK != 0);
        bands.map(|action| action & !BLOCK).max().unwrap_or(0)
    }

    fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        let said = self.patterns.iter().flat_map(|(_, pattern)| pattern.iter().copied());
        said.filter(|action| *action != UNSAID)
            .chain(self.patterns.is_empty().then_some(1))
    }

    /// Octets on the heap, those of the table's lists by their lengths.
    pub(crate) fn heap(&self) -> usize {
        let table = &self.table;
        let switches: usize = table.days.iter().map(|day| day.switches.len() * 4 + 32).sum();
        self.patterns.len() * size_of::<(u8, Pattern)>()
            + switches
            + table.weeks.len() * 8
            + table.seasons.len() * 48
            + table.special_days.len() * 12
    }
}

fn fits(table: &SwitchingTable, bounds: &Bounds) -> bool {
    let day = |day: &TariffDay| {
        day.switches.len() <= 48
            && day.switches.iter().all(|(minute, action)| {
                let known = match action {
                    TariffAction::Block(band) => (1..=bounds.bands).contains(band),
                    TariffAction::Tou(register) => (1..=bounds.tou).contains(register),
                };
                known && *minute < 1_440 && minute.is_multiple_of(30)
            })
    };
    let known_day = |id: &u8| table.days.iter().any(|day| day.id == *id);
    table.days.len() <= bounds.days
        && table.weeks.len() <= bounds.weeks
        && table.seasons.len() <= bounds.seasons
        && table.special_days.len() <= bounds.special_days
        && table.days.iter().all(day)
        && table.weeks.iter().all(|week| week.days.iter().all(known_day))
        && table
            .seasons
            .iter()
            .all(|season| table.weeks.iter().any(|week| week.id == season.week))
        && table.special_days.iter().all(|(_, id)| known_day(id))
}

fn pattern(day: &TariffDay) -> Pattern {
    let mut pattern = [UNSAID; 48];
    let mut switches = day.switches.clone();
    switches.sort_by_key(|(minute, _)| *minute);
    for (minute, action) in switches {
        let action = match action {
            TariffAction::Block(band) => BLOCK | band,
            TariffAction::Tou(register) => register,
        };
        let from = usize::from(minute / 30).min(48);
        pattern[from..].fill(action);
    }
    pattern
}

/// Says what nobody said at the beginning of a day.
fn fill(pattern: &mut Pattern, action: Action) {
    for slot in pattern.iter_mut().take_while(|slot| **slot == UNSAID) {
        *slot = action;
    }
}

fn uniform(table: &SwitchingTable, patterns: &[(u8, Pattern)]) -> Option<Pattern> {
    let Some((first, pattern)) = patterns.first() else {
        return Some([1; 48]);
    };
    let weeks = table.weeks.iter().flat_map(|week| week.days);
    let special = table.special_days.iter().map(|(_, id)| *id);
    let only_one = weeks.chain(special).all(|id| id == *first) && !table.seasons.is_empty();
    only_one.then(|| {
        let mut pattern = *pattern;
        let last = pattern[47];
        fill(&mut pattern, if last == UNSAID { 1 } else { last });
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::operation::{AnyDate, TariffSeason, TariffWeek};

    const BOUNDS: Bounds = Bounds {
        days: 16,
        weeks: 4,
        seasons: 4,
        special_days: 50,
        tou: 48,
        bands: 8,
    };

    fn table(days: Vec<(u8, Vec<(u16, TariffAction)>)>, week: [u8; 7]) -> SwitchingTable {
        let any = AnyDate {
            year: None,
            month: Some(1),
            day: Some(domain::operation::AnyDay::Day(1)),
            day_of_week: None,
        };
        SwitchingTable {
            days: days
                .into_iter()
                .map(|(id, switches)| TariffDay { id, switches })
                .collect(),
            weeks: vec![TariffWeek { id: 1, days: week }],
            seasons: vec![TariffSeason {
                name: "all".into(),
                from: any,
                week: 1,
            }],
            special_days: Vec::new(),
        }
    }

    #[test]
    fn a_day_begins_with_what_the_day_before_ended_with() {
        use TariffAction::{Block, Tou};
        let table = table(
            vec![(1, vec![(0, Tou(1)), (1_380, Tou(2))]), (2, vec![(420, Block(3))])],
            [1, 1, 1, 1, 1, 2, 2],
        );
        let switching = Switching::new(table, &BOUNDS).expect("right");
        assert!(switching.uniform().is_none());
        // 2019-05-03 was a Friday.
        let [friday, saturday, sunday] = [3, 4, 5].map(|day| switching.on(LocalDay::from_date(2019, 5, day)));
        assert_eq!((friday[0], friday[45], friday[46]), (1, 1, 2));
        assert_eq!((saturday[0], saturday[13], saturday[14]), (2, 2, BLOCK | 3));
        assert_eq!(sunday, [BLOCK | 3; 48]);
        assert_eq!((switching.tou_registers(), switching.bands()), (2, 3));
    }

    #[test]
    fn one_day_for_all_is_found_out() {
        let one = table(
            vec![(4, vec![(30, TariffAction::Tou(2)), (450, TariffAction::Tou(1))])],
            [4; 7],
        );
        let switching = Switching::new(one, &BOUNDS).expect("right");
        let pattern = switching.uniform().expect("the same every day");
        assert_eq!((pattern[0], pattern[1], pattern[14], pattern[15]), (1, 2, 2, 1));
        assert_eq!(switching.on(LocalDay(18_000)), *pattern);
        assert_eq!(
            Switching::of_checked(SwitchingTable::default()).uniform(),
            Some(&[1; 48])
        );
    }

    #[test]
    fn tables_that_do_not_hold_together_are_refused() {
        use TariffAction::{Block, Tou};
        let day = |action| vec![(1, vec![(0, action)])];
        for wrong in [
            table(vec![(1, vec![(15, Tou(1))])], [1; 7]),
            table(vec![(1, vec![(1_440, Tou(1))])], [1; 7]),
            table(day(Tou(49)), [1; 7]),
            table(day(Tou(0)), [1; 7]),
            table(day(Block(9)), [1; 7]),
            table(day(Tou(1)), [1, 1, 1, 1, 1, 1, 2]),
        ] {
            assert_eq!(Switching::new(wrong, &BOUNDS), Err(Refusal::OutOfRange));
        }
        let many = table((1..=17).map(|id| (id, vec![(0, Tou(1))])).collect(), [1; 7]);
        assert_eq!(Switching::new(many, &BOUNDS), Err(Refusal::OutOfRange));
    }
}
