//! The meter of one member in one process.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use thiserror::Error;
use vigie_model::ItemId;

use super::gcra::{Bucket, Full, Limit};
use super::quota::Quota;
use super::seen::Seen;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A limit of a [`Quota`] that may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitLimit {
    /// `units_per_second`, with its burst.
    UnitsPerSecond,
    /// `units_per_day`.
    UnitsPerDay,
    /// `items_matched_per_day`.
    ItemsMatchedPerDay,
    /// `items_added_per_day`.
    ItemsAddedPerDay,
}

impl fmt::Display for UnitLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UnitsPerSecond => "units_per_second",
            Self::UnitsPerDay => "units_per_day",
            Self::ItemsMatchedPerDay => "items_matched_per_day",
            Self::ItemsAddedPerDay => "items_added_per_day",
        })
    }
}

/// A limit is spent. Nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Spent {
    /// The same request fits later.
    #[error("the member's quota {limit} is spent; try again in {} ms", retry_after.as_millis().max(1))]
    Until {
        /// The limit.
        limit: UnitLimit,
        /// The time after which the same request fits, if nothing else is spent meanwhile.
        retry_after: Duration,
    },
    /// The single request is larger than the limit.
    #[error(
        "the call is {units} of {limit}, of which the member's quota lets through at most {at_most} at once; ask for less in a call"
    )]
    TooMuch {
        /// The limit.
        limit: UnitLimit,
        /// The number of units of the request.
        units: u64,
        /// The largest number of units at once.
        at_most: u64,
    },
}

/// The meter of one member in one process: about 150 bytes, and 8 KiB once matched items are limited.
///
/// Times come from one monotonic clock with any origin. A daily limit is a bucket with the amount of one day,
/// which leaks in the course of a day.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    second: Bucket,
    day: Bucket,
    matched: Bucket,
    added: Bucket,
    seen: Seen,
    /// The day of `seen`, counted from the origin of the clock.
    seen_on: u64,
}

impl Meter {
    /// Counts units of searching against the limits per second and per day: both or neither.
    pub fn spend_units(&mut self, quota: &Quota, units: u64, now: Duration) -> Result<(), Spent> {
        let burst = quota.units_burst.get().or(quota.units_per_second.get());
        let per_second = quota.units_per_second.get().map(|units| (units, SECOND, burst.unwrap_or(units)));
        let per_day = per_day(quota.units_per_day.get());
        let second = spend(self.second, UnitLimit::UnitsPerSecond, per_second, units, now)?;
        let day = spend(self.day, UnitLimit::UnitsPerDay, per_day, units, now)?;
        (self.second, self.day) = (second, day);
        Ok(())
    }

    /// Counts added items, all or none.
    pub fn spend_added(&mut self, quota: &Quota, items: u64, now: Duration) -> Result<(), Spent> {
        let limit = per_day(quota.items_added_per_day.get());
        self.added = spend(self.added, UnitLimit::ItemsAddedPerDay, limit, items, now)?;
        Ok(())
    }

    /// Counts an item that is about to be returned as a match. An item that was counted today and is still
    /// remembered costs nothing.
    pub fn spend_match(&mut self, quota: &Quota, item: ItemId, now: Duration) -> Result<(), Spent> {
        let limit = per_day(quota.items_matched_per_day.get());
        if limit.is_none() {
            return Ok(());
        }
        let today = now.as_secs() / DAY.as_secs();
        if today != self.seen_on {
            self.seen.clear();
            self.seen_on = today;
        }
        if self.seen.contains(item) {
            return Ok(());
        }
        self.matched = spend(self.matched, UnitLimit::ItemsMatchedPerDay, limit, 1, now)?;
        self.seen.insert(item);
        Ok(())
    }
}

/// Units of a period, the period, and the burst.
type Rate = (NonZeroU64, Duration, NonZeroU64);

fn per_day(amount: Option<NonZeroU64>) -> Option<Rate> {
    amount.map(|amount| (amount, DAY, amount))
}

fn spend(
    bucket: Bucket,
    limit: UnitLimit,
    rate: Option<Rate>,
    units: u64,
    now: Duration,
) -> Result<Bucket, Spent> {
    let Some((per_period, period, burst)) = rate else { return Ok(bucket) };
    bucket.after(Limit { units: per_period, period, burst }, units, now).map_err(|full| match full {
        Full::For(retry_after) => Spent::Until { limit, retry_after },
        Full::Always => Spent::TooMuch { limit, units, at_most: burst.get() },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::Amount;

    fn amount(number: u64) -> Amount {
        Amount::new(number).unwrap()
    }

    #[test]
    fn units_of_a_second_and_of_a_day_are_counted_together_or_not_at_all() {
        let quota = Quota { units_per_second: amount(10), units_per_day: amount(25), ..Quota::default() };
        let mut meter = Meter::default();
        meter.spend_units(&quota, 10, Duration::ZERO).unwrap();
        let refused = meter.spend_units(&quota, 1, Duration::ZERO).unwrap_err();
        let retry_after = Duration::from_millis(100);
        assert_eq!(refused, Spent::Until { limit: UnitLimit::UnitsPerSecond, retry_after });
        assert_eq!(refused.to_string(), "the member's quota units_per_second is spent; try again in 100 ms");
        meter.spend_units(&quota, 10, Duration::from_secs(1)).unwrap();
        // The daily limit refuses, so the limit per second has not counted the units.
        let refused = meter.spend_units(&quota, 10, Duration::from_secs(2)).unwrap_err();
        assert!(matches!(refused, Spent::Until { limit: UnitLimit::UnitsPerDay, .. }), "{refused}");
        meter.spend_units(&quota, 5, Duration::from_secs(2)).unwrap();
        let refused = meter.spend_units(&quota, 11, Duration::from_secs(9)).unwrap_err();
        assert_eq!(refused, Spent::TooMuch { limit: UnitLimit::UnitsPerSecond, units: 11, at_most: 10 });
    }

    #[test]
    fn no_limit_counts_nothing() {
        let mut meter = Meter::default();
        for _ in 0..3 {
            meter.spend_units(&Quota::default(), u64::MAX, Duration::ZERO).unwrap();
            meter.spend_added(&Quota::default(), u64::MAX, Duration::ZERO).unwrap();
            meter.spend_match(&Quota::default(), ItemId(1), Duration::ZERO).unwrap();
        }
        assert!(meter.seen.slots_are_none());
    }

    proptest! {
        /// Items that all fit into the memory are counted once a day each.
        #[test]
        fn matched_items_are_counted_once(
            per_day in 1_u64..40,
            matches in prop::collection::vec((1_u64..60, 0_u64..40_000), 1..200),
        ) {
            let quota = Quota { items_matched_per_day: amount(per_day), ..Quota::default() };
            let (mut meter, mut naive, mut seen, mut now) =
                (Meter::default(), Bucket::default(), BTreeSet::new(), 0_u64);
            for (item, step) in matches {
                now += step;
                let at = Duration::from_secs(now);
                let limit = Limit { units: per_day.try_into().unwrap(), period: DAY, burst: per_day.try_into().unwrap() };
                let expected = seen.contains(&(now / 86_400, item)) || match naive.after(limit, 1, at) {
                    Ok(next) => {
                        naive = next;
                        seen.insert((now / 86_400, item))
                    }
                    Err(_) => false,
                };
                prop_assert_eq!(meter.spend_match(&quota, ItemId(item), at).is_ok(), expected);
            }
        }

        /// For any sequence of calls, a day never has more than the burst plus the amount of a day.
        #[test]
        fn added_items_stay_within_the_day(
            per_day in 1_u64..1_000,
            writes in prop::collection::vec((0_u64..20_000, 0_u64..400), 1..100),
        ) {
            let quota = Quota { items_added_per_day: amount(per_day), ..Quota::default() };
            let (mut meter, mut accepted, mut now) = (Meter::default(), Vec::new(), 0_u64);
            for (step, items) in writes {
                now += step;
                if meter.spend_added(&quota, items, Duration::from_secs(now)).is_ok() {
                    accepted.push((now, items));
                    let of_a_day = accepted.iter().filter(|(at, _)| at + 86_400 > now);
                    prop_assert!(of_a_day.map(|(_, items)| items).sum::<u64>() <= 2 * per_day);
                }
            }
        }
    }
}
