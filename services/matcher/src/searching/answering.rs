//! Answers searches of one replica, for both ways of calling it: waits for the requested sequence, then
//! searches.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;
use vigie_index::Cancellation;
use vigie_model::{Cost, Query, SearchOptions, Sequence, ShardAnswer};
use vigie_serving::{Shutdown, deadline};
use vigie_telemetry::trace;

use crate::error::SearchError;
use crate::following::replica::Replica;
use crate::metrics::Damage;
use crate::searching::running::{Runner, Size};
use crate::searching::search::search;
use crate::shard::state::Shard;

/// Span attribute: the number of queries of a search.
const QUERIES: &str = "vigie.queries";
/// The retry delay sent to the caller: a matcher gets a new change in about this time.
const WAIT_RETRY_AFTER: Duration = Duration::from_millis(50);

/// Returns the size of a search; an error if the search would compare too many hashes with every hash.
fn size_of(shard: &Shard, queries: &[Query], options: &SearchOptions) -> Result<Size, Status> {
    let scans = Cost::of_scans(queries, |hash_type| shard.plan().scans(hash_type, options));
    let cost = [scans, Cost::of(queries, options)].into_iter().sum();
    let size = Size::of(queries, options, cost);
    if scans == Cost::default() {
        return Ok(size);
    }
    if cost > Cost::MAX {
        return Err(Status::invalid_argument(format!(
            "exact: PDQ hashes are searched approximately here, so that an exact search compares each with every hash; ask \
             for at most {} hashes in one call",
            Cost::scans_max()
        )));
    }
    Ok(size.scanning())
}

/// Answers searches of one replica.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) replica: Arc<Replica>,
    pub(crate) shutdown: Shutdown,
    pub(crate) runner: Runner,
    /// Permits for calls that wait for a sequence. Such a call does no work, but it holds a slot of the
    /// server.
    pub(crate) wait_permits: Semaphore,
}

impl Answering {
    /// Returns the shard at `wanted` or a later sequence, and waits until `deadline` if it is not reached
    /// yet. `waits` is called at the start of such a wait, and its value is held until the end, because this
    /// time is no load.
    pub(crate) async fn shard_at<W>(
        &self,
        wanted: Sequence,
        deadline: Instant,
        waits: impl FnOnce() -> W,
    ) -> Result<Arc<Shard>, Status> {
        if let Some(shard) = self.replica.now_at_least(wanted)? {
            return Ok(shard);
        }
        let Ok(_waiting) = self.wait_permits.try_acquire() else {
            let text = "too many calls wait for a sequence that is not reached yet; try again later";
            return Err(vigie_proto::status::resource_exhausted(text, WAIT_RETRY_AFTER));
        };
        let _waits = waits();
        tokio::select! {
            reached = self.replica.at_least(wanted, deadline) => Ok(reached?),
            // The follower has ended: another replica may reach the sequence.
            () = self.shutdown.cancelled() => {
                let now = self.replica.now_at_least(wanted)?;
                now.ok_or_else(|| SearchError::Behind { reached: self.replica.applied(), wanted }.into())
            }
        }
    }

    /// Searches a shard. The answer has at most `answer_bytes` bytes of matches. `finish` converts it on the
    /// thread that searched.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        shard: Arc<Shard>,
        queries: impl Deref<Target = [Query]> + Send + 'static,
        options: impl Deref<Target = SearchOptions> + Send + 'static,
        answer_bytes: usize,
        until: Instant,
        finish: impl Fn(ShardAnswer, &Cancellation) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, Status> {
        let size = size_of(&shard, &queries, &options)?;
        let mut span = trace::child("search the index");
        span.set(QUERIES, i64::try_from(queries.len()).unwrap_or(i64::MAX));
        // Read before the search, so that it is not newer than the result.
        let (searched, as_of) = (Arc::clone(&shard), self.replica.as_of());
        let shards = self.replica.shards;
        let work = move |cancel: &Cancellation| {
            let answer = search(&searched, &queries, &options, answer_bytes, cancel)?;
            finish(ShardAnswer { shards, as_of, ..answer }, cancel)
        };
        let answered = async {
            let outcome = self.runner.run(size, until, work).await;
            Ok(outcome.inspect_err(|error| self.doubt(&shard, error))?)
        };
        deadline::within(until, answered).await
    }

    /// Handles an error of a search. A shard that the search found damaged is rebuilt; after a search that
    /// failed, the shard is compared with its checksums.
    fn doubt(&self, shard: &Arc<Shard>, error: &SearchError) {
        match error {
            SearchError::Damaged(_) => self.replica.damage(shard, Damage::Search, error.to_string()),
            SearchError::Failed => self.replica.suspect(),
            SearchError::UnknownBank { .. }
            | SearchError::DisabledBank(_)
            | SearchError::NoBankSet
            | SearchError::UnknownHashType(_)
            | SearchError::NotReady(_)
            | SearchError::Behind { .. }
            | SearchError::OutOfTime => {}
        }
    }
}
