//! A matcher for the other roles of its process: it searches as a function and describes itself.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, unfold};
use tonic::Status;
use vigie_clients::{Ask, Neighbour};
use vigie_model::{ReplicaDescription, ShardAnswer};

use crate::following::presence::{Presence, Watcher};
use crate::metrics::{MatcherMetrics, SearchOutcome};
use crate::searching::answering::Answering;

/// A replica, for callers in its own process. The caller has already admitted the call and reserved memory
/// for its answer.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) answering: Arc<Answering>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) metrics: MatcherMetrics,
}

impl Here {
    async fn answer(&self, ask: Ask) -> Result<ShardAnswer, Status> {
        let Ask { queries, options, deadline, answer_bytes, .. } = ask;
        let shard = self.answering.shard_at(options.min_sequence, deadline, || ()).await?;
        let found = |answer, _: &_| Ok(answer);
        self.answering.search(shard, queries, options, answer_bytes, deadline, found).await
    }
}

impl Neighbour for Here {
    fn search(&self, ask: Ask) -> BoxFuture<'_, Result<ShardAnswer, Status>> {
        Box::pin(async move {
            let mut counted = self.metrics.count_search();
            let answered = self.answer(ask).await;
            counted.outcome = SearchOutcome::of(&answered);
            answered
        })
    }

    fn watch(&self) -> Option<BoxStream<'static, ReplicaDescription>> {
        let watcher = self.presence.watch()?;
        let next = |mut watcher: Watcher| async move {
            let description = watcher.next().await?;
            Some((description, watcher))
        };
        Some(unfold(watcher, next).boxed())
    }

    fn describe(&self) -> ReplicaDescription {
        self.presence.describe()
    }
}
