//! The distribution of the scores of a class.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Scores of 0 to 1 counted in 64 bins of equal width. A score on a bound between two bins is in the upper
/// one; 1 is in the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct Histogram {
    counts: [u64; Self::BINS],
}

/// The counts are not a valid [`Histogram`], or a score cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HistogramError {
    /// The number of bins is wrong.
    #[error("a histogram has {bins} bins, not {0}", bins = Histogram::BINS)]
    Bins(usize),
    /// A count is above the bound.
    #[error("a bin counts at most {max}, not {0}", max = Histogram::COUNT_MAX)]
    Count(u64),
    /// The score is not from 0 to 1.
    #[error("a score is a number from 0 to 1")]
    Score,
}

impl Histogram {
    /// The number of bins.
    pub const BINS: usize = 64;
    /// The largest count of a bin, at which it saturates: the largest integer that every JSON parser
    /// represents exactly.
    pub const COUNT_MAX: u64 = (1 << 53) - 1;
    /// A histogram of no scores.
    pub const EMPTY: Self = Self { counts: [0; Self::BINS] };

    /// Counts a score from 0 to 1.
    pub fn add(&mut self, score: f32) -> Result<(), HistogramError> {
        let bin = Self::bin(score).ok_or(HistogramError::Score)?;
        self.counts[bin] = bounded(self.counts[bin], 1);
        Ok(())
    }

    /// Adds another histogram's counts. The order of merges does not matter.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = bounded(*count, more);
        }
    }

    /// Returns the count of each bin, from the lowest scores on.
    #[must_use]
    pub const fn counts(&self) -> &[u64; Self::BINS] {
        &self.counts
    }

    /// Returns the number of counted scores.
    #[must_use]
    pub fn total(&self) -> u64 {
        // The sum cannot overflow: there are 64 bins of less than 2^53.
        self.counts.iter().sum()
    }

    /// Returns the bin of a score; `None` unless it is from 0 to 1.
    fn bin(score: f32) -> Option<usize> {
        if !(0.0..=1.0).contains(&score) {
            return None;
        }
        // Multiplication by a power of two is exact, and the result is at most 64.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 0 to 64")]
        let bin = (score * 64.0) as usize;
        Some(bin.min(Self::BINS - 1))
    }
}

/// Returns the sum, at most the largest count of a bin.
fn bounded(count: u64, more: u64) -> u64 {
    count.saturating_add(more).min(Histogram::COUNT_MAX)
}

impl Default for Histogram {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl TryFrom<Vec<u64>> for Histogram {
    type Error = HistogramError;

    fn try_from(counts: Vec<u64>) -> Result<Self, HistogramError> {
        if let Some(count) = counts.iter().find(|count| **count > Self::COUNT_MAX) {
            return Err(HistogramError::Count(*count));
        }
        let counts = counts.try_into().map_err(|counts: Vec<u64>| HistogramError::Bins(counts.len()))?;
        Ok(Self { counts })
    }
}

impl From<Histogram> for Vec<u64> {
    fn from(histogram: Histogram) -> Self {
        histogram.counts.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(scores: &[f32]) -> Histogram {
        let mut histogram = Histogram::EMPTY;
        scores.iter().for_each(|score| histogram.add(*score).unwrap());
        histogram
    }

    proptest! {
        #[test]
        fn each_score_is_in_the_bin_whose_bounds_hold_it(score in 0.0_f32..=1.0) {
            let histogram = of(&[score]);
            let bin = histogram.counts().iter().position(|count| *count == 1).unwrap();
            let low = f64::from(u8::try_from(bin).unwrap()) / 64.0;
            let is_last = bin == Histogram::BINS - 1;
            prop_assert!(f64::from(score) >= low && (is_last || f64::from(score) < low + 1.0 / 64.0));
        }

        #[test]
        fn merged_histograms_are_the_histogram_of_all(
            left in prop::collection::vec(0.0_f32..=1.0, 0..50), right in prop::collection::vec(0.0_f32..=1.0, 0..50),
        ) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[&left[..], &right[..]].concat()));
            let mut other = of(&right);
            other.merge(&of(&left));
            prop_assert_eq!(merged, other);
            prop_assert_eq!(merged.total(), u64::try_from(left.len() + right.len()).unwrap());
        }
    }

    #[test]
    fn bounds_between_bins_belong_to_the_upper_one() {
        let histogram = of(&[0.0, 1.0 / 64.0, 0.5, 1.0]);
        let filled: Vec<usize> = (0..64).filter(|bin| histogram.counts()[*bin] > 0).collect();
        assert_eq!(filled, [0, 1, 32, 63]);
        for score in [f32::NAN, -0.1, 1.001, f32::INFINITY] {
            assert_eq!(Histogram::default().add(score), Err(HistogramError::Score), "{score}");
        }
    }

    #[test]
    fn a_full_bin_stays_full() {
        let mut counts = vec![0; 64];
        counts[63] = Histogram::COUNT_MAX;
        let mut full = Histogram::try_from(counts).unwrap();
        full.add(1.0).unwrap();
        full.merge(&full.clone());
        assert_eq!(full.total(), Histogram::COUNT_MAX);
    }

    #[test]
    fn the_json_form_reads_back_and_is_checked() {
        let histogram = of(&[0.3, 0.9]);
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
        assert!(
            serde_json::from_str::<Histogram>("[1,2]").unwrap_err().to_string().contains("64 bins, not 2")
        );
        let over = vec![u64::MAX; 64];
        assert_eq!(Histogram::try_from(over), Err(HistogramError::Count(u64::MAX)));
    }
}
