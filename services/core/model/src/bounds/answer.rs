//! The size of an answer in bytes, and the selection of its matches if it would be too large.
//!
//! Always true of an answer that was cut: each query keeps its nearest matches, at least its best one, and
//! the omitted matches are counted. The bytes are shared fairly (max-min): a query with a small answer keeps
//! all of it, and the others get equal parts of the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::bank::BankName;
use crate::item::{ItemContent, ItemId};
use crate::query::{Limit, Match, QueryMatches, Rank, SearchAnswer};
use crate::standing::{Facts, Standing};
use vigie_hashes::{Distance, HashType};

/// The largest size of an encoded answer, in bytes. gRPC clients refuse an answer of more than 4 MB by
/// default; the rest is for the coverage and for the other fields of each query's answer.
pub const ANSWER_BYTES_MAX: usize = 3 << 20;

/// The bytes for each query of a call that is expected to find little: three matches of items at all their
/// limits, or a hundred ordinary ones. If that is too little, the search is repeated with enough bytes for
/// the whole answer.
pub const LITTLE_BYTES: usize = 16 << 10;

/// The largest size of the numbers of an encoded match, including their tags.
const NUMBERS_BYTES: usize = 64;
/// The largest size of the numbers of a match's facts, including their tags.
const FACTS_BYTES: usize = 48;
/// The largest size of the numbers of a match's video evidence, including their tags.
const VIDEO_BYTES: usize = 80;
/// The size of the tag and the length of a text.
const TEXT_BYTES: usize = 3;

impl Match {
    /// The largest size of an encoded match in bytes: that of an item at all its limits.
    pub const BYTES_MAX: usize = NUMBERS_BYTES
        + 2 * TEXT_BYTES
        + BankName::LEN_MAX
        + ItemContent::EXTERNAL_REFERENCE_LEN_MAX
        + ItemContent::LABELS_MAX * (TEXT_BYTES + ItemContent::LABEL_LEN_MAX)
        + VIDEO_BYTES
        + FACTS_BYTES
        + Standing::CLASSES_MAX * (TEXT_BYTES + Standing::CLASS_LEN_MAX);

    /// Returns an upper bound of the size of the encoded match, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|label| TEXT_BYTES + label.len()).sum();
        let reference = self.external_reference.as_ref().map_or(0, |text| text.len());
        let facts = self.facts.as_ref().map_or(0, |facts| facts.bytes());
        let video = if self.video.is_some() { VIDEO_BYTES } else { 0 };
        NUMBERS_BYTES + 2 * TEXT_BYTES + self.bank_name.bytes() + reference + labels + facts + video
    }
}

impl Facts {
    /// Returns an upper bound of the size of the encoded facts, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        FACTS_BYTES + self.classes.iter().map(|class| TEXT_BYTES + class.len()).sum::<usize>()
    }
}

impl QueryMatches {
    /// Checks whether matches were omitted because the answer would have been too large.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// Returns an upper bound of the size of the encoded matches, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.matches.iter().map(Match::bytes).sum()
    }

    /// Keeps the nearest `kept` matches, and counts the others as omitted.
    pub fn keep(&mut self, kept: usize) {
        let more = self.matches.len().saturating_sub(kept);
        if more > 0 {
            self.matches.truncate(kept);
            self.matches.shrink_to_fit();
            self.leave_out(more);
        }
    }

    /// Counts this many matches as omitted.
    pub fn leave_out(&mut self, more: usize) {
        self.left_out = self.left_out.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.limit_reached |= self.is_cut();
    }
}

impl SearchAnswer {
    /// Checks whether matches of a query were omitted because the answer would have been too large.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.results.iter().any(QueryMatches::is_cut)
    }

    /// Returns an upper bound of the size of the encoded matches, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.results.iter().map(QueryMatches::bytes).sum()
    }
}

/// Returns the largest size of the answer to a call, in bytes: `bytes_max`, or less if the call cannot ask
/// for as much, but always enough for the best match of each query.
#[must_use]
pub fn answer_bytes(queries: usize, limit: usize, bytes_max: usize) -> usize {
    let most = queries.saturating_mul(limit).saturating_mul(Match::BYTES_MAX);
    most.min(bytes_max.max(queries.saturating_mul(Match::BYTES_MAX)))
}

/// Cuts an answer that has more than `bytes_max` bytes.
pub fn cut(results: &mut [QueryMatches], bytes_max: usize) {
    if results.iter().map(QueryMatches::bytes).sum::<usize>() <= bytes_max {
        return;
    }
    let mut kept = vec![0; results.len()];
    let mut filling = Filling::new(results.len(), bytes_max);
    while let Some(query) = filling.next() {
        if let Some(next) = results[query].matches.get(kept[query])
            && filling.add(query, next.bytes())
        {
            kept[query] += 1;
        }
    }
    for (result, kept) in results.iter_mut().zip(kept) {
        result.keep(kept);
    }
}

/// The rank up to which the merged answers of several sources are complete, if each source answers for its
/// own items or frames: the last match of a source that has omitted some.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach {
    last: Option<Rank>,
    left_out: usize,
}

impl Reach {
    /// Adds one answer. If it has omitted any match, it must have at least its nearest one.
    pub fn note(&mut self, found: &QueryMatches) {
        if !found.is_cut() {
            return;
        }
        self.left_out = self.left_out.saturating_add(usize::try_from(found.left_out).unwrap_or(usize::MAX));
        let least = || Rank::of_hash(HashType::PDQ, Distance(0), ItemId(0));
        let last = found.matches.last().map_or_else(least, Match::rank);
        self.last = Some(self.last.map_or(last, |known| known.min(last)));
    }

    /// Removes matches beyond the limit, and matches after the reach, from the sorted matches of all answers,
    /// and counts them.
    pub fn apply(self, merged: &mut QueryMatches, limit: Limit) {
        let found = merged.matches.len() + self.left_out;
        merged.limit_reached |= found > limit.get();
        merged.matches.truncate(limit.get());
        if let Some(last) = self.last {
            let reached = merged.matches.partition_point(|one| one.rank() <= last);
            merged.matches.truncate(reached);
            merged.leave_out(found.min(limit.get()) - reached);
        }
    }
}

/// Shares the bytes of one answer among its queries, match by match: the next match always belongs to the
/// query with the fewest bytes.
#[derive(Debug)]
pub struct Filling {
    bytes_max: usize,
    used: usize,
    /// The queries that may get more, each with its bytes so far.
    open: BinaryHeap<Reverse<(usize, usize)>>,
    /// The bytes of the query that was taken out last.
    taken: usize,
}

impl Filling {
    /// Creates an empty answer to this many queries.
    #[must_use]
    pub fn new(queries: usize, bytes_max: usize) -> Self {
        let open = (0..queries).map(|query| Reverse((0, query))).collect();
        Self { bytes_max, used: 0, open, taken: 0 }
    }

    /// Returns the query whose nearest match that is not in the answer is to be [added](Self::add); `None` at
    /// the end. A query to which nothing is added is not returned again.
    #[expect(clippy::should_implement_trait, reason = "what it gives depends on what is added meanwhile")]
    pub fn next(&mut self) -> Option<usize> {
        let Reverse((taken, query)) = self.open.pop()?;
        self.taken = taken;
        Some(query)
    }

    /// Adds a match of the query that `next` returned. Returns false if it does not fit; the query then gets
    /// no more. A query's best match always fits.
    pub fn add(&mut self, query: usize, bytes: usize) -> bool {
        let is_best = self.taken == 0;
        let fits = is_best || self.used.saturating_add(bytes) <= self.bytes_max;
        if fits {
            self.used = self.used.saturating_add(bytes);
            self.open.push(Reverse((self.taken + bytes.max(1), query)));
        }
        fits
    }

    /// Returns the bytes of the answer so far.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::bank::BankId;
    use crate::query::Query;
    use crate::rendition::{Rendition, Variant};
    use crate::video::{VideoEvidence, VideoRuleSet, VideoSide};

    fn one_match(item: usize, label: usize) -> Match {
        Match {
            item: ItemId(item as u64),
            bank: BankId(1),
            bank_name: "known".parse().unwrap(),
            external_reference: None,
            labels: [Box::from("x".repeat(label))].into(),
            hash_type: HashType::PDQ,
            distance: Distance(3),
            variant: Variant::Original,
            exact: true,
            other_matches: 0,
            rendition: Rendition::default(),
            added_at: None,
            facts: None,
            video: None,
            item_time_ms: None,
        }
    }

    fn answer(counts: &[(usize, usize)]) -> Vec<QueryMatches> {
        let matches = |(count, label): &(usize, usize)| (0..*count).map(|at| one_match(at, *label)).collect();
        counts.iter().map(|one| QueryMatches { matches: matches(one), ..QueryMatches::default() }).collect()
    }

    proptest! {
        #[test]
        fn a_cut_answer_keeps_the_best_of_each_query_and_shares_the_rest_evenly(
            counts in vec((0_usize..40, 1_usize..129), 1..30),
            bytes_max in 0_usize..60_000,
        ) {
            let whole = answer(&counts);
            let mut cut_one = whole.clone();
            cut(&mut cut_one, bytes_max);
            let bytes = |results: &[QueryMatches]| results.iter().map(QueryMatches::bytes).sum::<usize>();
            let best: usize = whole.iter().filter_map(|one| one.matches.first()).map(Match::bytes).sum();
            prop_assert!(bytes(&cut_one) <= bytes_max.max(best));
            prop_assert!(bytes(&whole) > bytes_max || cut_one == whole);
            for (before, after) in whole.iter().zip(&cut_one) {
                prop_assert_eq!(&before.matches[..after.matches.len()], &after.matches[..], "the nearest are kept");
                prop_assert_eq!(before.matches.len() - after.matches.len(), after.left_out as usize);
                prop_assert_eq!(after.matches.is_empty(), before.matches.is_empty());
                prop_assert_eq!(after.limit_reached, after.is_cut());
                // A query that was cut has at least as much as any other, except for one match.
                if after.is_cut() {
                    let next = before.matches[after.matches.len()].bytes();
                    for other in cut_one.iter().filter(|other| other.matches.len() > 1) {
                        let last = other.matches.last().map_or(0, Match::bytes);
                        prop_assert!(other.bytes() - last <= after.bytes() + next);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_match_and_the_largest_batch_have_a_bound() {
        let labels = vec!["x".repeat(ItemContent::LABEL_LEN_MAX).into_boxed_str(); ItemContent::LABELS_MAX];
        let classes = vec!["c".repeat(Standing::CLASS_LEN_MAX).into_boxed_str(); Standing::CLASSES_MAX];
        let largest = Match {
            facts: Some(Box::new(Facts { classes: classes.into(), ..Facts::default() })),
            bank_name: "n".repeat(BankName::LEN_MAX).parse().unwrap(),
            external_reference: Some("r".repeat(ItemContent::EXTERNAL_REFERENCE_LEN_MAX).into()),
            labels: labels.into(),
            video: Some(Box::new(VideoEvidence {
                query: VideoSide::default(),
                item: VideoSide::default(),
                rules: VideoRuleSet::default(),
            })),
            ..one_match(1, 1)
        };
        assert_eq!(largest.bytes(), Match::BYTES_MAX);
        // The best matches of all queries always fit.
        const { assert!(Query::BATCH_MAX * Match::BYTES_MAX < ANSWER_BYTES_MAX) };
        assert_eq!(answer_bytes(1, 1, ANSWER_BYTES_MAX), Match::BYTES_MAX);
        assert_eq!(answer_bytes(25, 1_000, ANSWER_BYTES_MAX), ANSWER_BYTES_MAX);
        assert_eq!(answer_bytes(256, 100, 1), 256 * Match::BYTES_MAX);
    }
}
