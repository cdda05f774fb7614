//! A set of banks, in the form that matchers test: one bit for each bank.

use std::ops::RangeInclusive;

use super::bank::BankId;

/// A set of bank ids. 64 ids share a word, and only words with a bit are stored: 12 bytes for each 64 banks
/// with consecutive ids, and at worst 12 bytes for each bank.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct BankSet {
    /// The ids divided by 64, ascending.
    keys: Box<[u32]>,
    words: Box<[u64]>,
}

impl BankSet {
    /// The largest number of banks in a set that one server sends to another: the largest number of banks of
    /// a deployment.
    pub const BANKS_MAX: usize = 50_000;

    /// Creates a set from words in the form of [`Self::words`]. `None` unless keys ascend and no word is
    /// empty.
    #[must_use]
    pub fn from_words(words: &[(u32, u64)]) -> Option<Self> {
        let (keys, words): (Vec<u32>, Vec<u64>) = words.iter().copied().unzip();
        let ascends = keys.is_sorted_by(|one, next| one < next);
        let is_in_range = keys.last().is_none_or(|last| *last <= u32::MAX >> 6);
        let is_good = ascends && is_in_range && !words.contains(&0);
        is_good.then(|| Self { keys: keys.into(), words: words.into() })
    }

    /// Returns the words with a bit, in ascending order of key. Bit `b` of the word with key `k` is for the
    /// bank `64 k + b`.
    pub fn words(&self) -> impl ExactSizeIterator<Item = (u32, u64)> {
        self.keys.iter().copied().zip(self.words.iter().copied())
    }

    /// Returns the longest runs of consecutive ids, in ascending order.
    pub fn runs(&self) -> impl Iterator<Item = RangeInclusive<u32>> {
        let mut words = self.words().peekable();
        let mut rest = None::<(u32, u64)>;
        std::iter::from_fn(move || {
            let (mut key, mut word) = rest.take().or_else(|| words.next())?;
            let first = key << 6 | word.trailing_zeros();
            loop {
                // The position of the run's first bit, and the number of set bits from there on.
                let from = word.trailing_zeros();
                let ones = (word >> from).trailing_ones();
                let end = from + ones;
                if end < 64 {
                    let left = word >> end << end;
                    rest = (left != 0).then_some((key, left));
                    return Some(first..=(key << 6 | (end - 1)));
                }
                match words.next_if(|(next, bits)| *next == key + 1 && bits & 1 == 1) {
                    Some(next) => (key, word) = next,
                    None => return Some(first..=(key << 6 | 63)),
                }
            }
        })
    }

    /// Checks whether each bank of this set is in the other.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let word = |key: u32| other.keys.binary_search(&key).map_or(0, |at| other.words[at]);
        self.words().all(|(key, bits)| bits & !word(key) == 0)
    }

    /// Checks whether the set contains the bank.
    #[must_use]
    pub fn contains(&self, bank: BankId) -> bool {
        let key = bank.0 >> 6;
        // Ids that were assigned consecutively leave no gap, so the position of the key is known.
        let guess = self.keys.first().map(|first| key.wrapping_sub(*first) as usize);
        let at = match guess {
            Some(at) if self.keys.get(at) == Some(&key) => at,
            _ => match self.keys.binary_search(&key) {
                Ok(at) => at,
                Err(_) => return false,
            },
        };
        self.words[at] & 1 << (bank.0 & 63) != 0
    }

    /// Returns the banks in ascending order of id.
    pub fn iter(&self) -> impl Iterator<Item = BankId> {
        self.words().flat_map(|(key, word)| {
            (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| BankId(key << 6 | bit))
        })
    }

    /// Returns the bytes of heap memory that the set takes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.keys) + size_of_val(&*self.words)
    }

    /// Returns the number of banks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Checks whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl FromIterator<BankId> for BankSet {
    fn from_iter<I: IntoIterator<Item = BankId>>(banks: I) -> Self {
        let mut ids: Vec<u32> = banks.into_iter().map(|bank| bank.0).collect();
        ids.sort_unstable();
        let (mut keys, mut words) = (Vec::new(), Vec::<u64>::new());
        for id in ids {
            if keys.last() != Some(&(id >> 6)) {
                keys.push(id >> 6);
                words.push(0);
            }
            if let Some(word) = words.last_mut() {
                *word |= 1 << (id & 63);
            }
        }
        Self { keys: keys.into(), words: words.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_set(ids in prop::collection::btree_set(
            prop_oneof![0_u32..400, 5_000_u32..5_200, any::<u32>(), Just(u32::MAX)], 0..120,
        )) {
            let set: BankSet = ids.iter().copied().map(BankId).collect();
            prop_assert_eq!(set.iter().map(|bank| bank.0).collect::<BTreeSet<_>>(), ids.clone());
            prop_assert_eq!(set.len(), ids.len());
            prop_assert_eq!(set.is_empty(), ids.is_empty());
            for id in ids.iter().flat_map(|id| [id.wrapping_sub(1), *id, id.wrapping_add(1), id ^ 64]) {
                prop_assert_eq!(set.contains(BankId(id)), ids.contains(&id));
            }
            let part: BankSet = ids.iter().copied().step_by(2).map(BankId).collect();
            prop_assert!(part.is_within(&set) && set.is_within(&set));
            prop_assert_eq!(set.is_within(&part), ids.len() < 2);
            let words: Vec<_> = set.words().collect();
            prop_assert_eq!(BankSet::from_words(&words), Some(set));
        }

        #[test]
        fn runs_are_whole_and_apart(runs in prop::collection::vec(
            (prop_oneof![1_u32..4, 60_u32..70, 1_000_u32..9_000_000], 0_u32..200), 0..12,
        ), end in any::<bool>()) {
            let mut expected = Vec::new();
            let mut next = 0;
            for (gap, more) in runs {
                expected.push(next + gap..=next + gap + more);
                // One id is left out between two runs.
                next += gap + more + 1;
            }
            if end {
                expected.push(u32::MAX - 70..=u32::MAX);
            }
            let set: BankSet = expected.iter().cloned().flatten().map(BankId).collect();
            prop_assert_eq!(set.runs().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn words_from_elsewhere_are_checked() {
        for bad in [&[(1, 1), (1, 2)][..], &[(2, 1), (1, 1)], &[(1, 0)], &[(1 << 26, 1)]] {
            assert_eq!(BankSet::from_words(bad), None, "{bad:?}");
        }
    }
}
