//! A decision, as statements and reports are filled from it.

use serde::{Deserialize, Serialize};
use vigie_model::{BankId, UnixMillis};

use crate::cell::{ClassText, VerdictText};

/// A decision about matched content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// A random id, never used twice. It is published, so it must not be computed from content, an item or a user.
    pub id: [u8; 16],
    /// When the decision was taken.
    pub at: UnixMillis,
    /// When the platform began to host the content; `None` where it did not say.
    pub hosted_since: Option<UnixMillis>,
    /// The bank of the nearest match.
    pub bank: BankId,
    /// The class of the matched item.
    pub class: ClassText,
    /// The verdict.
    pub verdict: VerdictText,
    /// The name of the rule that gave the verdict.
    pub rule: String,
    /// The kind of the content.
    pub media: MediaKind,
    /// Whether a person looked at the whole content before the action; `None` where the platform did not say.
    pub person_looked: Option<bool>,
    /// What the platform did; `None` for nothing.
    pub action: Option<Action>,
    /// What the content was found by.
    pub basis: Basis,
}

impl DecisionRecord {
    /// The id as 32 hexadecimal digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the verdict itself restricts the content, before a person looks.
    #[must_use]
    pub fn verdict_acts(&self) -> bool {
        ["block", "escalate"].contains(&self.verdict.as_str())
    }
}

/// What a platform did with content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The content was removed.
    Removed,
    /// Access to the content was disabled.
    Disabled,
    /// The content was shown less.
    Demoted,
    /// The content was restricted by age.
    AgeRestricted,
    /// Interaction with the content was restricted.
    InteractionRestricted,
    /// The content was labelled.
    Labelled,
    /// Something else, which the template describes.
    Other,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [
        Self::Removed,
        Self::Disabled,
        Self::Demoted,
        Self::AgeRestricted,
        Self::InteractionRestricted,
        Self::Labelled,
        Self::Other,
    ];

    /// The restriction of visibility that the action is, unless the template says otherwise.
    pub(super) const fn visibility(self) -> &'static str {
        match self {
            Self::Removed => "DECISION_VISIBILITY_CONTENT_REMOVED",
            Self::Disabled => "DECISION_VISIBILITY_CONTENT_DISABLED",
            Self::Demoted => "DECISION_VISIBILITY_CONTENT_DEMOTED",
            Self::AgeRestricted => "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
            Self::InteractionRestricted => "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED",
            Self::Labelled => "DECISION_VISIBILITY_CONTENT_LABELLED",
            Self::Other => "DECISION_VISIBILITY_OTHER",
        }
    }
}

/// What content was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The platform's own initiative.
    Own,
    /// A trusted flagger.
    TrustedFlagger,
    /// A notice under Article 16 of Regulation (EU) 2022/2065.
    Notice,
    /// An order outside Article 9 of that regulation.
    Order,
    /// An order under Article 9, for which no statement of reasons is due (Article 17(5)).
    Article9Order,
}

/// The kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A text.
    Text,
    /// A sound.
    Audio,
    /// Anything else, which the template describes.
    Other,
}

impl MediaKind {
    /// The content type that the kind is, unless the template says otherwise.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Image => "CONTENT_TYPE_IMAGE",
            Self::Video => "CONTENT_TYPE_VIDEO",
            Self::Text => "CONTENT_TYPE_TEXT",
            Self::Audio => "CONTENT_TYPE_AUDIO",
            Self::Other => "CONTENT_TYPE_OTHER",
        }
    }
}
