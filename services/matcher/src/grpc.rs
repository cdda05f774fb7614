//! The adapter between the wire and the shard: convert, call, convert.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use tonic::{Request, Response, Status};
use vigie_index::Cancellation;
use vigie_model::answer::answer_bytes as answer_bytes_max;
use vigie_model::{ANSWER_BYTES_MAX, Cost, Query, QueryMatches, SearchOptions, ShardAnswer};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_server::MatcherService;
use vigie_proto::{Form, Packing};
use vigie_serving::{Answers, Call, LongStream, LongStreams, ServingConfig, deadline};

use crate::error::SearchError;
use crate::following::presence::{Presence, Watcher};
use crate::metrics::{MatcherMetrics, SearchOutcome};
use crate::searching::answering::Answering;

/// Answers searches of one replica, and sends its descriptions.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) answering: Arc<Answering>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) watchers: LongStreams,
    pub(crate) serving: ServingConfig,
    pub(crate) metrics: MatcherMetrics,
}

impl Grpc {
    async fn answer(&self, request: Request<pb::SearchRequest>) -> Result<pb::SearchResponse, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, answers) = (Call::of(&request), Answers::of(&request));
        let answer_bytes = request.get_ref().answer_bytes().unwrap_or(ANSWER_BYTES_MAX);
        let form = request.get_ref().form();
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        let shard = self.answering.shard_at(options.min_sequence, deadline, || call.waiting()).await?;
        let most = answer_bytes_max(queries.len(), options.limit.get(), answer_bytes);
        // The memory is reserved before the search, so answers never take more of it than is available.
        let mut room = {
            let _not_load = call.waiting();
            answers.room(most, deadline).await?
        };
        let slots = Cost::of(&queries, &options).slots();
        if slots > 1 {
            call.not_load();
        }
        let _weight = call.weigh(slots, deadline).await?;
        let bank_set_kept = options.bank_set.is_some();
        let encoded = move |answer: ShardAnswer, cancel: &Cancellation| {
            let bytes: usize = answer.results.iter().map(QueryMatches::bytes).sum();
            Ok((pb::SearchResponse { bank_set_kept, ..encode(answer, form, cancel)? }, bytes))
        };
        let options = Box::new(options);
        let searched = self.answering.search(shard, queries, options, answer_bytes, deadline, encoded);
        let (answer, bytes) = searched.await?;
        room.shrink(bytes);
        answers.send(room);
        Ok(answer)
    }
}

/// The retry delay sent to a refused watcher. Watchers stay for long: a slot becomes free when one of them
/// restarts.
const WATCH_RETRY_AFTER: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl MatcherService for Grpc {
    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let mut counted = self.metrics.count_search();
        let answered = self.answer(request).await;
        counted.outcome = SearchOutcome::of(&answered);
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
        // The stream is pulled, so a slow watcher gets the newest description when it can take one.
        let descriptions =
            unfold((watcher, place), |(mut watcher, place): (Watcher, LongStream)| async move {
                watcher.next().await.map(|description| (Ok(description.into()), (watcher, place)))
            });
        Ok(Response::new(descriptions.boxed()))
    }
}

/// Converts an answer to its message. Checks `cancel` before each query's matches, so that a large conversion
/// stops too.
fn encode(
    mut answer: ShardAnswer,
    form: Form,
    cancel: &Cancellation,
) -> Result<pb::SearchResponse, SearchError> {
    let results = std::mem::take(&mut answer.results).into_iter();
    let results =
        results.map(|one| if cancel.is_cancelled() { Err(SearchError::OutOfTime) } else { Ok(one) });
    let message = pb::SearchResponse::from(answer);
    match form {
        Form::Plain => {
            let results = results.map(|one| one.map(Into::into)).collect::<Result<_, _>>()?;
            Ok(pb::SearchResponse { results, ..message })
        }
        Form::Packed => {
            let mut packing = Packing::default();
            for one in results {
                packing.push(one?);
            }
            Ok(pb::SearchResponse { packed: Some(packing.finish()), ..message })
        }
    }
}
