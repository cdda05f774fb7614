//! The rows that a search has found so far, and the distance that the next one must have.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use vigie_index::Entry;

/// A row that was found. Ordered by distance, then by entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) distance: f32,
    pub(crate) entry: Entry,
    pub(crate) place: RowLocation,
}

/// The position of a row's vector.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowLocation {
    /// The number of the rows' container in the view.
    pub(crate) rows: u32,
    /// The number of the node in it.
    pub(crate) node: u32,
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.entry.cmp(&other.entry))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Found {}

/// The rows that a search asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// All rows within this distance.
    Within(f32),
    /// This many of the nearest rows.
    Nearest(usize),
    /// This many of the nearest rows, all within this distance.
    Near { most: usize, radius: f32 },
}

/// The best of the offered rows.
pub(crate) struct Answer {
    wanted: Wanted,
    /// The rows found, with the worst one on top.
    found: BinaryHeap<Found>,
}

impl Answer {
    pub(crate) const fn new(wanted: Wanted) -> Self {
        Self { wanted, found: BinaryHeap::new() }
    }

    pub(crate) const fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Returns the greatest distance at which a row could still be taken. A row at the distance of the worst
    /// one may replace it, by its item. Negative once no row can be taken.
    pub(crate) fn reach(&self) -> f32 {
        match self.wanted {
            Wanted::Within(radius) => radius,
            Wanted::Nearest(k) if self.found.len() < k => f32::INFINITY,
            Wanted::Near { most, radius } if self.found.len() < most => radius,
            Wanted::Nearest(_) | Wanted::Near { .. } => {
                self.found.peek().map_or(-1.0, |worst| worst.distance)
            }
        }
    }

    pub(crate) fn offer(&mut self, found: Found) {
        match self.wanted {
            Wanted::Within(radius) if found.distance > radius => {}
            Wanted::Near { radius, .. } if found.distance > radius => {}
            Wanted::Within(_) => self.found.push(found),
            Wanted::Nearest(most) | Wanted::Near { most, .. } if self.found.len() < most => {
                self.found.push(found)
            }
            Wanted::Nearest(_) | Wanted::Near { .. } => {
                if let Some(mut worst) = self.found.peek_mut()
                    && found < *worst
                {
                    *worst = found;
                }
            }
        }
    }

    /// Returns the rows, the best first.
    pub(crate) fn into_sorted(self) -> Vec<Found> {
        self.found.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use vigie_model::{BankId, ItemId};

    use super::*;

    proptest! {
        #[test]
        fn an_answer_holds_what_is_wanted_whatever_the_order(
            k in 0_usize..8,
            offered in vec((0_u8..6, 0_u64..9), 0..40),
        ) {
            let entry = |item| Entry { item: ItemId(item), bank: BankId(0) };
            let mut all: Vec<Found> = offered
                .into_iter()
                .map(|(distance, item)| Found { distance: f32::from(distance), entry: entry(item), place: RowLocation::default() })
                .collect();
            for wanted in [Wanted::Nearest(k), Wanted::Within(3.0), Wanted::Near { most: k, radius: 3.0 }] {
                let mut answer = Answer::new(wanted);
                for found in &all {
                    if found.distance <= answer.reach() {
                        answer.offer(*found);
                    }
                }
                all.sort_unstable();
                let expected: Vec<Found> = match wanted {
                    Wanted::Nearest(k) => all.iter().copied().take(k).collect(),
                    Wanted::Near { most, radius } => {
                        all.iter().copied().filter(|found| found.distance <= radius).take(most).collect()
                    }
                    Wanted::Within(radius) => {
                        all.iter().copied().filter(|found| found.distance <= radius).collect()
                    }
                };
                prop_assert_eq!(answer.into_sorted(), expected);
            }
        }
    }
}
