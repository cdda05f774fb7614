//! The standing of an item, computed from its record and the charter of its bank.

use std::collections::BTreeSet;

use vigie_model::{MemberId, OpinionKind, Standing, UnixMillis};

use super::opinion::Opinions;
use super::record::ItemRecord;
use crate::banks::charter::Charter;

impl ItemRecord {
    /// Returns the number of members that confirm the item: its submitters and the members with a positive
    /// opinion, without those whose counting opinion is negative.
    #[must_use]
    pub fn confirmations(&self) -> usize {
        let mut confirming: BTreeSet<MemberId> = self.members().collect();
        for (member, kind) in self.opinions.newest() {
            match kind {
                OpinionKind::Positive => drop(confirming.insert(member)),
                OpinionKind::Negative => drop(confirming.remove(&member)),
                OpinionKind::Seen => {}
            }
        }
        confirming.len()
    }

    /// Returns the number of members with a negative opinion from after the last resolution of a dispute.
    #[must_use]
    pub fn negatives(&self) -> usize {
        let resolved_at = self.resolved.map_or(UnixMillis(0), |(_, at)| at);
        self.opinions.negatives_after(resolved_at).count()
    }

    /// Returns the standing of the item in a bank with this charter. It is the default standing if one member
    /// submitted the item and there are no opinions.
    #[must_use]
    pub fn standing_under(&self, charter: &Charter) -> Standing {
        let min = charter.confirmations_min().map_or(0, usize::from);
        let probation = self.confirmations() < min;
        let members: BTreeSet<MemberId> = self.members().collect();
        let held_for: BTreeSet<MemberId> = self.held_for.iter().map(|hold| hold.member).collect();
        let standing = Standing {
            probation,
            dispute_open: self.dispute.is_some(),
            contributors: members.into_iter().collect(),
            opinions: self.opinions.newest().into(),
            held_for: held_for.into_iter().collect(),
            classes: self.details.classification.iter().map(|class| class.to_string().into()).collect(),
            labels: self.labels.clone(),
        };
        let of_nobody_else = Standing { contributors: standing.contributors.clone(), ..Standing::default() };
        if standing.contributors.len() < 2 && standing == of_nobody_else {
            return Standing::default();
        }
        standing
    }
}

// The members of a list of opinions always fit into a standing.
const _: () = assert!(Opinions::COUNT_MAX / Opinions::OF_MEMBER_MAX <= Standing::MEMBERS_MAX);

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, Hash, Labels, Sequence};

    use super::*;
    use crate::banks::charter::CharterDraft;
    use crate::items::details::Details;
    use crate::items::dispute::Resolution;
    use crate::items::opinion::{Opinion, OpinionWords};
    use crate::items::origin::{Origin, Submission};
    use crate::items::record::ContentDigest;

    fn record(members: &[u32]) -> ItemRecord {
        let content = ContentDigest::of(BankId(1), &[Hash::md5([1; 16])]);
        let submission = |member: &u32| Submission {
            member: MemberId(*member),
            origin: Origin::default(),
            at: UnixMillis(1),
            foreign: None,
        };
        let first = ItemRecord::new(content, Details::default(), submission(&members[0]));
        members[1..].iter().fold(first, |record, member| record.with(submission(member)).unwrap())
    }

    fn opine(record: &mut ItemRecord, member: u32, kind: OpinionKind, at: u64) {
        let (member, words) = (MemberId(member), OpinionWords::default());
        let (at, sequence) = (UnixMillis(at), Sequence(at));
        let of_programme = false;
        let opinion = Opinion { member, hash: None, of_programme, kind: Some(kind), words, at, sequence };
        record.opinions = record.opinions.with(opinion).unwrap();
    }

    fn asking(confirmations_min: u32) -> Charter {
        Charter::try_from(CharterDraft { confirmations_min, ..CharterDraft::default() }).unwrap()
    }

    #[test]
    fn an_item_of_one_member_of_which_nothing_is_said_has_no_standing() {
        assert_eq!(record(&[3]).standing_under(&Charter::default()), Standing::default());
        let two = record(&[3, 2]).standing_under(&Charter::default());
        assert_eq!(*two.contributors, [MemberId(2), MemberId(3)]);
        assert!(!two.is_aside());
    }

    #[test]
    fn new_labels_give_an_item_a_standing_even_where_they_are_none() {
        let mut relabelled = record(&[3]);
        relabelled.labels = Some(Labels::default());
        let standing = relabelled.standing_under(&Charter::default());
        assert!(standing != Standing::default() && !standing.is_none());
        assert_eq!(standing.labels, Some(Labels::default()));
    }

    #[test]
    fn different_members_end_a_probation_and_no_member_counts_twice() {
        let mut of_one = record(&[3]);
        let standing = |record: &ItemRecord| record.standing_under(&asking(2));
        assert!(standing(&of_one).probation);
        assert!(!standing(&of_one).is_aside_for(Some(MemberId(3))));
        assert!(standing(&of_one).is_aside_for(Some(MemberId(4))) && standing(&of_one).is_aside_for(None));
        opine(&mut of_one, 3, OpinionKind::Positive, 5);
        opine(&mut of_one, 4, OpinionKind::Seen, 6);
        assert!(standing(&of_one).probation, "the contributor itself, and nobody who has looked");
        opine(&mut of_one, 4, OpinionKind::Positive, 7);
        assert!(!standing(&of_one).probation);
        // A contributor with a negative opinion does not confirm the item.
        opine(&mut of_one, 3, OpinionKind::Negative, 8);
        assert!(standing(&of_one).probation);
        assert!(!record(&[1]).standing_under(&asking(1)).probation);
    }

    #[test]
    fn negatives_count_anew_after_a_dispute_is_resolved() {
        let mut record = record(&[1]);
        opine(&mut record, 2, OpinionKind::Negative, 5);
        opine(&mut record, 3, OpinionKind::Negative, 6);
        assert_eq!(record.negatives(), 2);
        record.resolved = Some((Resolution::Kept, UnixMillis(6)));
        assert_eq!(record.negatives(), 0);
        opine(&mut record, 4, OpinionKind::Negative, 7);
        assert_eq!(record.negatives(), 1);
        let facts = record.standing_under(&Charter::default()).facts(Some(MemberId(3)));
        assert_eq!((facts.negatives, facts.mine), (3, Some(OpinionKind::Negative)));
    }
}
