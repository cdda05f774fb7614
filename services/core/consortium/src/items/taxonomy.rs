//! Taxonomies: the terms by which hash-sharing programmes classify items. They are data, so a new one needs
//! no code.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use thiserror::Error;

use crate::text::is_word;

/// The known taxonomies, as JSON.
const KNOWN: &str = include_str!("../../data/taxonomies.json");

/// A known taxonomy and its dimensions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taxonomy {
    /// A description of the taxonomy and its publisher.
    pub about: String,
    /// The dimensions with their values; empty if the values are not listed here.
    pub dimensions: BTreeMap<String, Vec<String>>,
}

/// The known taxonomies, by name.
static TAXONOMIES: LazyLock<BTreeMap<String, Taxonomy>> = LazyLock::new(|| {
    // A test parses the file, so this cannot fail in a build whose tests pass.
    serde_json::from_str(KNOWN).unwrap_or_default()
});

/// Returns the known taxonomies, by name.
#[must_use]
pub fn taxonomies() -> &'static BTreeMap<String, Taxonomy> {
    &TAXONOMIES
}

/// A class of a classification: a value of a dimension of a taxonomy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class {
    taxonomy: Box<str>,
    dimension: Box<str>,
    value: Box<str>,
}

/// The texts are not a valid [`Class`], or the bank does not accept it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClassError {
    /// A name of a taxonomy or dimension, or a value, is malformed.
    #[error("{0:?} is no word of a classification: 1 to {max} of A-Z a-z 0-9 . _ - +", max = Class::WORD_LEN_MAX)]
    Word(String),
    /// The taxonomy has no such dimension.
    #[error("the taxonomy {taxonomy} has no dimension {dimension}; it has {}", known.join(", "))]
    Dimension {
        /// The taxonomy.
        taxonomy: String,
        /// The dimension that was named.
        dimension: String,
        /// The known ones.
        known: Vec<String>,
    },
    /// The dimension has no such value.
    #[error("{dimension} of the taxonomy {taxonomy} has no value {value}; it has {}", known.join(", "))]
    Value {
        /// The taxonomy.
        taxonomy: String,
        /// Returns the dimension.
        dimension: String,
        /// The value that was named.
        value: String,
        /// The known ones.
        known: Vec<String>,
    },
    /// The bank's charter does not allow this taxonomy.
    #[error("the bank takes its classification from {}, not from {taxonomy}", allowed.join(", "))]
    NotOfTheBank {
        /// The taxonomy.
        taxonomy: String,
        /// The taxonomies that the bank allows.
        allowed: Vec<String>,
    },
}

impl Class {
    /// The longest word, in bytes.
    pub const WORD_LEN_MAX: usize = 64;

    /// Checks the form of the words, and for a known taxonomy also that it lists them. An unknown taxonomy
    /// may have any.
    pub fn new(taxonomy: &str, dimension: &str, value: &str) -> Result<Self, ClassError> {
        let is_value = |text: &str| {
            let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
            (1..=Self::WORD_LEN_MAX).contains(&text.len()) && text.bytes().all(is_fit)
        };
        let wrong = [
            (taxonomy, is_word(taxonomy, Self::WORD_LEN_MAX)),
            (dimension, is_word(dimension, Self::WORD_LEN_MAX)),
            (value, is_value(value)),
        ];
        if let Some((text, _)) = wrong.into_iter().find(|(_, is_fit)| !is_fit) {
            return Err(ClassError::Word(text.chars().take(Self::WORD_LEN_MAX).collect()));
        }
        let known = taxonomies().get(taxonomy).filter(|known| !known.dimensions.is_empty());
        if let Some(known) = known {
            let Some(values) = known.dimensions.get(dimension) else {
                let known = known.dimensions.keys().cloned().collect();
                return Err(ClassError::Dimension {
                    taxonomy: taxonomy.to_owned(),
                    dimension: dimension.to_owned(),
                    known,
                });
            };
            if !values.is_empty() && !values.iter().any(|known| known == value) {
                return Err(ClassError::Value {
                    taxonomy: taxonomy.to_owned(),
                    dimension: dimension.to_owned(),
                    value: value.to_owned(),
                    known: values.clone(),
                });
            }
        }
        Ok(Self { taxonomy: taxonomy.into(), dimension: dimension.into(), value: value.into() })
    }

    /// Returns the name of the taxonomy.
    #[must_use]
    pub fn taxonomy(&self) -> &str {
        &self.taxonomy
    }

    /// Returns the dimension.
    #[must_use]
    pub fn dimension(&self) -> &str {
        &self.dimension
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Checks that a bank whose charter names these taxonomies (empty for any) accepts the class.
    pub fn check(&self, allowed: &[Box<str>]) -> Result<(), ClassError> {
        if allowed.is_empty() || allowed.iter().any(|name| **name == *self.taxonomy) {
            return Ok(());
        }
        let allowed = allowed.iter().map(ToString::to_string).collect();
        Err(ClassError::NotOfTheBank { taxonomy: self.taxonomy.to_string(), allowed })
    }
}

/// Writes `taxonomy/dimension=value`, the form of the command line.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}={}", self.taxonomy, self.dimension, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_taxonomies_read_and_their_words_are_words() {
        let known: BTreeMap<String, Taxonomy> = serde_json::from_str(KNOWN).unwrap();
        assert_eq!(known.keys().collect::<Vec<_>>(), ["gifct-2025", "iwf", "local", "ncmec"]);
        for (name, taxonomy) in &known {
            for (dimension, values) in &taxonomy.dimensions {
                let values = values.iter().map(String::as_str);
                for value in values.chain(taxonomy.dimensions[dimension].is_empty().then_some("any")) {
                    assert!(Class::new(name, dimension, value).is_ok(), "{name}/{dimension}={value}");
                }
            }
        }
    }

    #[test]
    fn words_are_those_of_the_taxonomy_and_of_the_bank() {
        let class = Class::new("ncmec", "classification", "A1").unwrap();
        assert_eq!(class.to_string(), "ncmec/classification=A1");
        let fault =
            |taxonomy, dimension, value| Class::new(taxonomy, dimension, value).unwrap_err().to_string();
        assert_eq!(
            fault("ncmec", "classification", "A3"),
            "classification of the taxonomy ncmec has no value A3; it has A1, A2, B1, B2"
        );
        assert_eq!(
            fault("ncmec", "age", "3-6"),
            "the taxonomy ncmec has no dimension age; it has classification"
        );
        assert!(fault("ncmec", "classification", "").contains("no word of a classification"));
        assert!(fault("NCMEC", "classification", "A1").contains("\"NCMEC\" is no word"));
        // Unknown taxonomies, and the deployment's own, accept any words.
        assert!(
            Class::new("acme-2026", "kind", "x.y_z+1").is_ok() && Class::new("local", "kind", "z").is_ok()
        );
        assert_eq!(class.check(&[]), Ok(()));
        assert_eq!(class.check(&["iwf".into(), "ncmec".into()]), Ok(()));
        let refused = class.check(&["iwf".into()]).unwrap_err();
        assert_eq!(refused.to_string(), "the bank takes its classification from iwf, not from ncmec");
    }
}
