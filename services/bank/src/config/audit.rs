//! The settings of the audit, and the keys that they name.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_audit::note::{KeyKind, SignerKey};

/// The most keys: one, and one that replaces it.
const KEYS_MAX: usize = 2;
/// The most time between two checkpoints.
const CHECKPOINT_SECONDS_MAX: u32 = 3_600;

/// The audit of a consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Files with the private keys that sign checkpoints of the audit, as `vigie audit key new` makes them:
    /// one, or two while one replaces the other. Both have the same name, which is the origin in each
    /// checkpoint. All banks on one database have the same keys. Without a key no checkpoint is signed, so
    /// that nobody can prove that the audit was not replaced as a whole.
    #[schemars(length(max = KEYS_MAX), extend("x-value" = "FILE"))]
    pub signing_keys: Vec<PathBuf>,
    /// The least time between two checkpoints, in seconds. Proofs of newer entries wait for the next one.
    #[schemars(range(min = 1, max = CHECKPOINT_SECONDS_MAX))]
    pub checkpoint_seconds: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { signing_keys: Vec::new(), checkpoint_seconds: 60 }
    }
}

impl AuditConfig {
    /// Returns every fault of the values, each beginning with its key. Reads the key files.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=CHECKPOINT_SECONDS_MAX).contains(&self.checkpoint_seconds) {
            let (is, max) = (self.checkpoint_seconds, CHECKPOINT_SECONDS_MAX);
            faults.push(format!("checkpoint_seconds: is {is}; it must be 1 to {max}"));
        }
        faults.extend(self.keys().err());
        faults
    }

    /// Reads the keys from their files. A fault begins with the name of the setting.
    pub(crate) fn keys(&self) -> Result<Vec<SignerKey>, String> {
        let paths = &self.signing_keys;
        if paths.len() > KEYS_MAX {
            return Err(format!("signing_keys: has {} files; it may have at most {KEYS_MAX}", paths.len()));
        }
        let read = |path: &PathBuf| {
            read_key(path).map_err(|fault| format!("signing_keys: {}: {fault}", path.display()))
        };
        let keys = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let names = keys.iter().map(|key| key.public().name());
        if names.clone().zip(names.skip(1)).any(|(one, next)| one != next) {
            return Err("signing_keys: the keys have different names; they must have one".to_owned());
        }
        Ok(keys)
    }
}

fn read_key(path: &Path) -> Result<SignerKey, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let key: SignerKey = text.trim_end().parse().map_err(|error| format!("{error}"))?;
    match key.public().kind() {
        KeyKind::Log => Ok(key),
        kind @ KeyKind::Witness => {
            Err(format!("is a {kind}, and a checkpoint is signed by the key of a log"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let file = |file: &str, name: &str, kind| {
            let path = folder.path().join(file);
            std::fs::write(&path, SignerKey::generate(name, kind).unwrap().to_secret_text() + "\n").unwrap();
            path
        };
        let (one, other) = (file("one", "a/audit", KeyKind::Log), file("other", "a/audit", KeyKind::Log));
        let (another, witness) = (file("3", "b/audit", KeyKind::Log), file("4", "a/audit", KeyKind::Witness));
        let faults = |signing_keys: &[&PathBuf]| {
            let signing_keys = signing_keys.iter().map(|path| (*path).clone()).collect();
            AuditConfig { signing_keys, ..AuditConfig::default() }.faults()
        };
        assert_eq!(faults(&[]), Vec::<String>::new());
        assert_eq!(faults(&[&one, &other]), Vec::<String>::new());
        let first = |keys: &[&PathBuf]| faults(keys).remove(0);
        assert!(first(&[&one, &another]).contains("the keys have different names"));
        assert!(first(&[&witness]).contains("is a key of a witness (0x04), and a checkpoint"));
        assert!(first(&[&one, &other, &one]).contains("has 3 files; it may have at most 2"));
        assert!(first(&[&folder.path().join("none")]).contains("none: cannot be read"));
        let config = AuditConfig { checkpoint_seconds: 0, ..AuditConfig::default() };
        assert_eq!(config.faults(), ["checkpoint_seconds: is 0; it must be 1 to 3600"]);
    }
}
