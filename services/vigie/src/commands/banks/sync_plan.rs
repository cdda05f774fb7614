//! Compares a file with a bank, and finds the items that only one of them has.
//!
//! Items are compared by keyed 128-bit digests of their hashes and name. So files of millions of lines fit
//! into memory, and nobody can craft a file whose items are mistaken for others.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use thiserror::Error;
use vigie_model::Hash;

/// Maximum number of items in a file that is compared; so many take about 4 GB of memory.
const ITEMS_MAX: usize = 40_000_000;

/// The error for a file with more items than can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file has more than {ITEMS_MAX} different items")]
pub(super) struct TooManyItems;

/// The digest of an item's hashes and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Digest(u64, u64);

/// Whether an item of the file is in the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Only the file has the item.
    Missing,
    /// The bank has the item too, or is about to get it.
    There,
}

/// The items of a file, and for each whether the bank has it.
#[derive(Debug, Default)]
pub(super) struct SyncPlan {
    keys: [RandomState; 2],
    items: HashMap<Digest, Standing>,
    /// Digests of the hashes of items that have names.
    hashes: HashSet<Digest>,
}

/// The error for an item that was not in the file when it was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file has changed since it was compared")]
pub(super) struct OtherFile;

impl SyncPlan {
    /// Adds an item of the file, with its name if it has one. Returns `false` if the file has the same item
    /// already.
    pub(super) fn want(&mut self, hashes: &[Hash], name: Option<&str>) -> Result<bool, TooManyItems> {
        let digest = self.digest(hashes, name);
        let is_full = self.items.len() >= ITEMS_MAX;
        match self.items.entry(digest) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(_) if is_full => Err(TooManyItems),
            Entry::Vacant(vacant) => {
                vacant.insert(Standing::Missing);
                if name.is_some() {
                    self.hashes.insert(self.digest(hashes, None));
                }
                Ok(true)
            }
        }
    }

    /// Compares an item of the bank with the file, and returns whether it stays. If the bank has an item
    /// twice, one of the two stays.
    ///
    /// An item that was submitted more than once may have several names. Each of them may be the name of a
    /// different item of the file.
    pub(super) fn stays<'a>(&mut self, hashes: &[Hash], names: impl Iterator<Item = &'a str>) -> bool {
        let mut stays = false;
        for name in names {
            stays |= self.find(hashes, Some(name));
        }
        stays || self.find(hashes, None)
    }

    /// Returns whether the file has an item with these hashes, under any name.
    pub(super) fn has_hashes(&self, hashes: &[Hash]) -> bool {
        let digest = self.digest(hashes, None);
        self.hashes.contains(&digest) || self.items.contains_key(&digest)
    }

    /// Returns the number of items in the file that the bank does not have.
    pub(super) fn missing(&self) -> usize {
        self.items.values().filter(|standing| **standing == Standing::Missing).count()
    }

    /// Returns whether an item of the file must be added: the bank does not have it, and this method has not
    /// returned `true` for it before.
    pub(super) fn adds(&mut self, hashes: &[Hash], name: Option<&str>) -> Result<bool, OtherFile> {
        let digest = self.digest(hashes, name);
        let standing = self.items.get_mut(&digest).ok_or(OtherFile)?;
        Ok(std::mem::replace(standing, Standing::There) == Standing::Missing)
    }

    /// Marks a missing item of the file as found, and returns whether there was one.
    fn find(&mut self, hashes: &[Hash], name: Option<&str>) -> bool {
        let digest = self.digest(hashes, name);
        let missing = self.items.get_mut(&digest).filter(|standing| **standing == Standing::Missing);
        missing.is_some_and(|standing| {
            *standing = Standing::There;
            true
        })
    }

    fn digest(&self, hashes: &[Hash], name: Option<&str>) -> Digest {
        let [one, two] = self.keys.each_ref().map(|key| key.hash_one((hashes, name)));
        Digest(one, two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(byte: u8) -> Hash {
        Hash::md5([byte; 16])
    }

    #[test]
    fn what_both_have_stays_and_the_rest_is_added_or_removed() {
        let mut plan = SyncPlan::default();
        assert_eq!(plan.want(&[md5(1)], Some("a")), Ok(true));
        assert_eq!(plan.want(&[md5(1)], Some("a")), Ok(false));
        assert_eq!(plan.want(&[md5(1)], Some("b")), Ok(true));
        assert_eq!(plan.want(&[md5(2)], None), Ok(true));
        assert_eq!(plan.want(&[md5(1), md5(2)], None), Ok(true));
        assert_eq!(plan.missing(), 4);

        assert!(plan.stays(&[md5(1)], ["a"].into_iter()));
        assert!(!plan.stays(&[md5(1)], ["a"].into_iter()), "twice in the bank");
        assert!(!plan.stays(&[md5(1)], ["c"].into_iter()), "of another name");
        assert!(plan.stays(&[md5(2)], ["any"].into_iter()), "the file names no item");
        assert!(!plan.stays(&[md5(3)], std::iter::empty()));
        assert_eq!(plan.missing(), 2);
        assert!(plan.has_hashes(&[md5(1)]) && plan.has_hashes(&[md5(2)]) && !plan.has_hashes(&[md5(3)]));

        assert_eq!(plan.adds(&[md5(1)], Some("a")), Ok(false));
        assert_eq!(plan.adds(&[md5(1)], Some("b")), Ok(true));
        assert_eq!(plan.adds(&[md5(1)], Some("b")), Ok(false), "twice in the file");
        assert_eq!(plan.adds(&[md5(9)], None), Err(OtherFile));
    }

    #[test]
    fn an_item_that_was_submitted_under_several_names_stands_for_all_of_them() {
        let mut plan = SyncPlan::default();
        plan.want(&[md5(1)], Some("a")).unwrap();
        plan.want(&[md5(1)], Some("b")).unwrap();
        assert!(plan.stays(&[md5(1)], ["b", "a"].into_iter()));
        assert_eq!(plan.missing(), 0);
    }
}
