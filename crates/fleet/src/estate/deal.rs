//! Sharing something out over the installations of a template: exact shares, who gets what drawn from the estate's seed.

use domain::seed::mix;

/// What each installation of a template has of one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Spread<T> {
    /// All have the same.
    All(T),
    /// By position.
    Each(Vec<T>),
}

impl<T: Copy> Spread<T> {
    /// Shares `parts` out over `count` installations by their weights: each part as often as its share says, rounded by
    /// largest remainder. The same seed gives the same installations the same.
    ///
    /// The weights' sum must not be zero.
    pub(crate) fn deal(parts: &[(T, u32)], count: u32, seed: u64) -> Self {
        let live: Vec<(T, u32)> = parts.iter().copied().filter(|(_, weight)| *weight > 0).collect();
        if let [(only, _)] = live[..] {
            return Self::All(only);
        }
        let total: u64 = live.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let total = total.max(1);
        let mut quotas: Vec<(u64, u64, usize)> = Vec::with_capacity(live.len());
        let mut given = 0;
        for (index, (_, weight)) in live.iter().enumerate() {
            let share = u64::from(*weight) * u64::from(count);
            given += share / total;
            quotas.push((share / total, share % total, index));
        }
        let mut by_rest: Vec<usize> = (0..quotas.len()).collect();
        by_rest.sort_by_key(|index| {
            quotas
                .get(*index)
                .map(|(_, rest, index)| (std::cmp::Reverse(*rest), *index))
        });
        let short = usize::try_from(u64::from(count) - given).unwrap_or(0);
        for index in by_rest.into_iter().take(short) {
            if let Some((quota, ..)) = quotas.get_mut(index) {
                *quota += 1;
            }
        }
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_by_cached_key(|position| (mix(seed, u64::from(*position)), *position));
        let drawn = quotas.iter().zip(&live).flat_map(|((quota, ..), (part, _))| {
            std::iter::repeat_n(*part, usize::try_from(*quota).unwrap_or(usize::MAX))
        });
        let mut dealt: Vec<(u32, T)> = order.into_iter().zip(drawn).collect();
        dealt.sort_by_key(|(position, _)| *position);
        Self::Each(dealt.into_iter().map(|(_, part)| part).collect())
    }

    /// What the installation at this position has; the last one's where there is none.
    pub(crate) fn at(&self, position: u32) -> Option<T> {
        match self {
            Self::All(part) => Some(*part),
            Self::Each(parts) => {
                let position = usize::try_from(position).unwrap_or(usize::MAX);
                parts.get(position).or_else(|| parts.last()).copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_and_follow_from_the_seed() {
        let parts = [('a', 70), ('b', 20), ('c', 10), ('d', 0)];
        let Spread::Each(dealt) = Spread::deal(&parts, 1003, 7) else {
            panic!("three parts are dealt out")
        };
        let count = |what| dealt.iter().filter(|part| **part == what).count();
        // 702.1, 200.6 and 100.3: the one left over goes to the largest remainder.
        assert_eq!([count('a'), count('b'), count('c'), count('d')], [702, 201, 100, 0]);
        assert_eq!(Spread::deal(&parts, 1003, 7), Spread::Each(dealt.clone()));
        assert_ne!(Spread::deal(&parts, 1003, 8), Spread::Each(dealt.clone()));
        assert_eq!(Spread::deal(&parts[..1], 5, 7), Spread::All('a'));
        // Nothing comes in blocks.
        let changes = dealt.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes > 300, "{changes}");
    }
}
