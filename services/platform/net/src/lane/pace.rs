//! Schedules a lane's next calls: at once under little load, at intervals when many searches come.
//!
//! A call costs far more than one more search in it. While one or two searches are in flight, waiting gains
//! nothing, so none waits. With more, the lane is busy, and it tries intervals: each call begins at the end
//! of an interval, with all searches that came meanwhile. The number of searches that then come shows how
//! callers behave. If as many come as before, no caller is held back, and the next longer interval is tried.
//! If fewer come, callers wait for their answers before they ask again, and the interval is shortened again.
//! Now and then a shorter interval is tried in the same way.

use std::time::Duration;

use tokio::time::Instant;

use super::carry::Search;

/// The unit of intervals: timers have no finer resolution.
const STEP: Duration = Duration::from_millis(1);
/// The longest interval, in steps. A search waits at most this long, and on average half of it.
const STEPS_MAX: u32 = 2;
/// The average number of searches in a call plus other calls in flight from which on a lane is busy.
const BUSY: f64 = 3.0;
/// The weight of the last call in that average.
const SMOOTHING: f64 = 1.0 / 16.0;
/// The numbers of calls and of queries that end a window, once both are reached.
const WINDOW: (u32, u32) = (16, 1_024);
/// A trial fails early if its window takes this many times as long as at the rate before.
const HALVED: f64 = 2.0;
/// A longer interval is kept if the rate is at least this fraction of the rate before.
const KEPT: f64 = 0.95;
/// A shorter interval is kept if the rate is at least this many times the rate before.
const GAINED: f64 = 1.05;
/// The weight of the last window in the rate with which trials are compared.
const RATE_SMOOTHING: f64 = 0.25;
/// The number of windows between trials: at first, and at most if trials fail one after the other.
const PAUSE: (u32, u32) = (2, 256);
/// A search does not wait for an interval that is longer than one part in this many of its remaining time.
const TIME_SHARE: u32 = 8;

/// The interval at which a lane's calls begin, and the trials that adjust it.
#[derive(Debug)]
pub(super) struct Pace {
    /// The average number of searches in a call plus other calls in flight.
    under_way: f64,
    /// The interval in steps; 0 if calls begin at once.
    steps: u32,
    /// The end of the last interval: searches that came before it go as soon as a call is free.
    began: Option<Instant>,
    window: Window,
    /// The rate in queries a second with this interval, or, during a trial, with the interval before it.
    rate: f64,
    trial: Option<Trial>,
    /// The number of windows until the next trial, and the number from a failed trial to the next (`pause`).
    wait: u32,
    pause: u32,
    /// Whether the last trial was of a longer interval.
    was_longer: bool,
}

/// The load of a call: its searches, where a combined search counts as those it was made of, and their
/// queries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub(super) searches: usize,
    pub(super) queries: usize,
}

impl Load {
    pub(super) fn of<'a, S: Search + 'a>(searches: impl IntoIterator<Item = &'a S>) -> Self {
        searches.into_iter().fold(Self::default(), |sum, search| Self {
            searches: sum.searches + search.put_together(),
            queries: sum.queries + search.query_count(),
        })
    }
}

/// The calls over which a rate is measured.
#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    calls: u32,
    queries: u32,
}

/// A trial of another interval.
#[derive(Debug)]
struct Trial {
    steps_before: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            under_way: 1.0,
            steps: 0,
            began: None,
            window: Window::default(),
            rate: 0.0,
            trial: None,
            wait: PAUSE.0,
            pause: PAUSE.0,
            was_longer: false,
        }
    }
}

impl Pace {
    /// Returns when a search that came at `since`, and has to be answered by `deadline`, may go; `None` for
    /// at once.
    pub(super) fn due(&self, since: Instant, deadline: Instant, now: Instant) -> Option<Instant> {
        let interval = STEP * self.steps;
        let due = self.began.filter(|began| since > *began)? + interval;
        let has_time = deadline.saturating_duration_since(now) / TIME_SHARE >= interval;
        (has_time && due > now).then_some(due)
    }

    /// Returns until when searches may be gathered elsewhere that would only queue here; `None` if there is
    /// no time for that. The last step of an interval is reserved for their arrival.
    pub(super) fn gather_until(&self, now: Instant) -> Option<Instant> {
        let until = self.began? + STEP * self.steps.checked_sub(1)?;
        (until > now).then_some(until)
    }

    /// Notes that a call begins, with `beside` others in flight. If its oldest search came in this interval,
    /// the interval ends.
    pub(super) fn note_call(&mut self, load: Load, beside: usize, oldest: Instant, now: Instant) {
        if self.began.is_none_or(|began| oldest > began) {
            self.began = Some(now);
        }
        let [under_way, queries] =
            [load.searches + beside, load.queries].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        self.under_way += (f64::from(under_way) - self.under_way) * SMOOTHING;
        if self.under_way < BUSY {
            if self.steps > 0 || self.window.since.is_some() {
                *self = Self { under_way: self.under_way, began: self.began, ..Self::default() };
            }
            return;
        }
        let Some(since) = self.window.since else {
            self.window = Window { since: Some(now), calls: 0, queries: 0 };
            return;
        };
        self.window.calls += 1;
        self.window.queries = self.window.queries.saturating_add(queries);
        let took = now.saturating_duration_since(since).as_secs_f64().max(1e-6);
        let is_full = self.window.calls >= WINDOW.0 && self.window.queries >= WINDOW.1;
        let has_failed = self.trial.is_some() && took * self.rate >= HALVED * f64::from(WINDOW.1);
        if is_full || has_failed {
            self.end_window(f64::from(self.window.queries) / took);
            self.window = Window { since: Some(now), calls: 0, queries: 0 };
        }
    }

    fn end_window(&mut self, rate: f64) {
        let Some(Trial { steps_before }) = self.trial.take() else {
            let is_first = self.rate == 0.0;
            self.rate = if is_first { rate } else { self.rate + (rate - self.rate) * RATE_SMOOTHING };
            match self.wait.checked_sub(1) {
                Some(wait) => self.wait = wait,
                None => self.begin_trial(),
            }
            return;
        };
        let is_longer = self.steps > steps_before;
        if rate >= self.rate * if is_longer { KEPT } else { GAINED } {
            self.rate = rate;
            self.pause = PAUSE.0;
        } else {
            self.steps = steps_before;
            self.pause = (2 * self.pause).min(PAUSE.1);
        }
        self.wait = self.pause;
    }

    /// Begins a trial, of a longer and of a shorter interval alternately, as far as there are any.
    fn begin_trial(&mut self) {
        self.trial = Some(Trial { steps_before: self.steps });
        self.was_longer = self.steps == 0 || (self.steps < STEPS_MAX && !self.was_longer);
        if self.was_longer {
            self.steps += 1;
        } else {
            self.steps -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_secs(60);

    /// Returns the load of this many searches of one query.
    const fn alike(searches: usize) -> Load {
        Load { searches, queries: searches }
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_one_query_wait_for_nothing() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..10_000 {
            now += micros(50);
            assert_eq!(pace.due(now, now + FAR, now), None);
            pace.note_call(alike(1), 0, now, now);
        }
    }

    /// Simulates searches that come every 50 microseconds, and calls that take 300. Returns how long each
    /// search waited.
    fn open_loop(pace: &mut Pace, now: &mut Instant, calls: u32) -> Vec<Duration> {
        let mut waits = Vec::new();
        for _ in 0..calls {
            let mut came = Vec::new();
            let back = *now + micros(300);
            loop {
                *now += micros(50);
                came.push(*now);
                if *now >= back && pace.due(came[0], *now + FAR, *now).is_none() {
                    break;
                }
            }
            waits.extend(came.iter().map(|since| *now - *since));
            pace.note_call(alike(came.len()), 0, came[0], *now);
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn searches_that_keep_coming_go_at_intervals_until_they_are_few() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        open_loop(&mut pace, &mut now, 2_000);
        let waits = open_loop(&mut pace, &mut now, 2_000);
        let longest = STEP * STEPS_MAX + micros(50);
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(waits.len() > 2_000 * 30, "{} queries in 2,000 calls", waits.len());

        let until = pace.gather_until(now).unwrap();
        assert!(until > now && until + STEP <= now + STEP * STEPS_MAX);
        assert_eq!(pace.gather_until(until), None);
        let soon = now + micros(50);
        assert_eq!(pace.due(soon, soon + 2 * longest, soon), None, "it has little time");
        for _ in 0..100 {
            now += longest;
            assert_eq!(pace.due(now, now + FAR, now), None);
            pace.note_call(alike(1), 0, now, now);
        }
        now += micros(50);
        assert_eq!(pace.due(now, now + FAR, now), None, "there is little to do now");
    }

    /// Simulates sixteen callers that ask again as soon as they have their answers, after `takes`. Returns
    /// the time of 20,000 calls relative to calls without intervals.
    fn closed_loop(takes: Duration) -> f64 {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let mut now = begun;
        for _ in 0..20_000 {
            now += takes;
            let came = now;
            now = pace.due(came, now + FAR, now).unwrap_or(now);
            pace.note_call(alike(16), 0, came, now);
        }
        (now - begun).as_secs_f64() / (takes * 20_000).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_wait_for_their_answers_are_left_alone() {
        for takes in [100, 400, 700, 1_000, 1_500, 1_900, 4_000].map(micros) {
            let longer = closed_loop(takes);
            assert!(longer < 1.06, "{takes:?}: {longer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_search_of_many_queries_is_one_search() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..10_000 {
            now += micros(300);
            assert_eq!(pace.due(now, now + FAR, now), None);
            pace.note_call(Load { searches: 1, queries: 40 }, 1, now, now);
        }
    }
}
