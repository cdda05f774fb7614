//! Salts of entries: bytes that cannot be guessed, so that the hash of an entry reveals nothing about it.

use std::fmt;

use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::SystemRandom;

use crate::note::KeyError;
use crate::tree::LeafIndex;

/// The length of a salt, in bytes.
pub const SALT_BYTES: usize = 16;

/// Makes the salts of entries from one random key, which exists as long as the process: no entry has to wait
/// for random bytes.
pub struct Salts(Key);

impl Salts {
    /// Draws the key.
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub fn new() -> Result<Self, KeyError> {
        Key::generate(HMAC_SHA256, &SystemRandom::new()).map(Self).map_err(|_| KeyError::Randomness)
    }

    /// Returns the salt of an entry: the first bytes of the HMAC-SHA-256 of its index.
    #[must_use]
    pub fn of(&self, index: LeafIndex) -> [u8; SALT_BYTES] {
        let tag = sign(&self.0, &index.0.to_be_bytes());
        let mut salt = [0; SALT_BYTES];
        salt.iter_mut().zip(tag.as_ref()).for_each(|(byte, of_tag)| *byte = *of_tag);
        salt
    }
}

/// Does not show the key.
impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_differ_by_entry_and_by_key() {
        let (one, other) = (Salts::new().unwrap(), Salts::new().unwrap());
        assert_eq!(one.of(LeafIndex(7)), one.of(LeafIndex(7)));
        assert_ne!(one.of(LeafIndex(7)), one.of(LeafIndex(8)));
        assert_ne!(one.of(LeafIndex(7)), other.of(LeafIndex(7)));
        assert_eq!(format!("{one:?}"), "Salts { .. }");
    }
}
