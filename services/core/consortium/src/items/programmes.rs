//! The opinions of members that come from the records of programmes that they follow.
//!
//! The opinion of a programme's members is stored with the submission of its record. All submissions of a
//! member together give one opinion of that member ([`Opinion::of_programme`]). So a member with all of its
//! exchanges is at most one voice, which the member's own people can overrule. The opinion is withdrawn when
//! the records that carry it are removed.
//!
//! A member that submits an item without naming a programme vouches for the item itself. For that member,
//! opinions of programmes on the item are therefore ignored: otherwise any participant of the programme could
//! overrule the member's own people.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::{MemberId, Sequence, UnixMillis};

use super::foreign::ForeignOpinion;
use super::opinion::{Opinion, OpinionWords};
use super::record::ItemRecord;

impl ItemRecord {
    /// Returns the record with the opinions in its submissions from programmes set as opinions of their
    /// members. New opinions get the time `at` and the given sequence. Opinions that no submission has any
    /// more are withdrawn, and so are those of a member that has also submitted the item without a programme.
    #[must_use]
    pub fn with_foreign_opinions(mut self, at: UnixMillis, sequence: Sequence) -> Self {
        let mut said: BTreeMap<MemberId, Vec<&ForeignOpinion>> = BTreeMap::new();
        for submission in &self.submissions {
            if let Some(foreign) = &submission.foreign
                && !self.is_own_of(submission.member)
            {
                said.entry(submission.member).or_default().push(foreign);
            }
        }
        let known = self.opinions.iter().filter(|one| one.of_programme).map(|one| one.member);
        let members: BTreeSet<MemberId> = said.keys().copied().chain(known).collect();
        if members.is_empty() {
            return self;
        }
        let mut opinions = self.opinions.clone();
        for member in members {
            let together = said.get(&member).and_then(|all| ForeignOpinion::together(all.iter().copied()));
            let (kind, words) = match together {
                Some(ForeignOpinion { kind: Some(kind), reason, word }) => {
                    (Some(kind), OpinionWords { reason, foreign: word, ..OpinionWords::default() })
                }
                Some(ForeignOpinion { kind: None, .. }) | None => (None, OpinionWords::default()),
            };
            // Without an earlier opinion there is nothing to withdraw.
            if kind.is_none() && opinions.of_programme(member).is_none() {
                continue;
            }
            let opinion = Opinion { member, hash: None, of_programme: true, kind, words, at, sequence };
            // Only opinions on hashes are bounded.
            opinions = opinions.with(opinion).unwrap_or(opinions);
        }
        self.opinions = opinions;
        self
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, Hash, OpinionKind};

    use super::*;
    use crate::items::details::Details;
    use crate::items::origin::{Origin, Submission};
    use crate::items::record::ContentDigest;
    use crate::text::Text;

    fn said(kind: Option<OpinionKind>, word: &str) -> ForeignOpinion {
        ForeignOpinion { kind, reason: None, word: Text::new(word).unwrap() }
    }

    fn record(of: &[(u32, &str, Option<ForeignOpinion>)]) -> ItemRecord {
        let submission = |(member, key, foreign): &(u32, &str, Option<ForeignOpinion>)| Submission {
            member: MemberId(*member),
            origin: Origin::new("programme", key, "").unwrap(),
            at: UnixMillis(1),
            foreign: foreign.clone(),
        };
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let first = ItemRecord::new(content, Details::default(), submission(&of[0]));
        of[1..].iter().fold(first, |record, one| record.with(submission(one)).unwrap())
    }

    #[test]
    fn many_records_of_a_member_are_one_opinion_that_goes_with_them() {
        use OpinionKind::{Negative, Positive};
        let negative = || Some(said(Some(Negative), "NotBlocked"));
        let all: Vec<_> = ["a", "b", "c"].map(|key| (2, key, negative())).to_vec();
        let first = record(&all).with_foreign_opinions(UnixMillis(5), Sequence(7));
        assert_eq!(first.opinions.newest(), [(MemberId(2), Negative)]);
        assert_eq!(first.opinions.iter().len(), 1);
        let opinion = first.opinions.of_programme(MemberId(2)).unwrap();
        assert_eq!((opinion.words.foreign.as_str(), opinion.sequence), ("NotBlocked", Sequence(7)));
        assert_eq!((first.negatives(), first.confirmations()), (1, 0));
        // A second call changes nothing: the opinions keep their first time.
        assert_eq!(first.clone().with_foreign_opinions(UnixMillis(6), Sequence(8)), first);
        // A contradicting record of the same member leaves no opinion. A record of another member gives that
        // member its own opinion.
        let other = Submission {
            foreign: Some(said(Some(Positive), "Blocked")),
            origin: Origin::new("other", "d", "").unwrap(),
            ..first.submissions[0].clone()
        };
        let of_another = Submission { member: MemberId(3), ..other.clone() };
        let both = first.with(other.clone()).unwrap().with(of_another).unwrap();
        let both = both.with_foreign_opinions(UnixMillis(6), Sequence(8));
        assert_eq!(both.opinions.newest(), [(MemberId(3), Positive)]);
        assert_eq!(both.opinions.of_programme(MemberId(2)).unwrap().kind, None);
        // The opinion is withdrawn together with its records.
        let gone = both.without(MemberId(3), None).unwrap();
        let gone = gone.without(MemberId(2), Some(&other.origin)).unwrap();
        let gone = gone.with_foreign_opinions(UnixMillis(9), Sequence(9));
        assert_eq!(gone.opinions.newest(), [(MemberId(2), Negative)]);
        // Without opinions in the submissions nothing is recorded.
        let silent = record(&[(2, "a", None), (3, "b", Some(ForeignOpinion::disputed()))]);
        assert_eq!(silent.clone().with_foreign_opinions(UnixMillis(1), Sequence(1)), silent);
    }

    #[test]
    fn a_programme_says_nothing_for_a_member_that_submitted_the_item_in_person() {
        use OpinionKind::Negative;
        let negative = said(Some(Negative), "NOT_HELPFUL");
        let by_hand = |member| Submission {
            member: MemberId(member),
            origin: Origin::default(),
            at: UnixMillis(1),
            foreign: None,
        };
        let of_programme = record(&[(1, "a", Some(negative))]).submissions[0].clone();
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let own = ItemRecord::new(content, Details::default(), by_hand(1)).with(by_hand(2)).unwrap();
        let followed = own.with(of_programme.clone()).unwrap();
        let unchanged = followed.clone().with_foreign_opinions(UnixMillis(5), Sequence(7));
        assert_eq!(unchanged, followed);
        assert_eq!((unchanged.confirmations(), unchanged.negatives()), (2, 0));
        // The order does not matter: an earlier opinion is withdrawn when the member's people submit the
        // item.
        let first = record(&[(1, "a", of_programme.foreign.clone())]);
        let first = first.with_foreign_opinions(UnixMillis(5), Sequence(7));
        assert_eq!((first.confirmations(), first.negatives()), (0, 1));
        let both = first.with(by_hand(1)).unwrap().with_foreign_opinions(UnixMillis(6), Sequence(8));
        assert_eq!((both.confirmations(), both.negatives()), (1, 0));
        assert_eq!(both.opinions.of_programme(MemberId(1)).unwrap().kind, None);
        // The programme's opinion stays if another member submits the item itself, and if such a submission
        // is removed.
        let of_other = first.with(by_hand(2)).unwrap().with_foreign_opinions(UnixMillis(6), Sequence(8));
        assert_eq!((of_other.confirmations(), of_other.negatives()), (1, 1));
        let gone = both.without(MemberId(1), Some(&Origin::default())).unwrap();
        let gone = gone.with_foreign_opinions(UnixMillis(7), Sequence(9));
        assert_eq!((gone.confirmations(), gone.negatives()), (0, 1));
    }
}
