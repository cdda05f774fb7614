//! What the bank does with its audit beside writing entries: signs checkpoints, and records the calls that it has counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::Code;
use vigie_access::{Counted, Counts, Tally};
use vigie_audit::checkpoint::{Checkpoint, CheckpointError};
use vigie_audit::note::{KeyKind, SignError, SignerKey};
use vigie_audit::salt::Salts;
use vigie_audit::tree::{LeafIndex, Size, TreeHead};
use vigie_consortium::{Caller, Method, Process};

use crate::log::{CurrentTerm, term};
use crate::plan::audit::{About, By, NewEntry};
use crate::plan::write::{Action, Author, Write};
use crate::store::{AuditHead, Store, StoreError};

/// The most keys: one, and another that replaces it.
const KEYS_MAX: usize = 2;
/// The most time between two checkpoints.
const CHECKPOINT_SECONDS_MAX: u32 = 3_600;
/// How long a counted call waits until it is recorded.
const RECORD_EVERY: Duration = Duration::from_secs(5);
/// How long that may take.
const RECORD_MAX: Duration = Duration::from_secs(3);
/// Counts that are recorded in one write.
const COUNTS_MAX: usize = 1_000;

/// The audit of a consortium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Files with the private keys that sign checkpoints of the audit, as `vigie audit key new` makes them: one, or two while one
    /// replaces the other. Both have one name, which is the origin in each checkpoint. All banks on one database have the same. None:
    /// no checkpoint is signed, so that nobody can prove that the audit was not replaced as a whole.
    #[schemars(length(max = KEYS_MAX), extend("x-value" = "FILE"))]
    pub signing_keys: Vec<PathBuf>,
    /// The least time between two checkpoints, in seconds: proofs of newer entries wait for the next one.
    #[schemars(range(min = 1, max = CHECKPOINT_SECONDS_MAX))]
    pub checkpoint_seconds: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { signing_keys: Vec::new(), checkpoint_seconds: 60 }
    }
}

impl AuditConfig {
    /// Every fault of the values, each beginning with its key. Reads the files.
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

    fn keys(&self) -> Result<Vec<SignerKey>, String> {
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

/// Signs checkpoints: a new one once there are more entries and the last one has its age.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    keys: Vec<SignerKey>,
    every: Duration,
    last: Mutex<Option<Signed>>,
}

/// A signed checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    /// The size of the tree.
    pub(crate) size: Size,
    /// The signed note.
    pub(crate) note: Arc<str>,
    /// Until when no other one is signed.
    good_until: Instant,
}

/// Why there is no checkpoint.
#[derive(Debug, Error)]
pub(crate) enum NoCheckpoint {
    #[error("the bank has no key to sign checkpoints of the audit with: `audit.signing_keys` names none")]
    NoKey,
    #[error("cannot read the audit")]
    Store(#[from] StoreError),
    #[error("cannot make a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    #[error("cannot sign a checkpoint")]
    Sign(#[from] SignError),
}

impl Checkpoints {
    /// Reads the keys; the fault of one begins with its setting.
    pub(crate) fn new(config: &AuditConfig) -> Result<Self, String> {
        let every = Duration::from_secs(config.checkpoint_seconds.into());
        Ok(Self { keys: config.keys()?, every, last: Mutex::default() })
    }

    /// The newest checkpoint of the audit in this store.
    pub(crate) async fn newest(&self, store: &dyn Store) -> Result<Signed, NoCheckpoint> {
        let origin = self.keys.first().ok_or(NoCheckpoint::NoKey)?.public().name();
        // Whoever asks at the same time waits for the same one.
        let mut last = self.last.lock().await;
        let now = Instant::now();
        if let Some(good) = last.as_ref().filter(|last| now < last.good_until) {
            return Ok(good.clone());
        }
        let AuditHead { tree, log } = store.audit_head().await?;
        let good_until = now + self.every;
        let signed = match last.take().filter(|last| last.size == tree.size()) {
            Some(same) => Signed { good_until, ..same },
            None => {
                let head = TreeHead { size: tree.size(), root: tree.root() };
                let bank = format!("bank {} {} {}", hex(&store.log_id().0), log.sequence, hex(&log.chain.0));
                let note =
                    Checkpoint::new(origin, head, &[bank])?.sign(&self.keys.iter().collect::<Vec<_>>())?;
                Signed { size: tree.size(), note: note.to_string().into(), good_until }
            }
        };
        Ok(last.insert(signed).clone())
    }

    /// Whether checkpoints are signed at all.
    pub(crate) const fn are_signed(&self) -> bool {
        !self.keys.is_empty()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Records the calls that the bank has counted itself.
#[derive(Debug)]
pub(crate) struct Recorder {
    tally: Arc<Tally>,
    current: CurrentTerm,
    salts: Arc<Salts>,
    /// Writes so far: each has a key of its own.
    writes: u64,
    /// Counts that are not known to be recorded, and the key of the write.
    pending: Vec<(String, Vec<NewEntry>)>,
}

impl Recorder {
    pub(crate) const fn new(tally: Arc<Tally>, current: CurrentTerm, salts: Arc<Salts>) -> Self {
        Self { tally, current, salts, writes: 0, pending: Vec::new() }
    }

    /// Records again and again, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(RECORD_EVERY).await;
            self.record().await;
        }
    }

    /// Records what has been counted, if this bank serves.
    pub(crate) async fn record(&mut self) {
        // What came meanwhile waits in the tally, where it takes no more room than before.
        if self.pending.is_empty() {
            for counts in self.tally.take_all().chunks(COUNTS_MAX) {
                self.writes += 1;
                // With a space: no caller's key has one.
                let key = format!("recorder {}", hex(&self.salts.of(LeafIndex(u64::MAX - self.writes))));
                self.pending.push((key, counts.iter().map(entry).collect()));
            }
        }
        while let Some((key, entries)) = self.pending.last() {
            let Ok(term) = term(&self.current) else { return };
            let by = Author { caller: Caller::Process(Process::Bank), method: Method::RecordCalls };
            let write = Write { by, action: Action::Record(entries.clone()) };
            let deadline = Instant::now() + RECORD_MAX;
            let written =
                tokio::time::timeout_at(deadline, term.log.write(write, Some(key.clone()), deadline));
            match written.await {
                Ok(Ok(_)) => drop(self.pending.pop()),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "counted calls are not in the audit yet");
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

fn entry(counted: &Counted) -> NewEntry {
    let Counted { who, counts, calls, items, since } = *counted;
    let (action, code, first_item, bank) = match counts {
        Counts::Calls(method, code) => (method.path(), code, None, None),
        Counts::Alarms(sign, item, bank) => (sign.event(), Code::Ok, Some(item), bank),
    };
    NewEntry {
        by: By { member: who.member, principal: who.principal },
        action: action.to_owned(),
        code,
        about: About { banks: bank.into_iter().collect(), first_item, items, sequence: None },
        calls,
        since: Some(since),
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
