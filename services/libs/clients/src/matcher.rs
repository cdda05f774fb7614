//! Client of a matcher.

use tokio::time::Instant;
use tonic::transport::Channel;
use vigie_model::{Query, ReplicaDescription, SearchOptions, ShardAnswer};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_client::MatcherServiceClient;

use crate::error::CallError;
use crate::network::Network;
use crate::target::{Target, TargetError};

/// The largest answer: as many matches as one call may ask for, each of an item at all its bounds.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Speaks to one matcher.
#[derive(Debug, Clone)]
pub struct MatcherClient {
    target: Target,
    stub: MatcherServiceClient<Channel>,
}

impl MatcherClient {
    /// The matcher at `endpoint`, such as `http://127.0.0.1:7750`.
    pub fn new(endpoint: &str) -> Result<Self, TargetError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// The same on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, TargetError> {
        let target = Target::new("matcher", endpoint, network)?;
        let stub = MatcherServiceClient::new(target.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { target, stub })
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.target.endpoint()
    }

    /// Searches its shard. One attempt.
    pub async fn search(
        &self,
        queries: Vec<Query>,
        options: SearchOptions,
        deadline: Instant,
    ) -> Result<ShardAnswer, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::SearchRequest::from((queries, options));
        let answer = self.target.call(deadline, message, |request| stub.search(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }

    /// Asks who it is. One attempt.
    pub async fn describe(&self, deadline: Instant) -> Result<ReplicaDescription, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::DescribeRequest {};
        let answer = self.target.call(deadline, message, |request| stub.describe(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }
}
