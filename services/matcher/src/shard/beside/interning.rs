//! Equal standings share one allocation: most items of a bank have one of a few.

use std::collections::HashSet;
use std::sync::Arc;

use vigie_model::Standing;

/// Distinct standings that are shared. Beyond it the table begins anew: the standings that it knew stay with their items, and later
/// ones are shared among themselves.
const SHARED_MAX: usize = 1 << 16;
/// As many are kept without a look at whether an item still has them.
const SHARED_MIN: usize = 64;

/// The distinct standings, by which the writer gives equal ones one allocation.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    known: HashSet<Arc<Standing>>,
    /// Those that no item has go once there are so many.
    sweep_at: usize,
}

impl Interned {
    /// The allocation that all items with this standing share.
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

    /// Drops what no item of any moment has. As many come before the next time as stay now, so each pays for a few.
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
        // Of these, no item has one for longer than a moment.
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
