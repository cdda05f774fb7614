//! Classifications, the names of the classifiers to run, and the reasons for which there is no score.

use std::collections::BTreeSet;

use vigie_classifiers::Name;
use vigie_model::{
    ClassScore, Classification, MatchCall, RateEstimate, ScoreFailure, ScoreFailureKind, ScoreThreshold,
};

use crate::invalid::{Invalid, check_len, each};
use crate::pb::classifier::v1 as pb_classifier;
use crate::pb::matching::v1 as pb;

/// The most classifications of one content: the largest number of models in a deployment.
const CLASSIFICATIONS_MAX: usize = 64;

/// Reads the names of classifiers: `min` to 16, each once. `field`: their field, for errors.
pub fn classifiers(field: &str, names: Vec<String>, min: usize) -> Result<Vec<Box<str>>, Invalid> {
    check_len(field, names.len(), min, MatchCall::CLASSIFIERS_MAX)?;
    let mut seen = BTreeSet::new();
    let checked = each(field, names, |name| {
        let parsed: Result<Name, _> = name.parse();
        parsed.map_err(|error| Invalid::new("", error)).map(|name| name.as_str().into())
    })?;
    if let Some(at) = checked.iter().position(|name| !seen.insert(name)) {
        return Err(Invalid::new(
            format!("{field}[{at}]"),
            "is named already: each classifier is asked once",
        ));
    }
    Ok(checked)
}

impl From<ScoreFailureKind> for pb_classifier::ScoreFailureKind {
    fn from(kind: ScoreFailureKind) -> Self {
        match kind {
            ScoreFailureKind::UnknownModel => Self::UnknownModel,
            ScoreFailureKind::OtherVersion => Self::OtherVersion,
            ScoreFailureKind::NotServed => Self::NotServed,
            ScoreFailureKind::Content => Self::Content,
            ScoreFailureKind::Busy => Self::Busy,
            ScoreFailureKind::OutOfTime => Self::OutOfTime,
            ScoreFailureKind::Failed => Self::Failed,
            ScoreFailureKind::Away => Self::Away,
        }
    }
}

impl From<ScoreFailure> for pb_classifier::ScoreFailure {
    fn from(failure: ScoreFailure) -> Self {
        let kind = pb_classifier::ScoreFailureKind::from(failure.kind);
        Self { kind: kind.into(), message: failure.message.into() }
    }
}

/// An unknown kind is read as [`ScoreFailureKind::Failed`].
impl From<pb_classifier::ScoreFailure> for ScoreFailure {
    fn from(message: pb_classifier::ScoreFailure) -> Self {
        let number = message.kind;
        let wire = |kind: &ScoreFailureKind| i32::from(pb_classifier::ScoreFailureKind::from(*kind));
        let kind = ScoreFailureKind::ALL.into_iter().find(|kind| wire(kind) == number);
        Self::new(kind.unwrap_or(ScoreFailureKind::Failed), &message.message)
    }
}

impl From<Classification> for pb::Classification {
    fn from(classification: Classification) -> Self {
        let Classification { model, version, is_shadow, scores, unavailable } = classification;
        Self {
            model: model.into(),
            version,
            is_shadow,
            scores: scores.into_iter().map(Into::into).collect(),
            unavailable: unavailable.map(Into::into),
        }
    }
}

impl From<ClassScore> for pb::ClassScore {
    fn from(score: ClassScore) -> Self {
        let is_above = score.is_above();
        let ClassScore { class, score, threshold } = score;
        Self {
            class: class.into(),
            score,
            threshold: threshold.map(|of| of.threshold),
            at_most_one_in: threshold.map_or(0, |of| of.at_most_one_in),
            false_positives: threshold.map(|of| of.false_positives.into()),
            is_above,
        }
    }
}

impl From<RateEstimate> for pb::RateEstimate {
    fn from(estimate: RateEstimate) -> Self {
        let RateEstimate { rate, low, high, sample } = estimate;
        Self { rate, low, high, sample }
    }
}

/// Reads the classifications of one content.
pub fn classifications(messages: Vec<pb::Classification>) -> Result<Vec<Classification>, Invalid> {
    check_len("classifications", messages.len(), 0, CLASSIFICATIONS_MAX)?;
    each("classifications", messages, TryInto::try_into)
}

/// Checks the name of a model or a class, and returns it.
fn name(field: &str, text: &str) -> Result<Box<str>, Invalid> {
    let name: Name = text.parse().map_err(|error| Invalid::new(field, error))?;
    Ok(name.as_str().into())
}

/// Checks a score or a threshold, which must be 0 to 1.
pub(super) fn score(field: &str, score: f32) -> Result<f32, Invalid> {
    let is_score = (0.0..=1.0).contains(&score);
    is_score.then_some(score).ok_or_else(|| Invalid::new(field, "is no number from 0 to 1"))
}

impl TryFrom<pb::Classification> for Classification {
    type Error = Invalid;

    fn try_from(message: pb::Classification) -> Result<Self, Invalid> {
        check_len("scores", message.scores.len(), 0, Self::CLASSES_MAX)?;
        Ok(Self {
            model: name("model", &message.model)?,
            version: message.version,
            is_shadow: message.is_shadow,
            scores: each("scores", message.scores, TryInto::try_into)?,
            unavailable: message.unavailable.map(Into::into),
        })
    }
}

impl TryFrom<pb::ClassScore> for ClassScore {
    type Error = Invalid;

    fn try_from(message: pb::ClassScore) -> Result<Self, Invalid> {
        let threshold = match (message.threshold, message.false_positives) {
            (Some(threshold), Some(estimate)) => Some(ScoreThreshold {
                threshold: score("threshold", threshold)?,
                at_most_one_in: message.at_most_one_in,
                false_positives: estimate.try_into()?,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(Invalid::missing("false_positives"));
            }
        };
        Ok(Self { class: name("class", &message.class)?, score: score("score", message.score)?, threshold })
    }
}

impl TryFrom<pb::RateEstimate> for RateEstimate {
    type Error = Invalid;

    fn try_from(message: pb::RateEstimate) -> Result<Self, Invalid> {
        let pb::RateEstimate { rate, low, high, sample } = message;
        let is_estimate = [rate, low, high].into_iter().all(|share| (0.0..=1.0).contains(&share));
        let estimate = Self { rate, low, high, sample };
        is_estimate
            .then_some(estimate)
            .ok_or_else(|| Invalid::new("false_positives", "holds a share that is not from 0 to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classification() -> Classification {
        let false_positives = RateEstimate { rate: 0.001, low: 0.0005, high: 0.002, sample: 30_000 };
        let threshold = ScoreThreshold { threshold: 0.75, at_most_one_in: 1_000, false_positives };
        let score = |class: &str, score, threshold| ClassScore { class: class.into(), score, threshold };
        Classification {
            model: "nsfw".into(),
            version: 3,
            is_shadow: false,
            scores: vec![score("nude", 0.75, Some(threshold)), score("neutral", 0.25, None)],
            unavailable: None,
        }
    }

    #[test]
    fn classifications_survive_the_wire() {
        let message = pb::Classification::from(classification());
        assert!(message.scores[0].is_above && !message.scores[1].is_above);
        assert_eq!(Classification::try_from(message).unwrap(), classification());
        for kind in ScoreFailureKind::ALL {
            let failed = Classification {
                scores: Vec::new(),
                unavailable: Some(ScoreFailure::new(kind, "why")),
                ..classification()
            };
            assert_eq!(Classification::try_from(pb::Classification::from(failed.clone())).unwrap(), failed);
        }
        let unknown = pb_classifier::ScoreFailure { kind: 77, message: "é".repeat(200) };
        let read = ScoreFailure::from(unknown);
        assert_eq!((read.kind, read.message.len()), (ScoreFailureKind::Failed, 256));
    }

    #[test]
    fn what_is_no_classification_is_refused_by_its_field() {
        /// Makes a message invalid.
        type Edit = fn(&mut pb::Classification);
        let faults: [(Edit, &str); 7] = [
            (|one| one.model = "A".into(), "model"),
            (|one| one.scores[1].class = String::new(), "scores[1].class"),
            (|one| one.scores[1].score = f32::NAN, "scores[1].score"),
            (|one| one.scores[0].score = 1.5, "scores[0].score"),
            (|one| one.scores[0].threshold = Some(-0.5), "scores[0].threshold"),
            (|one| one.scores[0].false_positives = None, "scores[0].false_positives"),
            (|one| one.scores = vec![one.scores[0].clone(); 65], "scores"),
        ];
        for (edit, field) in faults {
            let mut message = pb::Classification::from(classification());
            edit(&mut message);
            assert_eq!(Classification::try_from(message).unwrap_err().field, field);
        }
    }

    #[test]
    fn names_of_classifiers_are_bounded_and_each_is_there_once() {
        let read = |names: &[&str], min| {
            classifiers("classifiers", names.iter().map(|name| (*name).to_owned()).collect(), min)
        };
        assert_eq!(read(&["b", "a-1"], 1).unwrap(), ["b".into(), "a-1".into()]);
        let many: Vec<String> = (0..17).map(|number| format!("m{number}")).collect();
        assert!(classifiers("classifiers", many[..16].to_vec(), 0).is_ok());
        assert_eq!(classifiers("classifiers", many, 0).unwrap_err().field, "classifiers");
        assert_eq!(read(&[], 1).unwrap_err().field, "classifiers");
        assert!(read(&[], 0).unwrap().is_empty());
        assert_eq!(read(&["a", "b", "a"], 0).unwrap_err().field, "classifiers[2]");
        assert_eq!(read(&["a", "B"], 0).unwrap_err().field, "classifiers[1]");
    }
}
