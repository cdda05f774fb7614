//! The scores of a classifier for a content; never a verdict.

use std::fmt;

/// The scores of one model for one content.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// The name of the model.
    pub model: Box<str>,
    /// The version of its card; 0 if there is no card.
    pub version: u32,
    /// Whether the model is in shadow: its scores are counted but not returned to callers.
    pub is_shadow: bool,
    /// The score of each class, in the order of the card; empty for a model in shadow, and if the model gave
    /// no scores.
    pub scores: Vec<ClassScore>,
    /// The reason why the model gave no score; `None` if it gave scores.
    pub unavailable: Option<ScoreFailure>,
}

/// The score of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScore {
    /// The class.
    pub class: Box<str>,
    /// The score, from 0 to 1: not a probability.
    pub score: f32,
    /// The threshold with its measured rates; `None` if none was chosen.
    pub threshold: Option<ScoreThreshold>,
}

/// The threshold of a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreThreshold {
    /// The smallest score at which content counts as belonging to the class.
    pub threshold: f32,
    /// N of the rate 1 in N by which the threshold was chosen: with 95 % confidence, at most one in N other
    /// contents is above it.
    pub at_most_one_in: u64,
    /// The rate of other content above the threshold in the calibration.
    pub false_positives: RateEstimate,
}

/// A measured rate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateEstimate {
    /// The share, 0 to 1.
    pub rate: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The number of measured contents.
    pub sample: u64,
}

/// The kind of a [`ScoreFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScoreFailureKind {
    /// There is no model of this name.
    UnknownModel,
    /// The classifier has another version of the card.
    OtherVersion,
    /// The model is not served.
    NotServed,
    /// The model cannot read the content.
    Content,
    /// Too many runs are waiting.
    Busy,
    /// The deadline has passed.
    OutOfTime,
    /// The model, its process or its server failed, or returned an invalid score.
    Failed,
    /// There is no connection to a classifier, or it does not answer.
    Away,
}

/// The reason why a model gave no score, in words that reveal nothing about the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreFailure {
    /// The kind.
    pub kind: ScoreFailureKind,
    /// The reason, for a person.
    pub message: Box<str>,
}

/// The largest size, in bytes, of the other fields of an encoded classification, besides its texts and
/// scores.
const NUMBERS_BYTES: usize = 32;
/// The largest encoded size of the numbers of one score with its threshold and rates, with tags, in bytes.
const SCORE_BYTES: usize = 96;

impl Classification {
    /// The longest name of a model or a class, in bytes.
    pub const NAME_LEN_MAX: usize = 64;
    /// The largest number of classes of one model.
    pub const CLASSES_MAX: usize = 64;

    /// Returns an upper bound on the encoded size, in bytes, of a classification of a model with these
    /// classes.
    #[must_use]
    pub fn bytes_of<'a>(model: &str, classes: impl Iterator<Item = &'a str>) -> usize {
        let scores: usize = classes.map(|class| SCORE_BYTES + class.len()).sum();
        NUMBERS_BYTES + model.len() + scores.max(ScoreFailure::MESSAGE_BYTES_MAX)
    }
}

impl ClassScore {
    /// Whether the score is at least the threshold; false without one.
    #[must_use]
    pub fn is_above(&self) -> bool {
        self.threshold.is_some_and(|of| self.score >= of.threshold)
    }
}

impl ScoreFailureKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::UnknownModel,
        Self::OtherVersion,
        Self::NotServed,
        Self::Content,
        Self::Busy,
        Self::OutOfTime,
        Self::Failed,
        Self::Away,
    ];

    /// Returns a short label for metrics and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownModel => "unknown_model",
            Self::OtherVersion => "other_version",
            Self::NotServed => "not_served",
            Self::Content => "content",
            Self::Busy => "busy",
            Self::OutOfTime => "out_of_time",
            Self::Failed => "failed",
            Self::Away => "away",
        }
    }
}

impl fmt::Display for ScoreFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl ScoreFailure {
    /// The longest message, in bytes.
    pub const MESSAGE_BYTES_MAX: usize = 256;

    /// Creates a failure, with the message cut to [`Self::MESSAGE_BYTES_MAX`] bytes at a character boundary.
    #[must_use]
    pub fn new(kind: ScoreFailureKind, message: &str) -> Self {
        let end = message.floor_char_boundary(Self::MESSAGE_BYTES_MAX.min(message.len()));
        Self { kind, message: message[..end].into() }
    }
}

impl fmt::Display for ScoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_above_from_its_threshold_on() {
        let false_positives = RateEstimate { rate: 0.0, low: 0.0, high: 0.1, sample: 40 };
        let threshold = ScoreThreshold { threshold: 0.5, at_most_one_in: 10, false_positives };
        let score = |score, threshold| ClassScore { class: "a".into(), score, threshold }.is_above();
        assert!(score(0.5, Some(threshold)) && score(1.0, Some(threshold)));
        assert!(!score(0.499_999, Some(threshold)) && !score(1.0, None));
        assert!(!score(f32::NAN, Some(threshold)));
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let failure = ScoreFailure::new(ScoreFailureKind::Failed, &"é".repeat(200));
        assert_eq!(failure.message.len(), 256);
        let odd = ScoreFailure::new(ScoreFailureKind::Failed, &format!("a{}", "é".repeat(200)));
        assert_eq!(odd.message.len(), 255);
    }
}
