//! The stored form of keys, and the proof of a key.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::api_key::text::{ApiKey, KeyId};

/// Separates these digests from any other use of the pepper, and from other versions of these digests.
const CONTEXT: &[u8] = b"vigie api key 1";

/// The server's secret key for digests: 32 random bytes, kept apart from the store that holds the digests.
/// With another pepper no stored key is valid any more.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// Takes the 32 bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the digest of a key, by which a server recognises it. The id is part of the digest, so the
    /// digest is useless under another id.
    #[must_use]
    pub fn digest(&self, key: &ApiKey) -> KeyDigest {
        let id = key.id();
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(CONTEXT).update(id.as_bytes()).update(key.secret());
        KeyDigest(hasher.finalize())
    }

    /// Returns a key for digests of another kind. `context` must not be used for anything else.
    #[must_use]
    pub fn key_for(&self, context: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"vigie key for ").update(context);
        Zeroizing::new(hasher.finalize().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper(..)")
    }
}

/// The digest of a key. Two are compared in constant time, which `blake3::Hash` guarantees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(blake3::Hash);

impl KeyDigest {
    /// Takes a stored digest.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyDigest(..)")
    }
}

/// A key in the form in which a directory holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKey {
    /// The public id.
    pub id: KeyId,
    /// The digest of id and secret.
    pub digest: KeyDigest,
    /// The first moment at which the key is no longer valid; `None` if it does not expire.
    pub expires: Option<SystemTime>,
}

impl StoredKey {
    /// Returns whether the key has not expired.
    #[must_use]
    pub fn is_live(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Verifies a key. The work is the same whether the key is stored or not, so its duration does not reveal
    /// which ids exist.
    ///
    /// # Errors
    ///
    /// The key is not stored, its secret is another, or it has expired.
    pub fn prove(
        stored: Option<&Self>,
        key: &ApiKey,
        pepper: &Pepper,
        now: SystemTime,
    ) -> Result<(), KeyRefused> {
        let id = key.id();
        let digest = pepper.digest(key);
        let expected = stored.map_or(KeyDigest::from_bytes([0; 32]), |stored| stored.digest);
        let is_right = digest == expected;
        match stored {
            Some(stored) if stored.id == id && is_right && stored.is_live(now) => Ok(()),
            Some(stored) if stored.id == id && is_right => Err(KeyRefused::Expired { id }),
            Some(_) => Err(KeyRefused::Secret { id }),
            None => Err(KeyRefused::Unknown { id }),
        }
    }
}

/// The reasons for which a key is refused, for the log. The caller gets the same text for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyRefused {
    /// No key has this id, or it was revoked.
    #[error("there is no API key {id}")]
    Unknown {
        /// The public id.
        id: KeyId,
    },
    /// The key with this id has another secret.
    #[error("the secret of the API key {id} is wrong")]
    Secret {
        /// The public id.
        id: KeyId,
    },
    /// The key and its secret are right, but it has expired.
    #[error("the API key {id} has expired")]
    Expired {
        /// The public id.
        id: KeyId,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_good_until_it_expires_and_its_secret_alone_proves_it() {
        let pepper = Pepper::new([3; 32]);
        let key = ApiKey::generate().unwrap();
        let id = key.id();
        let stored = StoredKey { id, digest: pepper.digest(&key), expires: Some(at(100)) };
        assert_eq!(StoredKey::prove(Some(&stored), &key, &pepper, at(99)), Ok(()));
        assert_eq!(StoredKey::prove(Some(&stored), &key, &pepper, at(100)), Err(KeyRefused::Expired { id }));
        let endless = StoredKey { expires: None, ..stored };
        assert_eq!(StoredKey::prove(Some(&endless), &key, &pepper, at(u64::from(u32::MAX))), Ok(()));
        assert_eq!(StoredKey::prove(None, &key, &pepper, at(0)), Err(KeyRefused::Unknown { id }));

        let other_pepper = Pepper::new([4; 32]);
        assert_eq!(
            StoredKey::prove(Some(&stored), &key, &other_pepper, at(0)),
            Err(KeyRefused::Secret { id })
        );
        let digest = pepper.digest(&ApiKey::generate().unwrap());
        let other_secret = StoredKey { digest, ..stored };
        assert_eq!(
            StoredKey::prove(Some(&other_secret), &key, &pepper, at(0)),
            Err(KeyRefused::Secret { id })
        );
        // A directory that returns another key than the requested one.
        let other_id = StoredKey { id: ApiKey::generate().unwrap().id(), ..stored };
        assert_eq!(StoredKey::prove(Some(&other_id), &key, &pepper, at(0)), Err(KeyRefused::Secret { id }));
    }

    /// Stored digests must stay valid for years: the order of their parts belongs to the stored format.
    #[test]
    fn a_digest_is_bound_to_id_secret_and_pepper() {
        let pepper = Pepper::new([3; 32]);
        let key = ApiKey::parse(include_str!("../../testdata/api-key.txt").trim_end()).unwrap();
        let ids: Vec<u8> = (0..10).collect();
        let secret: Vec<u8> = (0..32).map(|index| 0xff - index).collect();
        let expected = blake3::keyed_hash(&[3; 32], &[CONTEXT, &ids, &secret].concat());
        assert_eq!(pepper.digest(&key).as_bytes(), expected.as_bytes());
        assert_eq!(KeyDigest::from_bytes(*expected.as_bytes()), pepper.digest(&key));
        assert_ne!(Pepper::new([2; 32]).digest(&key), pepper.digest(&key));
        let shown = format!("{pepper:?} {:?}", pepper.digest(&key));
        assert_eq!(shown, "Pepper(..) KeyDigest(..)");
    }
}
