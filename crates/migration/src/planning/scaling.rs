//! The lab's scaling function: how capacity is shared when demand exceeds it.
//!
//! Ours; consistent with what is known of the programme's methodology: it applies only when total demand exceeds capacity,
//! and there is a flat allocation D_MIN.

use std::collections::BTreeMap;

use domain::Eui64;

/// What is known before a day's allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayDemand<K = Eui64> {
    /// Installations a day for this cohort.
    pub capacity: u32,
    /// Part of it kept for dormant installations; more than the capacity counts as the capacity.
    pub dormant_reserve: u32,
    /// Dormant installations that want a slot.
    pub dormant_demand: u32,
    /// Demand by supplier.
    pub demand: BTreeMap<K, u32>,
}

/// How an allocation came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// Demand fits: everybody has what they asked for.
    Unscaled,
    /// Not even the flat parts fit: shared equally.
    EqualShares,
    /// Flat part and a share of the rest in proportion.
    Proportional,
}

/// The allocation of one day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayAllocation<K = Eui64> {
    /// By supplier; everyone who asked is in it.
    pub units: BTreeMap<K, u32>,
    /// What the reserve leaves for suppliers.
    pub available: u32,
    /// How it came about.
    pub method: Method,
}

impl Method {
    /// The word of files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EqualShares => "equal-shares",
            Self::Proportional => "proportional",
            Self::Unscaled => "unscaled",
        }
    }
}

/// Shares a day's capacity among suppliers.
///
/// The sum of the parts is the lesser of total demand and what is available; nobody is given more than they asked for; the
/// same input gives the same parts; asking for more never gives less.
#[must_use]
pub fn allocate<K: Ord + Clone>(day: &DayDemand<K>, d_min: u32) -> DayAllocation<K> {
    let available = day.capacity - day.dormant_reserve.min(day.dormant_demand).min(day.capacity);
    let total: u64 = day.demand.values().map(|units| u64::from(*units)).sum();
    let done = |units, method| DayAllocation {
        units,
        available,
        method,
    };
    if total <= u64::from(available) {
        return done(day.demand.clone(), Method::Unscaled);
    }
    let flat: BTreeMap<K, u32> = day
        .demand
        .iter()
        .map(|(id, units)| (id.clone(), (*units).min(d_min)))
        .collect();
    let flat_total: u64 = flat.values().map(|units| u64::from(*units)).sum();
    if flat_total > u64::from(available) {
        return done(fill(&flat, available), Method::EqualShares);
    }
    done(
        proportional(&day.demand, flat, u64::from(available) - flat_total),
        Method::Proportional,
    )
}

/// Raises all below their wish together until nothing is left; single units go to the lowest ids.
fn fill<K: Ord + Clone>(wishes: &BTreeMap<K, u32>, available: u32) -> BTreeMap<K, u32> {
    let mut given: Vec<(u32, u32)> = wishes.values().map(|wish| (*wish, 0)).collect();
    let mut left = available;
    loop {
        let open = given.iter().filter(|(wish, given)| given < wish);
        // As many rounds at once as the nearest to its wish allows.
        let nearest = open.clone().map(|(wish, given)| wish - given).min().unwrap_or(0);
        let count = u32::try_from(open.count()).unwrap_or(u32::MAX);
        if left == 0 || count == 0 {
            break;
        }
        let rounds = (left / count).min(nearest);
        let open = given.iter_mut().filter(|(wish, given)| given < wish);
        for (position, (_, given)) in (0u32..).zip(open) {
            *given += if rounds > 0 { rounds } else { u32::from(position < left) };
        }
        left = if rounds > 0 { left - rounds * count } else { 0 };
    }
    wishes
        .keys()
        .cloned()
        .zip(given.into_iter().map(|(_, given)| given))
        .collect()
}

/// The rest in proportion to what is left of each demand, rounded down; single units by largest fraction, then lowest id.
fn proportional<K: Ord + Clone>(demand: &BTreeMap<K, u32>, flat: BTreeMap<K, u32>, rest: u64) -> BTreeMap<K, u32> {
    let residuals = demand
        .values()
        .zip(flat.values())
        .map(|(demand, flat)| u64::from(demand - flat));
    let residuals: Vec<u64> = residuals.collect();
    let total: u64 = residuals.iter().sum();
    if total == 0 {
        return flat;
    }
    // Demands and capacities have 32 bits: the products fit 64.
    let mut given: Vec<(K, u32)> = flat.into_iter().collect();
    let mut fractions: Vec<(u64, usize)> = Vec::with_capacity(given.len());
    let mut left = rest;
    for (position, residual) in residuals.into_iter().enumerate() {
        let product = rest * residual;
        let whole = product / total;
        fractions.push((product % total, position));
        left -= whole;
        given[position].1 = given[position]
            .1
            .saturating_add(u32::try_from(whole).unwrap_or(u32::MAX));
    }
    // Positions are in the order of the ids.
    fractions.sort_by(|(a, a_at), (b, b_at)| b.cmp(a).then(a_at.cmp(b_at)));
    for (_, position) in fractions.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        given[position].1 += 1;
    }
    given.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(capacity: u32, reserve: u32, dormant: u32, demand: &[u32]) -> DayDemand {
        DayDemand {
            capacity,
            dormant_reserve: reserve,
            dormant_demand: dormant,
            demand: (1u64..).map(Eui64).zip(demand.iter().copied()).collect(),
        }
    }

    fn units(day: &DayDemand, d_min: u32) -> Vec<u32> {
        allocate(day, d_min).units.into_values().collect()
    }

    #[test]
    fn the_worked_example() {
        let day = day(1000, 0, 0, &[50, 400, 900, 650]);
        assert_eq!(units(&day, 100), [50, 218, 415, 317]);
        assert_eq!(allocate(&day, 100).method, Method::Proportional);
    }

    #[test]
    fn the_edges() {
        assert_eq!(units(&day(1000, 0, 0, &[500, 500]), 100), [500, 500]);
        assert_eq!(units(&day(0, 0, 0, &[5, 7]), 100), [0, 0]);
        assert_eq!(units(&day(10, 0, 0, &[1, 100, 100, 100]), 100), [1, 3, 3, 3]);
        assert_eq!(
            units(&day(11, 0, 0, &[1, 100, 100, 100]), 100),
            [1, 4, 3, 3],
            "the odd unit to the lowest id"
        );
        assert_eq!(
            units(&day(100, 30, 10, &[100]), 100),
            [90],
            "the unused reserve returns"
        );
        assert_eq!(units(&day(100, 130, 500, &[100]), 100), [0]);
        assert_eq!(
            units(&day(u32::MAX, 0, 0, &[u32::MAX, u32::MAX]), 0),
            [u32::MAX / 2 + 1, u32::MAX / 2]
        );
        assert!(units(&day(5, 0, 0, &[]), 1).is_empty());
    }

    fn days() -> impl Strategy<Value = (DayDemand, u32)> {
        let demand = proptest::collection::vec(prop_oneof![0u32..20, 0u32..2000], 0..9);
        (0u32..3000, 0u32..1500, 0u32..1500, demand, 0u32..300)
            .prop_map(|(capacity, reserve, dormant, demand, d_min)| (day(capacity, reserve, dormant, &demand), d_min))
    }

    proptest! {
        #[test]
        fn everything_available_is_given_and_nobody_has_more_than_asked((day, d_min) in days()) {
            let allocation = allocate(&day, d_min);
            let total: u32 = day.demand.values().sum();
            let given: u32 = allocation.units.values().sum();
            prop_assert_eq!(given, total.min(allocation.available));
            prop_assert!(day.demand.iter().all(|(id, wish)| allocation.units[id] <= *wish));
            if allocation.method == Method::Proportional {
                prop_assert!(day.demand.iter().all(|(id, wish)| allocation.units[id] >= (*wish).min(d_min)));
            }
            prop_assert_eq!(&allocate(&day, d_min), &allocation);
        }

        #[test]
        fn asking_for_more_never_gives_less((day, d_min) in days(), who in any::<prop::sample::Index>(), more in 1u32..500) {
            prop_assume!(!day.demand.is_empty());
            let id = Eui64(1 + who.index(day.demand.len()) as u64);
            let mut greedy = day.clone();
            *greedy.demand.entry(id).or_default() += more;
            prop_assert!(allocate(&greedy, d_min).units[&id] >= allocate(&day, d_min).units[&id]);
        }
    }
}
