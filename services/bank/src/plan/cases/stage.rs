//! The stages of cases. A stage is the first number of a case's key, so that each stage is a range of keys.

use vigie_consortium::{DocumentId, DocumentKey, DocumentKind};

/// A stage of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A report about a threat to life that waits for a review; an open referral; an open incident.
    First,
    /// Another report that waits; a referral with all outcomes known; a closed incident whose bank is kept.
    Second,
    /// A decided report; an incident whose bank is deleted.
    Third,
}

impl Stage {
    /// All stages, in the order of their keys.
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    const fn number(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Third => 2,
        }
    }

    /// Returns the key of a case, by its number.
    pub(crate) fn key(self, number: u64) -> DocumentKey {
        DocumentKey::of_numbers(&[self.number(), number])
    }

    /// Returns the key of a closed incident whose bank is kept until a time.
    pub(crate) fn key_until(self, until_unix_ms: u64, number: u64) -> DocumentKey {
        DocumentKey::of_numbers(&[self.number(), until_unix_ms, number])
    }

    /// Returns a key that sorts before every key of the stage.
    pub(crate) fn begin(self) -> DocumentKey {
        DocumentKey::of_numbers(&[self.number()])
    }

    /// Returns a key that sorts after every key of the stage.
    pub(crate) fn end(self) -> DocumentKey {
        DocumentKey::of_numbers(&[self.number() + 1])
    }

    /// Returns the stage of a key.
    pub(crate) fn of(key: &DocumentKey) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.number() == key.number(0))
    }

    /// Returns the ids of a case's document in each stage: one of them exists.
    pub(crate) fn ids(kind: DocumentKind, number: u64) -> [DocumentId; 3] {
        Self::ALL.map(|stage| (kind, stage.key(number)))
    }
}
