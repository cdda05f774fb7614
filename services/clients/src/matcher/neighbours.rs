//! Matchers of this process, which are called as functions: no socket, no protocol, no second admission.
//!
//! A coordinator that has neighbours asks them and nobody else.

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tonic::Status;
use vigie_model::{ReplicaDescription, ShardAnswer};
use vigie_rpc::in_process::InProcess;

use crate::ask::Ask;

/// A matcher of this process.
pub trait Neighbour: fmt::Debug + Send + Sync {
    /// Searches its shard until the deadline of `ask`, and for as long as the future lives.
    fn search(&self, ask: Ask) -> BoxFuture<'_, Result<ShardAnswer, Status>>;

    /// The matcher's description, again each time it has changed; `None` where the matcher has too many watchers.
    fn watch(&self) -> Option<BoxStream<'static, ReplicaDescription>>;

    /// The matcher's present description.
    fn describe(&self) -> ReplicaDescription;
}

/// The matchers of this process, by endpoint. A clone is a handle of the same ones.
pub type Neighbours = InProcess<dyn Neighbour>;
