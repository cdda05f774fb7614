//! Versions of model cards, in the form in which the log and the directory store them.

use std::fmt;

use thiserror::Error;
use vigie_classifiers::{Faults, ModelCard, ModelCardDraft};

/// A version of a model's card: the card, and the document that it was read from.
///
/// Two versions are equal if their documents are equal. The document is authoritative and is passed on
/// unchanged.
#[derive(Clone)]
pub struct CardVersion {
    card: ModelCard,
    document: Box<str>,
}

/// The reason why a text is not a valid [`CardVersion`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CardFault {
    /// The document is too long.
    #[error("the document of a card has at most {max} bytes, not {0}", max = CardVersion::DOCUMENT_LEN_MAX)]
    TooLong(usize),
    /// The document is not JSON in the form of a card. The error never quotes a test vector, which may be a
    /// conversation.
    #[error("{field}: {problem}")]
    Form {
        /// The path of the field, such as `input.tensor`; `.` for the whole document.
        field: String,
        /// The problem with the field.
        problem: String,
    },
    /// The card has faults.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl CardVersion {
    /// The largest document, in bytes: 256 KiB.
    pub const DOCUMENT_LEN_MAX: usize = 256 << 10;

    /// Reads a document.
    pub fn read(document: &str) -> Result<Self, CardFault> {
        Ok(Self { card: draft_of(document)?.try_into()?, document: document.into() })
    }

    /// Reads a document written by a person and sets its version. The result's document is compact JSON.
    pub fn read_as(document: &str, version: u32) -> Result<Self, CardFault> {
        Self::of_draft(&ModelCardDraft { version, ..draft_of(document)? })
    }

    /// Returns the same card with another version number.
    pub fn with_version(&self, version: u32) -> Result<Self, CardFault> {
        Self::of_draft(&ModelCardDraft { version, ..self.card.draft() })
    }

    fn of_draft(draft: &ModelCardDraft) -> Result<Self, CardFault> {
        let document = serde_json::to_string(draft).map_err(|error| form(".".into(), &error))?;
        // The written document is read again, so the checked card is the one that followers read.
        Self::read(&document)
    }

    /// Returns the name of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        self.card.name().as_str()
    }

    /// Returns the version number, from 1 on.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.card.version()
    }

    /// Returns the card.
    #[must_use]
    pub const fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Returns the card as a JSON document.
    #[must_use]
    pub const fn document(&self) -> &str {
        &self.document
    }
}

impl CardFault {
    /// Returns each fault as its field and a description; at least one.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        match self {
            Self::TooLong(_) => vec![(".".into(), self.to_string())],
            Self::Form { field, problem } => vec![(field.clone(), problem.clone())],
            Self::Faults(faults) => {
                let all = faults.as_slice().iter();
                all.map(|fault| (fault.field.clone(), fault.problem.clone())).collect()
            }
        }
    }
}

/// Parses a document, which may be any text, as a draft.
fn draft_of(document: &str) -> Result<ModelCardDraft, CardFault> {
    if document.len() > CardVersion::DOCUMENT_LEN_MAX {
        return Err(CardFault::TooLong(document.len()));
    }
    let mut reader = serde_json::Deserializer::from_str(document);
    let draft = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| form(error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| form(".".into(), &error))?;
    Ok(draft)
}

/// The largest length of a description of a problem, in characters.
const PROBLEM_LEN_MAX: usize = 1_000;

/// Converts a parse error. Errors of `serde_json` quote values, so an error in a test vector gives only the
/// line and column.
fn form(field: String, error: &serde_json::Error) -> CardFault {
    let problem = if field.starts_with("test_vector") {
        format!("the value has the wrong form, at line {} column {}", error.line(), error.column())
    } else {
        error.to_string().chars().take(PROBLEM_LEN_MAX).collect()
    };
    CardFault::Form { field, problem }
}

impl PartialEq for CardVersion {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for CardVersion {}

/// Shows only the name and the version.
impl fmt::Debug for CardVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardVersion({} {})", self.name(), self.version())
    }
}
