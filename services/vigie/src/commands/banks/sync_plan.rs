//! Compares a file with a bank: which items both have, which only one of them.
//!
//! Items are compared by keyed digests of 128 bits of their hashes and their name, so that files of millions
//! of lines fit into memory and nobody can make a file whose items are taken for others.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use thiserror::Error;
use vigie_model::Hash;

/// Items of a file that is compared: they take about 4 GB.
const ITEMS_MAX: usize = 40_000_000;

/// The file has more items than can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file has more than {ITEMS_MAX} different items")]
pub(super) struct TooManyItems;

/// The digest of an item's hashes and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Digest(u64, u64);

/// Where an item of the file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In the file alone.
    Missing,
    /// In the bank too, or about to be.
    There,
}

/// The items of a file, and which of them the bank has.
#[derive(Debug, Default)]
pub(super) struct SyncPlan {
    keys: [RandomState; 2],
    items: HashMap<Digest, Standing>,
    /// The hashes of items with names.
    hashes: HashSet<Digest>,
}

/// An item that the file does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file is not what it was when it was compared")]
pub(super) struct OtherFile;

impl SyncPlan {
    /// Takes an item of the file, with its name if the file names it; `false` if the file has it already.
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

    /// Compares an item of the bank; whether it stays. One that the bank has twice stays once.
    ///
    /// An item has several names where it was submitted more than once: each of them stands for an item of
    /// the file.
    pub(super) fn stays<'a>(&mut self, hashes: &[Hash], names: impl Iterator<Item = &'a str>) -> bool {
        let mut stays = false;
        for name in names {
            stays |= self.find(hashes, Some(name));
        }
        stays || self.find(hashes, None)
    }

    /// Whether the file holds an item with these hashes, whatever its name.
    pub(super) fn has_hashes(&self, hashes: &[Hash]) -> bool {
        let digest = self.digest(hashes, None);
        self.hashes.contains(&digest) || self.items.contains_key(&digest)
    }

    /// Items of the file that the bank does not have.
    pub(super) fn missing(&self) -> usize {
        self.items.values().filter(|standing| **standing == Standing::Missing).count()
    }

    /// Whether an item of the file is to be added: the bank does not have it, and it has not been added
    /// before.
    pub(super) fn adds(&mut self, hashes: &[Hash], name: Option<&str>) -> Result<bool, OtherFile> {
        let digest = self.digest(hashes, name);
        let standing = self.items.get_mut(&digest).ok_or(OtherFile)?;
        Ok(std::mem::replace(standing, Standing::There) == Standing::Missing)
    }

    /// Marks an item of the file that is missing; whether there is one.
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
