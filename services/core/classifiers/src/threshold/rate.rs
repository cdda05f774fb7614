//! Rates in requests for thresholds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A rate that must not be exceeded, from 1 in a million to 1 in 2. The text form is `1 in 10000`,
/// `1 in 10,000` or `0.0001`; in JSON a number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

/// The text or number is not a valid [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a rate is `1 in N` with N from 2 to 1,000,000, or a number from 0.000001 to 0.5")]
pub struct RateError;

impl Rate {
    /// The lowest rate: a sample that supports it has three million negatives.
    pub const MIN: f64 = 1e-6;
    /// The highest rate. Above it a threshold separates nothing.
    pub const MAX: f64 = 0.5;

    /// Checks the share.
    pub fn new(share: f64) -> Result<Self, RateError> {
        (Self::MIN..=Self::MAX).contains(&share).then_some(Self(share)).ok_or(RateError)
    }

    /// Returns the rate 1 in `count`.
    pub fn one_in(count: u32) -> Result<Self, RateError> {
        Self::new(1.0 / f64::from(count))
    }

    /// Returns the rate as a share.
    #[must_use]
    pub const fn share(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim();
        let Some(rest) =
            text.strip_prefix('1').map(str::trim_start).and_then(|rest| rest.strip_prefix("in "))
        else {
            return Self::new(text.parse().map_err(|_| RateError)?);
        };
        let rest = rest.trim();
        // Commas are allowed only between groups of three digits.
        let mut groups = rest.split(',');
        let is_grouped = groups.next().is_some_and(|first| !first.is_empty())
            && groups.all(|group| group.len() == 3)
            && rest.split(',').all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_grouped {
            return Err(RateError);
        }
        Self::one_in(rest.replace(',', "").parse().map_err(|_| RateError)?)
    }
}

/// Writes `1 in 10,000` if the inverse is an integer; otherwise the decimal number.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inverse = (1.0 / self.0).round();
        if (1.0 / inverse - self.0).abs() > 1e-12 * self.0 {
            return write!(f, "{}", self.0);
        }
        let digits = inverse.to_string();
        let mut grouped = String::new();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        write!(f, "1 in {grouped}")
    }
}

impl TryFrom<f64> for Rate {
    type Error = RateError;

    fn try_from(share: f64) -> Result<Self, RateError> {
        Self::new(share)
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for text in ["1 in 10000", "1 in 10,000", " 1 in 10,000 ", "0.0001", "1e-4"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.share(), rate.to_string().as_str()), (1e-4, "1 in 10,000"), "{text}");
        }
        assert_eq!("0.0003".parse::<Rate>().unwrap().to_string(), "0.0003");
        assert_eq!("1 in 1,000,000".parse::<Rate>().unwrap().to_string(), "1 in 1,000,000");
        assert_eq!("0.5".parse::<Rate>().unwrap().to_string(), "1 in 2");
        let wrong = [
            "",
            "1 in",
            "1 in 1",
            "1 in 0",
            "1 in 1,00",
            "1 in ,100",
            "1 in 1,000,001",
            "2 in 10",
            "0",
            "-0.1",
            "0.6",
            "NaN",
            "1 in +5",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_rate_reads_back(count in 2_u32..=1_000_000, share in 2e-6..0.49_f64) {
            let rate = Rate::one_in(count).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
            let rate = Rate::new(share).unwrap();
            // `serde_json` reads a number of 17 digits to within its last one.
            let read = serde_json::from_str::<Rate>(&serde_json::to_string(&rate).unwrap()).unwrap();
            prop_assert!((read.share() - share).abs() <= 1e-15 * share);
            prop_assert!((rate.to_string().parse::<Rate>().unwrap().share() - share).abs() <= 1e-12 * share);
        }
    }

    #[test]
    fn a_number_out_of_bounds_is_refused() {
        assert!(serde_json::from_str::<Rate>("0.7").is_err());
        assert_eq!(f64::from(Rate::one_in(4).unwrap()), 0.25);
    }
}
