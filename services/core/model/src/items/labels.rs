//! The labels of an item: words for people who read a match, within limits.

use std::ops::Deref;

use thiserror::Error;

/// The reasons why words are not valid labels of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LabelsError {
    /// There are more labels than one item may have.
    #[error("an item holds at most {max} labels, not {0}", max = Labels::COUNT_MAX)]
    TooMany(usize),
    /// A label is empty or too long.
    #[error("a label has 1 to {max} bytes, not {0}", max = Labels::LEN_MAX)]
    Length(usize),
    /// A label contains a control character, which could corrupt a terminal or a log.
    #[error("labels hold no control characters")]
    ControlCharacter,
}

/// Valid labels, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Box<[Box<str>]>);

impl Labels {
    /// The label of a canary: an item whose hash no picture has, so that a match of it proves probing or a
    /// leaked list. Only the bank's owner gets canaries in answers.
    pub const CANARY: &str = "vigie:canary";
    /// The largest number of labels of one item.
    pub const COUNT_MAX: usize = 32;
    /// The largest length of one label, in bytes.
    pub const LEN_MAX: usize = 128;

    /// Checks whether an item with these labels is a canary.
    #[must_use]
    pub fn are_of_canary(&self) -> bool {
        self.iter().any(|label| **label == *Self::CANARY)
    }
}

impl Deref for Labels {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        &self.0
    }
}

/// Checks labels against [`Labels::COUNT_MAX`] and [`Labels::LEN_MAX`].
impl TryFrom<Vec<String>> for Labels {
    type Error = LabelsError;

    fn try_from(labels: Vec<String>) -> Result<Self, LabelsError> {
        if labels.len() > Self::COUNT_MAX {
            return Err(LabelsError::TooMany(labels.len()));
        }
        let fits = |label: &String| (1..=Self::LEN_MAX).contains(&label.len());
        if let Some(label) = labels.iter().find(|label| !fits(label)) {
            return Err(LabelsError::Length(label.len()));
        }
        if labels.iter().any(|label| label.chars().any(char::is_control)) {
            return Err(LabelsError::ControlCharacter);
        }
        Ok(Self(labels.into_iter().map(String::into_boxed_str).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> Result<Labels, LabelsError> {
        Labels::try_from(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_keep_their_order_and_their_bounds() {
        let kept = labels(&["b", "a", "b"]).unwrap();
        assert_eq!(kept.iter().map(|label| &**label).collect::<Vec<_>>(), ["b", "a", "b"]);
        assert!(labels(&[]).unwrap().is_empty());
        assert_eq!(labels(&["x"; 33]), Err(LabelsError::TooMany(33)));
        assert_eq!(labels(&["a", ""]), Err(LabelsError::Length(0)));
        assert_eq!(labels(&[&"x".repeat(129)]), Err(LabelsError::Length(129)));
        assert!(labels(&[&"x".repeat(128)]).is_ok());
        assert_eq!(labels(&["a\tb"]), Err(LabelsError::ControlCharacter));
    }

    #[test]
    fn the_label_of_a_canary_is_one_among_others() {
        assert!(labels(&["a", "vigie:canary"]).unwrap().are_of_canary());
        assert!(!labels(&["a", "vigie:canary2"]).unwrap().are_of_canary());
    }
}
