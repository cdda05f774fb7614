//! The reasons why an item has no scores.

use vigie_classifiers::{ConversationError, InputError, ScoreError};
use vigie_proto::pb::classifier::v1 as pb;

use crate::error::EngineError;

/// The reason why an item has no scores, in a text that holds nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    UnknownModel,
    OtherVersion,
    NotServed,
    Content,
    Busy,
    OutOfTime,
    Failed,
}

/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 256;

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 7] = [
        Self::UnknownModel,
        Self::OtherVersion,
        Self::NotServed,
        Self::Content,
        Self::Busy,
        Self::OutOfTime,
        Self::Failed,
    ];

    /// Returns the name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UnknownModel => "unknown_model",
            Self::OtherVersion => "other_version",
            Self::NotServed => "not_served",
            Self::Content => "content",
            Self::Busy => "busy",
            Self::OutOfTime => "out_of_time",
            Self::Failed => "failed",
        }
    }

    const fn wire(self) -> pb::ScoreFailureKind {
        match self {
            Self::UnknownModel => pb::ScoreFailureKind::UnknownModel,
            Self::OtherVersion => pb::ScoreFailureKind::OtherVersion,
            Self::NotServed => pb::ScoreFailureKind::NotServed,
            Self::Content => pb::ScoreFailureKind::Content,
            Self::Busy => pb::ScoreFailureKind::Busy,
            Self::OutOfTime => pb::ScoreFailureKind::OutOfTime,
            Self::Failed => pb::ScoreFailureKind::Failed,
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl ToString) -> Self {
        Self { kind, message: line(&message.to_string()) }
    }

    pub(crate) fn content(message: impl ToString) -> Self {
        Self::new(Kind::Content, message)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let kind = match error {
            EngineError::UnknownModel(_) => Kind::NotServed,
            EngineError::Busy { .. } => Kind::Busy,
            EngineError::OutOfTime => Kind::OutOfTime,
            // Test vectors of the same form pass, so the cause is the size of this content.
            EngineError::Inputs(_) => Kind::Content,
            EngineError::Unavailable { .. }
            | EngineError::Refused(_)
            | EngineError::Lied(_)
            | EngineError::Died(_) => Kind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::content(error)
    }
}

impl From<ConversationError> for Failure {
    fn from(error: ConversationError) -> Self {
        Self::content(error)
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<Failure> for pb::ScoreFailure {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind.wire().into(), message: failure.message }
    }
}

/// Returns the text in the form for an answer: one line, cut to the longest length.
pub(crate) fn line(text: &str) -> String {
    let mut line: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    line.truncate(line.floor_char_boundary(MESSAGE_BYTES_MAX));
    line
}
