//! A set of banks, as matchers test it: one bit for each bank.

use super::bank::BankId;

/// A set of bank ids: 64 ids share a word, and only words with a bit are held. 12 bytes for each 64 banks that were created one after
/// another; 12 bytes for each bank at worst.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct BankSet {
    /// Ids divided by 64, ascending.
    keys: Box<[u32]>,
    words: Box<[u64]>,
}

impl BankSet {
    /// The most words that a set has on the wire: those of as many banks as a deployment may have, each in a word of its own.
    pub const WORDS_MAX: usize = 50_000;

    /// The set of the words `words` at `keys`, as [`Self::words`] gives them. `None` unless keys ascend and no word is empty.
    #[must_use]
    pub fn from_words(words: &[(u32, u64)]) -> Option<Self> {
        let (keys, words) = words.iter().copied().unzip();
        Self::from_parts(keys, words)
    }

    /// The same of words and their keys apart. `None` also where there are not as many keys as words.
    #[must_use]
    pub fn from_parts(keys: Vec<u32>, words: Vec<u64>) -> Option<Self> {
        let ascends = keys.is_sorted_by(|one, next| one < next);
        let is_whole = keys.len() == words.len() && !words.contains(&0);
        let is_in_range = keys.last().is_none_or(|last| *last <= u32::MAX >> 6);
        (ascends && is_whole && is_in_range).then(|| Self { keys: keys.into(), words: words.into() })
    }

    /// The words and their keys apart, as [`Self::from_parts`] takes them.
    #[must_use]
    pub fn parts(&self) -> (&[u32], &[u64]) {
        (&self.keys, &self.words)
    }

    /// The words with a bit, by ascending key; bit `b` of the word at key `k` is for the bank `64 k + b`.
    pub fn words(&self) -> impl ExactSizeIterator<Item = (u32, u64)> {
        self.keys.iter().copied().zip(self.words.iter().copied())
    }

    /// Whether the bank is in the set.
    #[must_use]
    pub fn contains(&self, bank: BankId) -> bool {
        let key = bank.0 >> 6;
        // Ids that were given out one after another leave no gap: the key's place is known.
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

    /// The banks, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = BankId> {
        self.words().flat_map(|(key, word)| {
            (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| BankId(key << 6 | bit))
        })
    }

    /// The bytes of memory that it takes beside itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.keys) + size_of_val(&*self.words)
    }

    /// The number of banks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no bank in it.
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
            let words: Vec<_> = set.words().collect();
            let (keys, bits) = set.parts();
            prop_assert_eq!(BankSet::from_parts(keys.into(), bits.into()), Some(set.clone()));
            prop_assert_eq!(BankSet::from_words(&words), Some(set));
        }
    }

    #[test]
    fn words_from_elsewhere_are_checked() {
        for bad in [&[(1, 1), (1, 2)][..], &[(2, 1), (1, 1)], &[(1, 0)], &[(1 << 26, 1)]] {
            assert_eq!(BankSet::from_words(bad), None, "{bad:?}");
        }
        assert_eq!(BankSet::from_parts(vec![1, 2], vec![1]), None);
    }
}
