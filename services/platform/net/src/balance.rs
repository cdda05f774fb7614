//! Chooses the endpoint of the next call: the cost of a call at each, and the endpoints that are left out.
//!
//! The cost is the expected latency times the number of calls in flight. The expected latency follows a peak
//! at once and forgets it in time ("peak EWMA", of Finagle's load balancer). A call that has not returned yet
//! counts with its age, so an endpoint that hangs becomes expensive while it hangs and not only when it
//! answers. Of two endpoints drawn at random the cheaper one is taken ("power of two choices", Mitzenmacher
//! 2001), so that callers do not all choose the endpoint that was best a moment ago.
//!
//! An endpoint that fails several times in a row, or is outrun by another that was asked later, is left out
//! for a while, longer each time. After that it gets one call at a time, until one is answered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::seq::IteratorRandom as _;
use tokio::time::Instant;
use vigie_rpc::CallEnd;

/// The time after which 63 % of a peak is forgotten.
const FORGETTING: Duration = Duration::from_secs(3);
/// The number of failures in a row after which an endpoint is left out.
const FAILURES_MAX: u32 = 3;
/// The first time for which an endpoint is left out; it doubles each time.
const LEFT_OUT_FIRST: Duration = Duration::from_secs(1);
/// The longest time for which an endpoint is left out.
const LEFT_OUT_MAX: Duration = Duration::from_secs(30);
/// The longest time that a trial keeps other calls away from the endpoint.
const TRIAL_MAX: Duration = Duration::from_secs(1);
/// The expected latency of an endpoint that was never called.
const EXPECTED_FIRST: Duration = Duration::from_millis(1);

/// The load of one endpoint: its expected latency, its calls in flight, its failures.
#[derive(Debug)]
pub struct Load(Mutex<State>);

/// The figures of a [`Load`] that are shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadView {
    /// The expected latency of the next call.
    pub latency: Duration,
    /// The number of calls in flight.
    pub in_flight: u32,
    /// Whether the endpoint is left out at present.
    pub is_left_out: bool,
}

/// A change of whether an endpoint is left out. Each change is returned once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The endpoint failed too often in a row, and is left out from now on.
    LeftOut,
    /// The endpoint answers again.
    Back,
}

impl Turn {
    /// Logs the change for an endpoint, with the reason of the last failure.
    pub fn log(self, endpoint: &str, reason: &str) {
        match self {
            Self::LeftOut => {
                tracing::warn!(endpoint, reason, "an endpoint is left out for a while: its calls fail")
            }
            Self::Back => tracing::info!(endpoint, "an endpoint is no longer left out: it answers again"),
        }
    }
}

#[derive(Debug)]
struct State {
    /// The expected latency at the instant `at`, in seconds.
    expected: f64,
    at: Instant,
    under_way: UnderWay,
    failures: u32,
    left_out: Option<LeftOut>,
    /// The beginning of the trial call, which tests an endpoint that was left out.
    trial: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct LeftOut {
    until: Instant,
    next: Duration,
}

/// The beginning of each call in flight, oldest first. The entry of an ended call stays until it is the
/// oldest.
#[derive(Debug, Default)]
struct UnderWay {
    calls: VecDeque<Option<Instant>>,
    /// The number of the first call in `calls`.
    first: u64,
    count: u32,
}

impl UnderWay {
    fn begin(&mut self, now: Instant) -> u64 {
        self.calls.push_back(Some(now));
        self.count += 1;
        self.first + self.calls.len() as u64 - 1
    }

    fn end(&mut self, number: u64) -> Option<Instant> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let begun = self.calls.get_mut(place)?.take()?;
        self.count -= 1;
        while let Some(None) = self.calls.front() {
            self.calls.pop_front();
            self.first += 1;
        }
        Some(begun)
    }

    fn oldest(&self) -> Option<Instant> {
        self.calls.front().copied().flatten()
    }
}

impl State {
    /// Returns the expected latency, in seconds.
    fn expected(&self, now: Instant) -> f64 {
        let oldest =
            self.under_way.oldest().map_or(0.0, |begun| now.saturating_duration_since(begun).as_secs_f64());
        (self.expected * self.kept(now)).max(oldest)
    }

    /// Returns the fraction of the expected latency that is not forgotten yet.
    fn kept(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / FORGETTING.as_secs_f64()).exp()
    }

    fn cost(&self, now: Instant) -> f64 {
        self.expected(now).max(1e-6) * f64::from(self.under_way.count + 1)
    }

    fn observe(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let kept = self.kept(now);
        self.expected =
            if took > self.expected * kept { took } else { self.expected * kept + took * (1.0 - kept) };
        self.at = now;
    }

    fn fail(&mut self, now: Instant) -> Option<Turn> {
        self.failures = self.failures.saturating_add(1);
        // Calls that began before the endpoint was left out are no new evidence.
        if self.failures < FAILURES_MAX || self.pauses(now) {
            return None;
        }
        let pause = self.left_out.map_or(LEFT_OUT_FIRST, |before| before.next);
        let next = (pause * 2).min(LEFT_OUT_MAX);
        let before = self.left_out.replace(LeftOut { until: now + pause, next });
        before.is_none().then_some(Turn::LeftOut)
    }

    fn come_back(&mut self) -> Option<Turn> {
        (self.failures, self.trial) = (0, None);
        self.left_out.take().map(|_| Turn::Back)
    }

    fn pauses(&self, now: Instant) -> bool {
        self.left_out.is_some_and(|left_out| now < left_out.until)
    }

    fn is_left_out(&self, now: Instant) -> bool {
        self.pauses(now) || self.trial.is_some_and(|begun| now < begun + TRIAL_MAX)
    }
}

impl Default for Load {
    fn default() -> Self {
        Self(Mutex::new(State {
            expected: EXPECTED_FIRST.as_secs_f64(),
            at: Instant::now(),
            under_way: UnderWay::default(),
            failures: 0,
            left_out: None,
            trial: None,
        }))
    }
}

impl Load {
    /// Begins a call. It ends with [`Call::end`], or as abandoned when the returned value is dropped.
    pub fn begin(&self, now: Instant) -> Call<'_> {
        let mut state = self.state();
        if state.left_out.is_some() && !state.pauses(now) {
            state.trial = Some(now);
        }
        Call { load: self, number: Some(state.under_way.begin(now)) }
    }

    /// Notes that the endpoint is alive: it is no longer left out.
    pub fn revive(&self) -> Option<Turn> {
        self.state().come_back()
    }

    /// Notes that another endpoint was asked later and answered sooner. The latency of the call that began at
    /// `begun` will never be known: the call counts with twice its age, and as a failure.
    pub fn outrun(&self, begun: Instant, now: Instant) -> Option<Turn> {
        let mut state = self.state();
        state.observe(now.saturating_duration_since(begun) * 2, now);
        state.fail(now)
    }

    /// Returns the figures at `now`.
    #[must_use]
    pub fn view(&self, now: Instant) -> LoadView {
        let state = self.state();
        LoadView {
            latency: Duration::from_secs_f64(state.expected(now)),
            in_flight: state.under_way.count,
            is_left_out: state.is_left_out(now),
        }
    }

    fn end(&self, number: u64, end: CallEnd, now: Instant) -> Option<Turn> {
        let mut state = self.state();
        let begun = state.under_way.end(number)?;
        let took = now.saturating_duration_since(begun);
        if state.trial == Some(begun) {
            state.trial = None;
        }
        match end {
            CallEnd::Answered => {
                state.observe(took, now);
                state.come_back()
            }
            // A quick failure must not make an endpoint look quick.
            CallEnd::Failed => state.fail(now),
            // The expected latency is not forgotten meanwhile: refusals must not make an endpoint look quick
            // either.
            CallEnd::Refused => {
                state.expected = state.expected.max(took.as_secs_f64());
                state.at = now;
                None
            }
            CallEnd::Abandoned => {
                if took.as_secs_f64() > state.expected(now) {
                    state.observe(took, now);
                }
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight. Dropped before its end, it counts as abandoned.
#[derive(Debug)]
pub struct Call<'a> {
    load: &'a Load,
    number: Option<u64>,
}

impl Call<'_> {
    /// Ends the call. Returns the change, if the endpoint is left out from now on, or no longer.
    pub fn end(mut self, end: CallEnd, now: Instant) -> Option<Turn> {
        self.number.take().and_then(|number| self.load.end(number, end, now))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            // An abandoned call never changes whether an endpoint is left out.
            let _none = self.load.end(number, CallEnd::Abandoned, Instant::now());
        }
    }
}

/// Returns the cheaper of two of `candidates` drawn at random, among those that are not left out if there are
/// any. `None` if there is no candidate.
pub fn choose<'a, T>(
    candidates: impl IntoIterator<Item = &'a T>,
    load: impl Fn(&'a T) -> &'a Load,
    now: Instant,
) -> Option<&'a T> {
    let weigh = |candidate: &'a T| {
        let state = load(candidate).state();
        (candidate, state.is_left_out(now), state.cost(now))
    };
    let weighed: Vec<_> = candidates.into_iter().map(weigh).collect();
    let any_in = weighed.iter().any(|(_, is_left_out, _)| !is_left_out);
    let open = weighed.into_iter().filter(|(_, is_left_out, _)| !(any_in && *is_left_out));
    let two = open.sample(&mut rand::rng(), 2);
    two.into_iter().min_by(|(_, _, one), (_, _, other)| one.total_cmp(other)).map(|(candidate, ..)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn answered(load: &Load, took: Duration, now: Instant) {
        let _turn = load.begin(now - took).end(CallEnd::Answered, now);
    }

    fn fail_thrice(load: &Load, now: Instant) {
        let _turns = [(); 3].map(|()| load.begin(now).end(CallEnd::Failed, now));
    }

    fn chosen_of(loads: &[Load], now: Instant) -> usize {
        let numbers: Vec<usize> = (0..loads.len()).collect();
        *choose(&numbers, |number| &loads[*number], now).unwrap()
    }

    fn loads(count: usize) -> Vec<Load> {
        (0..count).map(|_| Load::default()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peak_is_believed_at_once_and_forgotten_in_time() {
        let (load, now) = (Load::default(), Instant::now());
        answered(&load, 200 * MS, now);
        assert_eq!(load.view(now).latency, 200 * MS);
        answered(&load, MS, now);
        assert!(load.view(now).latency > 150 * MS);
        assert!(load.view(now + Duration::from_secs(20)).latency < MS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_one_of_two_is_avoided() {
        let (both, now) = (loads(2), Instant::now());
        answered(&both[0], 200 * MS, now);
        answered(&both[1], MS, now);
        assert!((0..100).all(|_| chosen_of(&both, now) == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_avoided_before_it_answers() {
        let (both, now) = (loads(2), Instant::now());
        both.iter().for_each(|load| answered(load, MS, now));
        let _hangs = both[0].begin(now);
        let later = now + 20 * MS;
        assert!((0..100).all(|_| chosen_of(&both, later) == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn equal_ones_share_the_work() {
        let (all, now) = (loads(4), Instant::now());
        let mut calls = Vec::new();
        for _ in 0..4_000 {
            calls.push(all[chosen_of(&all, now)].begin(now));
        }
        for load in &all {
            assert!((950..1_050).contains(&load.view(now).in_flight), "{:?}", load.view(now));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_leave_an_endpoint_out_for_longer_each_time_and_one_answer_brings_it_back() {
        let (both, mut now) = (loads(2), Instant::now());
        let fail = |now| both[0].begin(now).end(CallEnd::Failed, now);
        let _turns = [fail(now), fail(now)];
        answered(&both[0], MS, now);
        let _turns = [fail(now), fail(now)];
        assert!(!both[0].view(now).is_left_out, "they were not in a row");
        fail(now);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            let pause = Duration::from_secs(pause);
            assert!((0..20).all(|_| chosen_of(&both, now + pause - MS) == 1), "{pause:?}");
            now += pause;
            assert!(!both[0].view(now).is_left_out, "{pause:?}");
            fail(now);
        }
        assert!(both[0].view(now).is_left_out);
        both[0].revive();
        assert!(!both[0].view(now).is_left_out);
    }

    #[tokio::test(start_paused = true)]
    async fn that_an_endpoint_is_left_out_and_that_it_is_back_is_reported_once() {
        let (load, mut now) = (Load::default(), Instant::now());
        let fail = |now| load.begin(now).end(CallEnd::Failed, now);
        assert_eq!([fail(now), fail(now), fail(now), fail(now)], [None, None, Some(Turn::LeftOut), None]);
        for _ in 0..5 {
            now += LEFT_OUT_MAX;
            assert_eq!(fail(now), None, "it has been reported");
        }
        let answer = |now| load.begin(now).end(CallEnd::Answered, now);
        assert_eq!([answer(now), answer(now)], [Some(Turn::Back), None]);
        assert_eq!([load.outrun(now, now), load.outrun(now, now)], [None, None]);
        assert_eq!(load.outrun(now, now), Some(Turn::LeftOut));
        assert_eq!([load.revive(), load.revive()], [Some(Turn::Back), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_left_out_gets_one_call_at_a_time_until_it_answers() {
        let (both, mut now) = (loads(2), Instant::now());
        fail_thrice(&both[0], now);
        now += LEFT_OUT_FIRST;
        let trial = both[0].begin(now);
        assert!((0..100).all(|_| chosen_of(&both, now) == 1));
        assert!(!both[0].view(now + TRIAL_MAX).is_left_out, "a trial that hangs says nothing");
        trial.end(CallEnd::Answered, now);
        let _other = both[0].begin(now);
        assert!(!both[0].view(now).is_left_out);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_outrun_again_and_again_is_avoided_and_then_left_out() {
        let (both, now) = (loads(2), Instant::now());
        both.iter().for_each(|load| answered(load, MS, now));
        both[0].outrun(now - 5 * MS, now);
        assert!((0..100).all(|_| chosen_of(&both, now) == 1));
        assert_eq!(both[0].view(now).latency, 10 * MS);
        both[0].outrun(now - 5 * MS, now);
        both[0].outrun(now - 5 * MS, now);
        assert!(both[0].view(now).is_left_out);
        answered(&both[0], MS, now);
        assert!(!both[0].view(now).is_left_out);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_turns_everything_away_does_not_become_the_favourite() {
        let (both, mut now) = (loads(2), Instant::now());
        both.iter().for_each(|load| answered(load, 5 * MS, now));
        for _ in 0..100 {
            now += 300 * MS;
            both[0].begin(now).end(CallEnd::Refused, now);
            answered(&both[1], 4 * MS, now);
        }
        assert!((0..100).all(|_| chosen_of(&both, now) == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_left_out_one_is_tried_all_the_same() {
        let (one, now) = (loads(1), Instant::now());
        fail_thrice(&one[0], now);
        assert!(one[0].view(now).is_left_out);
        assert_eq!(chosen_of(&one, now), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_end_in_any_order() {
        let (load, now) = (Load::default(), Instant::now());
        let mut calls: Vec<_> = (0..5).map(|_| load.begin(now)).collect();
        calls.swap_remove(2).end(CallEnd::Answered, now);
        drop(calls.remove(0));
        assert_eq!(load.view(now).in_flight, 3);
        drop(calls);
        assert_eq!(load.view(now + MS).in_flight, 0);
        assert!(load.state().under_way.calls.is_empty());
    }
}
