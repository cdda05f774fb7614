//! Matchers of this process, which are called as functions: no socket, no protocol, no second admission.
//!
//! A coordinator that has neighbours asks them and nobody else. It knows them by the endpoints of its settings, as it does others: so what it
//! says of them reads the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tonic::Status;
use vigie_model::{ReplicaDescription, ShardAnswer};

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
#[derive(Debug, Clone, Default)]
pub struct Neighbours(Arc<RwLock<ByEndpoint>>);

type ByEndpoint = BTreeMap<Arc<str>, Arc<dyn Neighbour>>;

impl Neighbours {
    /// The matcher at an endpoint, while it runs.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Option<Arc<dyn Neighbour>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(endpoint).map(Arc::clone)
    }

    /// Adds a matcher, for as long as what is returned lives.
    #[must_use]
    pub fn add(&self, endpoint: &str, neighbour: Arc<dyn Neighbour>) -> Stay {
        let endpoint: Arc<str> = endpoint.into();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(Arc::clone(&endpoint), Arc::clone(&neighbour));
        Stay { all: self.clone(), endpoint, neighbour }
    }
}

/// Two handles are equal if they are of the same matchers.
impl PartialEq for Neighbours {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Neighbours {}

/// The stay of a matcher among its neighbours.
#[derive(Debug)]
pub struct Stay {
    all: Neighbours,
    endpoint: Arc<str>,
    neighbour: Arc<dyn Neighbour>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut all = self.all.0.write().unwrap_or_else(PoisonError::into_inner);
        // A matcher that was started again may have taken the place.
        if all.get(&self.endpoint).is_some_and(|there| Arc::ptr_eq(there, &self.neighbour)) {
            all.remove(&self.endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Neighbour for Nobody {
        fn search(&self, _: Ask) -> BoxFuture<'_, Result<ShardAnswer, Status>> {
            async { Err(Status::unavailable("nobody")) }.boxed()
        }

        fn watch(&self) -> Option<BoxStream<'static, ReplicaDescription>> {
            None
        }

        fn describe(&self) -> ReplicaDescription {
            unreachable!("nobody asks")
        }
    }

    #[test]
    fn a_matcher_is_there_while_it_stays() {
        let neighbours = Neighbours::default();
        let first = neighbours.add("a", Arc::new(Nobody));
        assert!(neighbours.at("a").is_some() && neighbours.at("b").is_none());
        let second = neighbours.add("a", Arc::new(Nobody));
        drop(first);
        assert!(neighbours.at("a").is_some(), "the one that took its place is there");
        drop(second);
        assert!(neighbours.at("a").is_none());
        assert!(neighbours == neighbours.clone() && neighbours != Neighbours::default());
    }
}
