//! A decision, as statements and reports are filled from it.

use vigie_consortium::cases::{Action, Basis, MediaKind};
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
    /// When the platform did it; `None` where it did not say.
    pub acted_at: Option<UnixMillis>,
    /// What the content was found by; `None` where the platform did not say.
    pub basis: Option<Basis>,
    /// The content was reinstated after a complaint.
    pub is_reinstated: bool,
    /// Matches on which the decision rests and of which nothing is known here, so that another class may be its reason.
    pub matches_elsewhere: u32,
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

/// The restriction of visibility that an action is, unless the template says otherwise.
pub(super) const fn visibility(action: Action) -> &'static str {
    match action {
        Action::Removed => "DECISION_VISIBILITY_CONTENT_REMOVED",
        Action::Disabled => "DECISION_VISIBILITY_CONTENT_DISABLED",
        Action::Demoted => "DECISION_VISIBILITY_CONTENT_DEMOTED",
        Action::AgeRestricted => "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
        Action::InteractionRestricted => "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED",
        Action::Labelled => "DECISION_VISIBILITY_CONTENT_LABELLED",
        Action::Other => "DECISION_VISIBILITY_OTHER",
    }
}

/// The content type that a kind of content is, unless the template says otherwise.
pub(super) const fn content_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "CONTENT_TYPE_IMAGE",
        MediaKind::Video => "CONTENT_TYPE_VIDEO",
        MediaKind::Text => "CONTENT_TYPE_TEXT",
        MediaKind::Audio => "CONTENT_TYPE_AUDIO",
        MediaKind::Other => "CONTENT_TYPE_OTHER",
    }
}

/// How content was judged after it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Automation {
    /// The verdict acted, and nobody looked.
    Fully,
    /// The verdict acted, and a person looked too.
    Partly,
    /// A person decided.
    Not,
}

impl Automation {
    /// How content was judged, as far as the record says: nothing is claimed beyond that.
    ///
    /// # Errors
    ///
    /// What the record does not say, for a person.
    pub fn of(person_looked: Option<bool>, verdict_acts: bool) -> Result<Self, &'static str> {
        match (person_looked, verdict_acts) {
            (Some(false), true) => Ok(Self::Fully),
            (Some(true), true) => Ok(Self::Partly),
            (Some(true), false) => Ok(Self::Not),
            (Some(false), false) => Err("nobody looked, and the verdict was not the one that acted"),
            (None, _) => Err("the platform did not say whether a person looked"),
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fully => "AUTOMATED_DECISION_FULLY",
            Self::Partly => "AUTOMATED_DECISION_PARTIALLY",
            Self::Not => "AUTOMATED_DECISION_NOT_AUTOMATED",
        }
    }
}
