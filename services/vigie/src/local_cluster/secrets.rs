//! The secrets of a local cluster: the key by which its processes authenticate to each other, and the key
//! with which its bank signs the audit.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;
use vigie_audit::note::{KeyKind, SignerKey};

/// Origin of the log of a local cluster's audit.
const AUDIT: &str = "vigie.local/audit";

/// The paths of the secrets in the cluster's folder.
#[derive(Debug)]
pub(super) struct Secrets {
    /// File with the key of the cluster's processes.
    pub(super) cluster_key: PathBuf,
    /// File with the key that signs checkpoints of the audit.
    pub(super) audit_key: PathBuf,
}

impl Secrets {
    /// Generates the secrets that do not exist yet. Only their owner may read the files.
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

/// Returns the path of a secret, and generates it first if the file does not exist.
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
