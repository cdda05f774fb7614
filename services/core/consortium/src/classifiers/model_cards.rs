//! Versions of model cards, as the log and the directory hold them.

use std::fmt;

use thiserror::Error;
use vigie_classifiers::{Faults, ModelCard, ModelCardDraft};

/// A version of a model's card: the card, and the document that it was read from.
///
/// Two of them are equal where their documents are: the document decides, and is passed on as it is.
#[derive(Clone)]
pub struct CardVersion {
    card: ModelCard,
    document: Box<str>,
}

/// Why a text is no [`CardVersion`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CardFault {
    /// The document is too long.
    #[error("the document of a card has at most {max} bytes, not {0}", max = CardVersion::DOCUMENT_LEN_MAX)]
    TooLong(usize),
    /// The document is no JSON of a card's form. Of a test vector, which may be a conversation, nothing is
    /// quoted.
    #[error("{field}: {problem}")]
    Form {
        /// The field, as a path: `input.tensor`; a point for the document as a whole.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The card has faults.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl CardVersion {
    /// Bytes of a document: 256 KiB.
    pub const DOCUMENT_LEN_MAX: usize = 256 << 10;

    /// Reads a document.
    pub fn read(document: &str) -> Result<Self, CardFault> {
        Ok(Self { card: draft_of(document)?.try_into()?, document: document.into() })
    }

    /// Reads a document that somebody wrote, and puts the version in. The document that the result has is a
    /// compact one.
    pub fn read_as(document: &str, version: u32) -> Result<Self, CardFault> {
        Self::of_draft(&ModelCardDraft { version, ..draft_of(document)? })
    }

    /// The same card as another version.
    pub fn with_version(&self, version: u32) -> Result<Self, CardFault> {
        Self::of_draft(&ModelCardDraft { version, ..self.card.draft() })
    }

    fn of_draft(draft: &ModelCardDraft) -> Result<Self, CardFault> {
        let document = serde_json::to_string(draft).map_err(|error| form(".".into(), &error))?;
        // What followers read is what was checked.
        Self::read(&document)
    }

    /// The name of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        self.card.name().as_str()
    }

    /// The version, from 1 on.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.card.version()
    }

    /// The card.
    #[must_use]
    pub const fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The card as a JSON document.
    #[must_use]
    pub const fn document(&self) -> &str {
        &self.document
    }
}

impl CardFault {
    /// Each fault with its field, at least one.
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

/// The draft of a document, which may be any text.
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

/// Characters of a problem.
const PROBLEM_LEN_MAX: usize = 1_000;

/// A fault of the form. The errors of `serde_json` quote values: of a test vector, only the place is named.
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

/// The name and the version alone.
impl fmt::Debug for CardVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardVersion({} {})", self.name(), self.version())
    }
}
