//! What a lane carries, and who makes its calls.

use std::fmt::Debug;
use std::future::Future;

use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::Priority;
use vigie_telemetry::trace::Context;

/// One search, as far as a lane has to know it. A clone is cheap.
pub trait Search: Clone + Debug + Send + Sync + 'static {
    /// How urgent it is.
    fn priority(&self) -> Priority;

    /// When it has to be answered.
    fn deadline(&self) -> Instant;

    /// Where in a trace it is made.
    fn context(&self) -> Option<&Context>;

    /// Queries in it.
    fn query_count(&self) -> usize;

    /// How many searches it was put together from.
    fn put_together(&self) -> usize {
        1
    }

    /// The most queries of a call that it shares.
    fn shared_queries_max(&self) -> usize;

    /// Whether it waits for a change to come, which is no work of the service.
    fn waits_for_change(&self) -> bool;

    /// Whether it is so much work that it has a call of its own, and takes none of the calls of others.
    fn is_costly(&self) -> bool {
        false
    }

    /// Whether an answer to both is an answer to each, deadlines apart.
    fn is_alike(&self, other: &Self) -> bool;
}

/// Makes the calls of a [`Lane`](super::Lane).
pub trait Carry: Debug + Send + Sync + 'static {
    /// A search.
    type Search: Search;
    /// The answer to a search.
    type Answer: Debug + Send + 'static;
    /// Why there is none.
    type Error: Debug + Send + 'static;

    /// Makes one call for the queries of all `searches`, of which there is at least one and which are alike. Dropping the
    /// future withdraws the call.
    fn carry(
        &self,
        searches: &[Self::Search],
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;

    /// Divides the outcome of a call among its searches, which have this many queries each.
    fn share_out(&self, outcome: Reply<Self>, query_counts: &[usize]) -> Vec<Reply<Self>>;

    /// Whether the call may have failed because of one of its queries, so that the others should not fail with it.
    fn may_be_of_one(&self, error: &Self::Error) -> bool;

    /// The error of a search that was not sent.
    fn refused(&self, code: Code, message: &str) -> Self::Error;
}

/// The outcome of a search.
pub type Reply<C> = Result<<C as Carry>::Answer, <C as Carry>::Error>;
