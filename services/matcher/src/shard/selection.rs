//! The banks of a shard between two changes of banks, and the selections of banks that searches use.
//!
//! A search uses all enabled banks, those of a set, or those that it names. The first two kinds are requested
//! again and again, so their selections are kept: a filter and counts of hashes. A search with a kept
//! selection does no work for each bank.
//!
//! - When a bank changes, the next moment gets new [`Banks`], without any kept selection.
//! - When items change, the follower updates the counts of each kept selection, once for each range of the
//!   log and before the next range. A selection is only kept if it was summed between two ranges.
//!
//! Searches never wait for the follower. While the follower counts, a search without a kept selection sums
//! one for itself.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dashmap::DashMap;
use vigie_index::BankFilter;
use vigie_model::{BankId, BankSet, HashType};

use crate::shard::banks::{BankTable, KnownCounts};

/// The most sets of banks whose selections are kept. The follower takes some nanoseconds for each of them in
/// every range.
const KEPT_SETS_MAX: usize = 4_096;
/// The most bytes of memory that kept sets and their selections take.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// The hashes that were added (positive) or removed (negative), by bank and type.
pub(crate) type Moved = HashMap<(BankId, HashType), i64>;

/// A selection of banks for searches.
#[derive(Debug)]
pub(crate) struct Selection {
    filter: BankFilter,
    /// The number of their living hashes on this shard.
    counts: KnownCounts,
    /// Whether a search has used the selection since the last eviction.
    is_recent: AtomicBool,
}

impl Selection {
    /// Returns the filter of these banks.
    pub(crate) const fn filter(&self) -> &BankFilter {
        &self.filter
    }

    /// Returns the number of their living hashes of a type that this build knows.
    pub(crate) fn hashes(&self, hash_type: HashType) -> u64 {
        self.counts.of(hash_type)
    }

    fn touch(&self) {
        // Written once and then only read, because searches on many threads share it.
        if !self.is_recent.load(Ordering::Relaxed) {
            self.is_recent.store(true, Ordering::Relaxed);
        }
    }

    fn count(&self, bank: BankId, hash_type: HashType, by: i64) {
        if self.filter.contains(bank) {
            self.counts.change(hash_type, by);
        }
    }

    /// Returns the bytes that the selection and its set take.
    fn bytes(&self, set: &BankSet) -> usize {
        size_of::<Self>() + self.counts.heap_bytes() + self.filter.heap_bytes() + set.heap_bytes()
    }
}

/// The banks of a shard, with the selections that are kept of them.
#[derive(Debug, Default)]
pub(crate) struct Banks {
    table: BankTable,
    /// The selection of all enabled banks, once a search has used it.
    enabled: OnceLock<Arc<Selection>>,
    of_sets: DashMap<Arc<BankSet>, Arc<Selection>>,
    /// Locked while hashes are counted, and while a selection that will be kept is summed. The value is the
    /// bytes of `of_sets`.
    counting: Mutex<usize>,
}

impl From<BankTable> for Banks {
    fn from(table: BankTable) -> Self {
        Self { table, ..Self::default() }
    }
}

/// A clone has the same banks but no kept selections, because it is made to be changed.
impl Clone for Banks {
    fn clone(&self) -> Self {
        Self::from(self.table.clone())
    }
}

impl Deref for Banks {
    type Target = BankTable;

    fn deref(&self) -> &BankTable {
        &self.table
    }
}

impl Banks {
    /// Returns the banks for changing them, and drops all kept selections.
    pub(crate) fn table_mut(&mut self) -> &mut BankTable {
        let keeps_nothing =
            self.enabled.get().is_none() && self.counting.get_mut().is_ok_and(|bytes| *bytes == 0);
        if !keeps_nothing {
            *self = Self::from(std::mem::take(&mut self.table));
        }
        &mut self.table
    }

    /// Returns the selection of all enabled banks.
    pub(crate) fn enabled(&self) -> Arc<Selection> {
        if let Some(kept) = self.enabled.get() {
            return Arc::clone(kept);
        }
        let counting = self.counting.try_lock();
        let enabled = self.table.iter().filter(|(_, bank)| bank.enabled);
        let selection = Arc::new(self.select(enabled.map(|(id, _)| *id)));
        if counting.is_ok() {
            return Arc::clone(self.enabled.get_or_init(|| selection));
        }
        selection
    }

    /// Returns the selection of the banks of a set that exist and are enabled.
    pub(crate) fn of_set(&self, set: &Arc<BankSet>) -> Arc<Selection> {
        if let Some(kept) = self.of_sets.get(&**set) {
            kept.touch();
            return Arc::clone(&kept);
        }
        let counting = self.counting.try_lock();
        let is_enabled = |bank: &BankId| self.table.get(bank).is_some_and(|bank| bank.enabled);
        let selection = Arc::new(if set.len() <= self.table.len() {
            self.select(set.iter().filter(is_enabled))
        } else {
            self.select(self.table.keys().copied().filter(|bank| set.contains(*bank) && is_enabled(bank)))
        });
        if let Ok(mut kept_bytes) = counting {
            self.keep(set, &selection, &mut kept_bytes);
        }
        selection
    }

    /// Returns the selection of these banks, enabled or not.
    pub(crate) fn select(&self, banks: impl IntoIterator<Item = BankId>) -> Selection {
        let (banks, counts) = (banks.into_iter().collect::<BankSet>(), KnownCounts::default());
        banks.iter().filter_map(|bank| self.table.get(&bank)).for_each(|bank| counts.add(bank.known()));
        Selection { filter: BankFilter::from(&banks), counts, is_recent: AtomicBool::new(true) }
    }

    /// Updates the counts by the hashes that a range of the log has added and removed.
    pub(crate) fn count(&self, moved: &Moved) {
        if moved.is_empty() {
            return;
        }
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        for (&(bank, hash_type), by) in moved {
            // A bank that the same range has deleted is gone, and its counts with it.
            if let Some(bank) = self.table.get(&bank) {
                bank.count(hash_type, *by);
            }
        }
        let count = |selection: &Selection| {
            moved.iter().for_each(|(&(bank, hash_type), by)| selection.count(bank, hash_type, *by));
        };
        self.enabled.get().into_iter().for_each(|kept| count(kept));
        self.of_sets.iter().for_each(|kept| count(&kept));
    }

    fn keep(&self, set: &Arc<BankSet>, selection: &Arc<Selection>, kept_bytes: &mut usize) {
        let bytes = selection.bytes(set);
        if self.of_sets.len() >= KEPT_SETS_MAX || *kept_bytes + bytes > KEPT_BYTES_MAX {
            self.make_room(kept_bytes);
        }
        if self.of_sets.insert(Arc::clone(set), Arc::clone(selection)).is_none() {
            *kept_bytes += bytes;
        }
    }

    /// Evicts the selections that no search has used since the last eviction. If that frees too little, it
    /// evicts all, so that evictions are rare.
    fn make_room(&self, kept_bytes: &mut usize) {
        let bytes = || self.of_sets.iter().map(|kept| kept.bytes(kept.key())).sum();
        self.of_sets.retain(|_, selection| selection.is_recent.swap(false, Ordering::Relaxed));
        *kept_bytes = bytes();
        if self.of_sets.len() > KEPT_SETS_MAX / 2 || *kept_bytes > KEPT_BYTES_MAX / 2 {
            self.of_sets.clear();
            *kept_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::banks::BankState;

    fn set(banks: impl IntoIterator<Item = u32>) -> Arc<BankSet> {
        Arc::new(banks.into_iter().map(BankId).collect())
    }

    /// Banks 1 to `count`. Each has as many hashes as its number, and the even ones are disabled.
    fn banks(count: u32) -> Banks {
        let bank = |id: u32| {
            let state = BankState::new(format!("bank-{id}").parse().unwrap(), id % 2 == 1);
            state.count(HashType::MD5, id.into());
            (BankId(id), state)
        };
        Banks::from((1..=count).map(bank).collect::<BankTable>())
    }

    fn md5(selection: &Selection) -> u64 {
        selection.hashes(HashType::MD5)
    }

    #[test]
    fn a_set_selects_its_banks_that_are_there_and_enabled() {
        let banks = banks(6);
        let check = |ids: &[u32], selected: &[u32]| {
            let selection = banks.of_set(&set(ids.iter().copied()));
            assert_eq!(md5(&selection), selected.iter().map(|id| u64::from(*id)).sum::<u64>(), "{ids:?}");
            for id in 0..9 {
                assert_eq!(selection.filter().contains(BankId(id)), selected.contains(&id), "{ids:?}: {id}");
            }
        };
        check(&[], &[]);
        check(&[1, 2, 3, 4], &[1, 3]);
        check(&[2, 8, 900_000], &[]);
        check(&[1, 2, 3, 4, 5, 6, 7, 8, 900_000], &[1, 3, 5]);
        assert_eq!(md5(&banks.enabled()), 9);
    }

    #[test]
    fn what_is_kept_counts_what_comes_and_goes_and_ends_when_a_bank_changes() {
        let mut banks = banks(6);
        let (one, all) = (set([1, 2]), set([1, 3]));
        let kept = [banks.of_set(&one), banks.of_set(&all), banks.enabled()];
        banks.count(&Moved::from([((BankId(1), HashType::MD5), 10), ((BankId(3), HashType::MD5), -2)]));
        banks.count(&Moved::from([((BankId(1), HashType::PDQ), 5), ((BankId(77), HashType::MD5), 1)]));
        assert_eq!(kept.iter().map(|kept| md5(kept)).collect::<Vec<_>>(), [11, 12, 17]);
        assert!(Arc::ptr_eq(&kept[0], &banks.of_set(&set([1, 2]))), "the set is known by its banks");
        assert_eq!(kept[0].hashes(HashType::PDQ), 5);

        let copy = banks.clone();
        banks.table_mut().get_mut(&BankId(1)).unwrap().enabled = false;
        for (banks, of_one, of_enabled) in [(&banks, 0, 6), (&copy, 11, 17)] {
            assert_eq!((md5(&banks.of_set(&one)), md5(&banks.enabled())), (of_one, of_enabled));
        }
    }

    #[test]
    fn while_the_follower_counts_a_search_sums_up_its_own() {
        let banks = banks(6);
        let counting = banks.counting.lock().unwrap();
        let own = [banks.of_set(&set([1])), banks.enabled()];
        drop(counting);
        assert_eq!(own.iter().map(|own| md5(own)).collect::<Vec<_>>(), [1, 9]);
        banks.count(&Moved::from([((BankId(1), HashType::MD5), 1)]));
        assert_eq!([md5(&banks.of_set(&set([1]))), md5(&banks.enabled())], [2, 10]);
    }

    #[test]
    fn sets_are_kept_within_bounds_and_those_in_use_stay() {
        let banks = banks(6);
        let busy = set([1, 3]);
        let kept = banks.of_set(&busy);
        for id in 100..100 + u32::try_from(3 * KEPT_SETS_MAX).unwrap() {
            banks.of_set(&set([1, id]));
            assert!(banks.of_sets.len() <= KEPT_SETS_MAX);
            let _again = banks.of_set(&busy);
        }
        assert!(banks.of_sets.contains_key(&*busy));
        drop(kept);
        // Each bank takes one word: 12 bytes.
        for id in 0..40 {
            banks.of_set(&set((0..100_000).map(|at| 64 * at + id)));
            let bytes: usize = banks.of_sets.iter().map(|kept| kept.bytes(kept.key())).sum();
            assert!(bytes <= KEPT_BYTES_MAX, "{bytes}");
            assert_eq!(bytes, *banks.counting.lock().unwrap());
        }
    }
}
