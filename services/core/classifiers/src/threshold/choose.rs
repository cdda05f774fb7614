//! Chooses the threshold for a rate.

use serde::Serialize;
use thiserror::Error;

use super::rate::Rate;
use crate::calibration::{ClassTable, Measured, is_supported, upper_bound};

/// A threshold with its measured rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chosen {
    /// The requested rate.
    pub rate: Rate,
    /// The threshold with its rates in the sample.
    pub measured: Measured,
    /// The upper bound of the false-positive rate with 95 % confidence; at most the rate.
    pub bound: f64,
}

/// The sample supports no threshold for the rate.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum ChooseError {
    /// Even without a false positive the sample would be too small.
    #[error(
        "{negatives} contents that are not of the class are too few for a rate of at most {rate}: even if none of them were \
         above the threshold, it would take {needed}"
    )]
    SampleTooSmall {
        /// The requested rate.
        rate: Rate,
        /// The number of contents in the sample that are not of the class.
        negatives: u64,
        /// The smallest number that is needed.
        needed: u64,
    },
    /// The sample is large enough, but at every threshold the model has too many false positives.
    #[error(
        "at every threshold too many contents that are not of the class are above for a rate of at most {rate}: \
         the sample supports {}",
        best.map_or("no rate".into(), |best| format!("at most {best}"))
    )]
    TooManyFalsePositives {
        /// The requested rate.
        rate: Rate,
        /// The lowest rate 1 in N that the sample supports; `None` if it supports none.
        best: Option<Rate>,
    },
}

/// Returns the smallest number of negatives that supports a rate if none is a false positive: the smallest n
/// with `(1 - rate)^n <= 0.05`. This is about three divided by the rate.
#[must_use]
pub fn negatives_needed(rate: Rate) -> u64 {
    let log = (-rate.share()).ln_1p();
    let is_enough = |count: u64| count as f64 * log <= 0.05_f64.ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 4 to three million")]
    let about = (0.05_f64.ln() / log) as u64;
    // Rounding may be off by one in either direction.
    (about.saturating_sub(1)..).find(|count| is_enough(*count)).unwrap_or(u64::MAX)
}

/// Returns the smallest threshold in the table whose false-positive rate is at most `rate`, with 95 %
/// confidence.
pub fn choose(table: &ClassTable, rate: Rate) -> Result<Chosen, ChooseError> {
    let (negatives, needed) = (table.negatives(), negatives_needed(rate));
    if negatives < needed {
        return Err(ChooseError::SampleTooSmall { rate, negatives, needed });
    }
    // Thresholds ascend, so false positives and their bounds descend: the first supported one is the
    // smallest.
    let first =
        table.rows().partition_point(|row| !is_supported(row.false_positives, negatives, rate.share()));
    let chosen = table.rows().get(first).and_then(|row| {
        let bound = upper_bound(row.false_positives, negatives)?.min(rate.share());
        Some(Chosen { rate, measured: table.rates(row)?, bound })
    });
    chosen.ok_or_else(|| ChooseError::TooManyFalsePositives { rate, best: best(table) })
}

/// Returns the lowest rate 1 in N that the table supports.
fn best(table: &ClassTable) -> Option<Rate> {
    let fewest = table.rows().last()?.false_positives;
    let is_good = |rate: &Rate| is_supported(fewest, table.negatives(), rate.share());
    // Bisection up to the largest N of a rate: if a rate is supported, so are all higher ones.
    let (mut good, mut bad) = (1_u32, 1_000_001_u32);
    while bad - good > 1 {
        let middle = u32::midpoint(good, bad);
        if Rate::one_in(middle).ok().as_ref().is_some_and(is_good) { good = middle } else { bad = middle }
    }
    Rate::one_in(good).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calibration::{ClassTableDraft, Row};
    use crate::histogram::Histogram;

    /// Returns a table with this number of negatives and these false positives in its rows, descending, at
    /// evenly ascending thresholds.
    fn table(negatives: u64, false_positives: &[u64]) -> ClassTable {
        let mut counts = vec![0; 64];
        counts[0] = negatives;
        let count = f32::from(u16::try_from(false_positives.len()).unwrap());
        let row = |(at, false_positives): (usize, &u64)| Row {
            threshold: f32::from(u16::try_from(at).unwrap()) / count,
            false_positives: *false_positives,
            true_positives: 0,
        };
        ClassTableDraft {
            class: "class".parse().unwrap(),
            negatives,
            positives: 0,
            rows: false_positives.iter().enumerate().map(row).collect(),
            histogram: Histogram::try_from(counts).unwrap(),
        }
        .try_into()
        .unwrap()
    }

    /// Returns the probability of at most `count` successes in `of` trials with the success probability
    /// `share`, by definition.
    fn at_most(count: u64, of: u64, share: f64) -> f64 {
        let mut term = (1.0 - share).powi(i32::try_from(of).unwrap());
        let mut sum = term;
        for k in 0..count {
            term *= (of - k) as f64 / (k + 1) as f64 * share / (1.0 - share);
            sum += term;
        }
        sum
    }

    #[test]
    fn the_size_that_a_rate_takes() {
        // ceil(ln 0.05 / ln(1 - rate)) by mpmath 1.4.1 with 50 digits.
        for (count, needed) in [
            (2, 5),
            (10, 29),
            (100, 299),
            (1_000, 2_995),
            (10_000, 29_956),
            (100_000, 299_572),
            (1_000_000, 2_995_731),
        ] {
            assert_eq!(negatives_needed(Rate::one_in(count).unwrap()), needed, "1 in {count}");
        }
    }

    #[test]
    fn a_sample_that_is_too_small_is_refused_with_the_size_that_would_do() {
        let rate = Rate::one_in(10_000).unwrap();
        let refused = choose(&table(29_955, &[1, 0]), rate).unwrap_err();
        assert_eq!(refused, ChooseError::SampleTooSmall { rate, negatives: 29_955, needed: 29_956 });
        assert_eq!(
            refused.to_string(),
            "29955 contents that are not of the class are too few for a rate of at most 1 in 10,000: \
             even if none of them were above the threshold, it would take 29956"
        );
        let chosen = choose(&table(29_956, &[1, 0]), rate).unwrap();
        assert_eq!((chosen.measured.threshold, chosen.measured.false_positives.count), (0.5, 0));
    }

    #[test]
    fn a_model_with_too_many_false_positives_is_refused_with_the_rate_that_it_has() {
        let rate = Rate::one_in(100).unwrap();
        let refused = choose(&table(1_000, &[900, 50, 20]), rate).unwrap_err();
        // The upper bound of 20 in 1,000 is 0.02893, between 1 in 35 and 1 in 34.
        let best = Rate::one_in(34).unwrap();
        assert_eq!(refused, ChooseError::TooManyFalsePositives { rate, best: Some(best) });
        assert!(refused.to_string().ends_with("the sample supports at most 1 in 34"), "{refused}");
        // The sample supports the named rate, but not the next lower one.
        assert!(choose(&table(1_000, &[900, 50, 20]), best).is_ok());
        assert!(choose(&table(1_000, &[900, 50, 20]), Rate::one_in(35).unwrap()).is_err());
        let useless = choose(&table(1_000, &[900]), rate).unwrap_err();
        assert_eq!(useless, ChooseError::TooManyFalsePositives { rate, best: None });
        assert!(useless.to_string().ends_with("the sample supports no rate"), "{useless}");
    }

    proptest! {
        /// Brute force over all rows: the smallest threshold whose number of false positives, or fewer, would
        /// have a probability of at most 5 % if the rate were any higher.
        #[test]
        fn the_choice_is_that_of_exact_sums(negatives in 1_u64..300, share in 0.005..0.5_f64) {
            let rate = Rate::new(share).unwrap();
            let all: Vec<u64> = (0..=negatives).rev().collect();
            let table = table(negatives, &all);
            let margin = |count: u64| at_most(count, negatives, share) - 0.05;
            prop_assume!(all.iter().all(|count| margin(*count).abs() > 1e-9));
            let expected = all.iter().find(|count| margin(**count) <= 0.0);
            match choose(&table, rate) {
                Ok(chosen) => {
                    prop_assert_eq!(Some(&chosen.measured.false_positives.count), expected);
                    prop_assert!(chosen.bound <= share && chosen.measured.false_positives.share().unwrap() <= chosen.bound);
                }
                Err(ChooseError::SampleTooSmall { needed, .. }) => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(at_most(0, needed, share) <= 0.05 && at_most(0, needed - 1, share) > 0.05);
                    prop_assert!(needed > negatives);
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn a_lower_rate_has_a_higher_threshold_and_a_larger_sample_allows_as_many_false_positives(
            negatives in 300_u64..5_000, more in 0_u64..5_000, low in 0.01..0.4_f64, step in 0.0..0.1_f64,
        ) {
            let all: Vec<u64> = (0..=negatives.min(400)).rev().collect();
            let (low, high) = (Rate::new(low).unwrap(), Rate::new(low + step).unwrap());
            let allowed = |negatives: u64, rate| choose(&table(negatives, &all), rate).unwrap().measured;
            prop_assert!(allowed(negatives, low).threshold >= allowed(negatives, high).threshold);
            let (small, large) = (allowed(negatives, low), allowed(negatives + more, low));
            prop_assert!(large.false_positives.count >= small.false_positives.count);
            prop_assert!(negatives_needed(low) >= negatives_needed(high));
        }
    }
}
