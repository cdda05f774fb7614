//! Drift: compares the current distribution of a class's scores with that of the calibration.
//!
//! The measure is the population stability index (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006): the sum
//! over all bins of (q - p) ln(q / p), where p and q are the shares of a bin at calibration and now. It is 0
//! for equal shares and symmetric. By the convention of that field, a value below 0.1 means no relevant
//! change, and a value of 0.25 or more requires a person's attention.
//!
//! Smoothing: half a score is added to each of the 64 bins on both sides, so an empty bin causes no division
//! by zero.
//!
//! By chance alone the index is about 63 (1/n + 1/m) for n and m scores, with a standard deviation of sqrt(2
//! x 63) (1/n + 1/m) (B. Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan
//! University 2018). With [`SAMPLE_MIN`] scores on both sides that is 0.050 and 0.009: 0.1 is five deviations
//! away. Smaller samples give no result.

use thiserror::Error;

use crate::histogram::Histogram;

/// The smallest number of scores on either side for a result.
pub const SAMPLE_MIN: u64 = 2_500;

/// The index from which a distribution counts as shifted.
pub const SHIFTED: f64 = 0.1;

/// The index from which a distribution counts as changed.
pub const CHANGED: f64 = 0.25;

/// The difference between two distributions of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The population stability index, from 0 on.
    pub index: f64,
    /// The class of the index.
    pub stability: Stability,
}

/// The class of an index by the conventional limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// The index is below [`SHIFTED`].
    Stable,
    /// The index is at least [`SHIFTED`].
    Shifted,
    /// The index is at least [`CHANGED`]: the measured rates may not be valid any more.
    Changed,
}

/// There are too few scores for a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{scores} scores are too few to compare distributions; it takes {min}", min = SAMPLE_MIN)]
pub struct TooFewScores {
    /// The number of scores on the side that has fewer.
    pub scores: u64,
}

/// Compares the distribution at calibration with a live one.
pub fn compare(calibrated: &Histogram, live: &Histogram) -> Result<Drift, TooFewScores> {
    let scores = calibrated.total().min(live.total());
    if scores < SAMPLE_MIN {
        return Err(TooFewScores { scores });
    }
    let (then, now) = (shares(calibrated), shares(live));
    let index: f64 = then.iter().zip(now).map(|(p, q)| (q - p) * (q / p).ln()).sum();
    let stability = match index {
        index if index >= CHANGED => Stability::Changed,
        index if index >= SHIFTED => Stability::Shifted,
        _ => Stability::Stable,
    };
    Ok(Drift { index, stability })
}

/// Returns the smoothed share of each bin.
fn shares(histogram: &Histogram) -> [f64; Histogram::BINS] {
    let total = histogram.total() as f64 + 0.5 * 64.0;
    histogram.counts().map(|count| (count as f64 + 0.5) / total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(counts: &[(usize, u64)]) -> Histogram {
        let mut all = vec![0; 64];
        counts.iter().for_each(|(bin, count)| all[*bin] = *count);
        all.try_into().unwrap()
    }

    /// Compares with values of Python: `sum((q-p)*math.log(q/p) ...)` with `p = (c + 0.5) / (n + 32)`.
    #[test]
    fn indexes_are_those_of_the_formula() {
        let cases = [
            (of(&[(0, 9_000), (63, 1_000)]), of(&[(0, 9_000), (63, 1_000)]), 0.0, Stability::Stable),
            (
                of(&[(0, 9_000), (63, 1_000)]),
                of(&[(0, 8_000), (63, 2_000)]),
                0.08080874859403224,
                Stability::Stable,
            ),
            (
                of(&[(0, 9_000), (63, 1_000)]),
                of(&[(0, 7_600), (63, 2_400)]),
                0.14572772916382065,
                Stability::Shifted,
            ),
            (
                of(&[(0, 9_000), (63, 1_000)]),
                of(&[(0, 1_500), (31, 1_000)]),
                4.3054708969587265,
                Stability::Changed,
            ),
        ];
        for (then, now, expected, stability) in cases {
            let found = compare(&then, &now).unwrap();
            assert!((found.index - expected).abs() < 1e-12, "{found:?}");
            assert_eq!(found.stability, stability);
        }
    }

    #[test]
    fn nothing_is_stated_of_too_few() {
        let (enough, few) = (of(&[(3, SAMPLE_MIN)]), of(&[(3, SAMPLE_MIN - 1)]));
        assert!(compare(&enough, &enough).is_ok());
        assert_eq!(compare(&enough, &few), Err(TooFewScores { scores: 2_499 }));
        assert_eq!(
            compare(&few, &enough).unwrap_err().to_string(),
            "2499 scores are too few to compare distributions; it takes 2500"
        );
    }

    proptest! {
        #[test]
        fn the_index_is_symmetric_and_zero_only_for_equal_shares(
            left in prop::collection::vec(0_u64..2_000, 64), right in prop::collection::vec(0_u64..2_000, 64),
        ) {
            let (left, right) = (Histogram::try_from(left).unwrap(), Histogram::try_from(right).unwrap());
            let (there, back) = (compare(&left, &right).unwrap(), compare(&right, &left).unwrap());
            prop_assert!((there.index - back.index).abs() < 1e-12 && there.index >= 0.0);
            prop_assert_eq!(compare(&left, &left).unwrap().index, 0.0);
        }
    }
}
