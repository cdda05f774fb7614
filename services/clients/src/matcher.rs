//! Client of a matcher, and matchers in this process.

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

/// The most bytes of an answer, from a matcher of a version that truncates none: as many matches as one call
/// may ask for, each of an item at all its bounds.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

const SEARCH: &str = "vigie.matcher.v1.MatcherService/Search";
const DESCRIBE: &str = "vigie.matcher.v1.MatcherService/Describe";

/// Calls one matcher.
#[derive(Debug, Clone)]
pub struct MatcherClient {
    target: Target,
    stub: MatcherServiceClient<DirectChannel>,
    forms: Forms,
}

impl MatcherClient {
    /// Makes a client of the matcher at `endpoint`, such as `http://127.0.0.1:7750`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// Makes a client of the matcher at `endpoint`, on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        let target = Target::new("matcher", endpoint, network)?;
        let stub =
            MatcherServiceClient::new(target.direct_channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { target, stub, forms: Forms::default() })
    }

    /// Fails if `endpoint` is invalid.
    pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
        vigie_net::check_endpoint(endpoint)
    }

    /// Returns the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.target.endpoint()
    }

    /// Searches its shard. Makes one attempt.
    pub async fn search<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Query> + Clone,
        options: &SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<ShardAnswer, CallError> {
        self.search_within(queries, options, ANSWER_BYTES_MAX, priority, deadline).await
    }

    /// Searches its shard, with an answer of at most `answer_bytes` bytes of matches.
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

    /// Returns the error of a search that was not sent.
    #[must_use]
    pub fn refused(&self, code: Code, message: &str) -> CallError {
        self.target.refused(code, message)
    }

    /// Reads the matcher's description. Makes one attempt.
    pub async fn describe(&self, deadline: Instant) -> Result<ReplicaDescription, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::DescribeRequest {};
        let answer = self.target.call(DESCRIBE, deadline, message, |request| stub.describe(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }

    /// Opens the stream of the matcher's descriptions, which must open within `open_within` and then
    /// continues until the matcher is stopped.
    ///
    /// `RESOURCE_EXHAUSTED`: it has too many watchers; call [`Self::describe`] periodically instead.
    /// `UNIMPLEMENTED`: its version has no such stream.
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

/// The descriptions of a matcher, sent whenever they change.
#[derive(Debug)]
pub struct DescriptionStream {
    target: Target,
    stream: Streaming<pb::WatchResponse>,
}

impl DescriptionStream {
    /// Returns the next description; `None` once the matcher has ended the stream, for example when it is
    /// stopped. The matcher sends one at least every second: a silence longer than `patience` is
    /// `DEADLINE_EXCEEDED`, and the stream must not be used again.
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
