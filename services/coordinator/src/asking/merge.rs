//! Merges the answers of groups of shards into one. Pure: it takes the outcome of each group.
//!
//! The groups are disjoint, and all hashes of an item are on one shard. So different answers have no item in
//! common, and merging is a sort. Coverage counts shards, not groups.

use vigie_clients::Code;
use vigie_model::answer::{Reach, cut};
use vigie_model::{
    AsOf, Coverage, Limit, Match, MinCoverage, QueryMatches, SearchAnswer, Sequence, ShardAnswer,
    ShardFailure, ShardGroup,
};

use crate::error::{SearchError, too_little};

/// The outcome of the search of one group.
#[derive(Debug, Clone)]
pub(crate) struct GroupOutcome {
    pub(crate) shards: ShardGroup,
    /// The number of hashes that the group was last known to hold, used if it did not answer. `None` in a
    /// search of a set of banks, because a coordinator does not know how many hashes the set has.
    pub(crate) hashes_known: Option<u64>,
    pub(crate) outcome: Result<ShardAnswer, GroupRefusal>,
}

/// The reason why a group gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupRefusal {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// Merges the outcomes of all groups, in any order, into one answer to `query_count` queries.
///
/// A bank is unknown or disabled if every shard reports so. If only some shards report it, the shards are at
/// different sequences: those that did not search count as shards that did not answer.
///
/// In a search of a set of banks, each shard that did not answer is assumed to hold as many hashes as the
/// other shards do on average, because an item's shard is a hash of its id. The number of hashes that the
/// shard holds of other banks is not disclosed to the caller.
///
/// The answer has at most `answer_bytes` bytes of matches; the best match of each query is always included.
/// If a shard has left out matches of a query, then the matches of other shards beyond the last one that this
/// shard gave are left out too. So the answer is the nearest matches, without a gap.
///
/// Errors: every shard refuses the choice of banks, all shards that did not answer are overloaded, or the
/// answer covers less than `min_coverage`.
pub(crate) fn merge(
    outcomes: Vec<GroupOutcome>,
    query_count: usize,
    limit: Limit,
    answer_bytes: usize,
    min_coverage: MinCoverage,
) -> Result<SearchAnswer, SearchError> {
    let mut merged =
        SearchAnswer { results: vec![QueryMatches::default(); query_count], ..SearchAnswer::default() };
    let coverage = &mut merged.coverage;
    coverage.shards_total = outcomes.iter().map(|outcome| outcome.shards.size()).sum();
    let (mut of_a_bank, mut refused_for_a_bank, mut overloaded) = (None, 0, 0);
    // The number of shards whose hashes are not known.
    let mut not_known = 0;
    let mut sequences: Vec<Sequence> = Vec::with_capacity(outcomes.len());
    let mut as_of: Option<AsOf> = None;
    let mut reaches = vec![Reach::default(); query_count];
    for GroupOutcome { shards, hashes_known, outcome } in outcomes {
        match outcome {
            Ok(answer) => {
                coverage.shards_answered += shards.size();
                coverage.hashes_searched += answer.hashes_searched;
                coverage.hashes_total += answer.hashes_searched;
                sequences.push(answer.sequence);
                as_of = Some(as_of.map_or(answer.as_of, |oldest| oldest.oldest(answer.as_of)));
                for ((result, reach), found) in
                    merged.results.iter_mut().zip(&mut reaches).zip(answer.results)
                {
                    reach.note(&found);
                    result.matches.extend(found.matches);
                    result.limit_reached |= found.limit_reached;
                    result.set_aside |= found.set_aside;
                    // Frames of one query: frames that are common on one shard are about equally common on
                    // the others.
                    result.common_frames = result.common_frames.max(found.common_frames);
                }
                merged.approximate.extend(answer.approximate);
            }
            Err(refusal) => {
                coverage.hashes_total += hashes_known.unwrap_or_default();
                if hashes_known.is_none() {
                    not_known += u64::from(shards.size());
                }
                if refusal.code == Code::ResourceExhausted {
                    overloaded += usize::from(shards.size());
                }
                if let Some(error) = about_a_bank(&refusal) {
                    refused_for_a_bank += shards.size();
                    of_a_bank = of_a_bank.or(Some(error));
                }
                let failure = |shard| ShardFailure { shard, reason: refusal.message.clone() };
                coverage.failures.extend(shards.shards().map(failure));
            }
        }
    }
    if let Some(mean) = coverage.hashes_searched.checked_div(coverage.shards_answered.into()) {
        coverage.hashes_total += not_known * mean;
    }
    if let (Some(error), true) = (of_a_bank, refused_for_a_bank == coverage.shards_total) {
        return Err(error);
    }
    merged.coverage.as_of = as_of.unwrap_or_default();
    finish(&mut merged, &sequences);
    for (result, reach) in merged.results.iter_mut().zip(reaches) {
        reach.apply(result, limit);
    }
    cut(&mut merged.results, answer_bytes);
    if merged.coverage.satisfies(min_coverage) {
        Ok(merged)
    } else if overloaded > 0 && overloaded == merged.coverage.failures.len() {
        // Nothing is lost: a caller that retries later gets a full answer.
        Err(SearchError::Overloaded(too_little(&merged)))
    } else {
        Err(SearchError::CoverageTooLow(Box::new(merged)))
    }
}

/// Returns the fault in the search's choice of banks, if that is why the shard did not answer.
fn about_a_bank(refusal: &GroupRefusal) -> Option<SearchError> {
    let text = || refusal.message.clone();
    if refusal.code == Code::NotFound {
        Some(SearchError::UnknownBank(text()))
    } else if refusal.code == Code::FailedPrecondition {
        Some(SearchError::Refused(text()))
    } else {
        None
    }
}

fn finish(merged: &mut SearchAnswer, sequences: &[Sequence]) {
    let SearchAnswer { results, coverage, approximate } = merged;
    coverage.sequence_min = sequences.iter().copied().min().unwrap_or_default();
    coverage.sequence_max = sequences.iter().copied().max().unwrap_or_default();
    coverage.failures.sort_by_key(|failure| failure.shard);
    approximate.sort_unstable();
    approximate.dedup();
    for result in results {
        result.matches.sort_by(Match::answer_order);
    }
}

/// Returns the error for a search when no shard is known.
pub(crate) fn nobody(query_count: usize) -> SearchError {
    SearchError::CoverageTooLow(Box::new(SearchAnswer {
        results: vec![QueryMatches::default(); query_count],
        coverage: Coverage::default(),
        approximate: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vigie_model::{
        ANSWER_BYTES_MAX, Distance, HashType, Match, ShardId, UnixMillis, VideoEvidence, VideoRuleSet,
        VideoSide,
    };

    use crate::tests::fake_matcher::one_match;

    fn answered(shard: u16, shard_count: u16, sequence: u64, found: Vec<Match>) -> GroupOutcome {
        let shards = ShardGroup::new(shard.into(), shard_count.into(), 1).unwrap();
        let answer = ShardAnswer {
            shards,
            sequence: Sequence(sequence),
            as_of: as_of(sequence),
            hashes_searched: 10,
            results: vec![QueryMatches { matches: found, ..QueryMatches::default() }],
            approximate: vec![],
        };
        GroupOutcome { shards, hashes_known: Some(7), outcome: Ok(answer) }
    }

    /// An age for this sequence: the commit time rises with the sequence, and the time of hearing falls with
    /// it.
    fn as_of(sequence: u64) -> AsOf {
        AsOf { committed: Some(UnixMillis(sequence)), heard: Some(UnixMillis(10_000 - sequence)) }
    }

    #[test]
    fn an_answer_is_as_old_in_time_as_its_oldest_shard() {
        let merged = merge_all(vec![answered(0, 2, 20, vec![]), answered(1, 2, 30, vec![])], 1.0).unwrap();
        let AsOf { committed, heard } = merged.coverage.as_of;
        assert_eq!((committed, heard), (Some(UnixMillis(20)), Some(UnixMillis(9_970))));
        let mut unknown = answered(1, 2, 30, vec![]);
        unknown.outcome.as_mut().unwrap().as_of = AsOf::default();
        let merged = merge_all(vec![answered(0, 2, 20, vec![]), unknown], 1.0).unwrap();
        assert_eq!(merged.coverage.as_of, AsOf::default(), "an older matcher says nothing");
        let partial =
            merge_all(vec![answered(0, 2, 20, vec![]), refused(1, Code::Unavailable)], 0.5).unwrap();
        assert_eq!(partial.coverage.as_of, as_of(20));
    }

    fn refused(shard: u16, code: Code) -> GroupOutcome {
        refused_by(ShardGroup::new(shard.into(), 4, 1).unwrap(), code)
    }

    fn refused_by(shards: ShardGroup, code: Code) -> GroupOutcome {
        let refusal = GroupRefusal { code, message: format!("refusal of {}", shards.first()) };
        GroupOutcome { shards, hashes_known: Some(7), outcome: Err(refusal) }
    }

    fn merge_all(outcomes: Vec<GroupOutcome>, min_coverage: f64) -> Result<SearchAnswer, SearchError> {
        merge(outcomes, 1, Limit::default(), ANSWER_BYTES_MAX, MinCoverage::new(min_coverage).unwrap())
    }

    proptest! {
        #[test]
        fn merging_is_sorting_everything_and_cutting_at_the_limit(
            found in prop::collection::btree_map(0_u64..1_000, (0_u32..40, 0_u16..4), 0..60),
            limit in 1_u16..30,
        ) {
            let mut shards = vec![vec![]; 4];
            for (item, (distance, shard)) in &found {
                shards[usize::from(*shard)].push(one_match(*item, *distance));
            }
            let outcomes = shards.into_iter().zip(0..).map(|(found, shard)| answered(shard, 4, 5, found)).collect();
            let limit_of = Limit::new(limit.into()).unwrap();
            let merged = merge(outcomes, 1, limit_of, ANSWER_BYTES_MAX, MinCoverage::default()).unwrap();

            let mut expected: Vec<_> = found.iter().map(|(item, (distance, _))| (*distance, *item)).collect();
            expected.sort_unstable();
            let cut = expected.len() > usize::from(limit);
            expected.truncate(limit.into());
            let shown: Vec<_> = merged.results[0].matches.iter().map(|one| (one.distance.0, one.item.0)).collect();
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(merged.results[0].limit_reached, cut);
        }
    }

    proptest! {
        #[test]
        fn what_shards_left_out_is_never_passed_over(
            found in prop::collection::btree_map(0_u64..1_000, (0_u32..40, 0_u16..4), 0..60),
            limit in 1_u16..50,
            kept in prop::array::uniform4(1_usize..20),
        ) {
            let mut all: Vec<_> = found.iter().map(|(item, (distance, _))| (*distance, *item)).collect();
            all.sort_unstable();
            let mut shards = vec![vec![]; 4];
            for (item, (distance, shard)) in &found {
                shards[usize::from(*shard)].push(one_match(*item, *distance));
            }
            let outcomes = shards.into_iter().zip(0..).zip(kept).map(|((mut found, shard), kept)| {
                found.sort_by(Match::answer_order);
                let has_more = found.len() > usize::from(limit);
                found.truncate(limit.into());
                let mut outcome = answered(shard, 4, 5, found);
                if let Ok(answer) = &mut outcome.outcome {
                    answer.results[0].limit_reached = has_more;
                    answer.results[0].keep(kept);
                }
                outcome
            });
            let limit_of = Limit::new(limit.into()).unwrap();
            let outcomes = outcomes.collect();
            let merged = merge(outcomes, 1, limit_of, ANSWER_BYTES_MAX, MinCoverage::default()).unwrap();
            let result = &merged.results[0];
            let shown: Vec<_> = result.matches.iter().map(|one| (one.distance.0, one.item.0)).collect();
            prop_assert_eq!(&shown[..], &all[..shown.len()], "the nearest, without a gap");
            prop_assert_eq!(shown.is_empty(), all.is_empty());
            let expected = all.len().min(limit.into());
            prop_assert_eq!(shown.len() + result.left_out as usize, expected);
            prop_assert_eq!(result.limit_reached, shown.len() < all.len());
        }
    }

    /// A match of `item` whose rank depends on `number`: of a plain hash if `number` is even, of a video if
    /// it is odd.
    fn hash_or_video(item: u64, number: u16) -> Match {
        let plain = one_match(item, u32::from(number % 7));
        if number.is_multiple_of(2) {
            return plain;
        }
        let side = VideoSide {
            frames: 9,
            frames_matched: u32::from(number % 5),
            time_ms: 1_000,
            time_matched_ms: u32::from(1_000 - number % 7),
            first_ms: 0,
        };
        let evidence = VideoEvidence { query: side, item: side, rules: VideoRuleSet::default() };
        Match { hash_type: HashType::VPDQ, distance: Distance(31), video: Some(Box::new(evidence)), ..plain }
    }

    proptest! {
        #[test]
        fn videos_are_merged_by_their_rank_however_far_their_frames_are_and_whatever_shards_left_out(
            found in prop::collection::btree_map(0_u64..1_000, (0_u16..140, 0_u16..4), 0..60),
            limit in 1_u16..50,
            kept in prop::array::uniform4(1_usize..20),
            common in prop::array::uniform4(0_u32..9),
        ) {
            let mut all: Vec<_> =
                found.iter().map(|(item, (number, _))| hash_or_video(*item, *number).rank()).collect();
            all.sort_unstable();
            let outcomes = (0..4).map(|shard| {
                let of_shard = found.iter().filter(|(_, (_, on))| *on == shard);
                let mut found: Vec<_> =
                    of_shard.map(|(item, (number, _))| hash_or_video(*item, *number)).collect();
                found.sort_by(Match::answer_order);
                let has_more = found.len() > usize::from(limit);
                found.truncate(limit.into());
                let mut outcome = answered(shard, 4, 5, found);
                if let Ok(answer) = &mut outcome.outcome {
                    answer.results[0].limit_reached = has_more;
                    answer.results[0].common_frames = common[usize::from(shard)];
                    answer.results[0].keep(kept[usize::from(shard)]);
                }
                outcome
            });
            let (outcomes, limit_of) = (outcomes.collect(), Limit::new(limit.into()).unwrap());
            let merged = merge(outcomes, 1, limit_of, ANSWER_BYTES_MAX, MinCoverage::default()).unwrap();
            let result = &merged.results[0];
            let shown: Vec<_> = result.matches.iter().map(Match::rank).collect();
            prop_assert_eq!(&shown[..], &all[..shown.len()], "the nearest, without a gap");
            prop_assert_eq!(shown.len() + result.left_out as usize, all.len().min(limit.into()));
            prop_assert_eq!(Some(result.common_frames), common.into_iter().max());
        }
    }

    #[test]
    fn a_lost_shard_lowers_coverage_and_is_reported() {
        let outcomes = || vec![answered(0, 2, 9, vec![one_match(3, 1)]), refused(1, Code::Unavailable)];
        let SearchError::CoverageTooLow(partial) = merge_all(outcomes(), 1.0).unwrap_err() else {
            panic!("an incomplete answer must fail");
        };
        assert_eq!(partial.results[0].matches.len(), 1);
        assert_eq!((partial.coverage.shards_answered, partial.coverage.shards_total), (1, 2));
        assert_eq!((partial.coverage.hashes_searched, partial.coverage.hashes_total), (10, 17));
        let failure = ShardFailure { shard: ShardId(1), reason: "refusal of 1".into() };
        assert_eq!(partial.coverage.failures, [failure]);
        assert_eq!(merge_all(outcomes(), 0.5).unwrap(), *partial);
    }

    #[test]
    fn of_a_set_of_banks_a_lost_shard_counts_as_much_as_the_others_do_and_never_what_it_holds_of_all() {
        let of_a_set = |mut outcomes: Vec<GroupOutcome>, min_coverage| {
            outcomes.iter_mut().for_each(|outcome| outcome.hashes_known = None);
            merge_all(outcomes, min_coverage).unwrap().coverage
        };
        let mut outcomes = vec![answered(0, 3, 9, vec![]), answered(1, 3, 9, vec![])];
        outcomes[1].outcome.as_mut().unwrap().hashes_searched = 30;
        outcomes.push(refused(2, Code::Unavailable));
        let coverage = of_a_set(outcomes, 0.5);
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (40, 60));
        let coverage = of_a_set(vec![refused(0, Code::Unavailable)], 0.0);
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (0, 0));
    }

    #[test]
    fn coverage_counts_every_shard_of_a_group() {
        let (zero, pair) = (ShardGroup::new(0, 4, 2).unwrap(), ShardGroup::new(1, 4, 2).unwrap());
        let of_pair = |mut outcome: GroupOutcome| {
            outcome.shards = zero;
            outcome.outcome = outcome.outcome.map(|answer| ShardAnswer { shards: zero, ..answer });
            outcome
        };
        let answer = || of_pair(answered(0, 4, 9, vec![one_match(3, 1)]));
        let whole = merge_all(vec![answer(), answered(1, 4, 9, vec![]), answered(3, 4, 9, vec![])], 1.0);
        let coverage = whole.unwrap().coverage;
        assert_eq!((coverage.shards_answered, coverage.shards_total), (4, 4));
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (30, 30));

        let lost = |known, code| {
            let refused = GroupOutcome { hashes_known: known, ..refused_by(pair, code) };
            vec![answer(), refused]
        };
        let coverage = merge_all(lost(Some(7), Code::Unavailable), 0.5).unwrap().coverage;
        assert_eq!((coverage.shards_answered, coverage.shards_total), (2, 4));
        assert_eq!(coverage.hashes_total, 17);
        let failures: Vec<_> = coverage.failures.iter().map(|one| (one.shard.0, &*one.reason)).collect();
        assert_eq!(failures, [(1, "refusal of 1"), (3, "refusal of 1")]);
        // The answering pair has 5 hashes a shard.
        let coverage = merge_all(lost(None, Code::Unavailable), 0.5).unwrap().coverage;
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (10, 20));
        assert!(matches!(merge_all(lost(None, Code::Unavailable), 0.6), Err(SearchError::CoverageTooLow(_))));
        let overloaded = merge_all(lost(None, Code::ResourceExhausted), 0.6);
        assert!(matches!(overloaded, Err(SearchError::Overloaded(_))));
        let unknown =
            merge_all(vec![refused_by(zero, Code::NotFound), refused_by(pair, Code::NotFound)], 0.0);
        assert_eq!(unknown.unwrap_err(), SearchError::UnknownBank("refusal of 0".into()));
    }

    #[test]
    fn an_answer_is_as_old_as_its_oldest_shard() {
        let merged = merge_all(vec![answered(0, 2, 9, vec![]), answered(1, 2, 4, vec![])], 1.0).unwrap();
        assert_eq!(merged.coverage.sequence_min, Sequence(4));
        assert_eq!(merged.coverage.sequence_max, Sequence(9));
    }

    #[test]
    fn a_bank_that_nobody_knows_is_unknown_and_one_that_some_know_is_a_matter_of_age() {
        let nobody = merge_all(vec![refused(0, Code::NotFound), refused(1, Code::NotFound)], 0.0);
        assert_eq!(nobody.unwrap_err(), SearchError::UnknownBank("refusal of 0".into()));
        for other in [answered(0, 2, 9, vec![]), refused(0, Code::Unavailable)] {
            let some = merge_all(vec![other, refused(1, Code::NotFound)], 1.0);
            assert!(matches!(some.unwrap_err(), SearchError::CoverageTooLow(_)));
        }
    }

    #[test]
    fn a_bank_that_is_disabled_everywhere_is_refused_and_one_that_is_disabled_somewhere_is_a_matter_of_age() {
        let everywhere = vec![refused(0, Code::FailedPrecondition), refused(1, Code::NotFound)];
        assert_eq!(merge_all(everywhere, 0.0).unwrap_err(), SearchError::Refused("refusal of 0".into()));
        let somewhere = vec![answered(0, 2, 9, vec![]), refused(1, Code::FailedPrecondition)];
        assert!(matches!(merge_all(somewhere, 1.0).unwrap_err(), SearchError::CoverageTooLow(_)));
    }

    #[test]
    fn a_caller_who_asks_for_nothing_gets_it_but_never_from_a_cluster_without_shards() {
        let lost = merge_all(vec![refused(0, Code::Unavailable)], 0.0).unwrap();
        assert_eq!((lost.coverage.shards_answered, lost.coverage.shards_total), (0, 1));
        assert!(matches!(merge_all(vec![], 0.0), Err(SearchError::CoverageTooLow(_))));
    }
}
