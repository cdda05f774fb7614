//! A circuit breaker: classifiers are not asked while they are unavailable, so that they do not delay later
//! calls.
//!
//! A state machine without a clock. After [`FAILURES_MAX`] consecutive calls that failed or were not answered
//! it opens, and no call is made for [`PAUSE`]; then one call at a time is made, until one is answered.
//!
//! A call that is given up before its classifier had its full time does not count by itself. But if nothing
//! was heard for that long, it counts as a call without an answer: otherwise callers with short deadlines
//! would wait forever for a classifier that hangs.

use std::time::Duration;

use tokio::time::Instant;

/// The number of consecutive calls without an answer after which no more are made.
pub(super) const FAILURES_MAX: u32 = 5;
/// The pause during which no call is made.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// The state of the breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// The time that a classifier gets to answer.
    wait: Duration,
    /// The start of the first call since the last answer.
    unheard_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls are made.
    Closed {
        /// The number of consecutive calls that failed.
        failures: u32,
    },
    /// No call is made until the end of the pause.
    Open {
        /// The end of the pause.
        until: Instant,
    },
    /// A single call is made, and its end decides.
    Trying,
}

/// The change of state at the end of a call, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// No change.
    None,
    /// No more calls are made for a while.
    Opened,
    /// Calls are made again.
    Closed,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A classifier answered, whatever the answer.
    Heard,
    /// There was no connection, or it broke, or no answer arrived.
    Failed,
    /// The call was given up before its time.
    GivenUp,
}

impl Breaker {
    /// Creates a closed breaker, for classifiers that get this time to answer.
    pub(super) const fn new(wait: Duration) -> Self {
        Self { state: State::Closed { failures: 0 }, wait, unheard_since: None }
    }

    /// Returns whether a call may begin. Each call that begins has to end with [`Self::ended`].
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let may = match self.state {
            State::Closed { .. } => true,
            State::Open { until } if now >= until => {
                self.state = State::Trying;
                true
            }
            State::Open { .. } | State::Trying => false,
        };
        if may {
            self.unheard_since.get_or_insert(now);
        }
        may
    }

    /// Notes the end of a call.
    pub(super) fn ended(&mut self, end: End, now: Instant) -> Turn {
        match end {
            End::Heard => {
                self.unheard_since = None;
                let was = std::mem::replace(&mut self.state, State::Closed { failures: 0 });
                if matches!(was, State::Closed { .. }) { Turn::None } else { Turn::Closed }
            }
            End::Failed => self.failed(now),
            End::GivenUp => match (self.unheard_since, self.state) {
                (Some(since), _) if now.duration_since(since) >= self.wait => self.failed(now),
                // Another call may try at once.
                (_, State::Trying) => {
                    self.state = State::Open { until: now };
                    Turn::None
                }
                (_, State::Closed { .. } | State::Open { .. }) => Turn::None,
            },
        }
    }

    fn failed(&mut self, now: Instant) -> Turn {
        let open = State::Open { until: now + PAUSE };
        match self.state {
            State::Closed { failures } if failures + 1 < FAILURES_MAX => {
                self.state = State::Closed { failures: failures + 1 };
                Turn::None
            }
            State::Closed { .. } => {
                self.state = open;
                Turn::Opened
            }
            State::Trying => {
                self.state = open;
                Turn::None
            }
            // A call from before the pause does not extend it.
            State::Open { .. } => Turn::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    /// Begins a call and ends it after a time. Returns the change of state, or `None` if no call could begin.
    fn call(breaker: &mut Breaker, now: &mut Instant, took: Duration, end: End) -> Option<Turn> {
        breaker.may_ask(*now).then(|| {
            *now += took;
            breaker.ended(end, *now)
        })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_when_one_is_heard() {
        let (mut breaker, mut now) = (Breaker::new(WAIT), Instant::now());
        let mut one = |end| call(&mut breaker, &mut now, Duration::ZERO, end);
        for _ in 0..FAILURES_MAX - 1 {
            assert_eq!(one(End::Failed), Some(Turn::None));
        }
        // An answer restarts the count.
        assert_eq!(one(End::Heard), Some(Turn::None));
        for _ in 0..FAILURES_MAX - 1 {
            assert_eq!(one(End::Failed), Some(Turn::None));
        }
        assert_eq!(one(End::Failed), Some(Turn::Opened));
        assert_eq!(one(End::Heard), None, "no call is made");
        now += PAUSE.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(!breaker.may_ask(now));
        now += Duration::from_millis(1);
        assert!(breaker.may_ask(now));
        assert!(!breaker.may_ask(now), "one at a time");
        assert_eq!(breaker.ended(End::Failed, now), Turn::None);
        assert!(!breaker.may_ask(now + PAUSE - Duration::from_millis(1)), "and another pause");
        now += PAUSE;
        assert!(breaker.may_ask(now));
        assert_eq!(breaker.ended(End::Heard, now), Turn::Closed);
        assert!(breaker.may_ask(now) && breaker.may_ask(now));
    }

    #[test]
    fn callers_in_a_hurry_open_it_for_a_classifier_that_hangs_and_not_for_one_that_answers_others() {
        let (mut breaker, mut now) = (Breaker::new(WAIT), Instant::now());
        let hurry = WAIT / 10;
        let mut turns = Vec::new();
        while let Some(turn) = call(&mut breaker, &mut now, hurry, End::GivenUp) {
            turns.push(turn);
            assert!(turns.len() < 100);
        }
        // After ten of them nothing was heard for as long as an answer waits.
        assert_eq!(turns.len(), 9 + usize::try_from(FAILURES_MAX).unwrap());
        let (mut breaker, mut now) = (Breaker::new(WAIT), Instant::now());
        for _ in 0..100 {
            assert_eq!(call(&mut breaker, &mut now, hurry, End::GivenUp), Some(Turn::None));
            assert_eq!(call(&mut breaker, &mut now, hurry * 5, End::Heard), Some(Turn::None));
        }
    }

    #[test]
    fn a_try_that_is_given_up_lets_another_one_in_at_once() {
        let (mut breaker, mut now) = (Breaker::new(WAIT), Instant::now());
        for _ in 0..FAILURES_MAX {
            breaker.may_ask(now);
            breaker.ended(End::Failed, now);
        }
        now += PAUSE;
        breaker.unheard_since = None;
        assert_eq!(call(&mut breaker, &mut now, Duration::ZERO, End::GivenUp), Some(Turn::None));
        assert!(breaker.may_ask(now));
    }

    proptest! {
        /// In every sequence: while the breaker is open or tries, at most one call is in progress that began
        /// since; and classifiers are asked again after the pause.
        #[test]
        fn it_is_never_shut_for_ever(steps in prop::collection::vec((0_u8..4, 0_u64..7_000), 1..200)) {
            let (mut breaker, mut now) = (Breaker::new(WAIT), Instant::now());
            let mut under_way = 0_u32;
            for (what, ms) in steps {
                now += Duration::from_millis(ms);
                match what {
                    0 => under_way += u32::from(breaker.may_ask(now)),
                    _ if under_way == 0 => {}
                    1 => { breaker.ended(End::Heard, now); under_way -= 1 }
                    2 => { breaker.ended(End::Failed, now); under_way -= 1 }
                    _ => { breaker.ended(End::GivenUp, now); under_way -= 1 }
                }
            }
            for _ in 0..under_way {
                breaker.ended(End::GivenUp, now);
            }
            prop_assert!(breaker.may_ask(now + PAUSE));
        }
    }
}
