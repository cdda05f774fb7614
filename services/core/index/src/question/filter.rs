//! The set of banks that a search includes.
//!
//! Bank ids are small and dense, so a set of them is a bitmap, and each hit needs one load. An id of 65,536
//! or more is kept in a sparse set, because a large id in the bitmap could allocate half a gigabyte.

use vigie_model::{BankId, BankSet};

/// Ids below this are kept in the bitmap, which therefore takes at most 8 KiB.
const BITMAP_IDS: u32 = 1 << 16;

/// The banks whose entries a search may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankFilter(Banks);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Banks {
    All,
    Only { bitmap: Box<[u64]>, beyond: BankSet },
}

impl BankFilter {
    /// Creates a filter that includes every bank.
    #[must_use]
    pub const fn all() -> Self {
        Self(Banks::All)
    }

    /// Creates a filter that includes only these banks. With no bank, a search finds nothing.
    #[must_use]
    pub fn only(banks: impl IntoIterator<Item = BankId>) -> Self {
        Self::from(&banks.into_iter().collect::<BankSet>())
    }

    /// Checks whether the filter includes no bank, so that no search finds anything.
    #[must_use]
    pub fn is_none(&self) -> bool {
        match &self.0 {
            Banks::All => false,
            Banks::Only { bitmap, beyond } => bitmap.is_empty() && beyond.is_empty(),
        }
    }

    /// Returns the bytes of heap memory that the filter takes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Banks::All => 0,
            Banks::Only { bitmap, beyond } => size_of_val(&**bitmap) + beyond.heap_bytes(),
        }
    }

    /// Checks whether entries of this bank may be returned.
    #[inline]
    #[must_use]
    pub fn contains(&self, bank: BankId) -> bool {
        match &self.0 {
            Banks::All => true,
            Banks::Only { bitmap, .. } if bank.0 < BITMAP_IDS => {
                bitmap.get(word_of(bank)).is_some_and(|word| word & bit_of(bank) != 0)
            }
            Banks::Only { beyond, .. } => beyond.contains(bank),
        }
    }
}

/// Creates a filter of exactly the banks of the set, by copying words.
impl From<&BankSet> for BankFilter {
    fn from(set: &BankSet) -> Self {
        let words: Vec<(u32, u64)> = set.words().collect();
        let (within, beyond) = words.split_at(words.partition_point(|(key, _)| *key < BITMAP_IDS / 64));
        let mut bitmap = vec![0; within.last().map_or(0, |(last, _)| *last as usize + 1)];
        for (key, word) in within {
            bitmap[*key as usize] = *word;
        }
        // A subset of a valid set is valid.
        let beyond = BankSet::from_words(beyond).unwrap_or_default();
        Self(Banks::Only { bitmap: bitmap.into(), beyond })
    }
}

const fn word_of(bank: BankId) -> usize {
    bank.0 as usize / 64
}

const fn bit_of(bank: BankId) -> u64 {
    1 << (bank.0 % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_banks_are_contained() {
        let named = [0, 1, 63, 64, 200, BITMAP_IDS - 1, BITMAP_IDS, 5_000_000, u32::MAX];
        let filter = BankFilter::only(named.map(BankId));
        for bank in named {
            assert!(filter.contains(BankId(bank)), "{bank}");
        }
        for bank in [2, 62, 65, 199, 201, BITMAP_IDS - 2, BITMAP_IDS + 1, u32::MAX - 1] {
            assert!(!filter.contains(BankId(bank)), "{bank}");
        }
    }

    #[test]
    fn all_contains_everything_and_an_empty_choice_nothing() {
        for bank in [0, 1, BITMAP_IDS, u32::MAX] {
            assert!(BankFilter::all().contains(BankId(bank)));
            assert!(!BankFilter::only([]).contains(BankId(bank)));
        }
        assert!(BankFilter::only([]).is_none());
        assert!(!BankFilter::all().is_none());
        assert!(!BankFilter::only([BankId(BITMAP_IDS)]).is_none());
    }

    #[test]
    fn a_large_id_costs_no_large_bitmap() {
        let BankFilter(Banks::Only { bitmap, beyond }) = BankFilter::only([BankId(u32::MAX), BankId(3)])
        else {
            panic!("only() names banks");
        };
        assert_eq!((bitmap.len(), beyond.len()), (1, 1));
    }
}
