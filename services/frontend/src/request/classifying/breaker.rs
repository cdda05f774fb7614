//! Whether classifiers are asked: not while they are away, so that they cost later calls nothing.
//!
//! A state machine without a clock. After [`FAILURES_MAX`] calls in a row that reached nobody or heard
//! nothing it opens, and no call is made for [`PAUSE`]; then one is, at a time, until one is heard.
//!
//! A call that is given up before its classifier had the time that an answer waits for it shows nothing by
//! itself. But where nothing at all was heard for as long, it counts as one that heard nothing: otherwise
//! callers in a hurry would wait for a classifier that hangs for ever.

use std::time::Duration;

use tokio::time::Instant;

/// Calls in a row that reached nobody or heard nothing, after which no more are made.
pub(super) const FAILURES_MAX: u32 = 5;
/// How long no call is made then.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// The state of the way to the classifiers.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// How long a classifier is given to answer.
    wait: Duration,
    /// When the first call was begun of those since which nothing was heard.
    unheard_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls are made.
    Closed {
        /// The last calls that failed, in a row.
        failures: u32,
    },
    /// No call is made until then.
    Open {
        /// The end of the pause.
        until: Instant,
    },
    /// A single call is made, whose end decides.
    Trying,
}

/// The change that an end of a call made, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// No more calls are made for a while.
    Opened,
    /// Calls are made again.
    Closed,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A classifier answered, whatever it said.
    Heard,
    /// There was no connection, or it broke, or no answer came.
    Failed,
    /// The call was given up before its time.
    GivenUp,
}

impl Breaker {
    /// Closed, for classifiers that are given so long.
    pub(super) const fn new(wait: Duration) -> Self {
        Self { state: State::Closed { failures: 0 }, wait, unheard_since: None }
    }

    /// Whether a call may be begun. Each that is has to end with [`Self::ended`].
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
            // A call from before the pause does not lengthen it.
            State::Open { .. } => Turn::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    /// Begins a call and ends it after a time. Returns what turned, or `None` where no call could be begun.
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
        // One that is heard begins the count anew.
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
        // Nothing was heard for as long as an answer waits after ten of them.
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
        /// Whatever happens: while it is open or tries, at most one call is under way that was begun since;
        /// and it is asked again after the pause.
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
