//! The share of lookups that include a bank.

use std::fmt;

use thiserror::Error;

/// The share of lookups over the HMA-compatible API that include a bank, 0.0 to 1.0. Searches by gRPC ignore
/// it.
///
/// The number is stored unchanged, so a caller reads back the number that it set.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct MatchRatio(f64);

/// The number is not a valid [`MatchRatio`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a match ratio is a number from 0.0 to 1.0")]
pub struct MatchRatioError;

impl MatchRatio {
    /// The bank is included in every lookup: the ratio of a new bank.
    pub const ALWAYS: Self = Self(1.0);
    /// The bank is included in no lookup.
    pub const NEVER: Self = Self(0.0);

    /// Returns the ratio as a number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Checks whether a bank of this ratio is included in a lookup that has drawn this number from 0.0
    /// (included) to 1.0 (not included). Always true for the ratio 1.0, and never for 0.0.
    #[must_use]
    pub fn takes_part(self, drawn: f64) -> bool {
        drawn < self.0
    }
}

/// A ratio is never NaN, so each equals itself.
impl Eq for MatchRatio {}

impl Default for MatchRatio {
    fn default() -> Self {
        Self::ALWAYS
    }
}

impl TryFrom<f64> for MatchRatio {
    type Error = MatchRatioError;

    fn try_from(number: f64) -> Result<Self, MatchRatioError> {
        // Adding zero turns minus zero into zero.
        if (0.0..=1.0).contains(&number) { Ok(Self(number + 0.0)) } else { Err(MatchRatioError) }
    }
}

impl fmt::Display for MatchRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_checked_and_kept_as_they_were_given() {
        for good in [0.0, 1.0, 0.5, 0.333_333_333_3, f64::MIN_POSITIVE] {
            assert_eq!(MatchRatio::try_from(good).unwrap().get().to_bits(), good.to_bits());
        }
        assert_eq!(MatchRatio::try_from(-0.0).unwrap().get().to_bits(), 0.0_f64.to_bits());
        for bad in [-0.1, 1.000_001, 7.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(MatchRatio::try_from(bad), Err(MatchRatioError), "{bad}");
        }
    }

    #[test]
    fn a_bank_takes_part_in_its_share_of_lookups() {
        let drawn = || (0..1_000_u32).map(|step| f64::from(step) / 1_000.0);
        for (ratio, expected) in [(0.0, 0), (0.25, 250), (0.5, 500), (1.0, 1_000)] {
            let ratio = MatchRatio::try_from(ratio).unwrap();
            assert_eq!(drawn().filter(|number| ratio.takes_part(*number)).count(), expected);
        }
    }
}
