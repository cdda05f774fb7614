//! The adapter between the wire and the shard: convert, call, convert.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_index::Cancellation;
use vigie_model::{Query, SearchOptions, Sequence};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_server::MatcherService;
use vigie_serving::{ServingConfig, Shutdown, deadline};

use crate::error::SearchError;
use crate::feed::Replica;
use crate::presence::{Presence, Watcher};
use crate::search::search;
use crate::shard::Shard;

/// Answers searches of one replica.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) replica: Arc<Replica>,
    pub(crate) presence: Presence,
    pub(crate) shutdown: Shutdown,
    pub(crate) serving: ServingConfig,
    /// Searches are pure computation: as many at once as there are cores, on threads of their own.
    pub(crate) search_permits: Arc<Semaphore>,
    /// Calls that wait for a sequence are no work, but each keeps a place of the server's.
    pub(crate) wait_permits: Semaphore,
}

impl Grpc {
    async fn shard_at(&self, wanted: Sequence, deadline: Instant) -> Result<Arc<Shard>, Status> {
        if let Some(shard) = self.replica.now_at_least(wanted)? {
            return Ok(shard);
        }
        let Ok(_waiting) = self.wait_permits.try_acquire() else {
            let text = "too many calls wait for a sequence that is not reached yet; try again later";
            return Err(vigie_proto::status::resource_exhausted(text, WAIT_RETRY_AFTER));
        };
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
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        let shard = self.shard_at(options.min_sequence, deadline).await?;
        deadline::within(deadline, async {
            let permit = Arc::clone(&self.search_permits).acquire_owned().await;
            // Raised when this call is dropped: its caller has gone, and the search stops.
            let gone = RaisedOnDrop::default();
            // What is left, by the runtime's clock, which need not be the system's.
            let left = deadline.saturating_duration_since(Instant::now());
            let cancel = Cancellation::at(std::time::Instant::now() + left).with_flag(Arc::clone(&gone.0));
            let searched = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                search(&shard, &queries, &options, &cancel)
            });
            let answer = searched.await.map_err(|panic| {
                tracing::error!(%panic, "a search failed");
                SearchError::Failed
            })??;
            Ok(Response::new(answer.into()))
        })
        .await
    }

    async fn describe(
        &self,
        _: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        Ok(Response::new(self.presence.describe().into()))
    }

    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let Some(watcher) = self.presence.watch() else {
            let text = "too many watch this replica already; ask now and then, or try again later";
            return Err(vigie_proto::status::resource_exhausted(text, WATCH_RETRY_AFTER));
        };
        // Pulled: a slow watcher is told the newest when it has room for it.
        let descriptions = unfold(watcher, |mut watcher: Watcher| async move {
            watcher.next().await.map(|description| (Ok(description.into()), watcher))
        });
        Ok(Response::new(descriptions.boxed()))
    }
}

#[derive(Debug, Default)]
struct RaisedOnDrop(Arc<AtomicBool>);

impl Drop for RaisedOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
