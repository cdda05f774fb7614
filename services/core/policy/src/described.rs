//! Converts a match of a search to the facts that a member's policy sees.

use std::sync::Arc;

use vigie_consortium::{MemberId, OwnedBank, View};
use vigie_model::{Match, UnixMillis};

use crate::facts::MatchFacts;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl MatchFacts {
    /// Returns the facts about a match for the policy of a member, as of a state of the directory and a time.
    /// A bank that is no longer in the directory has the name that the search returned.
    #[must_use]
    pub fn of_match(view: &View, member: MemberId, found: &Match, now: UnixMillis) -> Self {
        let directory = view.directory();
        let bank = directory.bank(found.bank);
        let owner = bank.and_then(|bank| directory.member(bank.owner));
        let bank_ref = bank.and_then(|bank| view.name_for(member, bank, now));
        let bank_ref = bank_ref.unwrap_or_else(|| found.bank_name.clone());
        let full = match (owner, bank) {
            (Some(owner), Some(bank)) => format!("{}/{}", owner.name, bank.name).into(),
            _ => found.bank_name.to_string().into(),
        };
        let grant = bank.and_then(|bank| directory.grant(bank.id, member));
        let facts = found.facts.as_deref().cloned().unwrap_or_default();
        let added_at = found.added_at.map_or(now.0, |at| at.0);
        Self {
            bank: full,
            bank_id: found.bank.0,
            alias: grant
                .and_then(|grant| grant.alias.as_ref())
                .map(|alias| alias.as_str().into())
                .unwrap_or_default(),
            owner: owner.map(|owner| owner.name.as_str().into()).unwrap_or_default(),
            bank_ref,
            distance: found.distance.0,
            is_in_bits: found.hash_type.vector_class().is_none(),
            hash_type: found.hash_type.name().unwrap_or("unknown"),
            exact: found.distance.0 == 0 && found.video.is_none(),
            query_share: found.video.as_ref().map_or(100, |video| (video.query.permille() / 10).into()),
            item_share: found.video.as_ref().map_or(100, |video| (video.item.permille() / 10).into()),
            variant: found.variant.name().into(),
            labels: found.labels.to_vec(),
            age_days: now.0.saturating_sub(added_at) / DAY_MS,
            positives: facts.positives,
            negatives: facts.negatives,
            seen: facts.seen,
            disputed: facts.dispute_open || facts.is_disputed(),
            mine: facts.mine.map_or("", vigie_model::OpinionKind::name),
            held: false,
            probation: facts.probation,
            contributors: facts.contributors.max(1),
            shadow: facts.is_aside || bank.is_some_and(|bank| bank.charter.is_shadow()),
            suppresses: bank.map(|bank| suppressed(view, bank, member)).unwrap_or_default(),
            classification: facts.classes.into_vec(),
        }
    }
}

/// Returns the banks whose matches a match of this bank suppresses for a member. A member cannot hide matches
/// from others: if it lists another member's bank, the entry applies only to itself.
fn suppressed(view: &View, bank: &OwnedBank, member: MemberId) -> Arc<[u32]> {
    if bank.charter.suppresses().is_empty() {
        return Arc::default();
    }
    let is_allowed = |other: &&vigie_model::BankId| {
        let owner = view.directory().bank(**other).map(|other| other.owner);
        bank.owner == member || owner == Some(bank.owner)
    };
    bank.charter.suppresses().iter().filter(is_allowed).map(|other| other.0).collect()
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{Change, Charter, CharterDraft, Directory, Member};
    use vigie_model::{BankId, Distance, Facts, HashType, ItemId, OpinionKind, Rendition, Sequence, Variant};

    use vigie_model::vectors::VectorClass;
    use vigie_model::video::{VideoEvidence, VideoRuleSet, VideoSide};

    use super::*;

    const OTHER: MemberId = MemberId(2);
    const THIRD: MemberId = MemberId(3);

    /// Returns a view with banks 1 and 2 of member 2, where 1 is an allow-list for 2 and 3; and bank 3 of the
    /// host.
    fn view() -> View {
        let mut directory = Directory::new();
        let suppresses = vec![BankId(2), BankId(3)];
        let charter = Charter::try_from(CharterDraft { suppresses, ..CharterDraft::default() }).unwrap();
        let member = |id: MemberId, name: &str| {
            Change::MemberPut(Member { id, name: name.parse().unwrap(), ..Member::local() })
        };
        let bank = |bank: u32, owner, name: &str| Change::BankCreated {
            bank: BankId(bank),
            owner,
            name: name.parse().unwrap(),
        };
        let changes = [
            member(OTHER, "other"),
            member(THIRD, "third"),
            bank(1, OTHER, "benign"),
            bank(2, OTHER, "known"),
            bank(3, MemberId::HOST, "hosts"),
            Change::CharterPut { bank: BankId(1), charter },
        ];
        for (at, change) in (1..).zip(&changes) {
            directory.apply(Sequence(at), change).unwrap();
        }
        View::from(directory)
    }

    fn found(bank: u32, facts: Option<Facts>) -> Match {
        Match {
            video: None,
            item_time_ms: None,
            item: ItemId(9),
            bank: BankId(bank),
            bank_name: "former".parse().unwrap(),
            external_reference: None,
            labels: ["seen".into()].into(),
            hash_type: HashType::PDQ,
            distance: Distance(4),
            variant: Variant::FlipX,
            exact: true,
            other_matches: 0,
            rendition: Rendition::default(),
            added_at: Some(UnixMillis(DAY_MS)),
            facts: facts.map(Box::new),
        }
    }

    #[test]
    fn a_match_of_a_video_is_described_by_the_shares_that_match() {
        let side = |time_ms, time_matched_ms| VideoSide { time_ms, time_matched_ms, ..VideoSide::default() };
        let evidence = VideoEvidence {
            query: side(10_000, 8_999),
            item: side(3_000, 1_000),
            rules: VideoRuleSet::default(),
        };
        let video = Match { video: Some(Box::new(evidence)), distance: Distance(0), ..found(2, None) };
        let seen = MatchFacts::of_match(&view(), OTHER, &video, UnixMillis(4 * DAY_MS));
        assert_eq!((seen.query_share, seen.item_share, seen.exact), (89, 33, false));
        let picture = MatchFacts::of_match(&view(), OTHER, &found(2, None), UnixMillis(4 * DAY_MS));
        assert_eq!((picture.query_share, picture.item_share), (100, 100));
    }

    #[test]
    fn the_distance_of_a_vector_is_described_in_millionths_and_is_no_number_of_bits() {
        let hash_type = VectorClass::ALL[0].hash_type(77);
        for (distance, exact) in [(183_204, false), (0, true)] {
            let vector = Match { hash_type, distance: Distance(distance), ..found(2, None) };
            let seen = MatchFacts::of_match(&view(), OTHER, &vector, UnixMillis(0));
            assert_eq!((seen.distance, seen.is_in_bits, seen.exact), (distance, false, exact));
        }
        assert!(MatchFacts::of_match(&view(), OTHER, &found(2, None), UnixMillis(0)).is_in_bits);
    }

    #[test]
    fn a_match_is_described_by_the_directory_and_by_what_members_say() {
        let now = UnixMillis(4 * DAY_MS);
        let facts = Facts { positives: 2, negatives: 1, mine: Some(OpinionKind::Seen), ..Facts::default() };
        let seen = MatchFacts::of_match(&view(), OTHER, &found(2, Some(facts)), now);
        assert_eq!(
            (&*seen.bank, &*seen.owner, &*seen.bank_ref.to_string()),
            ("other/known", "other", "known")
        );
        assert_eq!((seen.age_days, seen.distance, seen.exact, seen.mine), (3, 4, false, "seen"));
        assert!(seen.disputed && !seen.shadow);
        // A deleted bank keeps the name that the search returned.
        let gone = MatchFacts::of_match(&view(), OTHER, &found(9, None), now);
        assert_eq!((&*gone.bank, gone.positives, gone.contributors), ("former", 0, 1));
    }

    #[test]
    fn an_allow_list_takes_away_matches_of_its_owners_banks_and_for_its_owner_all_that_it_names() {
        let of = |member| MatchFacts::of_match(&view(), member, &found(1, None), UnixMillis(0)).suppresses;
        assert_eq!(&*of(OTHER), [2, 3]);
        assert_eq!(&*of(THIRD), [2]);
        assert_eq!(&*of(MemberId::HOST), [2]);
    }
}
