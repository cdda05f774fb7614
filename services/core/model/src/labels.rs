//! The labels of an item: words for those who read a match, within bounds.

use std::ops::Deref;

use crate::item::{ItemContent, ItemContentError};

/// Labels within their bounds, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Box<[Box<str>]>);

impl Labels {
    /// Whether an item with these labels is a canary: see [`ItemContent::CANARY_LABEL`].
    #[must_use]
    pub fn are_of_canary(&self) -> bool {
        self.iter().any(|label| **label == *ItemContent::CANARY_LABEL)
    }
}

impl Deref for Labels {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        &self.0
    }
}

/// Checks labels against [`ItemContent::LABELS_MAX`] and [`ItemContent::LABEL_LEN_MAX`].
impl TryFrom<Vec<String>> for Labels {
    type Error = ItemContentError;

    fn try_from(labels: Vec<String>) -> Result<Self, ItemContentError> {
        if labels.len() > ItemContent::LABELS_MAX {
            return Err(ItemContentError::TooManyLabels(labels.len()));
        }
        let fits = |label: &String| (1..=ItemContent::LABEL_LEN_MAX).contains(&label.len());
        if let Some(label) = labels.iter().find(|label| !fits(label)) {
            return Err(ItemContentError::LabelLength(label.len()));
        }
        if labels.iter().any(|label| label.chars().any(char::is_control)) {
            return Err(ItemContentError::ControlCharacter);
        }
        Ok(Self(labels.into_iter().map(String::into_boxed_str).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> Result<Labels, ItemContentError> {
        Labels::try_from(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_keep_their_order_and_their_bounds() {
        let kept = labels(&["b", "a", "b"]).unwrap();
        assert_eq!(kept.iter().map(|label| &**label).collect::<Vec<_>>(), ["b", "a", "b"]);
        assert!(labels(&[]).unwrap().is_empty());
        assert_eq!(labels(&["x"; 33]), Err(ItemContentError::TooManyLabels(33)));
        assert_eq!(labels(&["a", ""]), Err(ItemContentError::LabelLength(0)));
        assert_eq!(labels(&[&"x".repeat(129)]), Err(ItemContentError::LabelLength(129)));
        assert!(labels(&[&"x".repeat(128)]).is_ok());
        assert_eq!(labels(&["a\tb"]), Err(ItemContentError::ControlCharacter));
    }

    #[test]
    fn the_label_of_a_canary_is_one_among_others() {
        assert!(labels(&["a", "vigie:canary"]).unwrap().are_of_canary());
        assert!(!labels(&["a", "vigie:canary2"]).unwrap().are_of_canary());
    }
}
