//! The folder in which one matcher keeps its shard.
//!
//! ```text
//! lock                     locked while the matcher runs
//! manifest                 the snapshot, if there is one: see `manifest`
//! shard-3/                 the files of one shard; a rebuilt shard gets another folder
//!   pdq/ md5/ sha256/      one index each: segments, and its own manifests
//!   records/               files of records
//! publishing/              links to the files of a snapshot that is being published
//! bootstrapping/           a published snapshot that is being downloaded
//! ```
//!
//! The matcher touches nothing else in the folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use vigie_index::OpenError;

/// Reasons why the folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refused an operation.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// The folder, or an entry in it.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another matcher uses the folder.
    #[error("{} is in use by another matcher", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// An index cannot be created in it.
    #[error(transparent)]
    Index(#[from] OpenError),
}

/// The prefix of the folders of shards. No other folder is ever deleted as a shard.
const SHARD: &str = "shard-";
pub(crate) const MANIFEST: &str = "manifest";
const PUBLISHING: &str = "publishing";
const BOOTSTRAPPING: &str = "bootstrapping";

/// The greatest depth of a shard's folder: each index has a folder, which may have folders in it.
const FOLDERS_DEEP_MAX: u32 = 4;

/// Returns the bytes of all files in a folder. An entry that cannot be read has just been deleted, and counts
/// as 0.
fn bytes_in(folder: &Path, deep_max: u32) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() && deep_max > 0 => bytes_in(&entry.path(), deep_max - 1),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) | Err(_) => 0,
    });
    sizes.sum()
}

/// A matcher's folder, which this process has locked.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held for its lock; never read.
    _lock: File,
    /// The number of the next shard. Each shard has its own folder, because searches may still use the
    /// previous one.
    next_shard: AtomicU64,
    /// The number of the next snapshot.
    next_snapshot: AtomicU64,
    /// The number of the next publication. The links of an aborted one may be deleted only after the next has
    /// begun.
    next_publication: AtomicU64,
}

impl Folder {
    /// Returns the bytes of all files of its shards.
    pub(crate) fn shard_bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let of_shards = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(SHARD));
        of_shards.map(|entry| bytes_in(&entry.path(), FOLDERS_DEEP_MAX)).sum()
    }

    /// Locks the folder, and leaves the shards and the snapshot in it.
    ///
    /// Errors: the folder is in use, or the system refuses.
    pub(crate) fn take(path: &Path) -> Result<Self, FolderError> {
        let fault = |source| FolderError::Prepare { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(fault)?;
        let lock = File::options().write(true).create(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        for passing in [PUBLISHING, BOOTSTRAPPING] {
            remove(&path.join(passing)).map_err(fault)?;
        }
        let numbers = shards_in(path).map_err(fault)?.into_iter().filter_map(|name| number_in(&name));
        let next_shard = AtomicU64::new(numbers.max().map_or(0, |greatest| greatest + 1));
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            next_shard,
            next_snapshot: AtomicU64::new(1),
            next_publication: AtomicU64::new(0),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// Creates a folder for another shard, and returns its name. Without a snapshot, the folders of earlier
    /// shards are deleted; their mapped files stay until the last search is done.
    pub(crate) fn begin_shard(&self) -> Result<String, FolderError> {
        if !self.manifest().exists() {
            self.remove_shards_but(None);
        }
        let name = format!("{SHARD}{}", self.next_shard.fetch_add(1, Ordering::Relaxed));
        let path = self.path.join(&name);
        fs::create_dir(&path).map_err(|source| FolderError::Prepare { path, source })?;
        Ok(name)
    }

    /// Returns the folder of a shard, if the name is one that [`Self::begin_shard`] can return.
    pub(crate) fn shard(&self, name: &str) -> Option<PathBuf> {
        number_in(name).map(|_| self.path.join(name))
    }

    /// Deletes the folders of other shards. A folder that cannot be deleted now is tried again with the next
    /// shard.
    pub(crate) fn remove_shards_but(&self, kept: Option<&str>) {
        for name in shards_in(&self.path).unwrap_or_default() {
            if Some(&*name) != kept {
                let _later = fs::remove_dir_all(self.path.join(name));
            }
        }
    }

    pub(crate) fn next_snapshot(&self) -> u64 {
        self.next_snapshot.fetch_add(1, Ordering::Relaxed)
    }

    /// Continues the numbers of snapshots after one that was found.
    pub(crate) fn count_from(&self, snapshot: u64) {
        self.next_snapshot.fetch_max(snapshot.saturating_add(1), Ordering::Relaxed);
    }

    /// Creates an empty folder for links to the files of a publication.
    pub(crate) fn begin_publishing(&self) -> io::Result<PathBuf> {
        let number = self.next_publication.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(PUBLISHING).join(number.to_string());
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Creates an empty folder for a snapshot from the object store.
    pub(crate) fn begin_bootstrapping(&self) -> io::Result<PathBuf> {
        self.end_bootstrapping()?;
        let path = self.path.join(BOOTSTRAPPING);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Deletes the folder of such a snapshot.
    pub(crate) fn end_bootstrapping(&self) -> io::Result<()> {
        remove(&self.path.join(BOOTSTRAPPING))
    }

    /// Moves a complete snapshot from the folder `from` into this one, and replaces any earlier snapshot:
    /// first the shard, then the manifest. No shard in use has files at the destination.
    pub(crate) fn adopt(&self, from: &Path, shard: &str) -> io::Result<()> {
        let number = number_in(shard).ok_or_else(|| io::Error::other("it is no folder of a shard"))?;
        remove(&self.manifest())?;
        remove(&self.path.join(shard))?;
        self.next_shard.fetch_max(number.saturating_add(1), Ordering::Relaxed);
        fs::rename(from.join(shard), self.path.join(shard))?;
        fs::rename(from.join(MANIFEST), self.manifest())?;
        sync(&self.path)
    }

    /// Discards the snapshot durably, by deleting its manifest.
    pub(crate) fn discard_snapshot(&self) -> Result<(), FolderError> {
        let path = self.manifest();
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.and_then(|()| sync(&self.path)),
        };
        removed.map_err(|source| FolderError::Prepare { path, source })
    }
}

/// Flushes the names in a folder to disk.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes a file or a folder, if it exists.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn shards_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().into_string().ok();
        names.extend(name.filter(|name| number_in(name).is_some()));
    }
    Ok(names)
}

fn number_in(name: &str) -> Option<u64> {
    name.strip_prefix(SHARD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_matcher_and_keeps_what_is_not_its_own() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("notes.txt"), "kept").unwrap();
        let folder = Folder::take(place.path()).unwrap();
        assert!(matches!(Folder::take(place.path()).unwrap_err(), FolderError::InUse { .. }));
        let first = folder.begin_shard().unwrap();
        let second = folder.begin_shard().unwrap();
        assert_ne!(first, second);
        assert!(!folder.shard(&first).unwrap().exists() && folder.shard(&second).unwrap().exists());
        assert!(folder.shard("notes.txt").is_none() && folder.shard("shard-1/..").is_none());
        drop(folder);
        let again = Folder::take(place.path()).unwrap().begin_shard().unwrap();
        assert!(again != first && again != second);
        assert_eq!(fs::read_to_string(place.path().join("notes.txt")).unwrap(), "kept");
    }
}
