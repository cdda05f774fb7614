//! A digest of a set of hashes that does not depend on their order. Two sides that reached the same set in
//! different ways can compare their digests.
//!
//! Each (item, hash type, hash) is mapped to a *term*: the first 128 bits of BLAKE3 over the item's id (8
//! bytes, big-endian), the number of the type (1 byte up to 255; above, a zero byte and 2 bytes, big-endian)
//! and the bytes of the hash. The term is read as four 32-bit words. A type without a row in this build
//! counts like any other. The digest is the sum of the terms, word by word, in four 64-bit counters. Adding
//! or removing an element changes the sum by one addition, and the sums of disjoint sets add up to that of
//! their union. This is the additive construction of Bellare and Micciancio, "A New Paradigm for
//! Collision-Free Hashing" (EUROCRYPT 1997), with a size that protects against faults and not against
//! forgers: two different sets that arise by accident have the same digest with a probability of 2^-128.
//! Someone who chooses the hashes and may add thousands of them could search for sets with equal sums, but
//! would gain nothing: both sides get the same changes from the same log.
//!
//! The words have 32 bits and the counters 64, so that no set of fewer than 2^31 elements overflows. A
//! database can therefore add them with its own integers.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use crate::item::ItemId;
use crate::standing::Standing;
use vigie_hashes::Hash;

/// A digest of a set of pairs of an item and a hash.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SetDigest {
    /// The sums of the terms' words.
    pub sums: [u64; 4],
    /// The number of hashes; a hash of two items counts twice.
    pub hashes: u64,
}

impl SetDigest {
    /// The digest of the empty set.
    pub const EMPTY: Self = Self { sums: [0; 4], hashes: 0 };

    /// Returns the digest of one item's hashes, each of which the item must have once.
    #[must_use]
    pub fn of_item(item: ItemId, hashes: &[Hash]) -> Self {
        let mut digest = Self::EMPTY;
        for hash in hashes {
            digest += Self::of_term(&term(item, hash));
        }
        digest
    }

    /// Returns the digest of a hold of an item, which is added to that of the item's hashes: a side that
    /// missed a hold gets a different sum.
    #[must_use]
    pub fn of_hold(item: ItemId) -> Self {
        // No hash type has a number that is encoded as this.
        let element = [&item.0.to_be_bytes()[..], &[0, 0, 0], b"held"].concat();
        Self { hashes: 0, ..Self::of_bytes(&element) }
    }

    /// Returns the digest of the standing of an item, which is added to that of the item's hashes. The
    /// default standing adds nothing.
    #[must_use]
    pub fn of_standing(item: ItemId, standing: &Standing) -> Self {
        if *standing == Standing::default() {
            return Self::EMPTY;
        }
        // No hash type has a number that is encoded as this.
        let element = [&item.0.to_be_bytes()[..], &[0, 0, 0], b"standing", &standing.digest_bytes()].concat();
        Self { hashes: 0, ..Self::of_bytes(&element) }
    }

    /// Returns the digest of one element of another kind, given by its bytes: from the first 128 bits of
    /// their BLAKE3. Such elements must not be in the same set as hashes.
    #[must_use]
    pub fn of_bytes(element: &[u8]) -> Self {
        Self::of_term(&blake3::hash(element))
    }

    fn of_term(term: &blake3::Hash) -> Self {
        let (words, _) = term.as_bytes().as_chunks::<4>();
        Self { sums: [0, 1, 2, 3].map(|at| u32::from_be_bytes(words[at]).into()), hashes: 1 }
    }
}

fn term(item: ItemId, hash: &Hash) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&item.0.to_be_bytes());
    match u8::try_from(hash.hash_type().number()) {
        Ok(number) => hasher.update(&[number]),
        // No type has the number 0, so the two forms cannot be confused.
        Err(_) => hasher.update(&[0]).update(&hash.hash_type().number().to_be_bytes()),
    };
    hasher.update(hash.as_bytes());
    hasher.finalize()
}

/// Joins two disjoint sets.
impl AddAssign for SetDigest {
    fn add_assign(&mut self, other: Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        self.hashes = self.hashes.wrapping_add(other.hashes);
    }
}

/// Removes a part from a set.
impl SubAssign for SetDigest {
    fn sub_assign(&mut self, part: Self) {
        self.sums.iter_mut().zip(part.sums).for_each(|(sum, less)| *sum = sum.wrapping_sub(less));
        self.hashes = self.hashes.wrapping_sub(part.hashes);
    }
}

/// Writes the number of hashes and a part of the sums: enough to distinguish two digests by eye.
impl fmt::Display for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hashes, {:016x}", self.hashes, self.sums[0] ^ self.sums[1].rotate_left(32))
    }
}

impl fmt::Debug for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use vigie_hashes::HashType;

    use super::*;

    fn of(elements: &[(u64, Hash)]) -> SetDigest {
        let mut digest = SetDigest::EMPTY;
        for (item, hash) in elements {
            digest += SetDigest::of_item(ItemId(*item), std::slice::from_ref(hash));
        }
        digest
    }

    #[test]
    fn order_does_not_count_and_every_part_of_an_element_does() {
        let (one, two) = ((1, Hash::pdq([1; 32])), (2, Hash::md5([2; 16])));
        let both = of(&[one.clone(), two.clone()]);
        assert_eq!(both, of(&[two.clone(), one.clone()]));
        let others = [
            of(std::slice::from_ref(&one)),
            of(&[one.clone(), one.clone()]),
            of(&[one.clone(), two.clone(), two.clone()]),
            of(&[one.clone(), (3, two.1.clone())]),
            of(&[(1, Hash::sha256([1; 32])), two.clone()]),
            of(&[(1, Hash::pdq([3; 32])), two.clone()]),
            of(&[(1, two.1), (2, one.1)]),
        ];
        assert!(others.iter().all(|other| *other != both));
    }

    #[test]
    fn what_came_can_go() {
        let (one, two) = ((1, Hash::pdq([1; 32])), (2, Hash::md5([2; 16])));
        let mut digest = of(&[one.clone(), two.clone()]);
        digest -= of(&[one]);
        assert_eq!(digest, of(std::slice::from_ref(&two)));
        digest -= of(&[two]);
        assert_eq!(digest, SetDigest::EMPTY);
    }

    #[test]
    fn unknown_types_count_under_their_number() {
        let term = |number: u16, bytes: &[u8]| {
            let hash_type = HashType::from_number(number).unwrap();
            of(&[(7, Hash::from_peer(hash_type, bytes).unwrap())])
        };
        let all =
            [term(200, &[9]), term(300, &[9]), term(301, &[9]), term(1 << 8 | 109, &[9]), term(109, &[9, 9])];
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other != one), "{at}");
        }
        let mut bytes = 7_u64.to_be_bytes().to_vec();
        bytes.extend([0, 300_u16.to_be_bytes()[0], 300_u16.to_be_bytes()[1], 9]);
        let expected = blake3::hash(&bytes);
        let word = u32::from_be_bytes(expected.as_bytes()[..4].try_into().unwrap());
        assert_eq!(all[1].sums[0], u64::from(word));
    }

    #[test]
    fn digests_are_fixed() {
        // A change of the terms would make stored digests invalid. The expected value is recomputed from the
        // definition.
        let mut bytes = 7_u64.to_be_bytes().to_vec();
        bytes.push(2);
        bytes.extend([9; 16]);
        let expected = blake3::hash(&bytes);
        let word =
            |at: usize| u64::from(u32::from_be_bytes(expected.as_bytes()[at..at + 4].try_into().unwrap()));
        let digest = of(&[(7, Hash::md5([9; 16]))]);
        assert_eq!(digest, SetDigest { sums: [word(0), word(4), word(8), word(12)], hashes: 1 });
    }
}
