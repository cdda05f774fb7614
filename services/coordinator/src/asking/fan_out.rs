//! Asks every group of shards at once, and collects each group's own outcome.
//!
//! A search is never all-or-nothing: a lost group is an outcome like any other, and [`crate::asking::merge`]
//! accounts for its shards. One search uses one [`View`] from beginning to end, so each shard of one set is
//! searched once.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use vigie_clients::Ask;
use vigie_model::{MinCoverage, Query, SearchAnswer, SearchOptions, ShardGroup};
use vigie_rpc::Priority;
use vigie_telemetry::trace;

use crate::asking::ask::Hedging;
use crate::asking::merge::{GroupOutcome, merge, nobody};
use crate::asking::metrics::CallMetrics;
use crate::error::SearchError;
use crate::replicas::view::View;

/// The part of the caller's time that is reserved for merging and answering: a tenth of the time left, within
/// these bounds (minimum, maximum). If a shard does not answer in time, there is still time to report that.
const MERGE_MARGIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Sends each search to all shards.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) hedging: Hedging,
    pub(crate) metrics: CallMetrics,
}

impl FanOut {
    /// Searches every shard and merges the answers.
    ///
    /// Errors: see [`SearchError`].
    pub(crate) async fn search(
        &self,
        queries: Arc<[Query]>,
        options: SearchOptions,
        answer_bytes: usize,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchError> {
        let view = self.view.load_full();
        let query_count = queries.len();
        if view.groups.is_empty() {
            return Err(nobody(query_count));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline = deadline - (left / 10).clamp(MERGE_MARGIN.0, MERGE_MARGIN.1).min(left);
        let (limit, min_coverage) = (options.limit, options.min_coverage);
        let is_of_a_set = options.bank_set.is_some();
        // A matcher has no use for this option, and searches share calls only if their options are equal.
        let options = Arc::new(SearchOptions { min_coverage: MinCoverage::default(), ..options });
        let ask = Ask::new(queries, options, priority, deadline);
        let asked = view.groups.iter().map(|group| async {
            self.metrics.asks.inc();
            let (shards, begun) = (group.shards, Instant::now());
            let ask = ask.clone().within(group_answer_bytes(answer_bytes, shards));
            let outcome = group.search(ask, self.hedging, &self.metrics).await;
            self.metrics.observe(shards.first(), begun.elapsed(), outcome.is_ok());
            let hashes_known = (!is_of_a_set).then_some(group.hashes_known);
            GroupOutcome { shards, hashes_known, outcome }
        });
        let outcomes = futures::future::join_all(asked).await;
        if outcomes.iter().any(|outcome| outcome.outcome.is_err()) {
            self.metrics.incomplete.inc();
            if let Some(context) = trace::current() {
                context.keep();
            }
        }
        merge(outcomes, query_count, limit, answer_bytes, min_coverage)
    }
}

/// Returns the most bytes of matches that a group of shards may answer with. Items are spread over the
/// shards by a hash of their ids, so the nearest matches are spread too, and twice an even part is rarely too
/// little. If it is too little, more matches are left out, and the answer reports that.
pub(crate) fn group_answer_bytes(answer_bytes: usize, shards: ShardGroup) -> usize {
    let (size, count) = (usize::from(shards.size()), usize::from(shards.shard_count().get()));
    answer_bytes.min(2 * answer_bytes * size / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_answer_with_twice_its_share_of_the_answer() {
        let bytes =
            |shard_count, size| group_answer_bytes(9_000, ShardGroup::new(0, shard_count, size).unwrap());
        assert_eq!((bytes(1, 1), bytes(2, 1), bytes(6, 1), bytes(6, 2)), (9_000, 9_000, 3_000, 6_000));
        assert_eq!((bytes(6, 3), bytes(6, 6)), (9_000, 9_000));
    }
}
