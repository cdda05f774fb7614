//! Results of classifiers, as JSON objects and as words for a person.

use serde::Serialize;
use vigie_model::{ClassScore, Classification, RateEstimate};

/// The result of one classifier for one content: scores, never a verdict.
#[derive(Debug, Serialize)]
pub(crate) struct ClassificationObject {
    /// Name of the model.
    model: String,
    /// Version of the model's card; 0 if there is no card.
    version: u32,
    /// Whether the model is in shadow: its scores are counted, but returned to nobody.
    shadow: bool,
    /// Score of each class, in the order of the card.
    scores: Vec<ClassScoreObject>,
    /// The reason why the model gave no score; `null` if it gave one.
    unavailable: Option<ScoreFailureObject>,
}

/// The score of one class.
#[derive(Debug, Serialize)]
struct ClassScoreObject {
    /// Name of the class.
    class: String,
    /// The score, from 0 to 1. It is not a probability.
    score: f32,
    /// The threshold; `null` if none was chosen.
    threshold: Option<f32>,
    /// Whether the score is equal to or above the threshold.
    is_above: bool,
    /// The threshold was chosen for a rate of 1 in this many; `null` without a threshold.
    at_most_one_in: Option<u64>,
    /// The rate at which other content was above the threshold in the calibration; `null` without a
    /// threshold.
    false_positives: Option<RateObject>,
}

/// A rate with its 95 % interval.
#[derive(Debug, Serialize)]
struct RateObject {
    /// The rate, from 0 to 1.
    rate: f64,
    /// Lower end of the interval.
    low: f64,
    /// Upper end of the interval.
    high: f64,
    /// Number of contents that were measured.
    sample: u64,
}

/// The reason why a model gave no score.
#[derive(Debug, Serialize)]
struct ScoreFailureObject {
    /// A fixed word, for scripts.
    kind: &'static str,
    /// A description, for a person.
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
        let rate = |RateEstimate { rate, low, high, sample }| RateObject { rate, low, high, sample };
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

/// Returns the lines for a person, one for each score.
#[must_use]
pub(crate) fn words(classification: &Classification) -> Vec<String> {
    let Classification { model, version, is_shadow, scores, unavailable } = classification;
    let version = if *version == 0 { String::new() } else { format!(" version {version}") };
    let of = |text: &str| vec![format!("classifier {model}{version}: {text}")];
    match unavailable {
        Some(failure) => of(&format!("unavailable: {failure}")),
        None if *is_shadow => of("shadow: its scores are counted, and shown to nobody"),
        None => scores.iter().flat_map(|score| of(&score_words(score))).collect(),
    }
}

fn score_words(score: &ClassScore) -> String {
    let (class, number) = (&score.class, score.score);
    match score.threshold {
        None => format!("{class} {number:.4}, no threshold"),
        Some(of) => {
            let side = if score.is_above() { "at or above" } else { "below" };
            let (threshold, one_in, rate) = (of.threshold, of.at_most_one_in, of.false_positives);
            format!(
                "{class} {number:.4}, {side} the threshold {threshold:.4} (at most 1 in {one_in} other contents is: {:.4} % of {} measured)",
                rate.rate * 100.0,
                rate.sample
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{ScoreFailure, ScoreFailureKind, ScoreThreshold};

    use super::*;

    #[test]
    fn a_score_is_said_with_its_threshold_and_rate() {
        let false_positives = RateEstimate { rate: 0.001, low: 0.0, high: 0.01, sample: 3_000 };
        let threshold = ScoreThreshold { threshold: 0.5, at_most_one_in: 100, false_positives };
        let score = |class: &str, score, threshold| ClassScore { class: class.into(), score, threshold };
        let scored = Classification {
            model: "nsfw".into(),
            version: 3,
            is_shadow: false,
            scores: vec![score("nude", 0.75, Some(threshold)), score("neutral", 0.25, None)],
            unavailable: None,
        };
        assert_eq!(
            words(&scored),
            [
                "classifier nsfw version 3: nude 0.7500, at or above the threshold 0.5000 (at most 1 in 100 other contents is: 0.1000 % of 3000 measured)",
                "classifier nsfw version 3: neutral 0.2500, no threshold",
            ]
        );
        let shadow = Classification { is_shadow: true, scores: Vec::new(), ..scored.clone() };
        assert!(words(&shadow)[0].starts_with("classifier nsfw version 3: shadow"));
        let failure = Some(ScoreFailure::new(ScoreFailureKind::Away, "no classifier is configured"));
        let away = Classification { version: 0, scores: Vec::new(), unavailable: failure, ..scored };
        assert_eq!(words(&away), ["classifier nsfw: unavailable: no classifier is configured"]);
        let object = serde_json::to_value(ClassificationObject::from(&away)).unwrap();
        assert_eq!(object["unavailable"]["kind"], "away");
    }
}
