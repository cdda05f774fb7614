//! Names of models and of classes, and digests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vigie_hashes::hex;

/// The name of a model or of a class of its output: 1 to 64 of `a-z 0-9 - _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// The text is not a valid [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a name is 1 to {max} of a-z 0-9 - _", max = Name::LEN_MAX)]
pub struct NameError;

impl Name {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let is_name = (1..=Self::LEN_MAX).contains(&text.len()) && text.bytes().all(is_fit);
        is_name.then(|| Self(text.into())).ok_or(NameError)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The SHA-256 of a file, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

/// The text is not a valid [`Sha256`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a SHA-256 is 64 hexadecimal digits")]
pub struct Sha256Error;

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        hex::decode_array(text).map(Self).ok_or(Sha256Error)
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Sha256Error;

    fn try_from(text: String) -> Result<Self, Sha256Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_their_letters_and_length() {
        for text in ["a", "open-nsfw_2", &"x".repeat(64)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        for text in ["", "A", "a b", "é", "a.b", &"x".repeat(65)] {
            assert_eq!(text.parse::<Name>(), Err(NameError), "{text:?}");
        }
        let name: Name = serde_json::from_str("\"nude\"").unwrap();
        assert_eq!(
            (serde_json::to_string(&name).unwrap(), format!("{name:>5}")),
            ("\"nude\"".into(), " nude".into())
        );
        assert!(serde_json::from_str::<Name>("\"Nude\"").is_err());
    }

    #[test]
    fn digests_are_64_digits() {
        let text = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa";
        let digest: Sha256 = text.to_uppercase().parse().unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{text}\""));
        assert_eq!(format!("{digest:?}"), format!("Sha256({text})"));
        assert_eq!(text[1..].parse::<Sha256>(), Err(Sha256Error));
        assert!(serde_json::from_str::<Sha256>("\"00\"").is_err());
    }
}
