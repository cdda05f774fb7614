//! The scores of classifiers, in JSON.

use serde::Serialize;
use utoipa::ToSchema;
use vigie_model::{ClassScore, Classification};

use crate::problem::Problem;

/// The scores of one classifier for one content: likelihoods, never a verdict.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassificationObject {
    /// The name of the model.
    model: String,
    /// The version of its card; 0 where there is no card.
    version: u32,
    /// Whether the model is in shadow: its scores are counted, and never returned.
    shadow: bool,
    /// The score of each class, in the order of the card.
    scores: Vec<ClassScoreObject>,
    /// The reason why the model gave no score; `null` where it gave one.
    unavailable: Option<ScoreFailureObject>,
}

/// The score of a class, its threshold and the threshold's error rate.
#[derive(Debug, Serialize, ToSchema)]
struct ClassScoreObject {
    /// The class.
    class: String,
    /// The score, from 0 to 1: not a probability.
    score: f32,
    /// The threshold; `null` where none was chosen.
    threshold: Option<f32>,
    /// Whether the score is at least the threshold.
    is_above: bool,
    /// The N of the rate by which the threshold was chosen: at most one in N other contents is above it, with
    /// a confidence of 95 %; `null` without a threshold.
    at_most_one_in: Option<u64>,
    /// The rate at which other content was above the threshold in the calibration; `null` without a
    /// threshold.
    false_positives: Option<RateObject>,
}

/// A rate as it was measured, with its interval of 95 %.
#[derive(Debug, Serialize, ToSchema)]
struct RateObject {
    /// The share, 0 to 1.
    rate: f64,
    /// The lower end of the interval.
    low: f64,
    /// The upper end of the interval.
    high: f64,
    /// The contents that were measured.
    sample: u64,
}

/// Why a model gave no score.
#[derive(Debug, Serialize, ToSchema)]
struct ScoreFailureObject {
    /// `unknown_model`, `other_version`, `not_served`, `content`, `busy`, `out_of_time`, `failed` or `away`.
    kind: &'static str,
    /// The reason, for people.
    message: String,
}

impl From<&Classification> for ClassificationObject {
    fn from(classification: &Classification) -> Self {
        let Classification { model, version, is_shadow, scores, unavailable } = classification;
        let failure = unavailable.as_ref().map(|failure| ScoreFailureObject {
            kind: failure.kind.name(),
            message: failure.message.to_string(),
        });
        Self {
            model: model.to_string(),
            version: *version,
            shadow: *is_shadow,
            scores: scores.iter().map(Into::into).collect(),
            unavailable: failure,
        }
    }
}

impl From<&ClassScore> for ClassScoreObject {
    fn from(score: &ClassScore) -> Self {
        let rate = |rate: vigie_model::RateEstimate| RateObject {
            rate: rate.rate,
            low: rate.low,
            high: rate.high,
            sample: rate.sample,
        };
        Self {
            class: score.class.to_string(),
            score: score.score,
            threshold: score.threshold.map(|of| of.threshold),
            is_above: score.is_above(),
            at_most_one_in: score.threshold.map(|of| of.at_most_one_in),
            false_positives: score.threshold.map(|of| rate(of.false_positives)),
        }
    }
}

/// Reads the names of classifiers, at least `min`.
pub(super) fn classifiers(names: Vec<String>, min: usize) -> Result<Vec<Box<str>>, Problem> {
    let read = vigie_proto::classifiers("classifiers", names, min);
    read.map_err(|invalid| Problem::field(invalid.field, invalid.reason))
}

#[cfg(test)]
mod tests {
    use vigie_model::{RateEstimate, ScoreFailure, ScoreFailureKind, ScoreThreshold};

    use super::*;

    #[test]
    fn a_score_comes_with_its_threshold_and_rate_and_a_lack_with_its_reason() {
        let false_positives = RateEstimate { rate: 0.001, low: 0.0005, high: 0.002, sample: 30_000 };
        let threshold = ScoreThreshold { threshold: 0.75, at_most_one_in: 1_000, false_positives };
        let score = ClassScore { class: "nude".into(), score: 0.875, threshold: Some(threshold) };
        let plain = ClassScore { class: "neutral".into(), score: 0.125, threshold: None };
        let scored = Classification {
            model: "nsfw".into(),
            version: 3,
            is_shadow: false,
            scores: vec![score, plain],
            unavailable: None,
        };
        let shown = serde_json::to_value(ClassificationObject::from(&scored)).unwrap();
        assert_eq!((&shown["model"], &shown["version"]), (&"nsfw".into(), &3.into()));
        let first = &shown["scores"][0];
        assert_eq!((&first["is_above"], &first["at_most_one_in"]), (&true.into(), &1_000.into()));
        assert_eq!(first["false_positives"]["sample"], 30_000);
        let second = &shown["scores"][1];
        assert!(second["threshold"].is_null() && second["is_above"] == false);
        assert!(shown["unavailable"].is_null());
        let failure = Some(ScoreFailure::new(ScoreFailureKind::Away, "no classifier is configured"));
        let away = Classification { scores: Vec::new(), unavailable: failure, ..scored };
        let shown = serde_json::to_value(ClassificationObject::from(&away)).unwrap();
        assert_eq!(shown["unavailable"]["kind"], "away");
    }
}
