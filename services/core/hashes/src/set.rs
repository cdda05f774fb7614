//! A small set of hash types.

use smallvec::SmallVec;

use crate::table::HashType;

/// A set of hash types, in ascending order. Four are stored inline, because a query seldom has more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HashTypeSet(SmallVec<[HashType; 4]>);

impl HashTypeSet {
    /// Checks whether the set contains a type.
    #[must_use]
    pub fn contains(&self, hash_type: HashType) -> bool {
        self.0.contains(&hash_type)
    }

    /// Adds a type. Has no effect if the set contains it.
    pub fn insert(&mut self, hash_type: HashType) {
        if let Err(at) = self.0.binary_search(&hash_type) {
            self.0.insert(at, hash_type);
        }
    }

    /// Returns the types in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = HashType> {
        self.0.iter().copied()
    }

    /// Checks whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<HashType> for HashTypeSet {
    fn from_iter<I: IntoIterator<Item = HashType>>(types: I) -> Self {
        let mut set = Self::default();
        types.into_iter().for_each(|hash_type| set.insert(hash_type));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_held_once_and_in_order() {
        let set: HashTypeSet = [HashType::SHA256, HashType::PDQ, HashType::SHA256].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [HashType::PDQ, HashType::SHA256]);
        assert!(set.contains(HashType::PDQ) && !set.contains(HashType::MD5));
    }
}
