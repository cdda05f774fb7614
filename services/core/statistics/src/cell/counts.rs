//! Counters that only grow.

use std::collections::BTreeMap;

use super::key::CellKey;
use crate::month::Month;

/// Counters by key. A counter only grows, and saturates at the largest number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(BTreeMap<CellKey, u64>);

impl Counts {
    /// Adds to one counter.
    pub fn add(&mut self, key: CellKey, amount: u64) {
        if amount > 0 {
            let counter = self.0.entry(key).or_default();
            *counter = counter.saturating_add(amount);
        }
    }

    /// Adds the counters of another process or part.
    pub fn merge(&mut self, other: &Self) {
        for (key, amount) in &other.0 {
            self.add(key.clone(), *amount);
        }
    }

    /// Returns one counter.
    #[must_use]
    pub fn get(&self, key: &CellKey) -> u64 {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// Removes the counters of the months before this one.
    pub fn drop_before(&mut self, month: Month) {
        self.0.retain(|key, _| key.month >= month);
    }

    /// Returns the number of counters above 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Checks whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the counters above 0, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&CellKey, u64)> {
        self.0.iter().map(|(key, count)| (key, *count))
    }

    /// Returns the counters whose keys pass, such as those of the banks with terrorist content for a report
    /// on these only.
    #[must_use]
    pub fn filtered(&self, mut passes: impl FnMut(&CellKey) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| passes(key)).map(|(key, count)| (key.clone(), *count)).collect())
    }
}

impl FromIterator<(CellKey, u64)> for Counts {
    fn from_iter<T: IntoIterator<Item = (CellKey, u64)>>(counters: T) -> Self {
        let mut counts = Self::default();
        for (key, amount) in counters {
            counts.add(key, amount);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{ClassText, Measure};
    use crate::month::Month;

    #[test]
    fn counters_grow_merge_and_stop_at_the_largest_number() {
        let key = |what| CellKey {
            month: Month::from_number(1).unwrap(),
            member: None,
            bank: None,
            class: ClassText::default(),
            verdict: None,
            what,
        };
        let mut counts: Counts =
            [(key(Measure::Lookups), 2), (key(Measure::Lookups), 3)].into_iter().collect();
        counts.add(key(Measure::Decisions), 0);
        assert_eq!(counts.iter().count(), 1);
        counts.merge(&counts.clone());
        assert_eq!(counts.get(&key(Measure::Lookups)), 10);
        counts.add(key(Measure::Lookups), u64::MAX);
        assert_eq!(counts.get(&key(Measure::Lookups)), u64::MAX);
        assert_eq!(counts.filtered(|key| key.what == Measure::Decisions), Counts::default());
    }
}
