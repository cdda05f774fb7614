//! Several endpoints of one service of which one serves, such as a bank and those that stand by for it.
//!
//! Calls go to the endpoint that answered last. Where that one cannot be reached or is not available, the next is tried, at once;
//! when all have been tried, again after a pause.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::code::retryable;

use crate::endpoint::EndpointError;
use crate::error::{CallError, with_causes};
use crate::network::Network;
use crate::notice::{Notice, Wait};
use crate::retry::Backoff;

/// How long a call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until its deadline.
    Deadline,
    /// Until its deadline, but no longer than this while nothing at any endpoint has ever answered.
    Connecting(Duration),
    /// Each endpoint once.
    Once,
}

/// The endpoints of a service of which one serves. `T` is the handle of one, which is cheap to clone. A clone of the leader goes
/// to the same endpoint.
#[derive(Debug, Clone)]
pub struct Leader<T> {
    service: &'static str,
    members: Arc<[(String, T)]>,
    known: Arc<Known>,
    patience: Patience,
    notice: Option<Notice>,
}

/// What calls have found out.
#[derive(Debug, Default)]
struct Known {
    /// The index of the endpoint to call.
    current: AtomicUsize,
    /// Whether anything has answered since the client was made.
    is_reached: AtomicBool,
}

impl<T: Clone> Leader<T> {
    /// The `service`, as errors call it, at one of these endpoints, of which there has to be one at least.
    ///
    /// # Errors
    ///
    /// There is no endpoint, or `handle` refuses one.
    pub fn new(
        service: &'static str,
        endpoints: &[impl AsRef<str>],
        network: &Network,
        handle: impl Fn(&str) -> Result<T, EndpointError>,
    ) -> Result<Self, EndpointError> {
        if endpoints.is_empty() {
            return Err(EndpointError::none());
        }
        let members = endpoints.iter().map(|one| Ok((one.as_ref().to_owned(), handle(one.as_ref())?)));
        Ok(Self {
            service,
            members: members.collect::<Result<_, _>>()?,
            known: Arc::default(),
            patience: Patience::Deadline,
            notice: network.notice().cloned(),
        })
    }

    /// The same endpoints, on which calls are tried again as long as this.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The endpoint that is called next, and its handle.
    #[must_use]
    pub fn current(&self) -> (&str, &T) {
        let (endpoint, handle) = &self.members[self.index()];
        (endpoint, handle)
    }

    fn index(&self) -> usize {
        self.known.current.load(Ordering::Relaxed) % self.members.len()
    }

    /// Makes attempts until one succeeds, one fails permanently, or neither the deadline nor the patience leaves time for another.
    /// The error of an attempt that the deadline ended names the error before it; where several endpoints failed, the error names
    /// each.
    ///
    /// Only for calls that may be made twice: reads, and writes with an idempotency key.
    pub async fn call<A, F>(&self, deadline: Instant, attempt: impl FnMut(T) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let (begun, newest) = (Instant::now(), Mutex::new(None));
        let attempts = self.attempts(deadline, attempt, &newest);
        let Some(notice) = &self.notice else { return attempts.await };
        let wait = || {
            let newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
            let is_unreachable = newest.as_ref().is_some_and(CallError::is_of_the_connection);
            let until = self.until(begun, deadline, is_unreachable);
            Wait {
                service: self.service,
                endpoint: self.current().0,
                left: until.saturating_duration_since(Instant::now()),
                failure: newest.as_ref().map(|one| with_causes(one)),
            }
        };
        notice.over(attempts, wait).await
    }

    async fn attempts<A, F>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut(T) -> F,
        newest: &Mutex<Option<CallError>>,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        let mut last: Option<CallError> = None;
        // The errors of the other endpoints that were tried since the last pause.
        let mut others: Vec<CallError> = Vec::new();
        loop {
            let index = self.index();
            let error = match attempt(self.members[index].1.clone()).await {
                Ok(answer) => {
                    self.known.is_reached.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if !error.is_of_the_connection() && error.code() != Code::DeadlineExceeded {
                self.known.is_reached.store(true, Ordering::Relaxed);
            }
            if !retryable(error.code()) {
                let is_late = error.code() == Code::DeadlineExceeded;
                return Err(match last {
                    Some(last) if is_late => error.after(&last),
                    Some(_) | None => error,
                });
            }
            let may_serve_elsewhere = error.is_of_the_connection() || error.code() == Code::Unavailable;
            if may_serve_elsewhere {
                let next = (index + 1) % self.members.len();
                // Another call may have moved on already.
                let _ =
                    self.known.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            let pause = backoff.next_pause().max(error.retry_after().unwrap_or_default());
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            last = Some(error.clone());
            if may_serve_elsewhere && others.len() + 1 < self.members.len() {
                others.push(error);
                continue;
            }
            let is_of_no_use = error.is_for_good() && others.iter().all(CallError::is_for_good);
            let is_unreachable =
                error.is_of_the_connection() && others.iter().all(CallError::is_of_the_connection);
            if is_of_no_use || Instant::now() + pause >= self.until(begun, deadline, is_unreachable) {
                return Err(if others.is_empty() { error } else { error.beside(&others) });
            }
            tokio::time::sleep(pause).await;
            others.clear();
        }
    }

    /// When no further attempt is made after a round of failures, in which no endpoint could be reached or some answered.
    fn until(&self, begun: Instant, deadline: Instant, is_unreachable: bool) -> Instant {
        match self.patience {
            Patience::Once => begun,
            Patience::Connecting(within)
                if is_unreachable && !self.known.is_reached.load(Ordering::Relaxed) =>
            {
                deadline.min(begun + within)
            }
            Patience::Connecting(_) | Patience::Deadline => deadline,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tonic::Status;

    use super::*;

    fn error(code: Code) -> CallError {
        CallError::new("bank", "http://test".into(), Status::new(code, "x"))
    }

    fn unreachable() -> CallError {
        error(Code::Unavailable).of_the_connection(false)
    }

    /// A leader of so many endpoints, of which each handle is its number.
    fn leader(count: usize) -> Leader<usize> {
        let names: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let handle = |name: &str| Ok(name.parse().unwrap());
        Leader::new("bank", &names, &Network::tcp(), handle).unwrap()
    }

    fn in_30_s() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_go_on_until_one_succeeds() {
        let attempts = Cell::new(0);
        let bank = leader(1);
        let answer = bank.call(in_30_s(), async |_| {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 4 { Err(error(Code::Unavailable)) } else { Ok(attempts.get()) }
        });
        assert_eq!(answer.await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_the_deadline_and_at_a_failure_for_good() {
        let deadline = in_30_s();
        let lost = leader(1).call(deadline, async |_| Err::<(), _>(error(Code::Unavailable))).await;
        assert_eq!(lost.unwrap_err().code(), Code::Unavailable);
        assert!(Instant::now() < deadline);

        let attempts = Cell::new(0);
        let bank = leader(2);
        let refused = bank.call(in_30_s(), async |_| {
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
        let bank = leader(1);
        let refused = bank.call(in_30_s(), async |_| {
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
        let bank = leader(1);
        let late = bank.call(in_30_s(), async |_| {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error(if attempts.get() < 3 { Code::Unavailable } else { Code::DeadlineExceeded }))
        });
        let late = late.await.unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(late.message(), "x; the last attempt: bank at http://test: x");
    }

    #[tokio::test(start_paused = true)]
    async fn the_endpoint_that_serves_is_found_at_once_and_called_from_then_on() {
        let (leader, begun) = (leader(3), Instant::now());
        let asked = Cell::new(Vec::new());
        let ask = async |number: usize| {
            let mut all = asked.take();
            all.push(number);
            asked.set(all);
            match number {
                0 => Err(unreachable()),
                1 => Err(error(Code::Unavailable)),
                _ => Ok(number),
            }
        };
        for _ in 0..2 {
            assert_eq!(leader.call(in_30_s(), ask).await.unwrap(), 2);
        }
        assert_eq!(asked.take(), [0, 1, 2, 2]);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(leader.current(), ("2", &2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_full_is_no_reason_to_go_elsewhere() {
        let asked = Cell::new([0; 2]);
        let bank = leader(2);
        let answer = bank.call(in_30_s(), async |number: usize| {
            let mut counts = asked.get();
            counts[number] += 1;
            asked.set(counts);
            if counts[number] < 3 { Err(error(Code::ResourceExhausted)) } else { Ok(()) }
        });
        answer.await.unwrap();
        assert_eq!(asked.get(), [3, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_reached_is_given_up_soon_and_what_was_is_waited_for() {
        let leader = leader(2).with_patience(Patience::Connecting(Duration::from_secs(2)));
        let begun = Instant::now();
        let lost = leader.call(in_30_s(), async |_| Err::<(), _>(unreachable())).await.unwrap_err();
        assert!(lost.message().contains("; bank at http://test: x"), "every endpoint is named: {lost}");
        assert!(begun.elapsed() < Duration::from_secs(2));

        leader.call(in_30_s(), async |_| Ok(())).await.unwrap();
        let begun = Instant::now();
        leader.call(in_30_s(), async |_| Err::<(), _>(unreachable())).await.unwrap_err();
        assert!(begun.elapsed() > Duration::from_secs(25));
    }

    #[tokio::test(start_paused = true)]
    async fn without_patience_each_endpoint_is_tried_once() {
        let attempts = Cell::new(0);
        let bank = leader(3).with_patience(Patience::Once);
        let refused = bank.call(in_30_s(), async |_| {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(error(Code::Unavailable))
        });
        refused.await.unwrap_err();
        assert_eq!(attempts.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_long_is_reported_with_the_last_failure() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let reports = Arc::clone(&reported);
        let notice = Notice::new(Duration::from_secs(1), move |wait| {
            reports.lock().unwrap().push((wait.service, wait.failure.clone()));
        });
        let leader: Leader<usize> =
            Leader::new("bank", &["0"], &Network::tcp().noticing(notice), |_| Ok(0)).unwrap();
        let refused = leader
            .call(Instant::now() + Duration::from_secs(5), async |_| Err::<(), _>(error(Code::Unavailable)));
        refused.await.unwrap_err();
        let reported = reported.lock().unwrap();
        assert!((3..=5).contains(&reported.len()), "{reported:?}");
        assert_eq!(reported[0], ("bank", Some("bank at http://test: x".to_owned())));
    }
}
