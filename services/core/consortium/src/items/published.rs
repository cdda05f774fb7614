//! The published list of a bank. A deployment that may see the bank's hashes follows it, and can prove that
//! its copy is complete.
//!
//! Its entries have the numbers 1, 2, 3 ... without gaps. An entry puts an item into the list, with its
//! hashes, labels and classes, or removes it. An item is in the list while it is in the bank, is not held,
//! and is the bank's *own*: one of its submissions names no programme. So items that a bank received from
//! others are not passed on. A canary is never in a list.
//!
//! The list reveals nothing about other banks: it has its own numbers, and a [`ListKey`] in place of each
//! item's id.
//!
//! | digest | BLAKE3-256 of |
//! |---|---|
//! | content | `vigie list content`, the number of hashes (4 bytes), each hash, each label |
//! | an entry that puts an item | `vigie list put`, the key, the digest of the content, each class |
//! | an entry that removes an item | `vigie list gone`, the key |
//! | the chain | the chain before (zeros at first), the entry's number (8 bytes), the entry's digest |
//!
//! A hash is the number of its type (2 bytes), its length (8) and its bytes. A label is its length (8) and
//! its bytes. A class is its taxonomy, dimension and value, each after its length (8).
//!
//! Numbers are big-endian. Hashes, labels and classes are in the order in which the list gives them. The
//! *set* of a list is the [`SetDigest`] of the digests of the entries that put its present items: equal items
//! give equal sets.

use std::fmt;

use vigie_model::{BankId, Hash, ItemContent, ItemId, SetDigest};

use super::details::Classification;
use super::record::ItemRecord;

/// The secret from which keys of items are derived, so that a key does not reveal the item's id.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ListSecret(pub [u8; 32]);

/// Hides the secret.
impl fmt::Debug for ListSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListSecret")
    }
}

/// The key of an item in a list. It does not change while the item is in its bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListKey(pub [u8; 16]);

impl ListSecret {
    /// Returns the key of an item of a bank.
    #[must_use]
    pub fn key(&self, bank: BankId, item: ItemId) -> ListKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&bank.0.to_be_bytes()).update(&item.0.to_be_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        ListKey(key)
    }
}

/// The digest of an item's hashes and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListContent(pub [u8; 32]);

impl ListContent {
    /// Returns the digest of an item's hashes and labels; `None` for a canary, which only its bank knows.
    #[must_use]
    pub fn of(content: &ItemContent) -> Option<Self> {
        let labels = content.labels().iter().map(|label| &**label);
        (!content.is_canary()).then(|| Self::of_parts(content.hashes(), labels))
    }

    /// Returns the digest of hashes and labels, in their order.
    pub fn of_parts<'a>(hashes: &[Hash], labels: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digest = blake3::Hasher::new();
        digest.update(b"vigie list content");
        // An item has at most 64 hashes, so the conversion cannot fail.
        digest.update(&u32::try_from(hashes.len()).unwrap_or(u32::MAX).to_be_bytes());
        for hash in hashes {
            digest.update(&hash.hash_type().number().to_be_bytes());
            add(&mut digest, hash.as_bytes());
        }
        for label in labels {
            add(&mut digest, label.as_bytes());
        }
        Self(digest.finalize().into())
    }
}

/// The digest of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryDigest(pub [u8; 32]);

impl EntryDigest {
    /// Returns the digest of an entry that puts an item.
    #[must_use]
    pub fn put(key: ListKey, content: ListContent, classes: &Classification) -> Self {
        let mut digest = blake3::Hasher::new();
        digest.update(b"vigie list put").update(&key.0).update(&content.0);
        for class in classes.iter() {
            for word in [class.taxonomy(), class.dimension(), class.value()] {
                add(&mut digest, word.as_bytes());
            }
        }
        Self(digest.finalize().into())
    }

    /// Returns the digest of an entry that removes an item.
    #[must_use]
    pub fn gone(key: ListKey) -> Self {
        Self(blake3::Hasher::new().update(b"vigie list gone").update(&key.0).finalize().into())
    }

    /// Returns the term that an entry that puts an item adds to the list's set.
    #[must_use]
    pub fn term(&self) -> SetDigest {
        SetDigest::of_bytes(&self.0)
    }
}

/// The chain over all entries of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListChain(pub [u8; 32]);

impl ListChain {
    /// Returns the chain after one more entry.
    #[must_use]
    pub fn after(&self, number: u64, entry: &EntryDigest) -> Self {
        let mut digest = blake3::Hasher::new();
        digest.update(&self.0).update(&number.to_be_bytes()).update(&entry.0);
        Self(digest.finalize().into())
    }
}

/// The head of a list: its newest entry, its chain and its present items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListHead {
    /// The number of the newest entry; 0 for an empty list.
    pub number: u64,
    /// The chain as of that entry.
    pub chain: ListChain,
    /// The set of the present items; its field `hashes` is the number of items.
    pub set: SetDigest,
}

impl ListHead {
    /// Appends an entry for an item. `before` is the entry that put the item, if it was in the list. The new
    /// entry puts the item again or removes it.
    pub fn append(
        &mut self,
        key: ListKey,
        before: Option<&EntryDigest>,
        after: Option<&EntryDigest>,
    ) -> EntryDigest {
        let entry = after.copied().unwrap_or_else(|| EntryDigest::gone(key));
        self.number += 1;
        self.chain = self.chain.after(self.number, &entry);
        if let Some(before) = before {
            self.set -= before.term();
        }
        if let Some(after) = after {
            self.set += after.term();
        }
        entry
    }
}

/// Returns the digest of the entry that puts an item of a bank into the list. `None` if the item is not in
/// the list: it is held, a canary, or not the bank's own.
#[must_use]
pub fn entry_of(
    key: ListKey,
    content: Option<ListContent>,
    record: Option<&ItemRecord>,
) -> Option<EntryDigest> {
    let content = content?;
    match record {
        None => Some(EntryDigest::put(key, content, &Classification::default())),
        Some(record) => {
            is_listed(record).then(|| EntryDigest::put(key, content, &record.details.classification))
        }
    }
}

/// Whether an item with this record is in the list.
#[must_use]
pub fn is_listed(record: &ItemRecord) -> bool {
    record.holds.is_empty() && record.is_own()
}

fn add(digest: &mut blake3::Hasher, part: &[u8]) {
    digest.update(&(part.len() as u64).to_be_bytes()).update(part);
}

#[cfg(test)]
mod tests {
    use vigie_model::{MemberId, UnixMillis};

    use super::*;
    use crate::Expiry;
    use crate::items::{Class, ContentDigest, Details, Hold, Holder, Origin, Submission};

    fn key(number: u64) -> ListKey {
        ListSecret([7; 32]).key(BankId(1), ItemId(number))
    }

    fn content(hashes: Vec<Hash>, labels: &[&str]) -> ListContent {
        ListContent::of_parts(&hashes, labels.iter().copied())
    }

    fn record(programme: &str) -> ItemRecord {
        let origin = Origin::new(programme, "k", "").unwrap();
        let first = Submission { member: MemberId(2), origin, at: UnixMillis(1), foreign: None };
        ItemRecord::new(ContentDigest([0; 32]), Details::default(), first)
    }

    #[test]
    fn keys_differ_by_secret_bank_and_item() {
        let keys = [
            key(1),
            key(2),
            ListSecret([7; 32]).key(BankId(2), ItemId(1)),
            ListSecret([8; 32]).key(BankId(1), ItemId(1)),
        ];
        for (i, one) in keys.iter().enumerate() {
            for (j, other) in keys.iter().enumerate() {
                assert_eq!(one == other, i == j);
            }
        }
    }

    #[test]
    fn different_contents_have_different_digests() {
        let (one, other) = (Hash::md5([1; 16]), Hash::md5([2; 16]));
        let class = |value| Classification::new(vec![Class::new("a", "b", value).unwrap()]).unwrap();
        let none = Classification::default();
        let entries = [
            EntryDigest::put(key(1), content(vec![one.clone()], &[]), &none),
            EntryDigest::put(key(2), content(vec![one.clone()], &[]), &none),
            EntryDigest::put(key(1), content(vec![other.clone()], &[]), &none),
            EntryDigest::put(key(1), content(vec![one.clone(), other], &[]), &none),
            EntryDigest::put(key(1), content(vec![one.clone()], &["ab"]), &none),
            EntryDigest::put(key(1), content(vec![one.clone()], &["a", "b"]), &none),
            EntryDigest::put(key(1), content(vec![one.clone()], &[]), &class("c")),
            EntryDigest::put(key(1), content(vec![one], &[]), &class("d")),
            EntryDigest::gone(key(1)),
            EntryDigest::gone(key(2)),
        ];
        for (i, one) in entries.iter().enumerate() {
            for (j, other) in entries.iter().enumerate() {
                assert_eq!(one == other, i == j, "{i} and {j}");
            }
        }
    }

    #[test]
    fn the_head_counts_what_is_in_the_list() {
        let entry = |number: u64, label| {
            EntryDigest::put(key(number), content(Vec::new(), &[label]), &Classification::default())
        };
        let mut head = ListHead::default();
        head.append(key(1), None, Some(&entry(1, "a")));
        head.append(key(2), None, Some(&entry(2, "a")));
        head.append(key(1), Some(&entry(1, "a")), Some(&entry(1, "b")));
        let gone = head.append(key(2), Some(&entry(2, "a")), None);
        assert_eq!((head.number, head.set), (4, entry(1, "b").term()));
        assert_eq!(gone, EntryDigest::gone(key(2)));
        let folded = [entry(1, "a"), entry(2, "a"), entry(1, "b"), gone];
        let chain =
            (1..).zip(&folded).fold(ListChain::default(), |chain, (number, one)| chain.after(number, one));
        assert_eq!(chain, head.chain);
    }

    #[test]
    fn what_came_by_a_programme_or_is_held_is_in_no_list() {
        assert!(is_listed(&record("")));
        assert!(!is_listed(&record("ncmec")));
        let own = Submission { origin: Origin::default(), ..record("").submissions[0].clone() };
        assert!(is_listed(&record("ncmec").with(own).unwrap()));
        let mut held = record("");
        let hold = Hold { holder: Holder::Owner, since: UnixMillis(1), until: Expiry::NEVER };
        held.holds = held.holds.with(hold);
        assert!(!is_listed(&held));
        let words = content(vec![Hash::md5([1; 16])], &[]);
        let entry = |record: Option<&ItemRecord>| entry_of(key(1), Some(words), record);
        assert!(entry(None).is_some() && entry(Some(&held)).is_none());
        assert!(entry_of(key(1), None, None).is_none());
    }
}
