//! Thresholds by rate: "at most 1 of 10,000 other contents".
//!
//! The threshold is the smallest one in a class's table whose false-positive rate is at most the requested
//! rate, with a one-sided confidence of 95 %, by the exact upper bound of Clopper and Pearson. The allowed
//! number of false positives depends only on the size of the sample and the rate. So the choice is the
//! tolerance limit of S. S. Wilks ("Determination of Sample Sizes for Setting Tolerance Limits", Annals of
//! Mathematical Statistics 12, 1941), and testing many thresholds does not reduce the confidence.
//!
//! The confidence applies to content like that of the sample. [`crate::drift`] detects later changes, but
//! nothing detects a sample that was never like the platform's content.
//!
//! Reading order: `rate`, `choose`.

mod rate;
mod choose;

pub use choose::{ChooseError, Chosen, choose, negatives_needed};
pub use rate::{Rate, RateError};
