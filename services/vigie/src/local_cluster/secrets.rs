//! The secrets of a local cluster: by which its processes know each other, and with which its bank signs the
//! audit.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;
use vigie_audit::note::{KeyKind, SignerKey};

/// The origin of a local cluster's audit.
const AUDIT: &str = "vigie.local/audit";

/// The files with the secrets, in the cluster's folder.
#[derive(Debug)]
pub(super) struct Secrets {
    /// The key of the cluster's processes.
    pub(super) cluster_key: PathBuf,
    /// The key that signs checkpoints of the audit.
    pub(super) audit_key: PathBuf,
}

impl Secrets {
    /// Draws those that are not there yet. Only their owner may read them.
    pub(super) fn prepare(data: &Path) -> anyhow::Result<Self> {
        let drawn = || rand::rng().random::<u128>();
        let cluster_key =
            drawn_once(data.join("cluster.key"), || Ok(format!("{:032x}{:032x}", drawn(), drawn())))?;
        let audit_key = drawn_once(data.join("audit.key"), || {
            Ok(SignerKey::generate(AUDIT, KeyKind::Log)?.to_secret_text())
        })?;
        Ok(Self { cluster_key, audit_key })
    }
}

/// A file with a secret, which is drawn where the file is not there.
fn drawn_once(path: PathBuf, draw: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<PathBuf> {
    if !path.exists() {
        let secret = draw()?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| {
            writeln!(file, "{secret}")?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}
