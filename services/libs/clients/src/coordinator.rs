//! Client of a coordinator.

use tokio::time::Instant;
use tonic::transport::Channel;
use vigie_model::{Query, SearchAnswer, SearchOptions, Topology};
use vigie_proto::pb::coordinator::v1 as pb;
use vigie_proto::pb::coordinator::v1::coordinator_service_client::CoordinatorServiceClient;

use crate::error::CallError;
use crate::network::Network;
use crate::target::{Target, TargetError};

/// The largest answer: as many matches as one call may ask for, each of an item at all its bounds.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Speaks to a coordinator.
#[derive(Debug, Clone)]
pub struct CoordinatorClient {
    target: Target,
    stub: CoordinatorServiceClient<Channel>,
}

impl CoordinatorClient {
    /// The coordinator at `endpoint`, such as `http://127.0.0.1:7741`.
    pub fn new(endpoint: &str) -> Result<Self, TargetError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// The same on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, TargetError> {
        let target = Target::new("coordinator", endpoint, network)?;
        let stub =
            CoordinatorServiceClient::new(target.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { target, stub })
    }

    /// Searches all shards. One attempt: the coordinator makes its own.
    pub async fn search(
        &self,
        queries: Vec<Query>,
        options: SearchOptions,
        deadline: Instant,
    ) -> Result<SearchAnswer, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::SearchRequest::from((queries, options));
        let answer = self.target.call(deadline, message, |request| stub.search(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }

    /// Asks for the topology as the coordinator sees it. One attempt.
    pub async fn describe_topology(&self, deadline: Instant) -> Result<Topology, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::DescribeTopologyRequest {};
        let answer = self.target.call(deadline, message, |request| stub.describe_topology(request)).await?;
        answer.try_into().map_err(|invalid| self.target.unreadable(&invalid))
    }
}
