//! Details that a contributor gives for an item and that searches do not need. They change without an update
//! of any index.

use thiserror::Error;

use super::taxonomy::{Class, ClassError};
use crate::members::member::Jurisdictions;
use crate::text::Text;

/// The details of an item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The item's classification.
    pub classification: Classification,
    /// The countries for which the classification is valid; empty for all.
    pub jurisdictions: Jurisdictions,
    /// A note for readers of the item.
    pub note: Text<{ Details::NOTE_LEN_MAX }>,
    /// Data for the contributor's own systems.
    pub metadata: Metadata,
}

impl Details {
    /// The longest note, in bytes.
    pub const NOTE_LEN_MAX: usize = 2_048;

    /// Whether all fields are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that a bank whose charter names these taxonomies (empty for any) accepts the classification.
    pub fn check(&self, taxonomies: &[Box<str>]) -> Result<(), ClassError> {
        self.classification.iter().try_for_each(|class| class.check(taxonomies))
    }
}

/// The classes of one item, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classification(Box<[Class]>);

/// There are too many classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an item has at most {max} classes, not {0}", max = Classification::COUNT_MAX)]
pub struct TooManyClasses(pub usize);

impl Classification {
    /// The largest number of classes of one item.
    pub const COUNT_MAX: usize = 32;

    /// Checks the number of classes.
    pub fn new(mut classes: Vec<Class>) -> Result<Self, TooManyClasses> {
        if classes.len() > Self::COUNT_MAX {
            return Err(TooManyClasses(classes.len()));
        }
        classes.sort_unstable();
        classes.dedup();
        Ok(Self(classes.into()))
    }

    /// Returns the classes, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Class> {
        self.0.iter()
    }
}

/// A JSON object, or nothing. The text is kept unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(Box<str>);

/// The text is not valid [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetadataError {
    /// Too many bytes.
    #[error("metadata has at most {max} bytes, not {0}", max = Metadata::LEN_MAX)]
    Length(usize),
    /// Not a JSON object.
    #[error("metadata is an object of JSON: {0}")]
    Json(String),
}

impl Metadata {
    /// The longest text, in bytes.
    pub const LEN_MAX: usize = 4_096;

    /// Checks the text; an empty one means no metadata.
    pub fn new(text: &str) -> Result<Self, MetadataError> {
        if text.len() > Self::LEN_MAX {
            return Err(MetadataError::Length(text.len()));
        }
        if !text.is_empty() {
            let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
            object.map_err(|error| MetadataError::Json(error.to_string()))?;
        }
        Ok(Self(text.into()))
    }

    /// Returns the text; empty for none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_an_object_or_nothing() {
        for good in ["", "{}", r#"{"a": [1, {"b": null}]}"#] {
            assert_eq!(Metadata::new(good).unwrap().as_str(), good);
        }
        for bad in ["[]", "1", "{", r#"{"a": 1} x"#] {
            assert!(matches!(Metadata::new(bad), Err(MetadataError::Json(_))), "{bad}");
        }
        assert_eq!(Metadata::new(&" ".repeat(4_097)), Err(MetadataError::Length(4_097)));
        // Nested deeper than JSON parsers accept.
        assert!(Metadata::new(&format!("{{\"a\": {}{}}}", "[".repeat(1_000), "]".repeat(1_000))).is_err());
    }

    #[test]
    fn classes_are_sorted_bounded_and_checked_against_the_bank() {
        let class = |value| Class::new("iwf", "category", value).unwrap();
        let classification = Classification::new(vec![class("C"), class("A"), class("C")]).unwrap();
        assert_eq!(classification.iter().map(Class::value).collect::<Vec<_>>(), ["A", "C"]);
        assert_eq!(Classification::new(vec![class("A"); 33]), Err(TooManyClasses(33)));
        let details = Details { classification, ..Details::default() };
        assert!(!details.is_empty() && Details::default().is_empty());
        assert!(details.check(&["iwf".into()]).is_ok() && details.check(&["ncmec".into()]).is_err());
    }
}
