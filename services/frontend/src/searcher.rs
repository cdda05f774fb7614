//! The connection to the coordinator: gRPC, or a coordinator embedded in this process.
//!
//! Small searches in progress at the same time share calls ([`vigie_net::lane`]), because a search for one
//! query costs a coordinator nearly as much as a search for many.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tonic::{Code, Status};
use vigie_clients::{Ask, CoordinatorClient, Network, partial_search};
use vigie_coordinator::{Coordinator, SearchError};
use vigie_model::answer::answer_bytes as bytes_at_most;
use vigie_model::{Limit, Query, SearchAnswer, SearchOptions, Sequence};
use vigie_net::lane::{Carry, Lane, LaneLimits, Search as _};
use vigie_proto::status;
use vigie_rpc::Priority;
use vigie_telemetry::register_gauge;

use crate::config::{Config, CoordinatorAt};
use crate::error::{RunError, search_status};
use crate::lost_shards::{LostShards, Notice};

/// The interval between checks of an embedded coordinator that has not seen all matchers yet.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Searches the whole cluster.
#[derive(Debug, Clone)]
pub(crate) struct Searcher {
    lane: Lane<Coordinators>,
}

/// The coordinators that search.
#[derive(Debug)]
enum Coordinators {
    /// Remote coordinators, and the shards that their answers have lacked. An embedded coordinator logs lost
    /// shards itself.
    Remote(CoordinatorClient, Mutex<LostShards>),
    Embedded(Coordinator),
}

/// A call of more queries than this does not share a coordinator call, because it would gain little. Requests
/// of a stream, which have already been combined, still follow the lane's schedule.
const SHARED_QUERIES_MAX: usize = 16;

/// How urgent a search is, and whether it waits when the service is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Urgency {
    pub(crate) priority: Priority,
    /// Whether the search waits for capacity, which holds back its sender; otherwise it is refused.
    pub(crate) waits_for_room: bool,
}

impl Urgency {
    /// Returns the urgency of a call, which is refused at once when there is no capacity.
    pub(crate) const fn of_a_call(priority: Priority) -> Self {
        Self { priority, waits_for_room: false }
    }

    /// The urgency of a request of a stream, whose sender can be held back.
    pub(crate) const STREAMED: Self = Self { priority: Priority::Bulk, waits_for_room: true };
}

/// The delay before a search is retried after a refusal that names no delay.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The reason why a search has no full answer.
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
        let coordinators = match &config.coordinator {
            CoordinatorAt::Endpoints(endpoints) => {
                Coordinators::Remote(CoordinatorClient::new_on(endpoints, network)?, Mutex::default())
            }
            CoordinatorAt::Embedded => {
                Coordinators::Embedded(Coordinator::start(&config.embedded, network, registry)?)
            }
        };
        let limits = LaneLimits {
            calls: config.coordinator_calls_max,
            queries: config.queries_per_call_max,
            gathers: false,
        };
        let lane = Lane::new(coordinators, limits);
        let (queued, out) = (lane.clone(), lane.clone());
        let name = "vigie_frontend_queued_searches";
        register_gauge(registry, name, "Searches that wait for a call to a coordinator", move || {
            figure(queued.traffic().queued)
        });
        register_gauge(registry, "vigie_frontend_calls", "Calls to coordinators in progress", move || {
            figure(out.traffic().calls)
        });
        Ok(Self { lane })
    }

    /// Returns the time until which requests that may share a search should be gathered; `None` for not at
    /// all.
    pub(crate) fn gather_until(&self) -> Option<Instant> {
        self.lane.gather_until()
    }

    /// Waits until an embedded coordinator has seen every matcher once. A remote coordinator is not awaited:
    /// while it does not answer, each answer reports that.
    pub(crate) async fn ready(&self) {
        if let Coordinators::Embedded(coordinator) = self.lane.carrier() {
            while !coordinator.has_looked_around() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Returns why the searcher cannot search yet, or `None` if it can.
    pub(crate) fn unready_reason(&self) -> Option<&'static str> {
        match self.lane.carrier() {
            Coordinators::Remote(..) => None,
            Coordinators::Embedded(coordinator) => coordinator.unready_reason(),
        }
    }

    /// Ends when an embedded coordinator has stopped watching the matchers, which is a fault.
    pub(crate) async fn blind(&self) {
        match self.lane.carrier() {
            Coordinators::Remote(..) => std::future::pending().await,
            Coordinators::Embedded(coordinator) => {
                while !coordinator.is_blind() {
                    tokio::time::sleep(LOOK_EVERY * 50).await;
                }
            }
        }
    }

    /// Stops an embedded coordinator.
    pub(crate) fn stop(&self) {
        if let Coordinators::Embedded(coordinator) = self.lane.carrier() {
            coordinator.stop();
        }
    }

    /// Returns the largest number of bytes of matches that a search for so many queries takes here at once,
    /// if its answer may have `answer_bytes`.
    pub(crate) fn bytes_of_a_search(&self, queries: usize, limit: Limit, answer_bytes: usize) -> usize {
        match self.lane.carrier() {
            Coordinators::Remote(..) => bytes_at_most(queries, limit.get(), answer_bytes),
            Coordinators::Embedded(coordinator) => {
                coordinator.bytes_of_a_search(queries, limit, answer_bytes)
            }
        }
    }

    /// Searches, with at most `answer_bytes` bytes of matches; the best match of each query is returned
    /// beyond that.
    pub(crate) async fn search(
        &self,
        queries: Arc<[Query]>,
        options: SearchOptions,
        answer_bytes: usize,
        Urgency { priority, waits_for_room }: Urgency,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchFailure> {
        // Most requests of a stream have one query.
        let put_together = if waits_for_room { queries.len() } else { 1 };
        let ask = Ask::new(queries, Arc::new(options), priority, deadline);
        let ask = ask.within(answer_bytes).put_together_from(put_together);
        loop {
            let searched = self.search_once(&ask, waits_for_room).await;
            let Err(SearchFailure::Call(status)) = &searched else { return searched };
            let pause = status::retry_after(status).unwrap_or(RETRY_AFTER);
            let is_full = status.code() == Code::ResourceExhausted;
            if !waits_for_room || !is_full || Instant::now() + pause >= deadline {
                return searched;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn search_once(&self, ask: &Ask, is_streamed: bool) -> Result<SearchAnswer, SearchFailure> {
        let is_quick_here = match self.lane.carrier() {
            // There is no call overhead that searches could share.
            Coordinators::Embedded(coordinator) => coordinator.is_of_neighbours() && !ask.is_costly(),
            Coordinators::Remote(..) => false,
        };
        // If a sequence has to be awaited, the coordinator knows which matchers to wait for, and bounds the
        // waiting calls.
        let waits = ask.options.min_sequence > Sequence::ZERO;
        let is_large = ask.queries.len() > SHARED_QUERIES_MAX && (!is_streamed || ask.is_costly());
        if is_quick_here || waits || is_large {
            return self.lane.carrier().carry(std::slice::from_ref(ask), ask.deadline).await;
        }
        self.lane.search(ask.clone()).await
    }
}

impl Carry for Coordinators {
    type Search = Ask;
    type Answer = SearchAnswer;
    type Error = SearchFailure;

    async fn carry(&self, asks: &[Ask], deadline: Instant) -> Result<SearchAnswer, SearchFailure> {
        let (alike, answer_bytes) = (&asks[0], Ask::answer_bytes_of(asks));
        match self {
            Self::Remote(client, lost_shards) => {
                let note = |answer: &SearchAnswer| {
                    let mut lost_shards = lost_shards.lock().unwrap_or_else(PoisonError::into_inner);
                    lost_shards.take(&answer.coverage, Instant::now()).iter().for_each(Notice::log);
                };
                let queries = asks.iter().flat_map(|ask| ask.queries.iter());
                let searched =
                    client.search_within(queries, &alike.options, answer_bytes, alike.priority, deadline);
                // The future is large, because it holds the request several times.
                let searched = Box::pin(searched).await;
                searched.inspect(note).map_err(|error| match partial_search(&error) {
                    None => SearchFailure::Call(search_status(error)),
                    Some(partial) => {
                        note(&partial);
                        SearchFailure::Incomplete {
                            status: Status::new(error.code(), error.message()),
                            partial: Box::new(partial),
                        }
                    }
                })
            }
            Self::Embedded(coordinator) => {
                let queries: Arc<[Query]> = match asks {
                    [ask] => Arc::clone(&ask.queries),
                    _ => asks.iter().flat_map(|ask| ask.queries.iter().cloned()).collect(),
                };
                let options = SearchOptions::clone(&alike.options);
                let searched =
                    coordinator.search_within(queries, options, answer_bytes, alike.priority, deadline).await;
                searched.map_err(|error| match error {
                    SearchError::CoverageTooLow(ref partial) => {
                        let partial = partial.clone();
                        SearchFailure::Incomplete { status: Status::unavailable(error.to_string()), partial }
                    }
                    SearchError::UnknownBank(_) | SearchError::Refused(_) | SearchError::Overloaded(_) => {
                        SearchFailure::Call(error.into())
                    }
                })
            }
        }
    }

    fn share_out(
        &self,
        outcome: Result<SearchAnswer, SearchFailure>,
        query_counts: &[usize],
    ) -> Vec<Result<SearchAnswer, SearchFailure>> {
        let asked: usize = query_counts.iter().sum();
        match outcome {
            Ok(answer) if answer.results.len() == asked => parts(answer, query_counts).map(Ok).collect(),
            // A missing result must never become "no match".
            Ok(_) => {
                let text = "the coordinator answered another number of queries than it was asked";
                query_counts.iter().map(|_| Err(self.refused(Code::Internal, text))).collect()
            }
            Err(SearchFailure::Call(status)) => {
                query_counts.iter().map(|_| Err(SearchFailure::Call(status.clone()))).collect()
            }
            // Where the results were omitted there are none to split, and each part reports that.
            Err(SearchFailure::Incomplete { status, mut partial }) => {
                if partial.results.len() != asked {
                    partial.results.clear();
                }
                parts(*partial, query_counts)
                    .map(|part| {
                        Err(SearchFailure::Incomplete { status: status.clone(), partial: Box::new(part) })
                    })
                    .collect()
            }
        }
    }

    fn may_be_of_one(&self, failure: &SearchFailure) -> bool {
        match failure {
            SearchFailure::Call(status) => matches!(status.code(), Code::Internal | Code::Unknown),
            // The matches exceed the bound for all searches together. Each search alone may stay below it.
            SearchFailure::Incomplete { partial, .. } => partial.results.is_empty(),
        }
    }

    fn refused(&self, code: Code, message: &str) -> SearchFailure {
        let status = if code == Code::ResourceExhausted {
            status::resource_exhausted(message, RETRY_AFTER)
        } else {
            Status::new(code, message)
        };
        SearchFailure::Call(status)
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything is out of reach")]
pub(crate) fn figure(count: usize) -> f64 {
    count as f64
}

/// Splits an answer into those of several searches with these numbers of queries.
fn parts(answer: SearchAnswer, query_counts: &[usize]) -> impl Iterator<Item = SearchAnswer> {
    let SearchAnswer { results, coverage, approximate } = answer;
    let mut results = results.into_iter();
    query_counts.iter().map(move |count| SearchAnswer {
        results: results.by_ref().take(*count).collect(),
        coverage: coverage.clone(),
        approximate: approximate.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_model::{Coverage, QueryMatches};

    fn coordinators() -> Coordinators {
        Coordinators::Remote(CoordinatorClient::new("http://127.0.0.1:1").unwrap(), Mutex::default())
    }

    /// Returns an answer whose results differ in whether their limit was reached.
    fn answer(limits: &[bool]) -> SearchAnswer {
        let result = |reached: &bool| QueryMatches { limit_reached: *reached, ..QueryMatches::default() };
        let coverage = Coverage { shards_total: 2, shards_answered: 1, ..Coverage::default() };
        SearchAnswer { results: limits.iter().map(result).collect(), coverage, ..SearchAnswer::default() }
    }

    fn incomplete(limits: &[bool]) -> SearchFailure {
        let (status, partial) = (Status::unavailable("a shard is away"), Box::new(answer(limits)));
        SearchFailure::Incomplete { status, partial }
    }

    fn limits(part: &SearchAnswer) -> Vec<bool> {
        assert_eq!((part.coverage.shards_total, part.coverage.shards_answered), (2, 1));
        part.results.iter().map(|result| result.limit_reached).collect()
    }

    #[tokio::test]
    async fn each_search_gets_its_part_of_a_shared_answer_with_all_of_its_coverage() {
        let parts = coordinators().share_out(Ok(answer(&[true, false, false])), &[1, 2]);
        let parts: Vec<_> = parts.iter().map(|part| limits(part.as_ref().unwrap())).collect();
        assert_eq!(parts, [vec![true], vec![false, false]]);
    }

    #[tokio::test]
    async fn an_answer_to_other_queries_is_no_answer_to_anyone() {
        for wrong in [&[true][..], &[true, true, true]] {
            for part in coordinators().share_out(Ok(answer(wrong)), &[1, 1]) {
                let Err(SearchFailure::Call(status)) = part else { panic!("it has become an answer") };
                assert_eq!(status.code(), Code::Internal);
            }
            for part in coordinators().share_out(Err(incomplete(wrong)), &[1, 1]) {
                let Err(SearchFailure::Incomplete { partial, .. }) = part else { panic!("it is incomplete") };
                assert!(partial.results.is_empty(), "nothing of it can be trusted");
            }
        }
    }

    #[tokio::test]
    async fn what_is_incomplete_is_so_for_everyone_and_what_was_left_out_is_asked_for_alone() {
        let coordinators = coordinators();
        for (part, expected) in
            coordinators.share_out(Err(incomplete(&[false, true])), &[1, 1]).iter().zip([false, true])
        {
            let Err(SearchFailure::Incomplete { status, partial }) = part else { panic!("it is incomplete") };
            assert_eq!((status.code(), limits(partial)), (Code::Unavailable, vec![expected]));
        }
        assert!(coordinators.may_be_of_one(&incomplete(&[])));
        assert!(!coordinators.may_be_of_one(&incomplete(&[true])));
        assert!(!coordinators.may_be_of_one(&SearchFailure::Call(Status::unavailable("away"))));
    }

    #[tokio::test]
    async fn a_refusal_says_to_everyone_when_to_come_back() {
        let coordinators = coordinators();
        let full = coordinators.refused(Code::ResourceExhausted, "full");
        for part in coordinators.share_out(Err(full), &[1, 1]) {
            let Err(SearchFailure::Call(status)) = part else { panic!("it was refused") };
            assert_eq!(status::retry_after(&status), Some(RETRY_AFTER));
        }
    }
}
