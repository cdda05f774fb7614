//! The traits of a search, and of the maker of a lane's calls.

use std::fmt::Debug;
use std::future::Future;

use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::Priority;
use vigie_telemetry::trace::Context;

/// A search, with the properties that a lane needs. A clone is cheap.
pub trait Search: Clone + Debug + Send + Sync + 'static {
    /// Returns the priority.
    fn priority(&self) -> Priority;

    /// Returns the instant by which it has to be answered.
    fn deadline(&self) -> Instant;

    /// Returns its context in a trace.
    fn context(&self) -> Option<&Context>;

    /// Returns the number of its queries.
    fn query_count(&self) -> usize;

    /// Returns the number of searches that were combined into it.
    fn put_together(&self) -> usize {
        1
    }

    /// Returns the most queries of a call that it shares.
    fn shared_queries_max(&self) -> usize;

    /// Returns whether it waits for a change, which is no work of the service.
    fn waits_for_change(&self) -> bool;

    /// Returns whether it is so much work that it has its own call, and takes none of the calls of others.
    fn is_costly(&self) -> bool {
        false
    }

    /// Returns whether an answer to both together is an answer to each, apart from the deadline.
    fn is_alike(&self, other: &Self) -> bool;
}

/// Makes the calls of a [`Lane`](super::Lane).
pub trait Carry: Debug + Send + Sync + 'static {
    /// The type of a search.
    type Search: Search;
    /// The answer to a search.
    type Answer: Debug + Send + 'static;
    /// The error of a search without an answer.
    type Error: Debug + Send + 'static;

    /// Makes one call for the queries of all `searches`. There is at least one, and they are alike. Dropping
    /// the future withdraws the call.
    fn carry(
        &self,
        searches: &[Self::Search],
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;

    /// Divides the outcome of a call among its searches, which have this many queries each.
    fn share_out(&self, outcome: Reply<Self>, query_counts: &[usize]) -> Vec<Reply<Self>>;

    /// Returns whether the call may have failed because of one of its queries, so that the others should not
    /// fail with it.
    fn may_be_of_one(&self, error: &Self::Error) -> bool;

    /// Returns the error of a search that was not sent.
    fn refused(&self, code: Code, message: &str) -> Self::Error;
}

/// The outcome of a search.
pub type Reply<C> = Result<<C as Carry>::Answer, <C as Carry>::Error>;
