//! A matcher as the coordinator uses it: its client and its load.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;
use tonic::Status;
use vigie_clients::{
    Ask, CallError, Code, DescriptionStream, EndpointError, MatcherClient, Neighbour, Neighbours, Network,
};
use vigie_model::{ReplicaDescription, SearchOptions, Sequence, ShardAnswer};
use vigie_net::lane::{Carry, Lane, LaneLimits, LaneTraffic, Search as _};
use vigie_net::{CallEnd, balance::Load};
use vigie_telemetry::trace;

/// A matcher: its endpoint, its load, and the way in which it is called.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) endpoint: Arc<str>,
    pub(crate) load: Load,
    way: Way,
    network: Network,
}

/// The way in which a matcher is called.
#[derive(Debug)]
enum Way {
    /// Through the matcher's own server. Searches that wait for it share its calls.
    Calls(Lane<MatcherCalls>),
    /// As a function of this process. A call has no cost that searches could share.
    Functions(Neighbours),
}

/// The stream of a matcher's descriptions. It yields one whenever the matcher changes.
pub(crate) enum Descriptions {
    /// A gRPC stream.
    Calls(Box<DescriptionStream>),
    /// A stream within this process.
    Functions(BoxStream<'static, ReplicaDescription>),
}

impl Descriptions {
    /// Returns the next description, or `None` once the matcher has stopped. A matcher sends at least one a
    /// second. On a connection, silence for longer than `patience` is an error.
    pub(crate) async fn next(&mut self, patience: Duration) -> Result<Option<ReplicaDescription>, CallError> {
        match self {
            Self::Calls(stream) => stream.next(patience).await,
            Self::Functions(stream) => Ok(stream.next().await),
        }
    }
}

impl Replica {
    pub(crate) fn new(
        endpoint: Arc<str>,
        network: Network,
        limits: LaneLimits,
        neighbours: Option<&Neighbours>,
    ) -> Result<Self, EndpointError> {
        let way = match neighbours {
            Some(neighbours) => Way::Functions(neighbours.clone()),
            None => {
                let client = ArcSwap::from_pointee(MatcherClient::new_on(&endpoint, &network)?);
                Way::Calls(Lane::new(MatcherCalls { client }, limits))
            }
        };
        Ok(Self { way, endpoint, load: Load::default(), network })
    }

    /// Opens the stream of the matcher's descriptions. Returns `None` if the matcher has too many watchers,
    /// and must be polled instead.
    pub(crate) async fn watch(&self, patience: Duration) -> Result<Option<Descriptions>, CallError> {
        match &self.way {
            Way::Calls(lane) => match lane.carrier().client.load_full().watch(patience).await {
                Ok(stream) => Ok(Some(Descriptions::Calls(Box::new(stream)))),
                Err(error) if error.code() == Code::ResourceExhausted => Ok(None),
                Err(error) => Err(error),
            },
            Way::Functions(neighbours) => Ok(self.here(neighbours)?.watch().map(Descriptions::Functions)),
        }
    }

    /// Polls the matcher for its description.
    pub(crate) async fn describe(&self, deadline: Instant) -> Result<ReplicaDescription, CallError> {
        match &self.way {
            Way::Calls(lane) => lane.carrier().client.load_full().describe(deadline).await,
            Way::Functions(neighbours) => Ok(self.here(neighbours)?.describe()),
        }
    }

    fn here(&self, neighbours: &Neighbours) -> Result<Arc<dyn Neighbour>, CallError> {
        let gone = || self.failed(Status::unavailable("it does not run in this process now"));
        neighbours.at(&self.endpoint).ok_or_else(gone)
    }

    fn failed(&self, status: Status) -> CallError {
        CallError::within_process("matcher", Arc::clone(&self.endpoint), status)
    }

    /// Returns the number of searches that wait for a call to the matcher, and of calls that are running.
    pub(crate) fn traffic(&self) -> LaneTraffic {
        match &self.way {
            Way::Calls(lane) => lane.traffic(),
            Way::Functions(_) => LaneTraffic::default(),
        }
    }

    /// Replaces a connection on which nothing arrives any more. A new connection may work at once, while the
    /// old one would be found dead only after a timeout.
    pub(crate) fn reconnect(&self) {
        let Way::Calls(lane) = &self.way else { return };
        match MatcherClient::new_on(&self.endpoint, &self.network) {
            Ok(client) => lane.carrier().client.store(Arc::new(client)),
            // The endpoint was valid before, so this cannot happen.
            Err(error) => tracing::error!(endpoint = %self.endpoint, %error, "cannot reconnect"),
        }
    }

    /// Sends one search to the matcher. Dropping the future cancels the search.
    pub(crate) async fn search(&self, ask: Ask) -> Result<ShardAnswer, CallError> {
        if ask.options.min_sequence > Sequence::ZERO || ask.is_costly() {
            // The search waits for a change to arrive, or is costly. Its duration is no measure of the
            // replica's load.
            return self.ask(ask).await;
        }
        let call = self.load.begin(Instant::now());
        let ended = self.ask(ask).await;
        let end = ended.as_ref().map_or_else(CallError::call_end, |_| CallEnd::Answered);
        if let Some(turn) = call.end(end, Instant::now()) {
            turn.log(&self.endpoint, &ended.as_ref().err().map(ToString::to_string).unwrap_or_default());
        }
        ended
    }

    async fn ask(&self, ask: Ask) -> Result<ShardAnswer, CallError> {
        match &self.way {
            Way::Calls(lane) => lane.search(ask).await,
            Way::Functions(neighbours) => {
                let (neighbour, context) = (self.here(neighbours)?, ask.context().cloned());
                let searched = trace::scope(context, neighbour.search(ask)).await;
                searched.map_err(|status| self.failed(status))
            }
        }
    }
}

/// The carrier of the lane: it sends several searches as one gRPC call.
#[derive(Debug)]
struct MatcherCalls {
    client: ArcSwap<MatcherClient>,
}

impl Carry for MatcherCalls {
    type Search = Ask;
    type Answer = ShardAnswer;
    type Error = CallError;

    async fn carry(&self, asks: &[Ask], deadline: Instant) -> Result<ShardAnswer, CallError> {
        let (client, alike) = (self.client.load_full(), &asks[0]);
        let queries = asks.iter().flat_map(|ask| ask.queries.iter());
        let answer_bytes = Ask::answer_bytes_of(asks);
        client.search_within(queries, &alike.options, answer_bytes, alike.priority, deadline).await
    }

    fn share_out(
        &self,
        outcome: Result<ShardAnswer, CallError>,
        query_counts: &[usize],
    ) -> Vec<Result<ShardAnswer, CallError>> {
        let asked: usize = query_counts.iter().sum();
        let answer = match outcome {
            Ok(answer) if answer.results.len() == asked => answer,
            Ok(_) => {
                let error =
                    self.refused(Code::Internal, "it answered another number of queries than it was asked");
                return vec![Err(error); query_counts.len()];
            }
            Err(error) => return vec![Err(error); query_counts.len()],
        };
        let ShardAnswer { shards, sequence, as_of, hashes_searched, results, approximate } = answer;
        let mut results = results.into_iter();
        let part = |count: &usize| {
            let (results, approximate) = (results.by_ref().take(*count).collect(), approximate.clone());
            Ok(ShardAnswer { shards, sequence, as_of, hashes_searched, results, approximate })
        };
        query_counts.iter().map(part).collect()
    }

    fn may_be_of_one(&self, error: &CallError) -> bool {
        matches!(error.code(), Code::Internal | Code::Unknown)
    }

    fn refused(&self, code: Code, message: &str) -> CallError {
        self.client.load().refused(code, message)
    }
}

/// Returns the options for a matcher that has reached the sequence `reached`. If that is far enough, the
/// options no longer ask it to wait.
pub(crate) fn options_for(options: &Arc<SearchOptions>, reached: Sequence) -> Arc<SearchOptions> {
    if options.min_sequence == Sequence::ZERO || options.min_sequence > reached {
        return Arc::clone(options);
    }
    Arc::new(SearchOptions { min_sequence: Sequence::ZERO, ..SearchOptions::clone(options) })
}
