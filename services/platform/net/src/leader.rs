//! Calls to a service that has several endpoints, of which one serves, such as a bank and its standbys.
//!
//! Calls go to the endpoint that answered last. If that one cannot be reached or is not available, the next
//! is tried at once; when all have been tried, they are tried again after a pause.
//!
//! An endpoint may belong to several servers: a name with an address for each. If a server answers that it
//! does not serve, the next attempt opens a new connection, to any address of the name.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::code::retryable;

use crate::endpoint::EndpointError;
use crate::error::{CallError, with_causes};
use crate::network::Network;
use crate::notice::{Notice, Wait};
use crate::retry::Backoff;

/// The time for which a failed call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until its deadline.
    Deadline,
    /// Until its deadline, but no longer than this while nothing at any endpoint has ever answered.
    Connecting(Duration),
    /// For a single attempt at each endpoint.
    Once,
}

/// The endpoints of a service of which one serves. `T` is the handle of one endpoint, which has a connection
/// and is cheap to clone. Clones of the leader use the same endpoint.
#[derive(Debug, Clone)]
pub struct Leader<T> {
    service: &'static str,
    members: Arc<Members<T>>,
    known: Arc<Known>,
    patience: Patience,
    notice: Option<Notice>,
}

struct Members<T> {
    all: Box<[Member<T>]>,
    connect: Box<Connect<T>>,
}

/// Makes the handle of an endpoint, on its own connection.
type Connect<T> = dyn Fn(&str) -> Result<T, EndpointError> + Send + Sync;

#[derive(Debug)]
struct Member<T> {
    endpoint: String,
    connected: Mutex<Connected<T>>,
}

/// A handle, and the number of handles before it.
#[derive(Debug, Clone)]
struct Connected<T> {
    handle: T,
    number: u64,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Members<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(&self.all).finish()
    }
}

impl<T: Clone> Member<T> {
    fn connected(&self) -> Connected<T> {
        self.lock().clone()
    }

    /// Replaces the handle with this number, unless another call has done so.
    fn connect_anew(&self, number: u64, connect: &Connect<T>) {
        let mut connected = self.lock();
        if connected.number == number
            && let Ok(handle) = connect(&self.endpoint)
        {
            *connected = Connected { handle, number: number + 1 };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connected<T>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state that calls share.
#[derive(Debug, Default)]
struct Known {
    /// The index of the endpoint to call.
    current: AtomicUsize,
    /// Whether any endpoint has answered since the leader was created.
    is_reached: AtomicBool,
}

impl<T: Clone> Leader<T> {
    /// Returns a leader for `service`, which is the name in errors, at these endpoints. At least one is
    /// needed.
    ///
    /// # Errors
    ///
    /// There is no endpoint, or `connect` refuses one.
    pub fn new(
        service: &'static str,
        endpoints: &[impl AsRef<str>],
        network: &Network,
        connect: impl Fn(&str) -> Result<T, EndpointError> + Send + Sync + 'static,
    ) -> Result<Self, EndpointError> {
        if endpoints.is_empty() {
            return Err(EndpointError::none());
        }
        let member = |endpoint: &str| {
            let connected = Mutex::new(Connected { handle: connect(endpoint)?, number: 0 });
            Ok(Member { endpoint: endpoint.to_owned(), connected })
        };
        let all = endpoints.iter().map(|endpoint| member(endpoint.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self {
            service,
            members: Arc::new(Members { all, connect: Box::new(connect) }),
            known: Arc::default(),
            patience: Patience::Deadline,
            notice: network.notice().cloned(),
        })
    }

    /// Returns a leader of the same endpoints whose calls are repeated according to `patience`.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Returns the endpoint of the next call.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.members.all[self.index()].endpoint
    }

    /// Returns the handle of the endpoint of the next call.
    #[must_use]
    pub fn handle(&self) -> T {
        self.members.all[self.index()].connected().handle
    }

    fn index(&self) -> usize {
        self.known.current.load(Ordering::Relaxed) % self.members.all.len()
    }

    /// Makes attempts until one succeeds, one fails permanently, or neither the deadline nor the patience
    /// leaves time for another. If the deadline ended the last attempt, its error includes the error before
    /// it; if several endpoints failed, the error includes each.
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
                endpoint: self.endpoint(),
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
            let member = &self.members.all[index];
            let Connected { handle, number } = member.connected();
            let error = match attempt(handle).await {
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
                    Some(last) if is_late => error.after(&last).after_another(),
                    Some(_) => error.after_another(),
                    None => error,
                });
            }
            let may_serve_elsewhere = error.is_of_the_connection() || error.code() == Code::Unavailable;
            if may_serve_elsewhere {
                if !error.is_of_the_connection() {
                    member.connect_anew(number, &*self.members.connect);
                }
                let next = (index + 1) % self.members.all.len();
                // Another call may already have moved on.
                let _ =
                    self.known.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            let pause = backoff.next_pause().max(error.retry_after().unwrap_or_default());
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            last = Some(error.clone());
            if may_serve_elsewhere && others.len() + 1 < self.members.all.len() {
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

    /// Returns the instant after which no further attempt is made, following a round of failures in which no
    /// endpoint could be reached (`is_unreachable`) or some answered.
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

    /// Returns a leader of `count` endpoints. The handle of each is its number.
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
        assert_eq!((leader.endpoint(), leader.handle()), ("2", 2));
    }

    /// Connections to one endpoint of two banks: one serves, and one is a standby.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_serve_is_left_for_another_of_the_same_name() {
        let made = Arc::new(AtomicUsize::new(0));
        let connect = {
            let made = Arc::clone(&made);
            move |_: &str| Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        let leader = Leader::new("bank", &["http://banks"], &Network::tcp(), connect).unwrap();
        let ask = async |connection: usize| match connection {
            0 => Err(error(Code::Unavailable)),
            1 => Err(unreachable()),
            _ => Ok(connection),
        };
        let waits = Cell::new(0);
        let first = leader.call(in_30_s(), async |connection: usize| {
            waits.set(waits.get() + 1);
            // A connection that cannot be reached connects again by itself.
            let connection = if waits.get() > 2 { connection + 1 } else { connection };
            ask(connection).await
        });
        assert_eq!(first.await.unwrap(), 2);
        assert_eq!((waits.get(), made.load(Ordering::Relaxed)), (3, 2));
        assert_eq!(
            leader.clone().call(in_30_s(), async |connection: usize| Ok(connection)).await.unwrap(),
            1
        );

        // However many calls find out at once, one new connection is made.
        let calls = (0..8).map(|_| {
            leader.call(in_30_s(), async |connection: usize| {
                tokio::task::yield_now().await;
                if connection == 1 { Err(error(Code::Unavailable)) } else { Ok(connection) }
            })
        });
        let answers = futures::future::join_all(calls).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 2));
        assert_eq!(made.load(Ordering::Relaxed), 3);
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
