//! The callers of a closed loop: each sends a request, waits for the answer, and sends the next.
//!
//! A closed loop measures the rate that a number of callers reaches. It never sends more than the target
//! answers, so it cannot show how a target behaves under more load than it can answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::data::draw::{Draw, Stream};
use crate::run::lanes::request;
use crate::run::lanes::schedule::{Arrival, LaneNumber};
use crate::run::lanes::shared::Shared;
use crate::run::record::recorder::Recorder;
use crate::run::target::endpoint::Endpoint;

/// All callers of a lane.
pub(crate) struct Callers {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: LaneNumber,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) recorder: Recorder,
    /// Number of requests under way.
    pub(crate) in_flight: Arc<AtomicU32>,
}

impl Callers {
    /// Keeps `at_once` requests under way from `start` to the end of the run, or until `stop` is cancelled.
    pub(crate) async fn drive(self, at_once: u32, start: Instant, stop: &CancellationToken) {
        let end = start + self.shared.scenario.length();
        // Request numbers, from which questions are drawn with the seed. Lane n takes every `of`-th number
        // from n on.
        let next = AtomicU64::new(self.place.lane);
        tokio::time::sleep_until(start.into()).await;
        let callers = self.endpoints.iter().cycle().zip(0..at_once);
        let callers = callers.map(|(endpoint, _)| self.ask_on(endpoint, &next, start, end, stop));
        join_all(callers).await;
    }

    async fn ask_on(
        &self,
        endpoint: &Endpoint,
        next: &AtomicU64,
        start: Instant,
        end: Instant,
        stop: &CancellationToken,
    ) {
        let shared = &self.shared;
        loop {
            let now = Instant::now();
            if now >= end || stop.is_cancelled() {
                return;
            }
            let arrival =
                Arrival { number: next.fetch_add(self.place.of, Ordering::Relaxed), at: now - start };
            let mut draw = Draw::new(shared.scenario.seed, Stream::Request, arrival.number);
            let kind = shared.chooser.choose(&mut draw);
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let sample = request::make(shared, endpoint, kind, arrival, draw, start).await;
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.recorder.note(&sample, shared.scenario.drive.warm_up.0);
            // Yields, so that a target that refuses at once does not starve the other callers of this thread.
            tokio::task::yield_now().await;
        }
    }
}
