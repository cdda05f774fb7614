//! Finds the row of a hash and its item for the writer, which removes the row or checks that it exists.
//!
//! The table does not store the hash or the item; those are in the row. It stores the row's slot and a 32-bit
//! fingerprint of both: 8 bytes and one control byte for each bucket of an open-addressed table that is 7/16
//! to 7/8 full, or 10 to 21 bytes for each live hash. With the fingerprint, most look-ups read only one row,
//! and the table grows without reading any.
//!
//! Because the item is part of the key, a hundred thousand items with the same hash are spread like any
//! others. The fingerprint is keyed at random, so nobody can prepare hashes that all collide.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use vigie_model::ItemId;

#[derive(Default)]
pub(crate) struct Locator {
    places: HashTable<LocatorEntry>,
    keys: RandomState,
}

struct LocatorEntry {
    fingerprint: u32,
    slot: u32,
}

impl LocatorEntry {
    /// Spreads a fingerprint over 64 bits. The table takes its position from the low bits and its control
    /// byte from the high ones: Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4)
    /// spreads 32 bits over both.
    fn spread(fingerprint: u32) -> u64 {
        let product = u64::from(fingerprint).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 32)
    }
}

impl Locator {
    pub(crate) fn fingerprint(&self, hash: &[u8], item: ItemId) -> u32 {
        (self.keys.hash_one((hash, item.0)) >> 32) as u32
    }

    /// Returns the number of live hashes.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns the slot with this fingerprint for which `is_it` returns true.
    pub(crate) fn find(&self, fingerprint: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.places
            .find(LocatorEntry::spread(fingerprint), |place| {
                place.fingerprint == fingerprint && is_it(place.slot)
            })
            .map(|place| place.slot)
    }

    /// Adds a slot that is not in the table.
    pub(crate) fn insert(&mut self, fingerprint: u32, slot: u32) {
        self.places.insert_unique(
            LocatorEntry::spread(fingerprint),
            LocatorEntry { fingerprint, slot },
            |place| LocatorEntry::spread(place.fingerprint),
        );
    }

    /// Removes a slot that is in the table.
    pub(crate) fn remove(&mut self, fingerprint: u32, slot: u32) {
        self.places
            .find_entry(LocatorEntry::spread(fingerprint), |place| place.slot == slot)
            .unwrap_or_else(|_| unreachable!("a live row is in the table"))
            .remove();
    }

    /// Returns the memory of the table, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.places.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_what_stands_in_their_rows() {
        let mut locator = Locator::default();
        let key = |slot: u32| (slot.to_le_bytes(), ItemId(u64::from(slot) / 3));
        let fingerprints: Vec<u32> = {
            let print = |slot| {
                let (hash, item) = key(slot);
                locator.fingerprint(&hash, item)
            };
            (0..10_000).map(print).collect()
        };
        for (slot, &fingerprint) in (0..).zip(&fingerprints) {
            assert_eq!(locator.find(fingerprint, |other| key(other) == key(slot)), None);
            locator.insert(fingerprint, slot);
        }
        for (slot, &fingerprint) in (0..).zip(&fingerprints) {
            assert_eq!(locator.find(fingerprint, |other| other == slot), Some(slot));
            locator.remove(fingerprint, slot);
            assert_eq!(locator.find(fingerprint, |other| other == slot), None);
        }
        assert_eq!(locator.len(), 0);
    }

    #[test]
    fn a_hash_takes_9_to_21_bytes_in_a_table_of_some_size() {
        let mut locator = Locator::default();
        for slot in 0..200_000_u32 {
            let fingerprint = locator.fingerprint(&slot.to_le_bytes(), ItemId(1));
            locator.insert(fingerprint, slot);
            if slot > 10_000 {
                let bytes = locator.places.allocation_size() as f64 / f64::from(slot + 1);
                assert!((9.0..21.0).contains(&bytes), "{bytes} bytes a hash at {slot}");
            }
        }
    }
}
