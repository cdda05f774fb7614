//! The way to the coordinator: by gRPC, or to one inside this process.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tonic::{Code, Status};
use vigie_clients::{CoordinatorClient, Network};
use vigie_coordinator::{Coordinator, SearchError};
use vigie_model::{Priority, Query, SearchAnswer, SearchOptions};
use vigie_proto::status;

use crate::config::{Config, CoordinatorAt};
use crate::error::{RunError, search_status};

/// How often an embedded coordinator is looked at that has not seen all matchers yet.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Searches the whole cluster.
#[derive(Debug, Clone)]
pub(crate) enum Searcher {
    Remote(CoordinatorClient),
    Embedded(Arc<Coordinator>),
}

/// How urgent a search is, and what becomes of it where there is no room for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Urgency {
    pub(crate) priority: Priority,
    /// It waits for room, which holds back whoever sent it; otherwise it is refused.
    pub(crate) waits_for_room: bool,
}

impl Urgency {
    /// A call, which is refused at once.
    pub(crate) const fn of_a_call(priority: Priority) -> Self {
        Self { priority, waits_for_room: false }
    }

    /// A request of a stream, whose sender can be held back.
    pub(crate) const STREAMED: Self = Self { priority: Priority::Bulk, waits_for_room: true };
}

/// A refusal that says no time is tried again after this.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Why a search has no full answer.
#[derive(Debug)]
pub(crate) enum SearchFailure {
    /// There is no answer.
    Call(Status),
    /// The answer covers less than was asked for.
    Incomplete { status: Status, partial: Box<SearchAnswer> },
}

impl Searcher {
    pub(crate) fn start(
        config: &Config,
        network: &Network,
        registry: &mut Registry,
    ) -> Result<Self, RunError> {
        match &config.coordinator {
            CoordinatorAt::Endpoints(endpoints) => {
                Ok(Self::Remote(CoordinatorClient::new_on(endpoints, network)?))
            }
            CoordinatorAt::Embedded => {
                Ok(Self::Embedded(Arc::new(Coordinator::start(&config.embedded, network, registry)?)))
            }
        }
    }

    /// Waits until an embedded coordinator has seen every matcher once. What is elsewhere is not waited for: that it does
    /// not answer is told by each answer.
    pub(crate) async fn ready(&self) {
        if let Self::Embedded(coordinator) = self {
            while !coordinator.has_looked_around() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    pub(crate) async fn search(
        &self,
        queries: Vec<Query>,
        options: &SearchOptions,
        Urgency { priority, waits_for_room }: Urgency,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchFailure> {
        let queries: Arc<[Query]> = queries.into();
        loop {
            let searched = self.search_once(Arc::clone(&queries), options, priority, deadline).await;
            let Err(SearchFailure::Call(status)) = &searched else { return searched };
            let pause = status::retry_after(status).unwrap_or(RETRY_AFTER);
            let is_full = status.code() == Code::ResourceExhausted;
            if !waits_for_room || !is_full || Instant::now() + pause >= deadline {
                return searched;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn search_once(
        &self,
        queries: Arc<[Query]>,
        options: &SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchFailure> {
        match self {
            Self::Remote(client) => {
                client.search(&queries, options, priority, deadline).await.map_err(|error| {
                    match error.partial_search() {
                        None => SearchFailure::Call(search_status(error)),
                        Some(partial) => SearchFailure::Incomplete {
                            status: Status::new(error.code(), error.message()),
                            partial: Box::new(partial),
                        },
                    }
                })
            }
            Self::Embedded(coordinator) => coordinator
                .search(queries, options.clone(), priority, deadline)
                .await
                .map_err(|error| match error {
                    SearchError::CoverageTooLow(ref partial) => {
                        let partial = partial.clone();
                        SearchFailure::Incomplete { status: Status::unavailable(error.to_string()), partial }
                    }
                    SearchError::UnknownBank(_)
                    | SearchError::DisabledBank(_)
                    | SearchError::Overloaded(_) => SearchFailure::Call(error.into()),
                }),
        }
    }
}
