//! Client of a coordinator.

use tokio::time::Instant;
use tonic::Code;
use vigie_model::{ANSWER_BYTES_MAX, Query, SearchAnswer, SearchOptions, Topology};
use vigie_net::{CallError, DirectChannel, EndpointError, Network, Pool, Target};
use vigie_proto::pb::coordinator::v1 as pb;
use vigie_proto::pb::coordinator::v1::coordinator_service_client::CoordinatorServiceClient;
use vigie_rpc::Priority;

use crate::ask::{BANK_SET_UNKNOWN, Forms};
use crate::wrong_service::explained;

/// The largest answer, of a coordinator of a version that cuts none: as many matches as one call may ask for, each of an item at
/// all its bounds.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

const SEARCH: &str = "vigie.coordinator.v1.CoordinatorService/Search";
const DESCRIBE_TOPOLOGY: &str = "vigie.coordinator.v1.CoordinatorService/DescribeTopology";

/// Returns the partial answer of a coordinator whose coverage was less than asked for, if the error carries one.
#[must_use]
pub fn partial_search(error: &CallError) -> Option<SearchAnswer> {
    error.detail::<pb::SearchResponse>()?.try_into().ok()
}

/// Speaks to the coordinators of a cluster, of which any one answers for all of it.
#[derive(Debug, Clone)]
pub struct CoordinatorClient {
    pool: Pool<Endpoint>,
}

#[derive(Debug, Clone)]
struct Endpoint {
    target: Target,
    stub: CoordinatorServiceClient<DirectChannel>,
    forms: Forms,
}

impl CoordinatorClient {
    /// The coordinator at `endpoint`, such as `http://127.0.0.1:7741`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(&[endpoint], &Network::tcp())
    }

    /// The coordinators at these endpoints, at least one, on a network. Calls go where they are answered soonest, and
    /// elsewhere when a connection breaks.
    pub fn new_on(endpoints: &[impl AsRef<str>], network: &Network) -> Result<Self, EndpointError> {
        let endpoint = |endpoint: &str| {
            let target = Target::new("coordinator", endpoint, network)?;
            let stub = CoordinatorServiceClient::new(target.direct_channel())
                .max_decoding_message_size(MESSAGE_BYTES_MAX);
            Ok(Endpoint { target, stub, forms: Forms::default() })
        };
        Ok(Self { pool: Pool::new(endpoints, endpoint)? })
    }

    /// Fails where `endpoint` is none.
    pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
        vigie_net::check_endpoint(endpoint)
    }

    /// Where they are.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.pool.endpoints().map(|endpoint| endpoint.target.endpoint())
    }

    /// Searches all shards. One attempt, but for a connection that breaks: the coordinator makes its own.
    pub async fn search<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a Query> + Clone,
        options: &SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, CallError> {
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
    ) -> Result<SearchAnswer, CallError> {
        let (queries, is_of_a_set) = (&queries, options.bank_set.is_some());
        let search = |Endpoint { target, stub, forms }: Endpoint| async move {
            let target = &target;
            let in_form = |form| {
                let mut stub = stub.clone();
                let message = pb::SearchRequest::of(queries.clone(), options, answer_bytes_max, form);
                async move {
                    target.call_as(SEARCH, priority, deadline, message, |request| stub.search(request)).await
                }
            };
            read(target, forms.search(in_form).await, is_of_a_set)
        };
        self.pool.call(search).await
    }

    /// Asks for the topology as a coordinator sees it. One attempt.
    pub async fn describe_topology(&self, deadline: Instant) -> Result<Topology, CallError> {
        let Endpoint { target, mut stub, .. } = self.pool.pick();
        let message = pb::DescribeTopologyRequest {};
        let call =
            target.call(DESCRIBE_TOPOLOGY, deadline, message, |request| stub.describe_topology(request));
        let answer = explained(&target, call.await).await?;
        answer.try_into().map_err(|invalid| target.unreadable(&invalid))
    }
}

/// The answer to a search, if it is of the set of banks that was asked for, where one was. So is a partial one in an error.
fn read(
    target: &Target,
    searched: Result<pb::SearchResponse, CallError>,
    is_of_a_set: bool,
) -> Result<SearchAnswer, CallError> {
    let is_usable = |answer: &pb::SearchResponse| !is_of_a_set || answer.bank_set_kept;
    match searched {
        Ok(answer) if is_usable(&answer) => answer.try_into().map_err(|invalid| target.unreadable(&invalid)),
        Err(error) if error.detail().as_ref().is_none_or(is_usable) => Err(error),
        Ok(_) | Err(_) => Err(target.refused(Code::Unimplemented, BANK_SET_UNKNOWN)),
    }
}
