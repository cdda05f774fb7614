//! Scores in the form of answers.

use serde::Serialize;

use crate::calibration::Estimate;
use crate::name::Name;
use crate::threshold::{Chosen, Rate};

/// The score of a class with its threshold and expected rate. It is never a verdict, but a policy may require
/// a review because of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// The model.
    pub model: Name,
    /// The version of its card.
    pub version: u32,
    /// The class.
    pub class: Name,
    /// The score, from 0 to 1: not a probability.
    pub score: f32,
    /// The threshold; `None` if none was chosen.
    pub threshold: Option<f32>,
    /// The rate of other content above the threshold; `None` without a threshold.
    pub expected_rate: Option<ExpectedRate>,
    /// Whether the score is at least the threshold; false without one.
    pub is_above: bool,
}

/// The rate at which content that is not of the class is above a threshold, measured on the calibration's
/// sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpectedRate {
    /// The requested rate, which the measurement supports with 95 % confidence.
    pub at_most: Rate,
    /// The measured rate, with its 95 % interval.
    pub measured: Estimate,
}

impl Scored {
    /// Creates the score of a class with its threshold, if it has one.
    pub(crate) fn new(model: &Name, version: u32, class: &Name, score: f32, chosen: Option<&Chosen>) -> Self {
        let threshold = chosen.map(|chosen| chosen.measured.threshold);
        let rate = |chosen: &Chosen| ExpectedRate {
            at_most: chosen.rate,
            measured: chosen.measured.false_positives,
        };
        Self {
            model: model.clone(),
            version,
            class: class.clone(),
            score,
            threshold,
            expected_rate: chosen.map(rate),
            is_above: threshold.is_some_and(|threshold| score >= threshold),
        }
    }
}
