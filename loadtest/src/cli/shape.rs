//! The shapes of drawn data.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The distribution of the rows' bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShapeName {
    /// Random bits.
    Uniform,
    /// Half of the bits set, correlated bits, 20 % near-duplicates.
    Pdq,
    /// Rows that are hard for an index that looks up groups of bits: copies, clusters, equal groups of bits,
    /// low entropy.
    Adversarial,
}

impl fmt::Display for ShapeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Pdq => "pdq",
            Self::Adversarial => "adversarial",
        })
    }
}
