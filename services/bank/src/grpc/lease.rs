//! The lease of the work on exchanges: one process holds it at a time.
//!
//! The lease is in the memory of the bank that serves, and keeps two processes from doing the same work. It
//! is not needed for correctness: cursors alone ensure that no page is applied twice.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The lease, held by at most one process.
#[derive(Debug)]
pub(crate) struct Lease(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The last token that was given; 0 for none.
    token: u64,
    held: Option<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    holder: String,
    until: Instant,
}

/// The answer to a process that asked for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acquired {
    /// The token, if the process got the lease.
    pub(crate) token: Option<u64>,
    /// The process that holds the lease.
    pub(crate) holder: String,
    /// The remaining time of the lease.
    pub(crate) remaining: Duration,
}

impl Lease {
    /// Makes a lease that nobody holds. Tokens continue from a number that no bank has given before, such as
    /// the time in milliseconds.
    pub(crate) const fn new(from: u64) -> Self {
        Self(Mutex::new(State { token: from, held: None }))
    }

    /// Gives the lease to a process, or extends its lease, unless another process holds it.
    pub(crate) fn acquire(&self, holder: &str, ttl: Duration) -> Acquired {
        let now = Instant::now();
        let mut state = self.state();
        match state.held.as_mut().filter(|held| held.until > now) {
            Some(held) if held.holder != holder => {
                let (holder, remaining) = (held.holder.clone(), held.until - now);
                return Acquired { token: None, holder, remaining };
            }
            Some(held) => held.until = now + ttl,
            None => {
                state.token += 1;
                state.held = Some(Held { holder: holder.to_owned(), until: now + ttl });
            }
        }
        Acquired { token: Some(state.token), holder: holder.to_owned(), remaining: ttl }
    }

    /// Returns whether a token is the lease's, and the lease has not expired.
    pub(crate) fn is_held_by(&self, token: u64) -> bool {
        let state = self.state();
        state.token == token && state.held.as_ref().is_some_and(|held| held.until > Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_process_has_the_lease_until_its_time_is_over() {
        let lease = Lease::new(7);
        let ttl = Duration::from_secs(10);
        let first = lease.acquire("a", ttl).token.unwrap();
        assert!(lease.is_held_by(first) && !lease.is_held_by(0) && !lease.is_held_by(first + 1));
        tokio::time::advance(Duration::from_secs(6)).await;
        let refused = lease.acquire("b", ttl);
        assert_eq!((refused.token, refused.holder.as_str()), (None, "a"));
        assert_eq!(refused.remaining, Duration::from_secs(4));
        // An extended lease keeps its token.
        assert_eq!(lease.acquire("a", ttl).token, Some(first));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(lease.is_held_by(first));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(!lease.is_held_by(first));
        let second = lease.acquire("b", ttl).token.unwrap();
        assert!(second != first && !lease.is_held_by(first) && lease.is_held_by(second));
    }
}
