//! Parts of this process that other parts call as functions, under the endpoint at which others reach them.
//!
//! A caller uses the endpoint of its configuration for such a part, as for any other, so its logs are the
//! same in both cases.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use http::{Request, Response};
use tonic::body::Body;

/// Parts of this process, by endpoint. Clones share the state.
pub struct InProcess<T: ?Sized>(Arc<RwLock<ByEndpoint<T>>>);

type ByEndpoint<T> = BTreeMap<Arc<str>, Arc<T>>;

impl<T: ?Sized> InProcess<T> {
    /// Returns the part at an endpoint, while it runs.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(endpoint).map(Arc::clone)
    }

    /// Adds a part until the returned value is dropped.
    #[must_use]
    pub fn add(&self, endpoint: &str, part: Arc<T>) -> Stay<T> {
        let endpoint: Arc<str> = endpoint.into();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(Arc::clone(&endpoint), Arc::clone(&part));
        Stay { all: self.clone(), endpoint, part }
    }
}

impl<T: ?Sized> Clone for InProcess<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Default for InProcess<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Shows only the endpoints.
impl<T: ?Sized> fmt::Debug for InProcess<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        formatter.debug_set().entries(all.keys()).finish()
    }
}

/// Two handles are equal if they share the same state.
impl<T: ?Sized> PartialEq for InProcess<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: ?Sized> Eq for InProcess<T> {}

/// The registration of a part. Dropping it removes the part.
#[derive(Debug)]
pub struct Stay<T: ?Sized> {
    all: InProcess<T>,
    endpoint: Arc<str>,
    part: Arc<T>,
}

impl<T: ?Sized> Drop for Stay<T> {
    fn drop(&mut self) {
        let mut all = self.all.0.write().unwrap_or_else(PoisonError::into_inner);
        // A restarted part may have taken the endpoint meanwhile.
        if all.get(&self.endpoint).is_some_and(|there| Arc::ptr_eq(there, &self.part)) {
            all.remove(&self.endpoint);
        }
    }
}

/// The servers of this process.
pub type LocalServers = InProcess<dyn LocalServer>;

/// The answer of a [`LocalServer`].
pub type LocalAnswer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A server of this process, which takes calls without a connection. They pass the same layers as the calls
/// of connections.
pub trait LocalServer: fmt::Debug + Send + Sync {
    /// Answers a call. The call lasts as long as the future, and then as long as the body of the answer.
    fn call(&self, request: Request<Body>) -> LocalAnswer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_there_while_it_stays() {
        let parts = InProcess::<str>::default();
        let first = parts.add("a", "first".into());
        assert!(parts.at("a").is_some() && parts.at("b").is_none());
        let second = parts.add("a", "second".into());
        drop(first);
        assert_eq!(parts.at("a").as_deref(), Some("second"), "the one that took its endpoint is there");
        drop(second);
        assert!(parts.at("a").is_none());
        assert!(parts == parts.clone() && parts != InProcess::default());
    }
}
