//! The calls of a connection that are open: from their head to the end of their answer.
//!
//! A connection without any may be closed; and what is open when a server ends is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The open calls of a whole server. A clone is a handle of the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerCalls {
    open: Arc<AtomicUsize>,
}

impl ServerCalls {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Those of a new connection.
    pub(crate) fn connection(&self) -> ConnectionCalls {
        let inner = Inner {
            of_server: self.clone(),
            open: AtomicUsize::new(0),
            begun: Instant::now(),
            quiet_since_ms: AtomicU64::new(0),
        };
        ConnectionCalls { inner: Arc::new(inner) }
    }
}

/// The open calls of one connection. An extension of each request; a clone is a handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionCalls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    of_server: ServerCalls,
    open: AtomicUsize,
    begun: Instant,
    /// When the last of them ended, in milliseconds since `begun`.
    quiet_since_ms: AtomicU64,
}

impl ConnectionCalls {
    /// Counts a call.
    pub(crate) fn enter(&self) -> OpenCall {
        self.inner.open.fetch_add(1, Ordering::Relaxed);
        self.inner.of_server.open.fetch_add(1, Ordering::Relaxed);
        OpenCall { calls: self.clone() }
    }

    /// Waits until no call has been open for this long, counted from `from` at the earliest.
    pub(crate) async fn quiet(&self, from: Instant, time: Duration) {
        loop {
            let inner = &*self.inner;
            let wait = if inner.open.load(Ordering::Relaxed) > 0 {
                time
            } else {
                let ended = Duration::from_millis(inner.quiet_since_ms.load(Ordering::Relaxed));
                time.saturating_sub((inner.begun + ended).max(from).elapsed())
            };
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// A call that is open, until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenCall {
    calls: ConnectionCalls,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let inner = &*self.calls.inner;
        let ended = u64::try_from(inner.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.quiet_since_ms.store(ended, Ordering::Relaxed);
        inner.open.fetch_sub(1, Ordering::Relaxed);
        inner.of_server.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_its_last_call_is_so_long_ago() {
        let (server, begun) = (ServerCalls::default(), Instant::now());
        let (calls, other) = (server.connection(), server.connection());
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
        // What was quiet before does not count.
        let from = Instant::now();
        calls.quiet(from, seconds(1)).await;
        assert_eq!(from.elapsed(), seconds(1));
    }
}
