//! The key by which the processes of a local cluster know each other.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;

/// The file with the key, in the cluster's folder. It is drawn where there is none yet, and only its owner may read it.
pub(super) fn prepare(data: &Path) -> anyhow::Result<PathBuf> {
    let path = data.join("cluster.key");
    if !path.exists() {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let drawn = || rand::rng().random::<u128>();
        let written = options.open(&path).and_then(|mut file| {
            writeln!(file, "{:032x}{:032x}", drawn(), drawn())?;
            file.sync_all()
        });
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}
