//! Shares one allocation between equal standings: most items of a bank have one of a few standings.

use std::collections::HashSet;
use std::sync::Arc;

use vigie_model::Standing;

/// The most distinct standings in the table. Beyond it the table is emptied: the standings in it stay with
/// their items, and later ones are shared only among themselves.
const SHARED_MAX: usize = 1 << 16;
/// A table with fewer standings is not searched for unused ones.
const SHARED_MIN: usize = 64;

/// The table of distinct standings, through which the writer gives equal standings one allocation.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    known: HashSet<Arc<Standing>>,
    /// The size of the table at which unused standings are removed.
    sweep_at: usize,
}

impl Interned {
    /// Returns the allocation that all items with this standing share.
    pub(crate) fn intern(&mut self, standing: Arc<Standing>) -> Arc<Standing> {
        if let Some(known) = self.known.get(&standing) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at.max(SHARED_MIN) {
            self.sweep();
        }
        self.known.insert(Arc::clone(&standing));
        standing
    }

    /// Removes the standings that no item of any moment has. The next sweep is due when the table has
    /// doubled, so the cost of each insertion stays small on average.
    fn sweep(&mut self) {
        self.known.retain(|standing| Arc::strong_count(standing) > 1);
        if self.known.len() > SHARED_MAX / 2 {
            self.known = HashSet::new();
        }
        self.sweep_at = 2 * self.known.len();
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::MemberId;

    use super::*;

    fn standing(member: usize) -> Arc<Standing> {
        let contributors = [MemberId(u32::try_from(member).unwrap())].into();
        Arc::new(Standing { contributors, ..Standing::default() })
    }

    #[test]
    fn equal_standings_share_one_allocation_as_long_as_an_item_has_one() {
        let mut interned = Interned::default();
        let (one, same, other) =
            (interned.intern(standing(1)), interned.intern(standing(1)), interned.intern(standing(2)));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        // No item keeps these standings.
        (3..1_000).for_each(|member| drop(interned.intern(standing(member))));
        assert!(interned.known.len() <= SHARED_MIN, "{}", interned.known.len());
        assert!(Arc::ptr_eq(&one, &interned.intern(standing(1))));
    }

    #[test]
    fn the_table_is_bounded_whatever_items_have() {
        let mut interned = Interned::default();
        let kept: Vec<_> = (0..2 * SHARED_MAX).map(|member| interned.intern(standing(member))).collect();
        assert!(interned.known.len() <= SHARED_MAX, "{}", interned.known.len());
        assert!(kept.iter().enumerate().all(|(member, one)| *one == standing(member)));
    }
}
