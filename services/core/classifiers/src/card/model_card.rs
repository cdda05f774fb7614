//! Checked cards.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::draft::{InputForm, Kind, Mode, ModelCardDraft, State, ThresholdDraft};
use super::test_vector::{Content, TestVector};
use crate::calibration::Calibration;
use crate::fault::Faults;
use crate::name::{Name, Sha256};
use crate::preprocessing::InputError;
use crate::scores::{Output, ScoreError, Scored, Scores};
use crate::tensor::Tensor;
use crate::threshold::{ChooseError, Chosen, Rate, choose};

/// The card of a model: its identity, approval, inputs, outputs and calibration. Every part is checked, and
/// every threshold is the one that the calibration supports for its rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ModelCardDraft", into = "ModelCardDraft")]
pub struct ModelCard {
    pub(super) name: Name,
    pub(super) source: Source,
    pub(super) output: Output,
    pub(super) test_vector: TestVector,
    pub(super) thresholds: Box<[(Name, Chosen)]>,
    /// The original draft, which has the parts that are not in the fields above.
    pub(super) draft: Box<ModelCardDraft>,
}

/// The source of a model: a file or an external server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file with this digest.
    File(Sha256),
    /// A model of an external server, which names this version.
    Server(Box<str>),
}

/// The reason why a class gets no threshold.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ThresholdError {
    /// The class was not measured.
    #[error("no calibration measured the class {0}")]
    NotMeasured(Name),
    /// The calibration supports no threshold.
    #[error("the class {class} gets no threshold")]
    Choose {
        /// The class.
        class: Name,
        /// The reason.
        #[source]
        source: ChooseError,
    },
    /// The card with the threshold has faults.
    #[error("the card with the threshold has faults")]
    Card(#[source] Faults),
}

impl ModelCard {
    /// The longest licence, name of an approver and version of a server, in bytes.
    pub const LINE_LEN_MAX: usize = 128;
    /// The longest note, in bytes.
    pub const NOTE_LEN_MAX: usize = 1024;

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the version, from 1 on.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.draft.version
    }

    /// Returns the kind of content that the model reads.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.draft.input.form.kind()
    }

    /// Returns the source of the model.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the name of the input tensor.
    #[must_use]
    pub fn input_tensor(&self) -> &str {
        &self.draft.input.tensor
    }

    /// Returns the kind of input content, and its conversion to the tensor.
    #[must_use]
    pub fn input(&self) -> &InputForm {
        &self.draft.input.form
    }

    /// Returns the output of the model.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// Returns the licence of the model.
    #[must_use]
    pub fn licence(&self) -> &str {
        &self.draft.licence
    }

    /// Returns the person or body that approved the use of the model.
    #[must_use]
    pub fn approved_by(&self) -> &str {
        &self.draft.approved_by
    }

    /// Returns the time of the approval, in milliseconds since 1970, UTC.
    #[must_use]
    pub fn approved_at(&self) -> u64 {
        self.draft.approved_at
    }

    /// Returns the note for a person; may be empty.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.draft.note
    }

    /// Returns the input with known scores.
    #[must_use]
    pub const fn test_vector(&self) -> &TestVector {
        &self.test_vector
    }

    /// Whether scores are returned to callers.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.draft.mode
    }

    /// Whether the model is used.
    #[must_use]
    pub fn state(&self) -> State {
        self.draft.state
    }

    /// Returns the calibration; `None` if the model was not measured.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.draft.calibration.as_ref()
    }

    /// Returns the threshold of a class; `None` if none was chosen.
    #[must_use]
    pub fn threshold(&self, class: &Name) -> Option<&Chosen> {
        self.thresholds.iter().find_map(|(name, chosen)| (name == class).then_some(chosen))
    }

    /// Returns the card as a draft, which can be changed.
    #[must_use]
    pub fn draft(&self) -> ModelCardDraft {
        (*self.draft).clone()
    }

    /// Returns the tensor of a content, as the model reads it.
    pub fn tensor(&self, content: &Content) -> Result<Tensor, InputError> {
        match (self.input(), content) {
            (InputForm::Image(image), Content::Picture(picture)) => {
                image.prepare(self.input_tensor(), picture)
            }
            (InputForm::Conversation(form), Content::Conversation(conversation)) => {
                form.tensor(self.input_tensor(), conversation)
            }
            (InputForm::Image(_), Content::Conversation(_))
            | (InputForm::Conversation(_), Content::Picture(_)) => Err(InputError::Kind),
        }
    }

    /// Returns the scores in the tensors that the model returned.
    pub fn scores(&self, returned: &[Tensor]) -> Result<Scores, ScoreError> {
        self.output.scores(returned)
    }

    /// Returns each class of the scores with its threshold and rate.
    #[must_use]
    pub fn scored(&self, scores: &Scores) -> Vec<Scored> {
        let scored =
            |(class, score)| Scored::new(&self.name, self.version(), class, score, self.threshold(class));
        scores.iter().map(scored).collect()
    }

    /// Returns the card with a calibration. Thresholds of an earlier calibration are dropped, so the model is
    /// in shadow.
    pub fn with_calibration(&self, calibration: Calibration) -> Result<Self, Faults> {
        let calibration = Some(calibration);
        ModelCardDraft { calibration, thresholds: Vec::new(), mode: Mode::Shadow, ..self.draft() }.try_into()
    }

    /// Returns the card with the threshold that its calibration supports for a class and a rate.
    pub fn with_threshold(&self, class: &Name, rate: Rate) -> Result<Self, ThresholdError> {
        let table = self.calibration().and_then(|calibration| calibration.class(class));
        let table = table.ok_or_else(|| ThresholdError::NotMeasured(class.clone()))?;
        let chosen =
            choose(table, rate).map_err(|source| ThresholdError::Choose { class: class.clone(), source })?;
        let mut draft = self.draft();
        draft.thresholds.retain(|other| other.class != class.as_str());
        draft.thresholds.push(ThresholdDraft {
            class: class.to_string(),
            rate,
            threshold: chosen.measured.threshold,
        });
        draft.try_into().map_err(ThresholdError::Card)
    }
}

impl From<ModelCard> for ModelCardDraft {
    fn from(card: ModelCard) -> Self {
        *card.draft
    }
}
