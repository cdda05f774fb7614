//! Asks one replica of every shard, and gathers each shard's own outcome.
//!
//! Never all-or-nothing: a lost shard is an outcome like any other, and [`crate::merge`] accounts for it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::seq::SliceRandom as _;
use tokio::time::Instant;
use vigie_clients::{CallError, Code, MatcherClient, retry::retryable};
use vigie_model::{Query, SearchAnswer, SearchOptions, ShardAnswer, ShardCount, ShardId, ShardIdentity};

use crate::error::SearchError;
use crate::merge::{ShardOutcome, ShardRefusal, merge, nobody};
use crate::topology::Table;

/// What is kept back of the caller's time to merge and answer: a tenth, within these bounds. A shard that does not
/// answer in time then still leaves time to say so.
const MERGE_MARGIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// Replicas of a shard that one search asks, one after the other.
const ATTEMPTS_MAX: usize = 2;

/// Speaks to all matchers.
#[derive(Debug)]
pub(crate) struct FanOut {
    pub(crate) clients: Arc<[MatcherClient]>,
    pub(crate) table: Arc<ArcSwap<Table>>,
}

impl FanOut {
    /// Searches every shard and merges the answers.
    pub(crate) async fn search(
        &self,
        queries: Vec<Query>,
        options: SearchOptions,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchError> {
        let table = self.table.load_full();
        let Some(shard_count) = table.shard_count() else {
            return Err(nobody(queries.len()));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let shard_deadline = deadline - (left / 10).clamp(MERGE_MARGIN.0, MERGE_MARGIN.1).min(left);
        let asked = shard_count
            .shards()
            .map(|shard| self.ask_shard(&table, shard, shard_count, &queries, &options, shard_deadline));
        let outcomes = futures::future::join_all(asked).await;
        merge(outcomes, queries.len(), options.limit, options.min_coverage)
    }

    async fn ask_shard(
        &self,
        table: &Table,
        shard: ShardId,
        shard_count: ShardCount,
        queries: &[Query],
        options: &SearchOptions,
        deadline: Instant,
    ) -> ShardOutcome {
        let mut replicas = table.ready(shard);
        if replicas.is_empty() {
            // They may only have been too busy to say who they are; what they answer is checked.
            replicas = table.silent(shard);
        }
        replicas.shuffle(&mut rand::rng());
        let mut outcome = Err(ShardRefusal { code: Code::Unavailable, message: String::new() });
        for &replica in replicas.iter().take(ATTEMPTS_MAX) {
            let client = &self.clients[replica];
            let answered = client.search(queries.to_vec(), options.clone(), deadline).await;
            match answered {
                Ok(answer) => {
                    outcome = check(answer, shard, shard_count, queries.len());
                    if outcome.is_ok() {
                        break;
                    }
                }
                Err(error) => {
                    let again = retryable(error.code());
                    outcome = Err(refusal(&error));
                    if !again {
                        break;
                    }
                }
            }
        }
        if replicas.is_empty()
            && let Err(refusal) = &mut outcome
        {
            refusal.message = table.why_none(shard);
        }
        ShardOutcome { shard, hashes_known: table.hashes_known(shard), outcome }
    }
}

fn refusal(error: &CallError) -> ShardRefusal {
    // What the matcher says of a bank is told to the caller as it is.
    let of_a_bank = matches!(error.code(), Code::NotFound | Code::FailedPrecondition);
    let message = if of_a_bank { error.message().to_owned() } else { error.to_string() };
    ShardRefusal { code: error.code(), message }
}

/// A matcher that has changed its shard since it was last asked, or counts otherwise, has not answered for this one.
fn check(
    answer: ShardAnswer,
    shard: ShardId,
    shard_count: ShardCount,
    query_count: usize,
) -> Result<ShardAnswer, ShardRefusal> {
    let wanted = ShardIdentity::new(shard.0.into(), shard_count.get().into());
    if wanted == Ok(answer.identity) && answer.results.len() == query_count {
        return Ok(answer);
    }
    let message =
        format!("its matcher answered {} queries as shard {}", answer.results.len(), answer.identity);
    Err(ShardRefusal { code: Code::Unavailable, message })
}
