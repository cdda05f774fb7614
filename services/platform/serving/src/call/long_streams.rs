//! Bounds the long streams of one kind, such as the followers of a log: in all, and for each client. Some are
//! kept for the clients that the deployment itself needs.
//!
//! A long stream holds no slot once its answer has begun, so without this bound one client could take all of
//! them. A quarter is kept: for clients whose certificates have the names of the deployment's own services,
//! or, where no such names are configured, for clients that have few streams. A client is its identity, and
//! without certificates its host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::admission::shares::Client;
use crate::call::handle::{Call, Caller};
use crate::refusal_log::{Reason, RefusalLog};

/// A client with fewer streams than this has few.
const FEW: usize = 4;

/// The limits of the long streams of one kind.
#[derive(Debug, Clone)]
pub struct LongStreamLimits {
    /// The kind of stream, in the plural, as logs name it: `"followers"`.
    pub what: &'static str,
    /// The most streams in all.
    pub streams_max: usize,
    /// The most streams of one client, unless it is one of the deployment's own.
    pub per_client_max: usize,
    /// The names in the certificates of the deployment's own clients.
    pub own_names: Vec<String>,
}

/// The reasons for which a long stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooManyStreams {
    /// The limit in all is reached, apart from the streams that are kept for others.
    #[error("too many {what}; try again later")]
    InAll {
        /// The kind of stream, as [`LongStreamLimits::what`].
        what: &'static str,
    },
    /// The client has as many streams as one client may have.
    #[error("this client has {max} {what}, the limit of one client")]
    OfClient {
        /// The kind of stream, as [`LongStreamLimits::what`].
        what: &'static str,
        /// The limit for each client.
        max: usize,
    },
}

/// The long streams of one kind.
#[derive(Debug)]
pub struct LongStreams {
    limits: LongStreamLimits,
    held: Arc<Mutex<Held>>,
    refusals: RefusalLog,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    /// The number of streams of each client. No stored number is zero.
    by_client: HashMap<Client, usize>,
}

impl LongStreams {
    /// Returns a counter for streams of this kind, of which there are none yet.
    #[must_use]
    pub fn new(limits: LongStreamLimits) -> Self {
        Self { limits, held: Arc::default(), refusals: RefusalLog::default() }
    }

    /// Counts the stream of a call until the guard is dropped. A refusal is logged, with the limit.
    ///
    /// # Errors
    ///
    /// There are too many streams of this kind, in all or of this client.
    pub fn enter(&self, call: &Call) -> Result<LongStream, TooManyStreams> {
        let Caller { client, identity, address } = call.caller();
        let name = identity.as_ref().map(|identity| &*identity.0);
        let is_own = name.is_some_and(|name| self.limits.own_names.iter().any(|own| own == name));
        let mut held = lock(&self.held);
        let of_client = held.by_client.get(client).map_or(0, |count| *count);
        if let Some(refusal) = self.limits.refusal(held.all, of_client, is_own) {
            drop(held);
            let LongStreamLimits { what, streams_max, per_client_max, .. } = self.limits;
            let reason = match refusal {
                TooManyStreams::InAll { .. } => Reason::Streams { what, max: streams_max },
                TooManyStreams::OfClient { .. } => Reason::StreamsOfClient { what, max: per_client_max },
            };
            self.refusals.add(*address, reason);
            return Err(refusal);
        }
        held.all += 1;
        held.by_client.insert(client.clone(), of_client + 1);
        Ok(LongStream { client: client.clone(), held: Arc::clone(&self.held) })
    }
}

impl LongStreamLimits {
    /// Returns the reason to refuse one more stream, if its client has `of_client` streams and there are
    /// `all` in all.
    fn refusal(&self, all: usize, of_client: usize, is_own: bool) -> Option<TooManyStreams> {
        let Self { what, streams_max, per_client_max, .. } = *self;
        let kept_for_it = is_own || (self.own_names.is_empty() && of_client < FEW);
        let max = if kept_for_it { streams_max } else { streams_max - streams_max / 4 };
        if !is_own && of_client >= per_client_max {
            Some(TooManyStreams::OfClient { what, max: per_client_max })
        } else {
            (all >= max).then_some(TooManyStreams::InAll { what })
        }
    }
}

/// A long stream, which counts until this is dropped.
#[derive(Debug)]
pub struct LongStream {
    client: Client,
    held: Arc<Mutex<Held>>,
}

impl Drop for LongStream {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.all = held.all.saturating_sub(1);
        if let Some(count) = held.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                held.by_client.remove(&self.client);
            }
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use vigie_rpc::Priority;

    use super::*;
    use crate::ClientIdentity;

    fn streams(own_names: &[&str]) -> LongStreams {
        let own_names = own_names.iter().map(|name| (*name).to_owned()).collect();
        LongStreams::new(LongStreamLimits {
            what: "followers",
            streams_max: 40,
            per_client_max: 20,
            own_names,
        })
    }

    fn call(name: &str) -> Call {
        let identity = ClientIdentity(name.into());
        let caller =
            Caller { client: Client::Named(identity.clone()), identity: Some(identity), address: None };
        Call::never_refused(caller, Priority::Interactive)
    }

    /// Opens as many streams as the client gets. Returns them, and the refusal of one more.
    fn all_of(streams: &LongStreams, name: &str) -> (Vec<LongStream>, TooManyStreams) {
        let mut held = Vec::new();
        loop {
            match streams.enter(&call(name)) {
                Ok(stream) => held.push(stream),
                Err(refusal) => return (held, refusal),
            }
        }
    }

    #[test]
    fn some_are_kept_for_the_deployments_own_however_many_others_want() {
        let streams = streams(&["matcher"]);
        let (first, refusal) = all_of(&streams, "a");
        assert_eq!((first.len(), refusal), (20, TooManyStreams::OfClient { what: "followers", max: 20 }));
        let (second, refusal) = all_of(&streams, "b");
        assert_eq!((second.len(), refusal), (10, TooManyStreams::InAll { what: "followers" }));
        assert!(streams.enter(&call("c")).is_err());
        let (own, refusal) = all_of(&streams, "matcher");
        assert_eq!((own.len(), refusal), (10, TooManyStreams::InAll { what: "followers" }));
        drop(first);
        let (more, _) = all_of(&streams, "matcher");
        assert_eq!(more.len(), 20, "its own number has no limit but that of all");
        drop((second, own, more));
        assert!(lock(&streams.held).by_client.is_empty() && lock(&streams.held).all == 0);
    }

    #[test]
    fn without_names_some_are_kept_for_those_who_have_few() {
        let streams = streams(&[]);
        let (_first, _) = all_of(&streams, "a");
        let (second, _) = all_of(&streams, "b");
        assert_eq!(second.len(), 10);
        for name in ["c", "d"] {
            let held: Vec<_> = (0..FEW).map(|_| streams.enter(&call(name)).unwrap()).collect();
            assert!(streams.enter(&call(name)).is_err(), "and no more than a few");
            drop(held);
        }
    }
}
