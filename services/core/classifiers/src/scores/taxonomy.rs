//! Classes of taxonomies.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A class of a sharing programme's taxonomy that a class of a model represents:
/// `gifct-2025/content-type=manual`. The bank, which knows the taxonomies, checks that the class exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaxonomyClass {
    text: Box<str>,
    slash: usize,
    equals: usize,
}

/// The text is not a valid [`TaxonomyClass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a class of a taxonomy is taxonomy/dimension=value: two words of 1 to {max} of a-z 0-9 -, and one of A-Z a-z 0-9 . _ - +",
    max = TaxonomyClass::WORD_LEN_MAX
)]
pub struct TaxonomyClassError;

impl TaxonomyClass {
    /// The longest word, in bytes.
    pub const WORD_LEN_MAX: usize = 64;

    /// Returns the name of the taxonomy.
    #[must_use]
    pub fn taxonomy(&self) -> &str {
        &self.text[..self.slash]
    }

    /// Returns the dimension.
    #[must_use]
    pub fn dimension(&self) -> &str {
        &self.text[self.slash + 1..self.equals]
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.text[self.equals + 1..]
    }
}

impl FromStr for TaxonomyClass {
    type Err = TaxonomyClassError;

    fn from_str(text: &str) -> Result<Self, TaxonomyClassError> {
        let (slash, equals) = text.find('/').zip(text.find('=')).ok_or(TaxonomyClassError)?;
        let words = text.get(..slash).zip(text.get(slash + 1..equals)).zip(text.get(equals + 1..));
        let ((taxonomy, dimension), value) = words.ok_or(TaxonomyClassError)?;
        let is_long = |word: &str| (1..=Self::WORD_LEN_MAX).contains(&word.len());
        let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_value = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
        let is_fit = [taxonomy, dimension, value].into_iter().all(is_long)
            && taxonomy.bytes().chain(dimension.bytes()).all(is_lower)
            && value.bytes().all(is_value);
        is_fit.then(|| Self { text: text.into(), slash, equals }).ok_or(TaxonomyClassError)
    }
}

impl fmt::Display for TaxonomyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_three_words() {
        let class: TaxonomyClass = "gifct-2025/content-type=Manual+1".parse().unwrap();
        assert_eq!(
            (class.taxonomy(), class.dimension(), class.value()),
            ("gifct-2025", "content-type", "Manual+1")
        );
        assert_eq!(class.to_string(), "gifct-2025/content-type=Manual+1");
        let long = format!("a/b={}", "x".repeat(65));
        for text in
            ["", "a/b", "a=b", "a=b/c", "/b=c", "a/=c", "a/b=", "A/b=c", "a/b=c/d", "a/b=c=d", "é/b=c", &long]
        {
            assert_eq!(text.parse::<TaxonomyClass>(), Err(TaxonomyClassError), "{text:?}");
        }
    }
}
