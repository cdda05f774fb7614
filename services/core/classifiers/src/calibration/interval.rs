//! Counted rates with their exact intervals.
//!
//! The intervals are those of C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
//! illustrated in the case of the binomial" (Biometrika 26, 1934): they contain the true rate in at least 95
//! of 100 samples, for every rate and sample size.

use serde::Serialize;

use super::beta;

/// The largest sample: ten million.
pub const SAMPLE_MAX: u64 = 10_000_000;

/// A counted rate with its exact two-sided 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The number of contents with the property.
    pub count: u64,
    /// The number of all contents.
    pub of: u64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Returns the estimate for `count` of `of`; `None` unless `count` is at most `of`, and `of` at most
    /// [`SAMPLE_MAX`]. For 0 of 0 the interval is 0 to 1.
    #[must_use]
    pub fn new(count: u64, of: u64) -> Option<Self> {
        if count > of || of > SAMPLE_MAX {
            return None;
        }
        let low = if count == 0 { 0.0 } else { beta::quantile(count as f64, (of - count + 1) as f64, 0.025) };
        Some(Self { count, of, low, high: bound(count, of, 0.975) })
    }

    /// Returns the counted share; `None` if `of` is 0.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// Returns the exact one-sided upper bound of a counted rate with 95 % confidence: the true rate is below it
/// in at least 95 of 100 samples. `None` as for [`Estimate::new`].
#[must_use]
pub fn upper_bound(count: u64, of: u64) -> Option<f64> {
    (count <= of && of <= SAMPLE_MAX).then(|| bound(count, of, 0.95))
}

/// Whether [`upper_bound`] is at most `rate`, without computing it.
pub(crate) fn is_supported(count: u64, of: u64, rate: f64) -> bool {
    count < of && beta::regularised((count + 1) as f64, (of - count) as f64, rate) >= 0.95
}

/// Returns the upper bound for `count` of `of` with a confidence.
fn bound(count: u64, of: u64, confidence: f64) -> f64 {
    if count == of { 1.0 } else { beta::quantile((count + 1) as f64, (of - count) as f64, confidence) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compares with values of `scipy.stats.binomtest(count, of).proportion_ci(0.95, "exact")` of SciPy
    /// 1.17.1.
    #[test]
    fn intervals_are_those_of_scipy() {
        let cases = [
            (0, 1, 0.0, 0.975),
            (0, 29956, 0.0, 0.0001231356767804441),
            (3, 10000, 6.187148574832521e-05, 0.0008764745225646691),
            (10, 100, 0.04900468922148595, 0.17622259774017532),
            (90, 100, 0.8237774022598247, 0.9509953107785141),
            (500, 1000, 0.46854917297179194, 0.531450827028208),
            (1234, 1000000, 0.001166140736661215, 0.0013047741535607425),
            (1, 10000000, 2.5317807857072636e-09, 5.571641332916847e-07),
        ];
        for (count, of, low, high) in cases {
            let got = Estimate::new(count, of).unwrap();
            assert!(
                (got.low - low).abs() <= 1e-9 && (got.high - high).abs() <= 1e-9,
                "{got:?} for {low} {high}"
            );
        }
    }

    #[test]
    fn the_ends_and_the_bounds_of_the_sample() {
        let nothing = Estimate::new(0, 0).unwrap();
        assert_eq!((nothing.low, nothing.high, nothing.share()), (0.0, 1.0, None));
        let all = Estimate::new(7, 7).unwrap();
        assert_eq!((all.high, all.share()), (1.0, Some(1.0)));
        assert_eq!((Estimate::new(2, 1), Estimate::new(0, SAMPLE_MAX + 1)), (None, None));
        assert_eq!(
            (upper_bound(2, 1), upper_bound(0, SAMPLE_MAX + 1), upper_bound(3, 3)),
            (None, None, Some(1.0))
        );
        // For no error in n the bound is 1 - 0.05^(1/n).
        let bound = upper_bound(0, 100).unwrap();
        assert!((bound - (1.0 - 0.05_f64.powf(0.01))).abs() < 1e-12);
        assert!(!is_supported(5, 5, 0.5));
    }

    proptest! {
        #[test]
        fn the_test_without_the_bound_agrees_with_the_bound(of in 1_u64..5_000, part in 0.0..=1.0_f64, rate in 1e-4..0.5_f64) {
            let count = (0..=of).rev().find(|count| *count as f64 <= part * of as f64).unwrap();
            let bound = upper_bound(count, of).unwrap();
            prop_assume!((bound - rate).abs() > 1e-9);
            prop_assert_eq!(is_supported(count, of, rate), bound <= rate);
            let two_sided = Estimate::new(count, of).unwrap();
            let share = two_sided.share().unwrap();
            prop_assert!(two_sided.low <= share && share <= bound && bound <= two_sided.high);
        }
    }
}
