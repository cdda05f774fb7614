//! Checks whether a message arrives fast enough.
//!
//! Only time in which the server waits for the sender counts: a body that nobody reads is not slow. A message
//! may take a grace time plus the time of its bytes at the minimum rate, and never longer than a call may
//! take. The remaining time only grows as bytes arrive, so one timer is enough, which is set again when it
//! fires.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::ServingConfig;

/// The rate at which messages have to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PaceLimits {
    /// In bytes per second; 0 allows any rate.
    pub(crate) bytes_per_second_min: u32,
    grace: Duration,
    longest: Duration,
}

impl PaceLimits {
    pub(crate) fn new(config: &ServingConfig) -> Self {
        Self {
            bytes_per_second_min: config.body_bytes_per_second_min,
            grace: Duration::from_millis(config.body_grace_ms),
            longest: config.deadline_max(),
        }
    }

    /// Returns the longest waiting time for a message of which `arrived` bytes have arrived.
    fn allowed(&self, arrived: usize) -> Duration {
        let Some(rate) = Some(self.bytes_per_second_min).filter(|rate| *rate > 0) else {
            return self.longest;
        };
        let millis = (arrived as u64).saturating_mul(1_000) / u64::from(rate);
        self.grace.saturating_add(Duration::from_millis(millis)).min(self.longest)
    }
}

/// The arrival of one message, or of a whole body that holds one message.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: PaceLimits,
    arrived: usize,
    /// The time that the sender has taken so far.
    waited: Duration,
    /// The instant since which the server waits for the sender. `None` while it does not.
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// A message that arrives too slowly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TooSlow {
    pub(crate) arrived: usize,
    pub(crate) waited: Duration,
    pub(crate) bytes_per_second_min: u32,
}

impl Pace {
    pub(crate) const fn new(limits: PaceLimits) -> Self {
        Self { limits, arrived: 0, waited: Duration::ZERO, since: None, alarm: None }
    }

    /// Starts the time of another message.
    pub(crate) fn restart(&mut self) {
        (self.arrived, self.waited) = (0, Duration::ZERO);
    }

    /// Counts bytes that have arrived.
    pub(crate) fn arrive(&mut self, bytes: usize) {
        self.arrived += bytes;
    }

    /// Notes that nothing has arrived: the sender's time starts, unless it is running already.
    pub(crate) fn pause(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Notes that something has arrived. Returns how long the server waited for it, or `None` if it did not
    /// wait.
    pub(crate) fn resume(&mut self) -> Option<Duration> {
        let took = self.since.take()?.elapsed();
        self.waited += took;
        Some(took)
    }

    /// Ready when the server has waited too long for the sender.
    pub(crate) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<TooSlow> {
        let Some(since) = self.since else { return Poll::Pending };
        loop {
            let waited = self.waited + since.elapsed();
            let allowed = self.limits.allowed(self.arrived);
            if waited >= allowed {
                let Self { arrived, limits: PaceLimits { bytes_per_second_min, .. }, .. } = *self;
                return Poll::Ready(TooSlow { arrived, waited, bytes_per_second_min });
            }
            let until = Instant::now() + (allowed - waited);
            match &mut self.alarm {
                None => self.alarm = Some(Box::pin(tokio::time::sleep_until(until))),
                // The timer was set when fewer bytes had arrived: it fires early, and is set again.
                Some(alarm) if alarm.is_elapsed() => alarm.as_mut().reset(until),
                Some(_) => {}
            }
            if let Some(alarm) = &mut self.alarm {
                ready!(alarm.as_mut().poll(context));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits = PaceLimits {
        bytes_per_second_min: 1_000,
        grace: Duration::from_secs(5),
        longest: Duration::from_secs(60),
    };

    async fn too_slow(pace: &mut Pace) -> TooSlow {
        std::future::poll_fn(|context| pace.poll_too_slow(context)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stalls_is_too_slow_after_its_grace_and_what_its_bytes_may_take() {
        for (arrived, seconds) in [(0, 5), (3_000, 8), (1_000_000, 60)] {
            let (mut pace, begun) = (Pace::new(LIMITS), Instant::now());
            pace.arrive(arrived);
            pace.pause();
            assert_eq!(too_slow(&mut pace).await.arrived, arrived);
            assert_eq!(begun.elapsed().as_secs(), seconds, "{arrived}");
        }
        let any = PaceLimits { bytes_per_second_min: 0, ..LIMITS };
        let (mut pace, begun) = (Pace::new(any), Instant::now());
        pace.pause();
        too_slow(&mut pace).await;
        assert_eq!(begun.elapsed(), any.longest, "at any rate it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn drops_below_the_rate_end_and_drops_above_it_do_not() {
        for (bytes_each_second, is_slow) in [(900, true), (1_000, false), (2_000, false)] {
            let mut pace = Pace::new(PaceLimits { longest: Duration::from_secs(3_600), ..LIMITS });
            let mut ended = false;
            for _ in 0..120 {
                pace.pause();
                let second = tokio::time::sleep(Duration::from_secs(1));
                tokio::select! {
                    biased;
                    () = second => {}
                    _ = too_slow(&mut pace) => { ended = true; break }
                }
                pace.resume();
                pace.arrive(bytes_each_second);
            }
            assert_eq!(ended, is_slow, "{bytes_each_second}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_asks_for_more_does_not_count() {
        let mut pace = Pace::new(LIMITS);
        for _ in 0..10 {
            pace.pause();
            tokio::time::sleep(Duration::from_millis(400)).await;
            assert_eq!(pace.resume(), Some(Duration::from_millis(400)));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        pace.pause();
        assert_eq!(too_slow(&mut pace).await.waited, LIMITS.grace);
        pace.resume();
        pace.restart();
        pace.pause();
        let waits = tokio::time::timeout(Duration::from_secs(4), too_slow(&mut pace)).await;
        assert!(waits.is_err(), "the next message has its own time");
    }
}
