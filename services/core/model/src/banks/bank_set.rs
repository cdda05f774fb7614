//! A set of banks, as matchers test it: one bit for each bank.

use super::bank::BankId;

/// A set of bank ids: 64 ids share a word, and only words with a bit are held. 12 bytes for each 64 banks that were created one after
/// another; 12 bytes for each bank at worst.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BankSet {
    /// Ids divided by 64, ascending.
    keys: Box<[u32]>,
    words: Box<[u64]>,
}

impl BankSet {
    /// The set of the words `words` at `keys`, as [`Self::words`] gives them. `None` unless keys ascend and no word is empty.
    #[must_use]
    pub fn from_words(words: &[(u32, u64)]) -> Option<Self> {
        let ascends = words.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let is_whole = words.iter().all(|(key, word)| *word != 0 && *key <= u32::MAX >> 6);
        let (keys, words): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
        (ascends && is_whole).then_some(Self { keys: keys.into(), words: words.into() })
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
            prop_assert_eq!(BankSet::from_words(&words), Some(set));
        }
    }

    #[test]
    fn words_from_elsewhere_are_checked() {
        for bad in [&[(1, 1), (1, 2)][..], &[(2, 1), (1, 1)], &[(1, 0)], &[(1 << 26, 1)]] {
            assert_eq!(BankSet::from_words(bad), None, "{bad:?}");
        }
    }
}
