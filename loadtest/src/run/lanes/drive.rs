//! Sends each request when it is due, and never waits for an answer.
//!
//! A lane is a thread with an event loop and connections of its own. It computes the schedule, waits for the
//! next arrival, starts a request as a task, and goes on. Its record is shared with the collector, which
//! reads it once a second.
//!
//! The exception is a closed loop, where each request is due when another has ended: its callers are in
//! `closed`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::data::draw::{Draw, Stream};
use crate::judge::oracle::Verdict;
use crate::run::lanes::closed::Callers;
use crate::run::lanes::kind::Kind;
use crate::run::lanes::pace::Pace;
use crate::run::lanes::request;
use crate::run::lanes::schedule::{Arrival, LaneNumber};
use crate::run::lanes::shared::Shared;
use crate::run::record::note::{Outcome, Sample};
use crate::run::record::recorder::Recorder;
use crate::run::target::endpoint::Endpoint;

/// The time after their deadline that requests still get at the end of the run.
const DRAIN: Duration = Duration::from_secs(2);

/// The times at which requests are due.
pub(crate) enum Arrivals {
    /// At times that are known beforehand; with a kind where a trace names one.
    Open(Box<dyn Iterator<Item = (Arrival, Option<Kind>)> + Send>),
    /// Each when another has ended.
    Closed {
        /// Number of requests under way at all times.
        at_once: u32,
    },
}

/// A lane that is ready to run.
pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: LaneNumber,
    pub(crate) arrivals: Arrivals,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) recorder: Recorder,
    /// The number of requests under way, and its limit.
    pub(crate) in_flight: Arc<AtomicU32>,
    pub(crate) in_flight_max: u32,
}

impl Lane {
    /// Sends all requests from `start` on; returns when all have ended or `stop` is cancelled.
    pub(crate) async fn drive(self, start: Instant, stop: &CancellationToken) -> anyhow::Result<()> {
        let Self { shared, place, arrivals, endpoints, recorder, in_flight, in_flight_max } = self;
        let arrivals = match arrivals {
            Arrivals::Open(arrivals) => arrivals,
            Arrivals::Closed { at_once } => {
                let callers = Callers { shared, place, endpoints, recorder, in_flight };
                callers.drive(at_once, start, stop).await;
                return Ok(());
            }
        };
        let endpoints: Arc<[Endpoint]> = endpoints.into();
        let mut pace = Pace::new()?;
        let mine = arrivals.filter(|(arrival, _)| arrival.number % place.of == place.lane);
        for (turn, (arrival, kind)) in mine.enumerate() {
            let now = tokio::select! {
                biased;
                now = pace.until(start + arrival.at) => now?,
                () = stop.cancelled() => break,
            };
            let mut draw = Draw::new(shared.scenario.seed, Stream::Request, arrival.number);
            let kind = kind.unwrap_or_else(|| shared.chooser.choose(&mut draw));
            // A request whose deadline has passed before it is sent is counted as unsent.
            let expired = now - start >= arrival.at + shared.scenario.drive.deadline.0;
            if expired || in_flight.load(Ordering::Relaxed) >= in_flight_max {
                recorder.note(&unsent(kind, arrival, now - start), shared.scenario.drive.warm_up.0);
                continue;
            }
            in_flight.fetch_add(1, Ordering::Relaxed);
            let under_way = UnderWay(Arc::clone(&in_flight));
            let (shared, recorder, endpoints) =
                (Arc::clone(&shared), recorder.clone(), Arc::clone(&endpoints));
            tokio::spawn(async move {
                let endpoint = &endpoints[turn % endpoints.len()];
                let sample = request::make(&shared, endpoint, kind, arrival, draw, start).await;
                recorder.note(&sample, shared.scenario.drive.warm_up.0);
                drop(under_way);
            });
        }
        let patience = Instant::now() + shared.scenario.drive.deadline.0 + DRAIN;
        while in_flight.load(Ordering::Relaxed) > 0 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Counts a request as under way until it is dropped.
struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const fn unsent(kind: Kind, arrival: Arrival, now: Duration) -> Sample {
    Sample {
        kind,
        outcome: Outcome::Unsent,
        intended: arrival.at,
        started: now,
        finished: now,
        retries: 0,
        questions: 0,
        verdict: Verdict {
            judged: 0,
            right: 0,
            missed: 0,
            false_matches: 0,
            wrong_distance: 0,
            wrong_evidence: 0,
            incomplete: 0,
            stale: 0,
            decided: 0,
            misjudged: 0,
        },
        coverage: None,
    }
}
