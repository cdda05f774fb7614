//! The adapter between the wire and the shard: convert, call, convert.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use vigie_index::Cancellation;
use vigie_model::answer::answer_bytes as answer_bytes_max;
use vigie_model::{ANSWER_BYTES_MAX, Cost, Query, QueryMatches, SearchOptions, Sequence, ShardAnswer};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_server::MatcherService;
use vigie_serving::{Answers, Call, LongStream, LongStreams, ServingConfig, Shutdown, deadline};
use vigie_telemetry::trace;

use crate::error::SearchError;
use crate::following::presence::{Presence, Watcher};
use crate::following::replica::Replica;
use crate::metrics::{Damage, MatcherMetrics, SearchOutcome};
use crate::searching::running::{Runner, Size};
use crate::searching::search::search;
use crate::shard::state::Shard;

/// On a span: the queries of a search.
const QUERIES: &str = "vigie.queries";

/// Answers searches of one replica.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) replica: Arc<Replica>,
    pub(crate) presence: Presence,
    pub(crate) watchers: LongStreams,
    pub(crate) shutdown: Shutdown,
    pub(crate) serving: ServingConfig,
    pub(crate) runner: Runner,
    pub(crate) metrics: MatcherMetrics,
    /// Calls that wait for a sequence are no work, but each keeps a place of the server's.
    pub(crate) wait_permits: Semaphore,
}

impl Grpc {
    async fn answer(&self, request: Request<pb::SearchRequest>) -> Result<pb::SearchResponse, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, answers) = (Call::of(&request), Answers::of(&request));
        let answer_bytes = request.get_ref().answer_bytes().unwrap_or(ANSWER_BYTES_MAX);
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        let shard = self.shard_at(options.min_sequence, deadline, &call).await?;
        let most = answer_bytes_max(queries.len(), options.limit.get(), answer_bytes);
        // Before anything is found: so much is never more than can be held.
        let mut room = {
            let _not_load = call.waiting();
            answers.room(most, deadline).await?
        };
        let cost = Cost::of(&queries, &options.max_distances);
        if cost.slots() > 1 {
            call.not_load();
        }
        let _weight = call.weigh(cost.slots(), deadline).await?;
        let size = Size::of(&queries, &options, cost);
        let bank_set_kept = options.bank_set.is_some();
        let mut span = trace::child("search the index");
        span.set(QUERIES, i64::try_from(queries.len()).unwrap_or(i64::MAX));
        // Before the search, so that it is not younger than what is found.
        let (searched, as_of) = (Arc::clone(&shard), self.replica.as_of());
        let work = move |cancel: &Cancellation| -> Result<_, SearchError> {
            let answer = search(&searched, &queries, &options, answer_bytes, cancel)?;
            let bytes: usize = answer.results.iter().map(QueryMatches::bytes).sum();
            let answer = encode(ShardAnswer { as_of, ..answer }, cancel)?;
            Ok((pb::SearchResponse { bank_set_kept, ..answer }, bytes))
        };
        let answered = async {
            let outcome = self.runner.run(size, deadline, work).await;
            Ok(outcome.inspect_err(|error| self.doubt(&shard, error))?)
        };
        let (answer, bytes) = deadline::within(deadline, answered).await?;
        room.shrink(bytes);
        answers.send(room);
        Ok(answer)
    }

    /// Has a shard rebuilt that a search found damaged, and one compared with its checksums in which a search failed.
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

    async fn shard_at(&self, wanted: Sequence, deadline: Instant, call: &Call) -> Result<Arc<Shard>, Status> {
        if let Some(shard) = self.replica.now_at_least(wanted)? {
            return Ok(shard);
        }
        let Ok(_waiting) = self.wait_permits.try_acquire() else {
            let text = "too many calls wait for a sequence that is not reached yet; try again later";
            return Err(vigie_proto::status::resource_exhausted(text, WAIT_RETRY_AFTER));
        };
        // The time until a change comes is no load.
        let _not_load = call.waiting();
        tokio::select! {
            reached = self.replica.at_least(wanted, deadline) => Ok(reached?),
            // The follower has ended: another replica may get there.
            () = self.shutdown.cancelled() => {
                let now = self.replica.now_at_least(wanted)?;
                now.ok_or_else(|| SearchError::Behind { reached: self.replica.applied(), wanted }.into())
            }
        }
    }
}

/// About as long as a matcher takes to get a new change.
const WAIT_RETRY_AFTER: Duration = Duration::from_millis(50);
/// Watchers stay: a place becomes free when one is restarted.
const WATCH_RETRY_AFTER: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl MatcherService for Grpc {
    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let mut counted = self.metrics.count_search();
        let answered = self.answer(request).await;
        counted.outcome = outcome_of(&answered);
        answered.map(Response::new)
    }

    async fn describe(
        &self,
        _: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        Ok(Response::new(self.presence.describe().into()))
    }

    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let entered = self.watchers.enter(&Call::of(&request));
        let place = entered.map_err(|refusal| {
            vigie_proto::status::resource_exhausted(refusal.to_string(), WATCH_RETRY_AFTER)
        })?;
        let Some(watcher) = self.presence.watch() else {
            let text = "too many watch this replica already; ask now and then, or try again later";
            return Err(vigie_proto::status::resource_exhausted(text, WATCH_RETRY_AFTER));
        };
        // Pulled: a slow watcher is told the newest when it has room for it.
        let descriptions =
            unfold((watcher, place), |(mut watcher, place): (Watcher, LongStream)| async move {
                watcher.next().await.map(|description| (Ok(description.into()), (watcher, place)))
            });
        Ok(Response::new(descriptions.boxed()))
    }
}

/// The answer as it is sent. Large ones are converted part by part, so that this stops, too.
fn encode(answer: ShardAnswer, cancel: &Cancellation) -> Result<pb::SearchResponse, SearchError> {
    let ShardAnswer { results, .. } = answer;
    let mut message = pb::SearchResponse::from(ShardAnswer { results: Vec::new(), ..answer });
    message.results.reserve_exact(results.len());
    for one in results {
        if cancel.is_cancelled() {
            return Err(SearchError::OutOfTime);
        }
        message.results.push(one.into());
    }
    Ok(message)
}

fn outcome_of<T>(answered: &Result<T, Status>) -> SearchOutcome {
    match answered.as_ref().map_err(Status::code) {
        Ok(_) => SearchOutcome::Answered,
        Err(Code::DeadlineExceeded) => SearchOutcome::OutOfTime,
        Err(Code::Internal) => SearchOutcome::Failed,
        Err(_) => SearchOutcome::Refused,
    }
}
