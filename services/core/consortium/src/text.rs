//! Short texts that people write and terminals display.

use std::fmt;

use thiserror::Error;

/// A text of at most `BYTES_MAX` bytes without control characters, which would garble a terminal or a log.
/// May be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const BYTES_MAX: usize>(Box<str>);

/// The text is not a valid [`Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// Too many bytes.
    #[error("a text has at most {max} bytes here, not {len}")]
    Length {
        /// The length of the text, in bytes.
        len: usize,
        /// The largest length, in bytes.
        max: usize,
    },
    /// A control character.
    #[error("a text holds no control characters")]
    ControlCharacter,
}

impl<const BYTES_MAX: usize> Text<BYTES_MAX> {
    /// Checks the text.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.len() > BYTES_MAX {
            return Err(TextError::Length { len: text.len(), max: BYTES_MAX });
        }
        if text.chars().any(char::is_control) {
            return Err(TextError::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const BYTES_MAX: usize> fmt::Display for Text<BYTES_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a text is 1 to `len_max` of `a-z 0-9 -`.
pub(crate) fn is_word(text: &str, len_max: usize) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=len_max).contains(&text.len()) && text.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_checked() {
        for good in ["", "Ünïcode", "12345678"] {
            assert_eq!(Text::<10>::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Text::<4>::new("12345"), Err(TextError::Length { len: 5, max: 4 }));
        assert_eq!(Text::<4>::new("a\nb"), Err(TextError::ControlCharacter));
    }
}
