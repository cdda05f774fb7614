//! A matcher as the coordinator sees it: its client, and its load.

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

/// A matcher: its calls, its load, and the searches that wait for it.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) endpoint: Arc<str>,
    pub(crate) load: Load,
    way: Way,
    network: Network,
}

/// How a matcher is called.
#[derive(Debug)]
enum Way {
    /// By a server of its own. Searches that wait for it share its calls.
    Calls(Lane<MatcherCalls>),
    /// As a function of this process. A call costs nothing that searches could share.
    Functions(Neighbours),
}

/// The descriptions of a matcher, whenever it has changed.
pub(crate) enum Descriptions {
    /// By a stream.
    Calls(Box<DescriptionStream>),
    /// Within this process.
    Functions(BoxStream<'static, ReplicaDescription>),
}

impl Descriptions {
    /// The next one; `None` once the matcher has stopped. It speaks at least every second: silence longer than `patience` is an error,
    /// where it comes over a connection.
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

    /// Opens the stream of the matcher's descriptions; `None` where the matcher has too many watchers, and has to be asked.
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

    /// Asks for the matcher's description.
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

    /// Searches that wait for a call to the matcher, and calls under way.
    pub(crate) fn traffic(&self) -> LaneTraffic {
        match &self.way {
            Way::Calls(lane) => lane.traffic(),
            Way::Functions(_) => LaneTraffic::default(),
        }
    }

    /// Gives up a connection on which nothing comes any more: a new one may get through at once, where the old one would
    /// only be found dead in time.
    pub(crate) fn reconnect(&self) {
        let Way::Calls(lane) = &self.way else { return };
        match MatcherClient::new_on(&self.endpoint, &self.network) {
            Ok(client) => lane.carrier().client.store(Arc::new(client)),
            // It was an endpoint before.
            Err(error) => tracing::error!(endpoint = %self.endpoint, %error, "cannot reconnect"),
        }
    }

    /// Searches it once. Dropping the future withdraws the search.
    pub(crate) async fn search(&self, ask: Ask) -> Result<ShardAnswer, CallError> {
        if ask.options.min_sequence > Sequence::ZERO || ask.is_costly() {
            // It waits for a change to come, or is much work: that says nothing of what the replica costs others.
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

/// Calls to a matcher.
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
                let error = self.refused(Code::Internal, "it answered other queries than were asked");
                return vec![Err(error); query_counts.len()];
            }
            Err(error) => return vec![Err(error); query_counts.len()],
        };
        let ShardAnswer { identity, sequence, as_of, hashes_searched, results, approximate } = answer;
        let mut results = results.into_iter();
        let part = |count: &usize| {
            let (results, approximate) = (results.by_ref().take(*count).collect(), approximate.clone());
            Ok(ShardAnswer { identity, sequence, as_of, hashes_searched, results, approximate })
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

/// The options of an ask to a matcher that has come as far as `reached`, which need not be waited for then.
pub(crate) fn options_for(options: &Arc<SearchOptions>, reached: Sequence) -> Arc<SearchOptions> {
    if options.min_sequence == Sequence::ZERO || options.min_sequence > reached {
        return Arc::clone(options);
    }
    Arc::new(SearchOptions { min_sequence: Sequence::ZERO, ..SearchOptions::clone(options) })
}
