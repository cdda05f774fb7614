//! Search times while the index is written to, and while its segments are merged.
//!
//! Three conditions alternate: no updates, updates at a steady rate, and the same updates while a merge runs.
//! A fourth slice measures the highest rate of updates.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use vigie_index::{Edit, Entry};

use super::times::{Asker, Plan, Times, histogram, microseconds};
use crate::Hash;
use crate::data::draw::{Draw, Stream};
use crate::index::engine::{Engine, Updates, entry};
use crate::index::memory::peak_during;

/// Item ids of hashes that are not in the data file begin here.
const FRESH_ITEMS: u64 = 1 << 31;

/// The writer's sleep while no update is due.
const PACE: Duration = Duration::from_millis(1);

/// Search times under one condition.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Condition {
    #[serde(flatten)]
    pub(crate) times: Times,
    pub(crate) median_over_quiet: f64,
    pub(crate) p99_over_quiet: f64,
}

/// The effect of updates and merges on searches that run at the same time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpdateCost {
    /// The requested rate of inserts, per second; removals have the same rate.
    pub(crate) rate_asked: u32,
    /// The achieved rate of inserts, per second; removals have the same rate.
    pub(crate) rate_made: f64,
    /// The time of one insert or removal at this rate, until it is visible.
    pub(crate) update_median_us: f64,
    pub(crate) update_p99_us: f64,
    pub(crate) quiet: Times,
    pub(crate) updating: Condition,
    /// `None` if the engine has nothing to merge.
    pub(crate) merging: Option<Condition>,
    pub(crate) merges: u32,
    pub(crate) merge_seconds_mean: Option<f64>,
    /// The largest resident set of the process during merges, divided by the one just before.
    pub(crate) merging_peak_over_before: Option<f64>,
    /// The highest rate of inserts and removals, per second, of one writer with one call for each while one
    /// thread searches.
    pub(crate) updates_per_second_max: f64,
}

/// Measures all conditions. `held` are rows of the index that are removed and inserted again; afterwards the
/// index has its original content.
pub(crate) fn updates(
    engine: &dyn Engine,
    updates: &dyn Updates,
    plan: &Plan<'_>,
    held: &[Hash],
    rate: u32,
) -> anyhow::Result<UpdateCost> {
    let mut traffic = Traffic::new(updates, held);
    let [mut quiet, mut updating, mut merging] = [(); 3].map(|()| Asker::new(plan));
    let (mut merges, mut merge_time, mut growth) = (0, Duration::ZERO, 0.0_f64);
    for _ in 0..plan.rounds {
        quiet.ask_for(engine, plan.slice);
        traffic.beside(Some(rate), || updating.ask_for(engine, plan.slice));
        if updates.merges() {
            let work = || traffic.beside(Some(rate), || merge_beside(engine, updates, plan, &mut merging));
            let (outcome, peak) = peak_during(work)?;
            let (merges_now, time) = outcome?;
            merges += merges_now;
            merge_time += time;
            growth = growth.max(peak.greatest as f64 / peak.before as f64);
        }
    }
    let (steady_steps, steady_time) = (traffic.steps, traffic.time);
    let (update_median_us, update_p99_us) = (traffic.microseconds_at(0.5), traffic.microseconds_at(0.99));
    traffic.beside(None, || Asker::new(plan).ask_for(engine, plan.slice));
    let fast_steps = (traffic.steps - steady_steps) as f64;
    let fast_time = (traffic.time - steady_time).as_secs_f64();
    traffic.settle();

    let quiet = quiet.summary();
    let against_quiet = |asker: &Asker<'_>| {
        let times = asker.summary();
        let median_over_quiet = times.median_us / quiet.median_us;
        let p99_over_quiet = times.p99_us / quiet.p99_us;
        Condition { times, median_over_quiet, p99_over_quiet }
    };
    Ok(UpdateCost {
        rate_asked: rate,
        rate_made: steady_steps as f64 / steady_time.as_secs_f64(),
        update_median_us,
        update_p99_us,
        updating: against_quiet(&updating),
        merging: (merges > 0).then(|| against_quiet(&merging)),
        merges,
        merge_seconds_mean: (merges > 0).then(|| merge_time.as_secs_f64() / f64::from(merges)),
        merging_peak_over_before: (merges > 0).then_some(growth),
        updates_per_second_max: 2.0 * fast_steps / fast_time,
        quiet,
    })
}

/// Searches while merges run: at least one merge, and at least for the time of a slice. Searches between
/// merges are not counted.
fn merge_beside(
    engine: &dyn Engine,
    updates: &dyn Updates,
    plan: &Plan<'_>,
    asker: &mut Asker<'_>,
) -> anyhow::Result<(u32, Duration)> {
    let begin = Instant::now();
    let mut merges = 0;
    let mut spent = Duration::ZERO;
    while merges == 0 || begin.elapsed() < plan.slice {
        let done = AtomicBool::new(false);
        spent += std::thread::scope(|scope| {
            let merge = scope.spawn(|| {
                let begin = Instant::now();
                let outcome = updates.merge();
                done.store(true, Relaxed);
                outcome.map(|()| begin.elapsed())
            });
            asker.ask_while(engine, || !done.load(Relaxed));
            merge.join().map_err(|_| anyhow::anyhow!("the merge panicked"))?
        })?;
        merges += 1;
        // Leaves time for updates, so that the next merge has something to do.
        std::thread::sleep(2 * PACE);
    }
    Ok((merges, spent))
}

/// A steady exchange of hashes. Each step inserts one hash and removes one: a new hash replaces a held row,
/// or a held row replaces the new hash again.
struct Traffic<'a> {
    updates: &'a dyn Updates,
    held: &'a [Hash],
    /// Exchanges begun, and exchanges undone. Their difference is the number of held rows that are missing.
    begun: u64,
    undone: u64,
    /// Steps made, and the time that they took.
    steps: u64,
    time: Duration,
    nanoseconds: Histogram<u64>,
}

impl<'a> Traffic<'a> {
    fn new(updates: &'a dyn Updates, held: &'a [Hash]) -> Self {
        let nanoseconds = histogram();
        Self { updates, held, begun: 0, undone: 0, steps: 0, time: Duration::ZERO, nanoseconds }
    }

    /// Runs `work` while another thread makes `rate` steps a second, or as many as it can if there is no
    /// rate, and at least one: on a busy machine the thread may begin when `work` has ended.
    fn beside<T>(&mut self, rate: Option<u32>, work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.run(rate, &done));
            let outcome = work();
            done.store(true, Relaxed);
            outcome
        })
    }

    fn run(&mut self, rate: Option<u32>, done: &AtomicBool) {
        let begin = Instant::now();
        let before = self.steps;
        self.step();
        while !done.load(Relaxed) {
            let due = rate.map_or(f64::INFINITY, |rate| begin.elapsed().as_secs_f64() * f64::from(rate));
            if ((self.steps - before) as f64) < due {
                self.step();
            } else {
                std::thread::sleep(PACE);
            }
        }
        self.time += begin.elapsed();
    }

    /// Begins exchanges until half of the held rows are missing; from then on alternately undoes the oldest
    /// exchange and begins a new one.
    fn step(&mut self) {
        self.steps += 1;
        if self.begun - self.undone == (self.held.len() / 2).max(1) as u64 {
            self.undo();
        } else {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let (fresh, held) = self.pair(self.begun);
        self.begun += 1;
        self.exchange(fresh, held);
    }

    fn undo(&mut self) {
        let (fresh, held) = self.pair(self.undone);
        self.undone += 1;
        self.exchange(held, fresh);
    }

    /// Undoes all exchanges, so that the index has its original content.
    fn settle(&mut self) {
        while self.undone < self.begun {
            self.undo();
        }
    }

    fn pair(&self, number: u64) -> ((Hash, Entry), (Hash, Entry)) {
        let row = number % self.held.len() as u64;
        let fresh = Draw::new(0, Stream::Update, number).hash();
        let held = self.held[usize::try_from(row).expect("a place in a slice")];
        ((fresh, entry(FRESH_ITEMS + number)), (held, entry(row)))
    }

    fn exchange(&mut self, inserted: (Hash, Entry), removed: (Hash, Entry)) {
        for edit in [Edit::Insert(inserted.0, inserted.1), Edit::Remove(removed.0, removed.1.item)] {
            let begin = Instant::now();
            self.updates.apply(&[edit]);
            let taken = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.nanoseconds.saturating_record(taken);
        }
    }

    fn microseconds_at(&self, quantile: f64) -> f64 {
        microseconds(self.nanoseconds.value_at_quantile(quantile))
    }
}

#[cfg(test)]
mod tests {
    use vigie_index::oracle::LinearScan;
    use vigie_model::Distance;

    use super::*;
    use crate::index::engine::Search;

    impl Updates for LinearScan<32> {
        fn apply(&self, edits: &[Edit<32>]) {
            assert_eq!(Self::apply(self, edits), edits.len(), "an edit changed nothing");
        }

        fn snapshot(&self) -> Box<dyn Search> {
            panic!("nobody asks for it")
        }

        fn merges(&self) -> bool {
            false
        }

        fn merge(&self) -> anyhow::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_update_changes_something_and_in_the_end_nothing_has_changed() {
        for held in [1_u8, 2, 5, 100] {
            let held: Vec<Hash> = (0..held).map(|at| [at; 32]).collect();
            let index = LinearScan::<32>::new();
            for (row, hash) in (0..).zip(&held) {
                index.insert(hash, entry(row));
            }
            let everything = || {
                let all = vigie_index::BankFilter::all();
                index.search(&[[0; 32]], Distance(256), &all)
            };
            let before = everything();
            let mut traffic = Traffic::new(&index, &held);
            for _ in 0..1_001 {
                traffic.step();
                assert_eq!(index.len(), held.len());
            }
            assert_ne!(everything(), before);
            traffic.settle();
            assert_eq!(everything(), before);
        }
    }
}
