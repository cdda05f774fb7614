//! The keys that a reader of notes trusts.

use std::collections::BTreeMap;

use crate::note::key::{KeyError, KeyId, VerifierKey};

/// The most keys that can be known at once: those of a log and its witnesses, including old ones while they
/// are replaced.
pub const KNOWN_KEYS_MAX: usize = 1_024;

/// The keys that a reader of notes trusts, each under its own name and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys {
    keys: BTreeMap<(String, KeyId), VerifierKey>,
}

impl KnownKeys {
    /// Trusts these keys.
    ///
    /// # Errors
    ///
    /// If two have one name and id, or there are more than [`KNOWN_KEYS_MAX`].
    pub fn new(keys: impl IntoIterator<Item = VerifierKey>) -> Result<Self, KeyError> {
        let mut known = Self::default();
        for key in keys {
            let (name, id) = (key.name().to_owned(), key.id());
            if known.keys.insert((name.clone(), id), key).is_some() {
                return Err(KeyError::Doubled { name, id });
            }
            if known.keys.len() > KNOWN_KEYS_MAX {
                return Err(KeyError::TooMany { given: known.keys.len(), max: KNOWN_KEYS_MAX });
            }
        }
        Ok(known)
    }

    /// Iterates over the keys, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &VerifierKey> {
        self.keys.values()
    }

    /// Returns the key that a signature names.
    pub(crate) fn find(&self, name: &str, id: KeyId) -> Option<&VerifierKey> {
        self.keys.get(&(name.to_owned(), id))
    }
}
