//! When to make another attempt. Which failures are worth one is a column of the table in [`vigie_rpc::code`].

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::code::retryable;

use crate::error::CallError;

/// Growing pauses between attempts, each drawn at random below a bound that doubles ("full jitter"), so that many
/// clients that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    bound: Duration,
    bound_max: Duration,
}

impl Backoff {
    /// Pauses below `first`, then below twice that, up to `bound_max`.
    #[must_use]
    pub const fn new(first: Duration, bound_max: Duration) -> Self {
        Self { bound: first, bound_max }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.bound.mul_f64(draw());
        self.bound = (self.bound * 2).min(self.bound_max);
        pause
    }
}

/// Draws a share of a bound at random.
#[must_use]
pub fn draw() -> f64 {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => seeded.random_range(0.2..1.0),
        None => rand::rng().random_range(0.2..1.0),
    })
}

thread_local! {
    static SEEDED: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// Draws the pauses of this thread from a seed, so that a simulation can be repeated.
#[doc(hidden)]
pub fn seed(seed: u64) {
    SEEDED.set(Some(SmallRng::seed_from_u64(seed)));
}

impl Default for Backoff {
    /// From 50 ms to 2 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }
}

/// Makes attempts until one succeeds, one fails permanently, or the deadline leaves no time for another. The error of an attempt
/// that the deadline ended names the error before it.
///
/// Only for calls that may be made twice: reads, and writes with an idempotency key.
pub async fn until<A, F>(deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<A, CallError>
where
    F: Future<Output = Result<A, CallError>>,
{
    let mut backoff = Backoff::default();
    let mut last: Option<CallError> = None;
    loop {
        let error = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) if retryable(error.code()) && !error.is_for_good() => error,
            Err(error) => {
                let late = error.code() == Code::DeadlineExceeded;
                return Err(match last {
                    Some(last) if late => error.after(&last),
                    Some(_) | None => error,
                });
            }
        };
        let pause = backoff.next_pause().max(error.retry_after().unwrap_or_default());
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        last = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tonic::Status;

    fn error(code: Code) -> CallError {
        CallError::new("bank", "http://test".into(), Status::new(code, "x"))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_go_on_until_one_succeeds() {
        let attempts = Cell::new(0);
        let deadline = Instant::now() + Duration::from_secs(60);
        let answer = until(deadline, || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 4 { Err(error(Code::Unavailable)) } else { Ok(attempts.get()) }
        });
        assert_eq!(answer.await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_the_deadline_and_at_a_failure_for_good() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let lost = until(deadline, || async { Err::<(), _>(error(Code::Unavailable)) }).await;
        assert_eq!(lost.unwrap_err().code(), Code::Unavailable);
        assert!(Instant::now() < deadline);

        let attempts = Cell::new(0);
        let refused = until(deadline, || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error(Code::NotFound))
        });
        assert_eq!(refused.await.unwrap_err().code(), Code::NotFound);
        assert_eq!(attempts.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_as_it_is_is_not_tried_again() {
        let attempts = Cell::new(0);
        let begun = Instant::now();
        let refused = until(begun + Duration::from_secs(30), || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error(Code::Unavailable).of_the_connection(attempts.get() == 2))
        });
        assert!(refused.await.unwrap_err().is_for_good());
        assert_eq!(attempts.get(), 2);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_the_deadline_ends_says_why_the_one_before_it_failed() {
        let attempts = Cell::new(0);
        let late = until(Instant::now() + Duration::from_secs(30), || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error(if attempts.get() < 3 { Code::Unavailable } else { Code::DeadlineExceeded }))
        });
        let late = late.await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(late.message(), "x; the last attempt: bank at http://test: x");
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        let pauses: Vec<_> = (0..20).map(|_| backoff.next_pause()).collect();
        assert!(pauses.iter().all(|pause| (2..=100).contains(&pause.as_millis())), "{pauses:?}");
        assert!(pauses[10..].iter().any(|pause| pause.as_millis() > 40), "{pauses:?}");
    }
}
