//! A decision, from which statements and reports are filled.

use vigie_consortium::cases::{Action, Basis, MediaKind};
use vigie_model::{BankId, UnixMillis};

use crate::cell::{ClassText, VerdictText};

/// A decision about matched content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    /// A random id, never reused. It is published, so it must not be computed from content, an item or a
    /// user.
    pub id: [u8; 16],
    /// The time of the decision.
    pub at: UnixMillis,
    /// The time from which the platform has hosted the content; `None` if it did not report it.
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
    /// Whether a person looked at the whole content before the action; `None` if the platform did not report
    /// it.
    pub person_looked: Option<bool>,
    /// The platform's action; `None` for none.
    pub action: Option<Action>,
    /// The time of the action; `None` if the platform did not report it.
    pub acted_at: Option<UnixMillis>,
    /// The way in which the content was found; `None` if the platform did not report it.
    pub basis: Option<Basis>,
    /// Whether the content was reinstated after a complaint.
    pub is_reinstated: bool,
    /// The number of matches on which the decision depends and whose classes are not known here. The true
    /// reason may be one of those classes.
    pub matches_elsewhere: u32,
}

impl DecisionRecord {
    /// Returns the id as 32 hexadecimal digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Checks whether the verdict itself restricts the content, before a person looks.
    #[must_use]
    pub fn verdict_acts(&self) -> bool {
        ["block", "escalate"].contains(&self.verdict.as_str())
    }
}

/// Returns the visibility restriction of an action, unless the template names another.
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

/// Returns the content type of a kind of content, unless the template names another.
pub(super) const fn content_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "CONTENT_TYPE_IMAGE",
        MediaKind::Video => "CONTENT_TYPE_VIDEO",
        MediaKind::Text => "CONTENT_TYPE_TEXT",
        MediaKind::Audio => "CONTENT_TYPE_AUDIO",
        MediaKind::Other => "CONTENT_TYPE_OTHER",
    }
}

/// The way in which content was judged after it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Automation {
    /// The verdict acted, and no person looked.
    Fully,
    /// The verdict acted, and a person also looked.
    Partly,
    /// A person decided.
    Not,
}

impl Automation {
    /// Returns how content was judged, based only on the record.
    ///
    /// # Errors
    ///
    /// The missing information, as a text for a person.
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
