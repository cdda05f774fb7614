//! Queries a second on several numbers of threads, one by one and in batches.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;

use super::times::Plan;
use crate::index::engine::Engine;

/// Queries a second of one batch size on one number of threads.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Throughput {
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    pub(crate) queries_per_second: f64,
    /// Ratio to the rate of the same batch size on the first number of threads.
    pub(crate) over_first: f64,
}

/// Measures all batch sizes on all numbers of threads, in alternation.
pub(crate) fn throughput(
    engine: &dyn Engine,
    plan: &Plan<'_>,
    batches: &[usize],
    threads: &[usize],
) -> Vec<Throughput> {
    let cases: Vec<(usize, usize)> =
        batches.iter().flat_map(|&batch| threads.iter().map(move |&threads| (batch, threads))).collect();
    let mut rates = vec![0.0; cases.len()];
    for _ in 0..plan.rounds {
        for (rate, &(batch, threads)) in rates.iter_mut().zip(&cases) {
            *rate += slice(engine, plan, batch, threads) / f64::from(plan.rounds);
        }
    }
    let measured = |(at, &(batch, threads_used)): (usize, &(usize, usize))| Throughput {
        batch,
        threads: threads_used,
        queries_per_second: rates[at],
        over_first: rates[at] / rates[at - at % threads.len()],
    };
    cases.iter().enumerate().map(measured).collect()
}

/// Returns the queries answered per second in one slice. Each thread starts at a different query.
fn slice(engine: &dyn Engine, plan: &Plan<'_>, batch: usize, threads: usize) -> f64 {
    let work = |thread: usize| {
        let skipped = plan.queries.len() / batch * thread / threads;
        let mut batches = plan.queries.chunks(batch).cycle().skip(skipped);
        let begin = Instant::now();
        let mut answered = 0;
        while begin.elapsed() < plan.slice {
            let queries = batches.next().unwrap_or(plan.queries);
            black_box(engine.search(black_box(queries), plan.radius));
            answered += queries.len();
        }
        answered as f64 / begin.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let own = work(0);
        own + others.into_iter().map(|other| other.join().unwrap_or(f64::NAN)).sum::<f64>()
    })
}
