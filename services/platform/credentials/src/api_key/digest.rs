//! Keys as a server keeps them, and their proof.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::api_key::text::{ApiKey, KeyId};

/// Separates these digests from any other use of the pepper, and one version of them from the next.
const CONTEXT: &[u8] = b"vigie api key 1";

/// The server's own key of digests: 32 random bytes, kept apart from the store that holds the digests. With another pepper no
/// stored key is right any more.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// Takes the 32 bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The digest of a key, by which a server knows it again. The id is part of it, so a digest is worth nothing under
    /// another id.
    #[must_use]
    pub fn digest(&self, key: &ApiKey) -> KeyDigest {
        let id = key.id();
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(CONTEXT).update(id.as_bytes()).update(key.secret());
        KeyDigest(hasher.finalize())
    }

    /// A key for digests of another kind, named by a context that nothing else uses.
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

/// The digest of a key. Two are compared in constant time: `blake3::Hash` guarantees that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(blake3::Hash);

impl KeyDigest {
    /// Takes a stored digest.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// The bytes to store.
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

/// A key as a directory holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKey {
    /// The public part.
    pub id: KeyId,
    /// The digest of the whole.
    pub digest: KeyDigest,
    /// The first moment at which the key is no longer good; none for no end.
    pub expires: Option<SystemTime>,
}

impl StoredKey {
    /// Whether the key has not expired.
    #[must_use]
    pub fn is_live(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Proves a key. The work is the same whether the key is stored or not, so its time says nothing of which ids there are.
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

/// Why a key is refused. For the log: the caller gets one text for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyRefused {
    /// No key has this id, or it was revoked.
    #[error("there is no API key {id}")]
    Unknown {
        /// The public part.
        id: KeyId,
    },
    /// The key of this id has another secret.
    #[error("the secret of the API key {id} is another")]
    Secret {
        /// The public part.
        id: KeyId,
    },
    /// The key and its secret are right, and its time is over.
    #[error("the API key {id} has expired")]
    Expired {
        /// The public part.
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
        // A directory that answers with another key than the one asked for.
        let other_id = StoredKey { id: ApiKey::generate().unwrap().id(), ..stored };
        assert_eq!(StoredKey::prove(Some(&other_id), &key, &pepper, at(0)), Err(KeyRefused::Secret { id }));
    }

    /// A stored digest stays good for years: the order of its parts is part of the stored format.
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
