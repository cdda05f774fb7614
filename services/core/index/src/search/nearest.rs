//! The k best hits so far, and the distance that the next hit must have.

use std::collections::BinaryHeap;

use crate::question::entry::Hit;

/// The `k` smallest of the offered hits, in the order of [`Hit`].
pub(crate) struct Nearest {
    k: usize,
    /// The hits, with the worst one on top.
    hits: BinaryHeap<Hit>,
}

impl Nearest {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, hits: BinaryHeap::new() }
    }

    /// Returns the greatest distance at which a hit could still be taken; `None` if `k` is 0.
    ///
    /// A hit at the distance of the worst hit replaces it if it comes first in the order of [`Hit`].
    pub(crate) fn reach(&self) -> Option<u32> {
        if self.hits.len() < self.k {
            return Some(u32::MAX);
        }
        self.hits.peek().map(|worst| worst.distance.0)
    }

    /// Checks whether there are `k` hits.
    pub(crate) fn is_full(&self) -> bool {
        self.hits.len() == self.k
    }

    pub(crate) fn offer(&mut self, hit: Hit) {
        if self.hits.len() < self.k {
            self.hits.push(hit);
        } else if let Some(mut worst) = self.hits.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// Returns the hits, the best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.hits.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use vigie_model::{BankId, Distance, ItemId};

    use super::*;
    use crate::question::entry::Entry;

    proptest! {
        #[test]
        fn the_least_k_are_kept_whatever_the_order(k in 0_usize..8, offered in vec((0_u32..6, 0_u64..9), 0..40)) {
            let mut hits: Vec<Hit> = offered
                .into_iter()
                .map(|(distance, item)| Hit {
                    entry: Entry { item: ItemId(item), bank: BankId(0) },
                    distance: Distance(distance),
                })
                .collect();
            let mut nearest = Nearest::new(k);
            for hit in &hits {
                if nearest.reach().is_some_and(|reach| hit.distance.0 <= reach) {
                    nearest.offer(*hit);
                }
            }
            hits.sort_unstable();
            hits.truncate(k);
            prop_assert_eq!(nearest.into_hits(), hits);
        }
    }
}
