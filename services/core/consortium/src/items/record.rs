//! The record of an item: its details, submissions, holds and opinions.

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;
use vigie_model::{BankId, Hash, Labels, MemberId, Standing, UnixMillis};

use super::details::Details;
use super::dispute::{Dispute, FloodLift, MemberHold, Resolution};
use super::foreign::ForeignOpinion;
use super::hold::Holds;
use super::opinion::Opinions;
use super::origin::{Origin, Submission};

/// A digest of a bank's id and the hashes of an item in it: equal for equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// Returns the digest of these hashes in a bank. The hashes are sorted, without duplicates.
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

    /// Returns a number for looking up records. Different digests may have the same number.
    #[must_use]
    pub const fn key(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        // The databases' integers are signed.
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1
    }
}

/// The ownership of an item, for followers of its bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The bank's own: one of its submissions names no programme.
    Own,
    /// The item was the bank's own before, but is no longer.
    FormerlyOwn,
    /// All submissions of the item have always named a programme.
    Programmes,
    /// A canary, which only the bank may know.
    Canary,
}

/// The record of an item. An item without origin, details, holds and opinions has no record: its contributor
/// is its only submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRecord {
    /// The digest of its bank and its hashes.
    pub content: ContentDigest,
    /// The details from its contributor.
    pub details: Details,
    /// The submissions: at least one, in the order of arrival.
    pub submissions: Vec<Submission>,
    /// The holds; empty if the item matches.
    pub holds: Holds,
    /// Whether the item was its bank's own before, and is not any more.
    pub was_own: bool,
    /// The opinions of members.
    pub opinions: Opinions,
    /// The dispute about it that waits for an answer.
    pub dispute: Option<Dispute>,
    /// The outcome of the last resolved dispute, and the time of its resolution.
    pub resolved: Option<(Resolution, UnixMillis)>,
    /// Holds for single members, by member: the item does not match for them.
    pub held_for: Vec<MemberHold>,
    /// Holds by flood control that members have lifted, the last one of each member within a day.
    pub flood_lifts: Vec<FloodLift>,
    /// The labels that replaced the original ones; `None` if they never changed. The item's row has the
    /// labels too.
    pub labels: Option<Labels>,
    /// The standing that was last sent to the item's shard.
    pub standing: Arc<Standing>,
}

/// The item has submissions of the largest number of members already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an item has submissions of at most {max} members", max = ItemRecord::MEMBERS_MAX)]
pub struct TooManySubmissions;

impl ItemRecord {
    /// The largest number of members that submit one item. Each member has its own bound on submissions, so
    /// none can exhaust another's.
    pub const MEMBERS_MAX: usize = 64;
    /// The largest number of submissions of one item by one member; the first ones are kept.
    pub const OF_MEMBER_MAX: usize = 8;
    /// The largest number of submissions when a record is read: an earlier version kept up to 64, whatever
    /// their members.
    pub const SUBMISSIONS_MAX: usize = Self::MEMBERS_MAX * Self::OF_MEMBER_MAX + 64;

    /// Returns the record of an item that a member has just added.
    #[must_use]
    pub fn new(content: ContentDigest, details: Details, first: Submission) -> Self {
        Self {
            content,
            details,
            submissions: vec![first],
            holds: Holds::default(),
            was_own: false,
            opinions: Opinions::default(),
            dispute: None,
            resolved: None,
            held_for: Vec::new(),
            flood_lifts: Vec::new(),
            labels: None,
            standing: Arc::default(),
        }
    }

    /// Whether a member has submitted the item from an origin.
    #[must_use]
    pub fn has(&self, member: MemberId, origin: &Origin) -> bool {
        self.submissions.iter().any(|one| one.member == member && one.origin == *origin)
    }

    /// Returns the member of each submission, in the order of arrival.
    pub fn members(&self) -> impl Iterator<Item = MemberId> {
        self.submissions.iter().map(|one| one.member)
    }

    /// Whether a member has submitted the item, from any origin.
    #[must_use]
    pub fn is_of(&self, member: MemberId) -> bool {
        self.members().any(|one| one == member)
    }

    /// Returns the record with another submission. It is unchanged if the submission exists already, or if
    /// the member has [`Self::OF_MEMBER_MAX`] others, which keep the item alive.
    pub fn with(&self, submission: Submission) -> Result<Self, TooManySubmissions> {
        let mut record = self.clone();
        record.take(submission)?;
        Ok(record)
    }

    /// Merges in a record of the same content: its submissions, within the bounds of [`Self::with`], and its
    /// holds and opinions. The details stay if there are any; otherwise they are those of the other record.
    /// The labels stay: they are those of the item's row, whatever the other item's were.
    pub fn merged(&self, other: &Self) -> Result<Self, TooManySubmissions> {
        let mut record = self.clone();
        other.submissions.iter().try_for_each(|one| record.take(one.clone()))?;
        if record.details.is_empty() {
            record.details = other.details.clone();
        }
        record.holds = other.holds.iter().fold(record.holds, |holds, hold| match holds.of(hold.holder) {
            Some(_) => holds,
            None => holds.with(hold),
        });
        // Later opinions replace earlier ones.
        let mut both: Vec<_> = other.opinions.iter().chain(self.opinions.iter()).cloned().collect();
        both.sort_by_key(|opinion| opinion.sequence);
        record.opinions = Opinions::new(both);
        record.dispute = record.dispute.or(other.dispute);
        // A resolution of either record applies to the item: opinions from before it open no new dispute.
        record.resolved = record.resolved.into_iter().chain(other.resolved).max_by_key(|(_, at)| *at);
        for hold in &other.held_for {
            if let Err(at) = record.held_for.binary_search_by_key(&hold.member, |one| one.member) {
                record.held_for.insert(at, *hold);
            }
        }
        for lift in &other.flood_lifts {
            if record.flood_lifts.iter().all(|one| one.member != lift.member) {
                record.flood_lifts.push(*lift);
            }
        }
        Ok(record)
    }

    /// Records that a member has lifted a hold by flood control.
    pub fn note_flood_lift(&mut self, lift: FloodLift) {
        let is_kept =
            |one: &FloodLift| one.member != lift.member && !one.is_before(FloodLift::WINDOW_MS_MAX, lift.at);
        self.flood_lifts.retain(is_kept);
        self.flood_lifts.push(lift);
    }

    /// Whether flood control may hold the item for a member: the window that ends at `now` starts after the
    /// member last lifted such a hold.
    #[must_use]
    pub fn may_flood(&self, member: MemberId, window_ms: u64, now: UnixMillis) -> bool {
        let lifts = self.flood_lifts.iter().filter(|lift| lift.member == member);
        lifts.into_iter().all(|lift| lift.is_before(window_ms, now))
    }

    /// Returns the record with a programme's opinion set on the submission of a member from an origin. It is
    /// unchanged without such a submission, which happens if the member has more submissions than are kept.
    #[must_use]
    pub fn with_foreign(
        mut self,
        member: MemberId,
        origin: &Origin,
        foreign: Option<&ForeignOpinion>,
    ) -> Self {
        let mut submissions = self.submissions.iter_mut();
        if let Some(one) = submissions.find(|one| one.member == member && one.origin == *origin) {
            one.foreign = foreign.cloned();
        }
        self
    }

    /// Whether the item is the bank's own: one of its submissions names no programme.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.submissions.iter().any(|one| one.origin.programme().is_empty())
    }

    /// Whether a member has submitted the item in person: one of its submissions names no programme.
    #[must_use]
    pub fn is_own_of(&self, member: MemberId) -> bool {
        self.submissions.iter().any(|one| one.member == member && one.origin.programme().is_empty())
    }

    /// Returns the ownership of the item.
    #[must_use]
    pub fn whose(&self) -> Whose {
        match (self.is_own(), self.was_own) {
            (true, _) => Whose::Own,
            (false, true) => Whose::FormerlyOwn,
            (false, false) => Whose::Programmes,
        }
    }

    /// Whether a submission names an origin, by which the item is found when it is submitted again.
    #[must_use]
    pub fn has_origin(&self) -> bool {
        self.submissions.iter().any(|one| !one.origin.is_empty())
    }

    fn take(&mut self, submission: Submission) -> Result<(), TooManySubmissions> {
        let member = submission.member;
        match self.submissions.iter().filter(|one| one.member == member).count() {
            0 if self.member_count() >= Self::MEMBERS_MAX => return Err(TooManySubmissions),
            count if count < Self::OF_MEMBER_MAX && !self.has(member, &submission.origin) => {
                self.submissions.push(submission);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the number of members that have submitted the item.
    fn member_count(&self) -> usize {
        self.members().collect::<BTreeSet<_>>().len()
    }

    /// Returns the record without the submissions of a member: those of one origin, or all. `None` if none is
    /// left, so that the item is removed.
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
    use vigie_model::UnixMillis;

    use super::*;

    #[test]
    fn an_item_goes_with_its_last_submission() {
        let origin = |case: &str| Origin::new("programme", "key", case).unwrap();
        let at = UnixMillis(1);
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let first = Submission { member: MemberId(2), origin: origin("a"), at, foreign: None };
        let record = ItemRecord::new(content, Details::default(), first);
        let submission =
            |member, case| Submission { member: MemberId(member), origin: origin(case), at, foreign: None };
        let record = record.with(submission(2, "b")).unwrap();
        let record = record.with(submission(3, "a")).unwrap();
        assert!(record.has(MemberId(2), &origin("b")) && !record.has(MemberId(3), &origin("b")));
        let one = record.without(MemberId(2), Some(&origin("a"))).unwrap();
        assert_eq!(one.submissions.len(), 2);
        assert!(one.is_of(MemberId(2)));
        let none_of_two = record.without(MemberId(2), None).unwrap();
        assert!(!none_of_two.is_of(MemberId(2)));
        assert_eq!(none_of_two.without(MemberId(3), Some(&origin("a"))), None);
    }

    #[test]
    fn a_merged_record_keeps_its_own_labels() {
        let first = |case| Submission {
            member: MemberId(2),
            origin: Origin::new("", "", case).unwrap(),
            at: UnixMillis(1),
            foreign: None,
        };
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let as_added = ItemRecord::new(content, Details::default(), first("a"));
        let relabelled = ItemRecord {
            labels: Some(Labels::default()),
            ..ItemRecord::new(content, Details::default(), first("b"))
        };
        assert_eq!(as_added.merged(&relabelled).unwrap().labels, None);
        assert_eq!(relabelled.merged(&as_added).unwrap().labels, Some(Labels::default()));
    }

    #[test]
    fn no_member_takes_the_room_of_another() {
        let submission = |member, case: u64| {
            let origin = Origin::new("", "", &case.to_string()).unwrap();
            Submission { member: MemberId(member), origin, at: UnixMillis(case), foreign: None }
        };
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let mut record = ItemRecord::new(content, Details::default(), submission(1, 0));
        for case in 0..100 {
            record = record.with(submission(1, case)).unwrap();
        }
        // The first submissions are kept, without duplicates.
        let cases = |record: &ItemRecord| record.submissions.iter().map(|one| one.at.0).collect::<Vec<_>>();
        assert_eq!(cases(&record), (0..8).collect::<Vec<_>>());
        assert_eq!(record.with(submission(1, 99)), Ok(record.clone()));
        for member in 2..65 {
            for case in 0..100 {
                record = record.with(submission(member, case)).unwrap();
            }
        }
        assert_eq!(record.submissions.len(), ItemRecord::MEMBERS_MAX * ItemRecord::OF_MEMBER_MAX);
        assert_eq!(record.with(submission(65, 0)), Err(TooManySubmissions));
        // A withdrawn submission leaves a slot for another one of the member; if all are withdrawn, another
        // member gets the slot.
        let less = record.without(MemberId(1), Some(&submission(1, 3).origin)).unwrap();
        assert_eq!(less.with(submission(1, 99)).unwrap().submissions.len(), record.submissions.len());
        record.without(MemberId(1), None).unwrap().with(submission(65, 0)).unwrap();
        // Merging respects the same bounds and changes no existing submission.
        assert_eq!(record.merged(&record), Ok(record.clone()));
        let (one, other) = (submission(1, 3), submission(65, 0));
        let former = ItemRecord::new(content, Details::default(), one.clone());
        assert_eq!(less.merged(&former).unwrap().submissions.last(), Some(&one));
        assert_eq!(
            former.merged(&record),
            Ok(ItemRecord { submissions: former.merged(&less).unwrap().submissions, ..record.clone() })
        );
        assert_eq!(
            record.merged(&ItemRecord::new(content, Details::default(), other)),
            Err(TooManySubmissions)
        );
        // A record of an earlier version, with submissions of one member only.
        let former = ItemRecord { submissions: (0..64).map(|case| submission(1, case)).collect(), ..record };
        assert_eq!(former.with(submission(1, 64)), Ok(former.clone()));
        assert_eq!(former.with(submission(2, 0)).unwrap().submissions.len(), 65);
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
