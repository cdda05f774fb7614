//! Checkpoints of the audit: the size and the root of its tree, signed.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vigie_audit::checkpoint::{Checkpoint, CheckpointError};
use vigie_audit::note::{SignError, SignerKey};
use vigie_audit::tree::{Size, TreeHead};

use crate::config::AuditConfig;
use crate::store::{AuditHead, Store, StoreError};

/// Signs checkpoints: a new one once the audit has grown and the last checkpoint is old enough.
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
    /// The earliest time at which another one is signed.
    good_until: Instant,
}

/// The reasons why there is no checkpoint.
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
    /// Reads the keys. A fault begins with the name of the setting.
    pub(crate) fn new(config: &AuditConfig) -> Result<Self, String> {
        let every = Duration::from_secs(config.checkpoint_seconds.into());
        Ok(Self { keys: config.keys()?, every, last: Mutex::default() })
    }

    /// Returns the newest checkpoint of the audit in this store.
    pub(crate) async fn newest(&self, store: &dyn Store) -> Result<Signed, NoCheckpoint> {
        let origin = self.keys.first().ok_or(NoCheckpoint::NoKey)?.public().name();
        // Concurrent callers wait for the same checkpoint.
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

    /// Returns whether checkpoints are signed at all.
    pub(crate) const fn are_signed(&self) -> bool {
        !self.keys.is_empty()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
