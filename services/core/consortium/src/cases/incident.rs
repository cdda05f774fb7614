//! Incidents: events with a bank of their own. Their types are data, since programmes name them differently
//! and rename them.

use std::fmt;

use thiserror::Error;

use super::words::CaseNote;
use crate::text::{Text, is_word};

/// A type of incidents: `perpetrator-content`, `crisis-protocol`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncidentType(Box<str>);

/// The text is no type of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncidentTypeError {
    /// No word.
    #[error("a type of incidents is 1 to {max} of a-z 0-9 -", max = IncidentType::LEN_MAX)]
    Word,
    /// Too many types.
    #[error("a member subscribes to at most {max} types", max = IncidentTypes::COUNT_MAX)]
    TooMany,
}

impl IncidentType {
    /// The longest, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Checks the word.
    pub fn new(text: &str) -> Result<Self, IncidentTypeError> {
        if is_word(text, Self::LEN_MAX) { Ok(Self(text.into())) } else { Err(IncidentTypeError::Word) }
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The types that a member subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentTypes {
    /// Every type, those of the future too.
    Every,
    /// These, each once; none for no subscription.
    Only(Vec<IncidentType>),
}

impl IncidentTypes {
    /// Types of one member.
    pub const COUNT_MAX: usize = 32;

    /// Checks the words and their number.
    pub fn only(words: &[impl AsRef<str>]) -> Result<Self, IncidentTypeError> {
        if words.len() > Self::COUNT_MAX {
            return Err(IncidentTypeError::TooMany);
        }
        let types = words.iter().map(|word| IncidentType::new(word.as_ref()));
        let mut types = types.collect::<Result<Vec<_>, _>>()?;
        types.sort_unstable();
        types.dedup();
        Ok(Self::Only(types))
    }

    /// Whether a type is one of them.
    #[must_use]
    pub fn contain(&self, of: &IncidentType) -> bool {
        match self {
            Self::Every => true,
            Self::Only(types) => types.binary_search(of).is_ok(),
        }
    }
}

/// What is said of an incident when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentWords {
    /// Its type.
    pub of: IncidentType,
    /// Its title.
    pub title: Text<128>,
    /// Why it is opened.
    pub reason: CaseNote,
}

impl IncidentWords {
    /// Incidents that are open at once: each has a bank, and each subscription looks at all of them.
    pub const OPEN_MAX: u16 = 64;
    /// Days for which a closed incident's bank is kept, where its closing names none.
    pub const KEEP_DAYS_DEFAULT: u16 = 30;
    /// The most days.
    pub const KEEP_DAYS_MAX: u16 = 365;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_words_and_subscriptions_are_bounded() {
        let of = |word: &str| IncidentType::new(word).unwrap();
        for bad in ["", "A", "a b", &"x".repeat(65)] {
            assert_eq!(IncidentType::new(bad), Err(IncidentTypeError::Word));
        }
        let types = IncidentTypes::only(&["b", "a", "b"]).unwrap();
        assert_eq!(types, IncidentTypes::Only(vec![of("a"), of("b")]));
        assert!(
            types.contain(&of("a")) && !types.contain(&of("c")) && IncidentTypes::Every.contain(&of("c"))
        );
        assert_eq!(IncidentTypes::only(&["a"; 33]), Err(IncidentTypeError::TooMany));
    }
}
