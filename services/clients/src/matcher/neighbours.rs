//! Matchers in this process, which are called as functions: no socket, no protocol, no second admission.
//!
//! A coordinator that has neighbours calls only them.

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tonic::Status;
use vigie_model::{ReplicaDescription, ShardAnswer};
use vigie_rpc::in_process::InProcess;

use crate::ask::Ask;

/// A matcher in this process.
pub trait Neighbour: fmt::Debug + Send + Sync {
    /// Searches its shard until the deadline of `ask`, unless the future is dropped before.
    fn search(&self, ask: Ask) -> BoxFuture<'_, Result<ShardAnswer, Status>>;

    /// Returns the matcher's description, again each time it changes; `None` if the matcher has too many
    /// watchers.
    fn watch(&self) -> Option<BoxStream<'static, ReplicaDescription>>;

    /// Returns the matcher's present description.
    fn describe(&self) -> ReplicaDescription;
}

/// The matchers in this process, by endpoint. A clone refers to the same matchers.
pub type Neighbours = InProcess<dyn Neighbour>;
