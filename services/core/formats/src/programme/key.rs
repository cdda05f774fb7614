//! The key of a record within its programme.

use std::fmt;

use thiserror::Error;
use vigie_consortium::Origin;
use vigie_model::Hash;

use super::hash_text::HashText;

/// The key of a record within its programme: a later record with the same key replaces an earlier one.
///
/// A programme without ids identifies a record by its hash. Such a key contains a digest of the hash and not
/// the hash itself, because keys are kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// The text is not a valid [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key has 1 to {max} bytes without control characters", max = Origin::KEY_LEN_MAX)]
pub struct KeyError;

impl Key {
    /// Creates a key from a programme's own text, after checking it.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let is_fit = (1..=Origin::KEY_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        is_fit.then(|| Self(text.into())).ok_or(KeyError)
    }

    /// Creates the key of a record that is identified by its hash: the programme's word for the type, and the
    /// first 128 bits of BLAKE3 of the value. If the value could be read as a hash, its canonical form is
    /// used, so that its spelling does not matter.
    pub fn of_value(kind: &str, value: &HashText, hash: Option<&Hash>) -> Result<Self, KeyError> {
        let digest = match hash {
            Some(hash) => blake3::hash(hash.to_text().as_bytes()),
            None => blake3::hash(value.as_str().as_bytes()),
        };
        Self::new(&format!("{kind}:{}", digest.to_hex().get(..32).unwrap_or_default()))
    }

    /// Creates the key of an item of a file, which its hashes identify: the first 128 bits of BLAKE3 of their
    /// types and values.
    pub fn of_hashes(hashes: &[Hash]) -> Result<Self, KeyError> {
        let mut hasher = blake3::Hasher::new();
        for hash in hashes {
            let text = hash.to_text();
            hasher.update(&hash.hash_type().number().to_be_bytes());
            hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
        }
        Self::new(&format!("item:{}", hasher.finalize().to_hex().get(..32).unwrap_or_default()))
    }

    /// Returns the text: 1 to 512 bytes without control characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::HashType;

    use super::*;

    #[test]
    fn a_key_of_a_value_does_not_hold_it_and_does_not_depend_on_its_spelling() {
        let of = |text: &str| {
            let hash = Hash::from_text(HashType::MD5, text).ok();
            Key::of_value("MD5", &HashText::new(text), hash.as_ref()).unwrap()
        };
        let (lower, upper) = ("ab".repeat(16), "AB".repeat(16));
        assert_eq!(of(&lower), of(&upper));
        assert_ne!(of(&lower), of("another value"));
        assert!(!of(&lower).as_str().contains(&lower) && of(&lower).as_str().starts_with("MD5:"));
        // A value of any length gives a key.
        assert_eq!(of(&"x".repeat(100_000)).as_str().len(), 36);
    }

    #[test]
    fn keys_are_bounded() {
        assert!(Key::new("42-image1").is_ok() && Key::new(&"x".repeat(512)).is_ok());
        for bad in ["", "a\nb", &"x".repeat(513)] {
            assert_eq!(Key::new(bad), Err(KeyError));
        }
    }
}
