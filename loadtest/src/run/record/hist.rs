//! Histograms of times, in microseconds: HDR histograms, which can be added without loss.
//!
//! Percentiles of parts cannot be averaged; counts of equal buckets can be added. So every part of a run, of
//! a lane and of a generator has its histogram, and percentiles are computed from the sum. In files a
//! histogram has the standard text form (V2, compressed, base64), which the other implementations of
//! HdrHistogram also read.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as Reader, Serializer as _, V2DeflateSerializer};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest time with a bucket of its own: a day, in microseconds.
const MICROS_MAX: u64 = 86_400_000_000;

/// A histogram of times, by default to three digits.
#[derive(Clone, PartialEq)]
pub(crate) struct Hist(Histogram<u64>);

impl Default for Hist {
    fn default() -> Self {
        Self::with_digits(3)
    }
}

impl std::fmt::Debug for Hist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hist({} times)", self.0.len())
    }
}

impl Hist {
    /// Returns an empty histogram with this many digits, 1 to 5.
    #[must_use]
    pub(crate) fn with_digits(digits: u8) -> Self {
        Self(Histogram::new(digits.clamp(1, 5)).expect("a histogram can have 1 to 5 digits"))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(MICROS_MAX);
        self.0.record(micros).expect("a histogram that resizes itself takes any time");
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("a histogram that resizes itself takes any other");
    }

    /// Returns the number of times.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the time in milliseconds that this share (0 to 1) of the times does not exceed; `None` if
    /// there are none.
    #[must_use]
    pub(crate) fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Returns the longest time, in milliseconds.
    #[must_use]
    pub(crate) fn max_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.max() as f64 / 1e3)
    }

    /// Returns the mean, in milliseconds.
    #[must_use]
    pub(crate) fn mean_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.mean() / 1e3)
    }

    /// Returns the histogram itself, for the files of HdrHistogram.
    #[must_use]
    pub(crate) const fn inner(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Returns each bucket that is not empty: its largest value in milliseconds, and its count.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.0.iter_recorded().map(|step| (step.value_iterated_to() as f64 / 1e3, step.count_at_value()))
    }
}

impl Serialize for Hist {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(S::Error::custom)?;
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = || -> anyhow::Result<Histogram<u64>> {
            let bytes = BASE64_STANDARD.decode(text.as_bytes()).context("not base64")?;
            let mut read: Histogram<u64> =
                Reader::new().deserialize(&mut bytes.as_slice()).context("no histogram")?;
            read.auto(true);
            Ok(read)
        };
        read().map(Self).map_err(|error| D::Error::custom(format!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hist(micros: &[u64]) -> Hist {
        let mut hist = Hist::default();
        micros.iter().for_each(|&micros| hist.record(Duration::from_micros(micros)));
        hist
    }

    proptest! {
        #[test]
        fn the_sum_of_parts_is_the_whole_also_through_a_file(
            one in prop::collection::vec(0..300_000_000u64, 0..50),
            other in prop::collection::vec(0..300_000_000u64, 0..50),
        ) {
            let file = serde_json::to_string(&hist(&one)).unwrap();
            let mut sum: Hist = serde_json::from_str(&file).unwrap();
            sum.add(&hist(&other));
            let whole = hist(&[one, other].concat());
            prop_assert_eq!(sum.count(), whole.count());
            prop_assert!(sum.buckets().eq(whole.buckets()));
        }

        #[test]
        fn a_quantile_is_right_to_a_thousandth(
            mut micros in prop::collection::vec(1..100_000_000u64, 1..200),
            quantile in 0.0..1.0f64,
        ) {
            let estimate = hist(&micros).quantile_ms(quantile).unwrap() * 1e3;
            micros.sort_unstable();
            let rank = crate::report::rounding::whole((quantile * micros.len() as f64).ceil()).clamp(1, micros.len());
            let exact = micros[rank - 1] as f64;
            prop_assert!((estimate - exact).abs() <= exact * 0.001 + 1.0, "{estimate} for {exact}");
        }
    }

    #[test]
    fn times_of_any_length_are_kept_apart() {
        let hist = hist(&[5, 11_000, 2_000_000, 90_000_000_000]);
        assert!((hist.quantile_ms(0.75).unwrap() - 2_000.0).abs() <= 2.0);
        assert!(hist.max_ms().unwrap() >= 86_400_000.0, "the longest time is a day");
        assert_eq!(Hist::default().quantile_ms(0.5), None);
    }
}
