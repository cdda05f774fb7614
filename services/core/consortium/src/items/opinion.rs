//! Opinions of members on an item, or on one of its hashes.
//!
//! Only the newest opinion of each member on the item and on each of its hashes is kept; the history is in
//! the log. A withdrawn opinion stays in the list as withdrawn, so that followers of opinions see the
//! withdrawal.
//!
//! In addition to the opinion of its own people, a member can have an opinion on an item from the records of
//! programmes that it follows (`foreign`). The two are kept apart but count as one voice, and the opinion of
//! a person takes precedence.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use vigie_model::{MemberId, OpinionKind, Sequence, UnixMillis};

use super::taxonomy::Class;
use crate::text::Text;

/// The reason for a negative opinion on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpinionReason {
    /// The matched picture was a different one.
    DifferentContent,
    /// The hash is of a flat, tiny or common picture.
    PoorHash,
    /// The picture is the same, but does not belong in the bank.
    OutOfScope,
    /// The picture belongs in the bank, under another classification.
    WrongClassification,
    /// The item is in the bank twice.
    Duplicate,
    /// An appeal of a user was upheld.
    AppealUpheld,
    /// Another reason.
    Other,
}

impl OpinionReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::DifferentContent,
        Self::PoorHash,
        Self::OutOfScope,
        Self::WrongClassification,
        Self::Duplicate,
        Self::AppealUpheld,
        Self::Other,
    ];

    /// Returns the word for commands and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DifferentContent => "different-content",
            Self::PoorHash => "poor-hash",
            Self::OutOfScope => "out-of-scope",
            Self::WrongClassification => "wrong-classification",
            Self::Duplicate => "duplicate",
            Self::AppealUpheld => "appeal-upheld",
            Self::Other => "other",
        }
    }
}

/// The details of a member's opinion on an item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpinionWords {
    /// The reason; for negative opinions.
    pub reason: Option<OpinionReason>,
    /// Whether the member asks the bank's owner to review the item again.
    pub disputes: bool,
    /// The classification that the member thinks is right.
    pub proposed: Option<Class>,
    /// The programme's own term, if the opinion comes from a programme: `Blocked`, `HELPFUL`, the number of a
    /// reason.
    pub foreign: Text<{ OpinionWords::FOREIGN_LEN_MAX }>,
}

impl OpinionWords {
    /// The longest term of a programme, in bytes.
    pub const FOREIGN_LEN_MAX: usize = 64;
}

/// The newest opinion of a member on an item, or on one of its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The member.
    pub member: MemberId,
    /// The index of the hash that the opinion is about, among the item's hashes; `None` for the item.
    pub hash: Option<u8>,
    /// Whether the opinion comes from the records of programmes, not from the member's own people.
    pub of_programme: bool,
    /// The opinion; `None` if it was withdrawn.
    pub kind: Option<OpinionKind>,
    /// The details of the opinion.
    pub words: OpinionWords,
    /// The time of the opinion.
    pub at: UnixMillis,
    /// The sequence of the change that set it.
    pub sequence: Sequence,
}

/// A member has the largest number of opinions on hashes of the item already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an item has opinions of a member on at most {max} of its hashes", max = Opinions::HASHES_OF_MEMBER_MAX)]
pub struct TooManyOpinions;

/// The opinions of an item, by member and hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opinions(Vec<Opinion>);

impl Opinions {
    /// The largest number of hashes of one item on which a member has opinions, besides the one on the item.
    pub const HASHES_OF_MEMBER_MAX: usize = 8;
    /// The largest number of opinions of one member on one item: on the item, on some of its hashes, and from
    /// programmes.
    pub const OF_MEMBER_MAX: usize = 2 + Self::HASHES_OF_MEMBER_MAX;
    /// The largest number of opinions on one item, with as many members as a deployment may have.
    pub const COUNT_MAX: usize = 1_000 * Self::OF_MEMBER_MAX;

    /// Builds the list; the last opinion for each member, hash and source counts.
    #[must_use]
    pub fn new(opinions: Vec<Opinion>) -> Self {
        let by_key: BTreeMap<_, _> = opinions.into_iter().map(|opinion| (opinion.key(), opinion)).collect();
        Self(by_key.into_values().collect())
    }

    /// Whether no member ever had an opinion.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the opinions by member and hash, including withdrawn ones.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Opinion> {
        self.0.iter()
    }

    /// Returns the opinion of a member's own people on a hash, or on the item.
    #[must_use]
    pub fn of(&self, member: MemberId, hash: Option<u8>) -> Option<&Opinion> {
        self.place((member, hash, false)).ok().map(|at| &self.0[at])
    }

    /// Returns the opinion that a member has on the item from the records of programmes.
    #[must_use]
    pub fn of_programme(&self, member: MemberId) -> Option<&Opinion> {
        self.place((member, None, true)).ok().map(|at| &self.0[at])
    }

    /// Returns the opinions with `opinion` added, in place of the earlier one. A seen match never replaces an
    /// opinion of a person, nor a seen match of the same day: the list is unchanged then.
    pub fn with(&self, opinion: Opinion) -> Result<Self, TooManyOpinions> {
        let mut opinions = self.clone();
        match self.place(opinion.key()) {
            Ok(at) if is_news(&self.0[at], &opinion) => opinions.0[at] = opinion,
            Ok(_) => {}
            Err(at) => {
                let of_member = self.0.iter().filter(|one| one.member == opinion.member);
                let hashes = of_member.filter(|one| one.hash.is_some()).count();
                if opinion.hash.is_some() && hashes >= Self::HASHES_OF_MEMBER_MAX {
                    return Err(TooManyOpinions);
                }
                opinions.0.insert(at, opinion);
            }
        }
        Ok(opinions)
    }

    /// Returns the opinions, with the sequence `from` replaced by `to`.
    #[must_use]
    pub fn numbered(mut self, from: Sequence, to: Sequence) -> Self {
        self.0
            .iter_mut()
            .filter(|opinion| opinion.sequence == from)
            .for_each(|opinion| opinion.sequence = to);
        self
    }

    /// Returns the counting opinion of each member, by member. Withdrawn opinions do not count. Opinions of
    /// the member's people take precedence over those from programmes; within each group the newest counts.
    #[must_use]
    pub fn newest(&self) -> Vec<(MemberId, OpinionKind)> {
        self.counting().into_iter().filter_map(|(member, opinion)| Some((member, opinion.kind?))).collect()
    }

    /// Returns the members whose counting opinion is negative and later than `at`.
    pub fn negatives_after(&self, at: UnixMillis) -> impl Iterator<Item = MemberId> {
        let members: BTreeSet<MemberId> =
            self.counting_negatives_after(at).map(|opinion| opinion.member).collect();
        members.into_iter()
    }

    /// Returns the negative opinions later than `at` of members whose counting opinion is negative. Opinions
    /// that do not count are left out: those of programmes if the opinion of the member's people counts, and
    /// the reverse.
    pub fn counting_negatives_after(&self, at: UnixMillis) -> impl Iterator<Item = &Opinion> {
        let counting = self.counting();
        self.0.iter().filter(move |one| {
            let counts = counting.get(&one.member);
            let is_negative = |of: &Opinion| of.kind == Some(OpinionKind::Negative);
            let is_of_source =
                counts.is_some_and(|counts| is_negative(counts) && counts.of_programme == one.of_programme);
            is_of_source && is_negative(one) && one.at > at
        })
    }

    /// Returns the counting opinion of each member.
    fn counting(&self) -> BTreeMap<MemberId, &Opinion> {
        let mut counting: BTreeMap<MemberId, &Opinion> = BTreeMap::new();
        for opinion in self.0.iter().filter(|opinion| opinion.kind.is_some()) {
            let known = counting.entry(opinion.member).or_insert(opinion);
            // A seen match ranks below any opinion of a person or a programme, whatever the times.
            let weight =
                |one: &Opinion| (one.kind != Some(OpinionKind::Seen), !one.of_programme, one.sequence);
            if weight(opinion) > weight(known) {
                *known = opinion;
            }
        }
        counting
    }

    fn place(&self, key: OpinionKey) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, Opinion::key)
    }
}

/// The unique key of an opinion of an item: the member, the hash, and whether it comes from programmes.
type OpinionKey = (MemberId, Option<u8>, bool);

impl Opinion {
    const fn key(&self) -> OpinionKey {
        (self.member, self.hash, self.of_programme)
    }
}

/// Whether an opinion differs from the one before it enough to replace it.
fn is_news(before: &Opinion, opinion: &Opinion) -> bool {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    if opinion.kind == Some(OpinionKind::Seen) && !opinion.of_programme {
        return match before.kind {
            Some(OpinionKind::Positive | OpinionKind::Negative) => false,
            Some(OpinionKind::Seen) => opinion.at.0 / DAY_MS > before.at.0 / DAY_MS,
            None => true,
        };
    }
    (before.kind, &before.words) != (opinion.kind, &opinion.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn opinion(member: u32, hash: Option<u8>, kind: Option<OpinionKind>, at: u64) -> Opinion {
        let (member, words) = (MemberId(member), OpinionWords::default());
        let of_programme = false;
        Opinion { member, hash, of_programme, kind, words, at: UnixMillis(at), sequence: Sequence(at) }
    }

    fn of_programme(member: u32, kind: Option<OpinionKind>, at: u64) -> Opinion {
        Opinion { of_programme: true, ..opinion(member, None, kind, at) }
    }

    fn all(opinions: &[Opinion]) -> Opinions {
        opinions.iter().fold(Opinions::default(), |all, one| all.with(one.clone()).unwrap())
    }

    #[test]
    fn the_newest_opinion_of_each_member_counts_once() {
        use OpinionKind::{Negative, Positive, Seen};
        let opinions = all(&[
            opinion(3, None, Some(Positive), 1),
            opinion(2, None, Some(Positive), 2),
            opinion(2, Some(4), Some(Negative), 3),
            opinion(4, None, Some(Seen), 4),
            opinion(5, None, Some(Negative), 5),
            opinion(5, None, None, 6),
        ]);
        assert_eq!(
            opinions.newest(),
            [(MemberId(2), Negative), (MemberId(3), Positive), (MemberId(4), Seen)]
        );
        let negatives = |at| opinions.negatives_after(UnixMillis(at)).collect::<Vec<_>>();
        assert_eq!((negatives(2), negatives(3)), (vec![MemberId(2)], vec![]));
        // A withdrawn opinion is still listed, and does not count.
        assert_eq!(opinions.of(MemberId(5), None).unwrap().kind, None);
        assert_eq!(opinions, Opinions::new(opinions.iter().cloned().collect()));
    }

    #[test]
    fn a_match_that_was_seen_is_counted_once_a_day_and_takes_no_opinions_place() {
        use OpinionKind::{Positive, Seen};
        let first = all(&[opinion(1, None, Some(Seen), 5)]);
        assert_eq!(first.with(opinion(1, None, Some(Seen), DAY_MS - 1)), Ok(first.clone()));
        assert_ne!(first.with(opinion(1, None, Some(Seen), DAY_MS)), Ok(first.clone()));
        let looked = first.with(opinion(1, None, Some(Positive), 6)).unwrap();
        assert_eq!(looked.with(opinion(1, None, Some(Seen), 9 * DAY_MS)), Ok(looked.clone()));
        // Nor does a seen match on a hash.
        let on_hash = looked.with(opinion(1, Some(0), Some(Seen), 9 * DAY_MS)).unwrap();
        assert_eq!(on_hash.newest(), [(MemberId(1), Positive)]);
        // An equal opinion changes nothing.
        assert_eq!(looked.with(opinion(1, None, Some(Positive), 7)), Ok(looked));
    }

    #[test]
    fn what_people_say_counts_before_what_programmes_say_and_both_are_one_voice() {
        use OpinionKind::{Negative, Positive, Seen};
        let programme = all(&[of_programme(1, Some(Negative), 9)]);
        assert_eq!(programme.newest(), [(MemberId(1), Negative)]);
        // A seen match does not count as an opinion of a person.
        let seen = programme.with(opinion(1, None, Some(Seen), 10)).unwrap();
        assert_eq!(seen.newest(), [(MemberId(1), Negative)]);
        let person = seen.with(opinion(1, Some(0), Some(Positive), 2)).unwrap();
        assert_eq!(person.newest(), [(MemberId(1), Positive)]);
        assert_eq!(person.negatives_after(UnixMillis(0)).count(), 0);
        // An opinion that the person withdraws does not count, and the programme's opinion remains.
        let back = person.with(opinion(1, Some(0), None, 11)).unwrap();
        assert_eq!(back.newest(), [(MemberId(1), Negative)]);
        let ended = back.with(of_programme(1, None, 12)).unwrap();
        assert_eq!(ended.newest(), [(MemberId(1), Seen)]);
        assert_eq!(ended.of_programme(MemberId(1)).unwrap().kind, None);
        // The time of the counting negative opinion is used.
        let both = programme.with(opinion(1, None, Some(Negative), 3)).unwrap();
        let later = |at| both.negatives_after(UnixMillis(at)).count();
        assert_eq!((later(2), later(3)), (1, 0));
        // A seen match from a programme replaces the earlier one, whatever the day.
        let seen = all(&[of_programme(1, Some(Positive), 1)]).with(of_programme(1, Some(Seen), 2)).unwrap();
        assert_eq!(seen.newest(), [(MemberId(1), Seen)]);
    }

    #[test]
    fn a_member_has_opinions_on_so_many_hashes() {
        let hashes: Vec<Opinion> =
            (0..8).map(|hash| opinion(1, Some(hash), Some(OpinionKind::Positive), 1)).collect();
        let full = all(&hashes);
        assert_eq!(full.with(opinion(1, Some(8), Some(OpinionKind::Positive), 2)), Err(TooManyOpinions));
        full.with(opinion(1, Some(7), Some(OpinionKind::Negative), 2)).unwrap();
        full.with(opinion(1, None, Some(OpinionKind::Negative), 2)).unwrap();
        full.with(opinion(2, Some(8), Some(OpinionKind::Positive), 2)).unwrap();
    }
}
