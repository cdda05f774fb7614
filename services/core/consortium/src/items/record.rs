//! The record of an item: its details, the submissions by which it lives, and its holds.

use thiserror::Error;
use vigie_model::{BankId, Hash, MemberId, UnixMillis};

use super::details::Details;
use super::hold::Holds;
use super::origin::{Origin, Submission};

/// The digest of a bank and of the hashes of an item in it: equal for equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// The digest of these hashes, which are sorted and each there once, in a bank.
    #[must_use]
    pub fn of(bank: BankId, hashes: &[Hash]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bank.0.to_be_bytes());
        for hash in hashes {
            let bytes = hash.as_bytes();
            hasher.update(&hash.hash_type().number().to_be_bytes());
            hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
        }
        Self(hasher.finalize().into())
    }

    /// A number by which records are found, and of which others may have the same.
    #[must_use]
    pub const fn key(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        // The databases' integers are signed.
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1
    }
}

/// The record of an item. One that was added without an origin and without details, and was never held, has none: it lives by its
/// contributor's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRecord {
    /// Of its bank and its hashes.
    pub content: ContentDigest,
    /// What its contributor says of it.
    pub details: Details,
    /// At least one, in the order in which they came.
    pub submissions: Vec<Submission>,
    /// By which it matches for nobody; none for an item that matches.
    pub holds: Holds,
}

/// An item has as many submissions as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an item has at most {max} submissions", max = ItemRecord::SUBMISSIONS_MAX)]
pub struct TooManySubmissions;

impl ItemRecord {
    /// Submissions of one item.
    pub const SUBMISSIONS_MAX: usize = 64;

    /// The record of an item that a member has just added.
    #[must_use]
    pub fn new(content: ContentDigest, details: Details, first: Submission) -> Self {
        Self { content, details, submissions: vec![first], holds: Holds::default() }
    }

    /// Whether a member has submitted the item from an origin.
    #[must_use]
    pub fn has(&self, member: MemberId, origin: &Origin) -> bool {
        self.submissions.iter().any(|one| one.member == member && one.origin == *origin)
    }

    /// Whether a member has submitted the item at all.
    #[must_use]
    pub fn is_of(&self, member: MemberId) -> bool {
        self.submissions.iter().any(|one| one.member == member)
    }

    /// The record with another submission.
    pub fn with(&self, member: MemberId, origin: Origin, at: UnixMillis) -> Result<Self, TooManySubmissions> {
        if self.submissions.len() >= Self::SUBMISSIONS_MAX {
            return Err(TooManySubmissions);
        }
        let mut record = self.clone();
        record.submissions.push(Submission { member, origin, at });
        Ok(record)
    }

    /// The record without the submissions of a member: of one origin, or of all. `None` where none is left, so that the item goes.
    #[must_use]
    pub fn without(&self, member: MemberId, origin: Option<&Origin>) -> Option<Self> {
        let mut record = self.clone();
        record
            .submissions
            .retain(|one| one.member != member || origin.is_some_and(|origin| one.origin != *origin));
        (!record.submissions.is_empty()).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_goes_with_its_last_submission() {
        let origin = |case: &str| Origin::new("programme", "key", case).unwrap();
        let at = UnixMillis(1);
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let first = Submission { member: MemberId(2), origin: origin("a"), at };
        let record = ItemRecord::new(content, Details::default(), first);
        let record = record.with(MemberId(2), origin("b"), at).unwrap();
        let record = record.with(MemberId(3), origin("a"), at).unwrap();
        assert!(record.has(MemberId(2), &origin("b")) && !record.has(MemberId(3), &origin("b")));
        let one = record.without(MemberId(2), Some(&origin("a"))).unwrap();
        assert_eq!(one.submissions.len(), 2);
        assert!(one.is_of(MemberId(2)));
        let none_of_two = record.without(MemberId(2), None).unwrap();
        assert!(!none_of_two.is_of(MemberId(2)));
        assert_eq!(none_of_two.without(MemberId(3), Some(&origin("a"))), None);
        let mut full = record;
        while full.submissions.len() < ItemRecord::SUBMISSIONS_MAX {
            full = full.with(MemberId(4), origin("c"), at).unwrap();
        }
        assert_eq!(full.with(MemberId(4), origin("d"), at), Err(TooManySubmissions));
    }

    #[test]
    fn content_differs_by_bank_type_and_bytes() {
        let (md5, other) = (Hash::md5([1; 16]), Hash::md5([2; 16]));
        let digests = [
            ContentDigest::of(BankId(1), std::slice::from_ref(&md5)),
            ContentDigest::of(BankId(2), std::slice::from_ref(&md5)),
            ContentDigest::of(BankId(1), std::slice::from_ref(&other)),
            ContentDigest::of(BankId(1), &[md5, other]),
            ContentDigest::of(BankId(1), &[Hash::pdq([1; 32])]),
        ];
        for (i, one) in digests.iter().enumerate() {
            for (j, other) in digests.iter().enumerate() {
                assert_eq!(one == other, i == j);
            }
        }
    }
}
