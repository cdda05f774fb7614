//! The open calls of a connection: from the head of the request to the end of the answer.
//!
//! A connection without open calls may be closed. A connection whose client has no calls waiting in its own
//! queue may be replaced by a new one. Calls that are open when the server ends are cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The number of open calls of a whole server. Clones share the number.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerCalls {
    open: Arc<AtomicUsize>,
}

impl ServerCalls {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns the calls of a new connection, whose client may have `most` calls open at once and keeps
    /// further ones waiting.
    pub(crate) fn connection(&self, most: usize) -> ConnectionCalls {
        let inner = Inner {
            of_server: self.clone(),
            open: AtomicUsize::new(0),
            // The client learns of the end of a call later than the server does.
            crowd: (most - most / 4).max(1),
            begun: Instant::now(),
            quiet_since_ms: AtomicU64::new(0),
            crowded_until_ms: AtomicU64::new(0),
        };
        ConnectionCalls { inner: Arc::new(inner) }
    }
}

/// The open calls of one connection. An extension of each request; clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionCalls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    of_server: ServerCalls,
    open: AtomicUsize,
    /// The number of open calls from which on the client may have other calls waiting.
    crowd: usize,
    begun: Instant,
    /// The end of the last call, in milliseconds since `begun`.
    quiet_since_ms: AtomicU64,
    /// The last moment at which `crowd` calls or more were open, in milliseconds since `begun`.
    crowded_until_ms: AtomicU64,
}

impl Inner {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the time from a moment, given in milliseconds since `begun`, to now.
    fn since(&self, moment_ms: &AtomicU64) -> Duration {
        (self.begun + Duration::from_millis(moment_ms.load(Ordering::Relaxed))).elapsed()
    }
}

impl ConnectionCalls {
    /// Counts a call as open until the returned guard is dropped.
    pub(crate) fn enter(&self) -> OpenCall {
        let inner = &*self.inner;
        if inner.open.fetch_add(1, Ordering::Relaxed) + 1 >= inner.crowd {
            inner.crowded_until_ms.store(inner.now_ms(), Ordering::Relaxed);
        }
        inner.of_server.open.fetch_add(1, Ordering::Relaxed);
        OpenCall { calls: self.clone() }
    }

    /// Waits until no call is open. Checks again after each `pause`.
    pub(crate) async fn ended(&self, pause: Duration) {
        while self.inner.open.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until no call has been open for `time`, counted from `from` at the earliest.
    pub(crate) async fn quiet(&self, from: Instant, time: Duration) {
        self.fewer_than(1, time, |inner| inner.since(&inner.quiet_since_ms).min(from.elapsed())).await;
    }

    /// Waits until fewer than `crowd` calls have been open for `time`. If `time` is longer than a round trip,
    /// the client has no calls waiting: it would have begun them.
    pub(crate) async fn roomy(&self, time: Duration) {
        self.fewer_than(self.inner.crowd, time, |inner| inner.since(&inner.crowded_until_ms)).await;
    }

    /// Waits until fewer than `calls` calls are open, and `lasted` returns at least `time`.
    async fn fewer_than(&self, calls: usize, time: Duration, lasted: impl Fn(&Inner) -> Duration) {
        loop {
            let inner = &*self.inner;
            let wait = if inner.open.load(Ordering::Relaxed) >= calls {
                time
            } else {
                time.saturating_sub(lasted(inner))
            };
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// An open call, until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenCall {
    calls: ConnectionCalls,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let inner = &*self.calls.inner;
        let now_ms = inner.now_ms();
        inner.quiet_since_ms.store(now_ms, Ordering::Relaxed);
        if inner.open.fetch_sub(1, Ordering::Relaxed) >= inner.crowd {
            inner.crowded_until_ms.store(now_ms, Ordering::Relaxed);
        }
        inner.of_server.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_its_last_call_is_so_long_ago() {
        let (server, begun) = (ServerCalls::default(), Instant::now());
        let (calls, other) = (server.connection(4), server.connection(4));
        let seconds = Duration::from_secs;
        calls.quiet(begun, seconds(3)).await;
        assert_eq!(begun.elapsed(), seconds(3));

        let (open, another) = (calls.enter(), other.enter());
        assert_eq!(server.open(), 2);
        drop(another);
        let waits = tokio::time::timeout(seconds(60), calls.quiet(begun, seconds(3))).await;
        assert!(waits.is_err(), "a call is open");
        drop(open);
        let ended = Instant::now();
        calls.quiet(begun, seconds(3)).await;
        assert!(ended.elapsed() >= seconds(3) && ended.elapsed() <= seconds(6), "{:?}", ended.elapsed());
        assert_eq!(server.open(), 0);
        // Time before `from` does not count.
        let from = Instant::now();
        calls.quiet(from, seconds(1)).await;
        assert_eq!(from.elapsed(), seconds(1));
    }
    #[tokio::test(start_paused = true)]
    async fn a_connection_is_roomy_when_its_last_crowd_is_so_long_ago() {
        let calls = ServerCalls::default().connection(4);
        let seconds = Duration::from_secs;
        let mut open: Vec<OpenCall> = (0..3).map(|_| calls.enter()).collect();
        tokio::time::sleep(seconds(10)).await;
        let waits = tokio::time::timeout(seconds(60), calls.roomy(seconds(1))).await;
        assert!(waits.is_err(), "three of four places are a crowd");
        open.pop();
        let since = Instant::now();
        calls.roomy(seconds(1)).await;
        assert_eq!(since.elapsed(), seconds(1), "others may be on their way");
        // A crowd that came and went restarts the time.
        tokio::time::sleep(seconds(5)).await;
        drop(calls.enter());
        let since = Instant::now();
        calls.roomy(seconds(1)).await;
        assert_eq!(since.elapsed(), seconds(1));
        calls.roomy(seconds(1)).await;
        assert_eq!(since.elapsed(), seconds(1), "two open calls are none");
    }
}
