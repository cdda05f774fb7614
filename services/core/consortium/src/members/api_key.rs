//! API keys as the directory stores them: ids and digests. `vigie-credentials` creates, parses and verifies
//! keys.

use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;
use thiserror::Error;
use vigie_model::UnixMillis;

use crate::expiry::Expiry;

/// The public part of an API key: the 16 characters of `a-z 2-7` after `vgk_`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KeyId::LEN]);

/// The text is not a valid [`KeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the id of an API key is {len} of a-z 2-7", len = KeyId::LEN)]
pub struct KeyIdError;

impl KeyId {
    /// The length, in bytes.
    pub const LEN: usize = 16;

    /// Returns the characters as one number, for fast comparison.
    pub(crate) const fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Returns the characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The constructor has checked the characters.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let characters: [u8; Self::LEN] = text.as_bytes().try_into().map_err(|_| KeyIdError)?;
        characters.try_into()
    }
}

/// Converts the characters, in ASCII.
impl TryFrom<[u8; KeyId::LEN]> for KeyId {
    type Error = KeyIdError;

    fn try_from(characters: [u8; Self::LEN]) -> Result<Self, KeyIdError> {
        let is_fit = |byte: &u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(byte);
        if characters.iter().all(is_fit) { Ok(Self(characters)) } else { Err(KeyIdError) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The keyed digest of a key's secret, for the verification of keys. `Debug` hides it. Verification compares
/// in constant time. This type's `==` does not, and is only used where both sides are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// An API key of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part.
    pub id: KeyId,
    /// The digest of the secret.
    pub digest: KeyDigest,
    /// The time of its creation, by the bank's clock.
    pub created_at: UnixMillis,
    /// The time from which the key is refused.
    pub expiry: Expiry,
}

/// The API keys of a principal: one, or two while one replaces the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeys(SmallVec<[ApiKey; 1]>);

/// The keys are not a valid set for a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiKeysError {
    /// None, or more than two.
    #[error("a principal has 1 or 2 API keys, not {0}")]
    Count(usize),
    /// Two keys with the same id.
    #[error("a principal has two keys of one id")]
    Same,
}

impl ApiKeys {
    /// The largest number of keys of a principal.
    pub const COUNT_MAX: usize = 2;

    /// Checks the keys; the older one comes first.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Result<Self, ApiKeysError> {
        let keys: SmallVec<[ApiKey; 1]> = keys.into_iter().take(Self::COUNT_MAX + 1).collect();
        match keys[..] {
            [one, other] if one.id == other.id => Err(ApiKeysError::Same),
            [_] | [_, _] => Ok(Self(keys)),
            _ => Err(ApiKeysError::Count(keys.len())),
        }
    }

    /// Returns the keys after a rotation: the newest of these, valid until `overlap_end` at most, and `next`.
    pub fn rotated(&self, next: ApiKey, overlap_end: UnixMillis) -> Result<Self, ApiKeysError> {
        let newest = self.0.last().map(|key| {
            let ends_before = key.expiry.moment().is_some_and(|moment| moment <= overlap_end);
            ApiKey { expiry: if ends_before { key.expiry } else { Expiry::at(overlap_end) }, ..*key }
        });
        Self::new(newest.into_iter().chain([next]))
    }

    /// Returns the key with this id.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&ApiKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// Returns the keys, the older one first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ApiKey> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char) -> ApiKey {
        let id = letter.to_string().repeat(16).parse().unwrap();
        ApiKey { id, digest: KeyDigest([1; 32]), created_at: UnixMillis(0), expiry: Expiry::NEVER }
    }

    #[test]
    fn ids_are_checked() {
        assert_eq!("abcdefghijklmz27".parse::<KeyId>().unwrap().to_string(), "abcdefghijklmz27");
        for bad in
            ["", "abc", "abcdefghijklmz271", "Abcdefghijklmz27", "abcdefghijklmz28", "abcdefghijklmz_7"]
        {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad}");
        }
    }

    #[test]
    fn a_rotation_leaves_the_newest_for_a_while() {
        let first = ApiKeys::new([key('a')]).unwrap();
        let second = first.rotated(key('b'), UnixMillis(50)).unwrap();
        let ends = |keys: &ApiKeys| {
            keys.iter().map(|key| (key.id.as_str()[..1].to_owned(), key.expiry.to_wire())).collect::<Vec<_>>()
        };
        let expected = |all: [(&str, u64); 2]| all.map(|(id, end)| (id.to_owned(), end)).to_vec();
        assert_eq!(ends(&second), expected([("a", 50), ("b", 0)]));
        let next = ApiKey { expiry: Expiry::at(UnixMillis(70)), ..key('c') };
        let third = second.rotated(next, UnixMillis(60)).unwrap();
        assert_eq!(ends(&third), expected([("b", 60), ("c", 70)]));
        assert_eq!(ends(&third.rotated(key('d'), UnixMillis(90)).unwrap()), expected([("c", 70), ("d", 0)]));
        assert_eq!(third.rotated(key('c'), UnixMillis(90)), Err(ApiKeysError::Same));
        assert_eq!(ApiKeys::new([]), Err(ApiKeysError::Count(0)));
        assert_eq!(ApiKeys::new([key('a'), key('b'), key('c')]), Err(ApiKeysError::Count(3)));
        assert!(!format!("{third:?}").contains("[1, 1"));
    }
}
