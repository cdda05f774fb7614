//! Labelled scores of one class.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use thiserror::Error;

use super::interval::SAMPLE_MAX;
use super::table::ClassTable;
use crate::name::{Name, Sha256};

/// The SHA-256 of labelled content, so that equal content counts once. Tables do not contain it.
pub type ContentDigest = Sha256;

/// A person's label: whether content belongs to the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Content of the class.
    Positive,
    /// Other content.
    Negative,
}

/// Labelled scores of one class, each content once. The debug output shows only counts.
pub struct Sample {
    class: Name,
    scores: HashMap<ContentDigest, (Label, f32)>,
}

/// The error for content that cannot be added, or a sample that cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SampleError {
    /// A score is not a number from 0 to 1.
    #[error("the score of {0} is not a number from 0 to 1")]
    Score(ContentDigest),
    /// The content has both labels.
    #[error("{0} is labelled as content of the class and as other content")]
    BothLabels(ContentDigest),
    /// The model gave the same content two scores.
    #[error("{0} has two scores that differ by more than {max}", max = Sample::TOLERANCE)]
    TwoScores(ContentDigest),
    /// Too much content.
    #[error("a sample has at most {max} contents", max = SAMPLE_MAX)]
    TooMany,
    /// The sample has no negatives, so false positives cannot be measured.
    #[error(
        "a sample needs content that is not of the class: without it no false-positive rate can be measured"
    )]
    NoNegatives,
}

impl Sample {
    /// The largest difference of two scores of the same content; the first one counts.
    pub const TOLERANCE: f32 = 1e-4;

    /// Returns a sample without content.
    #[must_use]
    pub fn new(class: Name) -> Self {
        Self { class, scores: HashMap::new() }
    }

    /// Adds a score. Content that was added before is not counted again.
    pub fn add(&mut self, content: ContentDigest, label: Label, score: f32) -> Result<(), SampleError> {
        if !(0.0..=1.0).contains(&score) {
            return Err(SampleError::Score(content));
        }
        let is_full = u64::try_from(self.scores.len()).is_ok_and(|len| len >= SAMPLE_MAX);
        match self.scores.entry(content) {
            Entry::Occupied(known) => {
                let (known_label, known_score) = *known.get();
                if known_label != label {
                    return Err(SampleError::BothLabels(content));
                }
                if (known_score - score).abs() > Self::TOLERANCE {
                    return Err(SampleError::TwoScores(content));
                }
            }
            Entry::Vacant(_) if is_full => return Err(SampleError::TooMany),
            Entry::Vacant(new) => {
                new.insert((label, score));
            }
        }
        Ok(())
    }

    /// Returns the table of measured rates for each threshold.
    pub fn table(self) -> Result<ClassTable, SampleError> {
        let of = |label| {
            self.scores.values().filter(move |(is, _)| *is == label).map(|(_, score)| *score).collect()
        };
        let (negatives, positives): (Vec<f32>, Vec<f32>) = (of(Label::Negative), of(Label::Positive));
        if negatives.is_empty() {
            return Err(SampleError::NoNegatives);
        }
        Ok(ClassTable::measured(self.class, negatives, positives))
    }
}

/// Shows only the count and the class.
impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sample({} of {})", self.scores.len(), self.class)
    }
}
