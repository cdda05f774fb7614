//! The folder of a cluster's data.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;

/// Prefix of the folder of a matcher, before the number of its shard.
pub(super) const MATCHER_FOLDER: &str = "matcher-";

/// Removes the folders of matchers that an earlier cluster with more shards left behind. Nothing would delete
/// from them the items that are later removed from the bank.
pub(super) fn remove_other_matchers(data: &Path, shard_count: u16) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", data.display()))?;
        let name = entry.file_name();
        let shard = name.to_str().and_then(|name| name.strip_prefix(MATCHER_FOLDER)?.parse::<u16>().ok());
        if shard.is_some_and(|shard| shard >= shard_count) {
            let path = entry.path();
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Creates the folder if necessary, and locks it.
pub(super) fn lock(data: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.try_lock().with_context(|| format!("another cluster runs on {}", data.display()))?;
    Ok(file)
}

/// Returns the path as text, as the URL of a store requires.
pub(super) fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
