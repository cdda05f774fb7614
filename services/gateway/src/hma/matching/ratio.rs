//! Ratios of banks: a bank takes part in a lookup if its ratio is at least the number drawn for the lookup.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rand::RngExt as _;
use vigie_clients::Code;
use vigie_model::BankRef;

use crate::hma::refusal::Refusal;
use crate::upstream::Caller;

/// The number drawn for a lookup, 0 to 1. At 0 every bank takes part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Draw(f64);

impl Draw {
    /// Draws a number: 0 if the draw is bypassed, the same number for the same seed, and otherwise at random.
    pub(super) fn of(seed: Option<&str>, bypassed: bool) -> Self {
        match (bypassed, seed) {
            (true, _) => Self(0.0),
            (false, Some(seed)) => {
                // The hasher's keys are fixed.
                let mut hasher = DefaultHasher::new();
                seed.hash(&mut hasher);
                // 53 bits, which a `f64` holds exactly.
                Self((hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64)
            }
            (false, None) => Self(rand::rng().random()),
        }
    }

    /// Returns whether a bank takes part.
    pub(super) async fn takes_part(self, caller: &Caller, bank: &BankRef) -> Result<bool, Refusal> {
        if self.0 == 0.0 {
            return Ok(true);
        }
        match caller.banks().get_bank(bank, caller.deadline()).await {
            Ok(bank) => Ok(bank.value.enabled && bank.value.match_ratio.takes_part(self.0)),
            // The bank was deleted since the search, or this caller may not read its settings.
            Err(error) if matches!(error.code(), Code::NotFound | Code::PermissionDenied) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_number() {
        assert_eq!(Draw::of(Some("a"), false), Draw::of(Some("a"), false));
        assert_ne!(Draw::of(Some("a"), false), Draw::of(Some("b"), false));
        assert_eq!(Draw::of(Some("a"), true), Draw(0.0));
        for seed in 0..1_000 {
            let Draw(drawn) = Draw::of(Some(&seed.to_string()), false);
            assert!((0.0..1.0).contains(&drawn));
        }
        let mean = (0..1_000).map(|seed| Draw::of(Some(&seed.to_string()), false).0).sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
