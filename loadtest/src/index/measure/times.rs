//! Times of single searches, taken in short slices.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use vigie_model::Distance;

use crate::Hash;
use crate::index::engine::Search;

/// The parameters that every measurement needs.
pub(crate) struct Plan<'a> {
    pub(crate) queries: &'a [Hash],
    pub(crate) radius: Distance,
    /// The number of slices under each condition, such as with and without updates.
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
}

/// Searches the queries one by one, repeatedly, and records the time of each search.
pub(crate) struct Asker<'a> {
    queries: &'a [Hash],
    radius: Distance,
    next: usize,
    nanoseconds: Histogram<u64>,
    slice_medians: Vec<f64>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(plan: &Plan<'a>) -> Self {
        Self {
            queries: plan.queries,
            radius: plan.radius,
            next: 0,
            nanoseconds: histogram(),
            slice_medians: Vec::new(),
        }
    }

    /// Searches one query after the other, calls `more` after each, and stops when `more` returns false. Each
    /// call of this function is a slice, and continues after the last query of the slice before.
    pub(crate) fn ask_while(&mut self, search: &dyn Search, more: impl Fn() -> bool) {
        let mut slice = Histogram::new_from(&self.nanoseconds);
        loop {
            let query = &self.queries[self.next..=self.next];
            self.next = (self.next + 1) % self.queries.len();
            let begin = Instant::now();
            black_box(search.search(black_box(query), self.radius));
            let taken = begin.elapsed();
            slice.saturating_record(u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX));
            if !more() {
                break;
            }
        }
        self.slice_medians.push(microseconds(slice.value_at_quantile(0.5)));
        self.nanoseconds.add(&slice).expect("both hold the same range");
    }

    /// Searches the next queries for this long.
    pub(crate) fn ask_for(&mut self, search: &dyn Search, time: Duration) {
        let begin = Instant::now();
        self.ask_while(search, || begin.elapsed() < time);
    }

    /// Returns the times of all slices.
    pub(crate) fn summary(&self) -> Times {
        let quantile = |quantile| microseconds(self.nanoseconds.value_at_quantile(quantile));
        Times {
            searches: self.nanoseconds.len(),
            median_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            max_us: microseconds(self.nanoseconds.max()),
            slice_medians_us: self.slice_medians.clone(),
        }
    }
}

/// Times of single searches, in microseconds. Reading the clock takes some 0.03 us and is included.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Times {
    pub(crate) searches: u64,
    pub(crate) median_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// The median of each slice: it shows how steady the machine was.
    pub(crate) slice_medians_us: Vec<f64>,
}

/// Returns an empty histogram of nanoseconds up to a minute; longer times count as a minute. Three digits: a
/// bucket is at most 0.1 % wide.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are allowed")
}

pub(super) fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use vigie_index::Hit;

    use super::*;

    /// An engine whose search takes as many milliseconds as the first byte of the query.
    struct Sleeper;

    impl Search for Sleeper {
        fn search(&self, queries: &[Hash], _: Distance) -> Vec<Vec<Hit>> {
            std::thread::sleep(Duration::from_millis(queries[0][0].into()));
            vec![Vec::new()]
        }
    }

    #[test]
    fn search_times_are_recorded_and_each_slice_continues_the_queries() {
        let queries = [[1; 32], [1; 32], [1; 32], [20; 32]];
        let plan = Plan { queries: &queries, radius: Distance(31), rounds: 1, slice: Duration::ZERO };
        let mut asker = Asker::new(&plan);
        for _ in 0..8 {
            asker.ask_for(&Sleeper, plan.slice);
        }
        let times = asker.summary();
        assert_eq!((times.searches, times.slice_medians_us.len()), (8, 8));
        assert!(times.median_us >= 1_000.0 && times.p90_us >= 20_000.0, "{times:?}");
        assert!(times.p99_us <= times.max_us && times.slice_medians_us[3] >= 20_000.0, "{times:?}");
    }
}
