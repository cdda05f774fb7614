//! Single queries on one thread.

use serde::Serialize;

use super::times::{Asker, Plan, Times};
use crate::index::engine::Engine;

/// Times of single queries on one thread, with nothing else running.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    #[serde(flatten)]
    pub(crate) times: Times,
    pub(crate) p99_over_median: f64,
}

/// Measures after one warm-up slice, which is not counted.
pub(crate) fn latency(engine: &dyn Engine, plan: &Plan<'_>) -> Latency {
    Asker::new(plan).ask_for(engine, plan.slice);
    let mut asker = Asker::new(plan);
    for _ in 0..plan.rounds {
        asker.ask_for(engine, plan.slice);
    }
    let times = asker.summary();
    let p99_over_median = times.p99_us / times.median_us;
    Latency { times, p99_over_median }
}
