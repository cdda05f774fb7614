//! The keys of one principal: at most two are live, so that one replaces the other without a gap.

use std::time::SystemTime;

use thiserror::Error;

use crate::api_key::digest::StoredKey;
use crate::api_key::text::KeyId;

/// The most live keys of one principal: the one in use and its successor.
pub const LIVE_KEYS_MAX: usize = 2;

/// The keys of one principal that have not expired, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveKeys(Vec<StoredKey>);

impl LiveKeys {
    /// Adds a key, and removes the expired ones.
    ///
    /// # Errors
    ///
    /// Two keys are live already, or there is one with this id. Then only the expired ones are removed.
    pub fn add(&mut self, key: StoredKey, now: SystemTime) -> Result<(), NotAdded> {
        self.0.retain(|held| held.is_live(now));
        if self.get(key.id).is_some() {
            return Err(NotAdded::SameId);
        }
        if self.0.len() >= LIVE_KEYS_MAX {
            return Err(NotAdded::TooMany);
        }
        self.0.push(key);
        Ok(())
    }

    /// Sets the end of a key, unless it ends earlier. Returns whether there is such a key.
    pub fn end(&mut self, id: KeyId, at: SystemTime) -> bool {
        let Some(key) = self.0.iter_mut().find(|key| key.id == id) else { return false };
        key.expires = Some(key.expires.map_or(at, |expires| expires.min(at)));
        true
    }

    /// Removes a key at once. Returns whether there was such a key.
    pub fn revoke(&mut self, id: KeyId) -> bool {
        let before = self.0.len();
        self.0.retain(|key| key.id != id);
        self.0.len() < before
    }

    /// Returns the key with this id, expired or not.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&StoredKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// Iterates over the keys that are valid now.
    pub fn live(&self, now: SystemTime) -> impl Iterator<Item = &StoredKey> {
        self.0.iter().filter(move |key| key.is_live(now))
    }
}

/// The reasons for which a key is not added to those of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAdded {
    /// The principal has as many live keys as it may have.
    #[error("there are {LIVE_KEYS_MAX} live API keys of this principal: revoke one before a new one is made")]
    TooMany,
    /// The principal has a key with this id already.
    #[error("the principal has an API key of this id")]
    SameId,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api_key::{ApiKey, Pepper};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_replaced_without_a_gap() {
        let pepper = Pepper::new([1; 32]);
        let make = || ApiKey::generate().unwrap();
        let stored = |key: &ApiKey| StoredKey { id: key.id(), digest: pepper.digest(key), expires: None };
        let (old, new, third) = (make(), make(), make());
        let mut keys = LiveKeys::default();
        keys.add(stored(&old), at(0)).unwrap();
        assert_eq!(keys.add(stored(&old), at(0)), Err(NotAdded::SameId));
        keys.add(stored(&new), at(1)).unwrap();
        assert_eq!(keys.add(stored(&third), at(1)), Err(NotAdded::TooMany));
        for key in [&old, &new] {
            assert_eq!(StoredKey::prove(keys.get(key.id()), key, &pepper, at(1)), Ok(()));
        }

        // The old key ends in ten seconds, and a later end does not prolong it.
        assert!(keys.end(old.id(), at(10)) && keys.end(old.id(), at(20)) && !keys.end(third.id(), at(10)));
        assert_eq!(keys.live(at(9)).count(), 2);
        assert_eq!(keys.live(at(10)).map(|key| key.id).collect::<Vec<_>>(), [new.id()]);
        assert!(StoredKey::prove(keys.get(old.id()), &old, &pepper, at(10)).is_err());
        keys.add(stored(&third), at(10)).unwrap();
        assert_eq!(keys.get(old.id()), None);

        assert!(keys.revoke(new.id()) && !keys.revoke(new.id()));
        assert!(StoredKey::prove(keys.get(new.id()), &new, &pepper, at(10)).is_err());
        assert_eq!(StoredKey::prove(keys.get(third.id()), &third, &pepper, at(10)), Ok(()));
    }
}
