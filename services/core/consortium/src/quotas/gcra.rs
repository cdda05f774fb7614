//! A limit by the generic cell rate algorithm (ITU-T I.371, annex A), in its form as a leaky bucket: what was
//! spent leaks away at the rate, and a request fits if the bucket then holds no more than the burst.
//!
//! Exact: the level is an integer of units times the nanoseconds of the period, so that a rate of 7 a second
//! leaks exactly 7 in a second, without rounding. A bucket takes 32 bytes, whatever is spent.

use std::num::NonZeroU64;
use std::time::Duration;

/// A rate, and a burst that may be spent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// The units that leak in a period.
    pub(super) units: NonZeroU64,
    /// The period.
    pub(super) period: Duration,
    /// Units that may be spent at once.
    pub(super) burst: NonZeroU64,
}

/// The units that were spent under one limit and have not leaked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bucket {
    /// The level in units times nanoseconds of the period, as of `at`.
    level: u128,
    /// The time of the last change, since the process began.
    at: Duration,
}

/// The units do not fit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The units fit after this time, if nothing else is spent meanwhile.
    For(Duration),
    /// The units are more than the burst, and never fit.
    Always,
}

impl Bucket {
    /// Returns the bucket after `units` were spent at `now`. If the clock goes back, nothing leaks.
    pub(super) fn after(self, limit: Limit, units: u64, now: Duration) -> Result<Self, Full> {
        let period = limit.period.as_nanos();
        let capacity = u128::from(limit.burst.get()) * period;
        let asked = u128::from(units) * period;
        if asked > capacity {
            return Err(Full::Always);
        }
        let at = self.at.max(now);
        let leaked = (at - self.at).as_nanos().saturating_mul(limit.units.get().into());
        // After a quota was lowered, earlier spending counts as a full bucket at most: a member waits at most
        // for its burst.
        let level = self.level.min(capacity).saturating_sub(leaked);
        let excess = (level + asked).saturating_sub(capacity);
        if excess > 0 {
            let wait = excess.div_ceil(limit.units.get().into());
            // The wait begins at `now`, which may be before `at`.
            let wait = Duration::from_nanos_u128(wait) + (at - now);
            return Err(Full::For(wait));
        }
        Ok(Self { level: level + asked, at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The slow counter: it remembers every request. A request fits if no time interval that ends with it
    /// contains more than the burst plus the leak of that interval.
    #[derive(Default)]
    struct Naive {
        accepted: Vec<(Duration, u64)>,
    }

    impl Naive {
        fn fits(&self, limit: Limit, units: u64, now: Duration) -> bool {
            let period = limit.period.as_nanos();
            let stretch_fits = |start: Duration| {
                let in_it = self.accepted.iter().filter(|(at, _)| *at >= start).map(|(_, units)| units);
                let spent = u128::from(in_it.sum::<u64>() + units) * period;
                let leaked = (now - start).as_nanos() * u128::from(limit.units.get());
                spent <= u128::from(limit.burst.get()) * period + leaked
            };
            self.accepted.iter().map(|(at, _)| *at).chain([now]).all(stretch_fits)
        }
    }

    fn limit(units: u64, period: Duration, burst: u64) -> Limit {
        Limit { units: units.try_into().unwrap(), period, burst: burst.try_into().unwrap() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_bucket_is_the_naive_counter(
            units in 1_u64..50,
            period_ms in 1_u64..3_000,
            burst in 1_u64..60,
            asked in prop::collection::vec((0_u64..900_000_000, 0_u64..70), 1..60),
        ) {
            let limit = limit(units, Duration::from_millis(period_ms), burst);
            let (mut bucket, mut naive, mut now) = (Bucket::default(), Naive::default(), Duration::ZERO);
            for (step, units) in asked {
                now += Duration::from_nanos(step);
                let fits = naive.fits(limit, units, now);
                match bucket.after(limit, units, now) {
                    Ok(next) => {
                        prop_assert!(fits);
                        bucket = next;
                        naive.accepted.push((now, units));
                    }
                    Err(Full::Always) => prop_assert!(units > burst),
                    Err(Full::For(wait)) => {
                        prop_assert!(!fits);
                        // `wait` is exactly the time until it fits again.
                        prop_assert!(naive.fits(limit, units, now + wait));
                        prop_assert!(!naive.fits(limit, units, now + wait - Duration::from_nanos(1)));
                        prop_assert!(bucket.after(limit, units, now + wait).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_limits_do_not_overflow() {
        let most = crate::Amount::MAX;
        let limit = limit(most, Duration::from_secs(86_400), most);
        let mut bucket = Bucket::default();
        for now in [Duration::ZERO, Duration::from_secs(1 << 40), Duration::MAX] {
            bucket = bucket.after(limit, most, now).unwrap();
        }
        assert_eq!(bucket.after(limit, most + 1, Duration::MAX), Err(Full::Always));
        // The clock goes back.
        let back = Duration::MAX - Duration::from_secs(5);
        assert_eq!(bucket.after(limit, most, back), Err(Full::For(Duration::from_secs(86_405))));
    }

    #[test]
    fn a_lowered_limit_holds_at_once_and_for_no_longer_than_its_burst() {
        let second = Duration::from_secs(1);
        let bucket = Bucket::default().after(limit(1_000, second, 1_000), 1_000, Duration::ZERO).unwrap();
        let lowered = limit(2, second, 4);
        assert_eq!(bucket.after(lowered, 1, Duration::ZERO), Err(Full::For(second / 2)));
        assert!(bucket.after(lowered, 4, 2 * second).is_ok());
    }
}
