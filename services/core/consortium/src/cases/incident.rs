//! Incidents: events with a bank of their own. Their types are data, since programmes name them differently
//! and rename them.

use std::fmt;

use thiserror::Error;

use super::words::CaseNote;
use crate::text::{Text, is_word};

/// A type of incidents: `perpetrator-content`, `crisis-protocol`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncidentType(Box<str>);

/// The error for an invalid type of incidents or an invalid list of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncidentTypeError {
    /// The text is not a valid word.
    #[error("a type of incidents is 1 to {max} of a-z 0-9 -", max = IncidentType::LEN_MAX)]
    Word,
    /// Too many types.
    #[error("a member subscribes to at most {max} types", max = IncidentTypes::COUNT_MAX)]
    TooMany,
}

impl IncidentType {
    /// The largest length, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Checks the word.
    pub fn new(text: &str) -> Result<Self, IncidentTypeError> {
        if is_word(text, Self::LEN_MAX) { Ok(Self(text.into())) } else { Err(IncidentTypeError::Word) }
    }

    /// Returns the word.
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
    /// Every type, including future ones.
    Every,
    /// The listed types, each once; an empty list for no subscription.
    Only(Vec<IncidentType>),
}

impl IncidentTypes {
    /// The largest number of types that one member subscribes to.
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

    /// Whether the subscription includes a type.
    #[must_use]
    pub fn contain(&self, of: &IncidentType) -> bool {
        match self {
            Self::Every => true,
            Self::Only(types) => types.binary_search(of).is_ok(),
        }
    }
}

/// The description of an incident, given when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentWords {
    /// The type of the incident.
    pub of: IncidentType,
    /// The title.
    pub title: Text<128>,
    /// The reason for opening it.
    pub reason: CaseNote,
}

impl IncidentWords {
    /// The largest number of open incidents: each has a bank, and each subscription is compared with all of
    /// them.
    pub const OPEN_MAX: u16 = 64;
    /// Days for which a closed incident's bank is kept, if the request to close it gives no number.
    pub const KEEP_DAYS_DEFAULT: u16 = 30;
    /// The largest number of such days.
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
