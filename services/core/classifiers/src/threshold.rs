//! Thresholds by rate: "at most 1 of 10,000 other contents".
//!
//! The threshold is the smallest one of a class's table whose false-positive rate is at most the rate that
//! was asked, with a one-sided confidence of 95 %: the exact upper bound by Clopper and Pearson. The size of
//! the sample and the rate alone decide how many false positives that allows, so the choice is the tolerance
//! limit of S. S. Wilks ("Determination of Sample Sizes for Setting Tolerance Limits", Annals of Mathematical
//! Statistics 12, 1941), and the confidence is not spent by looking at many thresholds.
//!
//! The confidence is about content like the sample's. Drift from it shows in [`crate::drift`], and nothing
//! shows a sample that was never like the platform's content.
//!
//! Reading order: `rate`, `choose`.

mod rate;
mod choose;

pub use choose::{ChooseError, Chosen, choose, negatives_needed};
pub use rate::{Rate, RateError};
