//! Client of a matcher, and matchers of this process.

mod neighbours;

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use vigie_model::{ANSWER_BYTES_MAX, Query, ReplicaDescription, SearchOptions, ShardAnswer};
use vigie_net::{CallError, DirectChannel, EndpointError, Network, Target};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_client::MatcherServiceClient;
use vigie_rpc::Priority;

pub use neighbours::{Neighbour, Neighbours};

use crate::ask::{BANK_SET_UNKNOWN, Forms};

/// The largest answer, of a matcher of a version that cuts none: as many matches as one call may ask for, each of an item at all
/// its bounds.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

const SEARCH: &str = "vigie.matcher.v1.MatcherService/Search";
const DESCRIBE: &str = "vigie.matcher.v1.MatcherService/Describe";

/// Speaks to one matcher.
#[derive(Debug, Clone)]
pub struct MatcherClient {
    target: Target,
    stub: MatcherServiceClient<DirectChannel>,
    forms: Forms,
}

impl MatcherClient {
    /// The matcher at `endpoint`, such as `http://127.0.0.1:7750`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// The same on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        let target = Target::new("matcher", endpoint, network)?;
        let stub =
            MatcherServiceClient::new(target.direct_channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { target, stub, forms: Forms::default() })
    }

    /// Fails where `endpoint` is none.
    pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
        vigie_net::check_endpoint(endpoint)
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.target.endpoint()
    }

    /// Searches its shard. One attempt.
    pub async fn search<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Query> + Clone,
        options: &SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<ShardAnswer, CallError> {
        self.search_within(queries, options, ANSWER_BYTES_MAX, priority, deadline).await
    }

    /// The same, with an answer of at most so many bytes of matches.
    pub async fn search_within<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Query> + Clone,
        options: &SearchOptions,
        answer_bytes_max: usize,
        priority: Priority,
        deadline: Instant,
    ) -> Result<ShardAnswer, CallError> {
        let search = |form| {
            let (target, mut stub) = (&self.target, self.stub.clone());
            let message = pb::SearchRequest::of(queries.clone(), options, answer_bytes_max, form);
            async move {
                target.call_as(SEARCH, priority, deadline, message, |request| stub.search(request)).await
            }
        };
        let answer = self.forms.search(search).await?;
        if options.bank_set.is_some() && !answer.bank_set_kept {
            return Err(self.refused(Code::Unimplemented, BANK_SET_UNKNOWN));
        }
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }

    /// The error of a search that was not sent.
    #[must_use]
    pub fn refused(&self, code: Code, message: &str) -> CallError {
        self.target.refused(code, message)
    }

    /// Asks who it is. One attempt.
    pub async fn describe(&self, deadline: Instant) -> Result<ReplicaDescription, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::DescribeRequest {};
        let answer = self.target.call(DESCRIBE, deadline, message, |request| stub.describe(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }

    /// Opens the stream of what it says of itself, which has to open within `open_within` and then goes on until the
    /// matcher is stopped.
    ///
    /// `RESOURCE_EXHAUSTED`: it has too many watchers; ask it now and then instead. `UNIMPLEMENTED`: it is of a version
    /// that has no such stream.
    pub async fn watch(&self, open_within: Duration) -> Result<DescriptionStream, CallError> {
        let mut stub = self.stub.clone();
        // A timeout of the request would end the stream, so only the opening is bounded.
        let opened = tokio::time::timeout(open_within, stub.watch(pb::WatchRequest {})).await;
        let status = match opened {
            Ok(Ok(stream)) => {
                return Ok(DescriptionStream { target: self.target.clone(), stream: stream.into_inner() });
            }
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("the watch did not open in time"),
        };
        Err(self.target.failed(status))
    }
}

/// What a matcher says of itself, whenever that changes.
#[derive(Debug)]
pub struct DescriptionStream {
    target: Target,
    stream: Streaming<pb::WatchResponse>,
}

impl DescriptionStream {
    /// The next description; `None` once the matcher has ended the stream, as it does when it is stopped. It speaks at
    /// least every second: silence longer than `patience` is `DEADLINE_EXCEEDED`, and the stream is of no more use.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<ReplicaDescription>, CallError> {
        let status = match tokio::time::timeout(patience, self.stream.message()).await {
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(message))) => {
                let description = message.try_into().map_err(|invalid| self.target.unreadable(&invalid))?;
                return Ok(Some(description));
            }
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("the matcher has fallen silent"),
        };
        Err(self.target.failed(status))
    }
}
