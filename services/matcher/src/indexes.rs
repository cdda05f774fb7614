//! The indexes of a shard, and where they keep their files.
//!
//! With a folder, segments are files that the system maps and may drop from memory; without one they are memory. What
//! they hold is rebuilt from the bank's log when the matcher starts, so the folder is emptied then.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use vigie_index::{EqualityIndex, HnswConfig, IndexOptions, OpenError, SegmentError};
use vigie_model::HashType;

use crate::pdq::{PdqEngine, PdqIndex};
use crate::records::RecordStore;

/// Indexes of every hash type.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) pdq: PdqIndex,
    pub(crate) md5: EqualityIndex<16>,
    pub(crate) sha256: EqualityIndex<32>,
}

/// The folder cannot be taken into use.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refused.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another matcher runs on it.
    #[error("{} is in use by another matcher", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// An index cannot be begun in it.
    #[error(transparent)]
    Index(#[from] OpenError),
}

/// How indexes are made. A shard that is rebuilt gets new ones.
#[derive(Debug)]
pub(crate) struct IndexPlan {
    engine: PdqEngine,
    hnsw: HnswConfig,
    folder: Option<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held, not read.
    _lock: File,
    /// Shards so far. Each has a folder of its own, since searches may still go on in the one before.
    lives: AtomicU64,
}

impl IndexPlan {
    /// Takes the folder, if there is one, and empties it.
    pub(crate) fn new(
        engine: PdqEngine,
        hnsw: HnswConfig,
        folder: Option<&Path>,
    ) -> Result<Self, FolderError> {
        Ok(Self { engine, hnsw, folder: folder.map(Folder::take).transpose()? })
    }

    /// Empty indexes and records.
    pub(crate) fn begin(&self) -> Result<(Indexes, RecordStore), FolderError> {
        let Some(folder) = &self.folder else { return Ok((self.in_memory(), RecordStore::in_memory())) };
        let life = folder.next_life()?;
        let of = |hash_type: HashType| life.join(hash_type.name());
        let options = IndexOptions::default();
        let records = life.join(RECORDS);
        fs::create_dir(&records).map_err(|source| FolderError::Prepare { path: records.clone(), source })?;
        let indexes = Indexes {
            pdq: PdqIndex::begin(self.engine, self.hnsw, &of(HashType::Pdq))?,
            md5: EqualityIndex::begin(&of(HashType::Md5), options)?,
            sha256: EqualityIndex::begin(&of(HashType::Sha256), options)?,
        };
        Ok((indexes, RecordStore::begin(&records)))
    }

    /// Empty indexes that need no folder.
    pub(crate) fn in_memory(&self) -> Indexes {
        Indexes {
            pdq: PdqIndex::in_memory(self.engine, self.hnsw),
            md5: EqualityIndex::new(),
            sha256: EqualityIndex::new(),
        }
    }
}

impl Indexes {
    /// Makes one segment of each.
    pub(crate) fn merge(&self) -> Result<(), SegmentError> {
        self.pdq.merge()?;
        self.md5.merge()?;
        self.sha256.merge()
    }

    /// What last went wrong with their files. Nothing is lost by it.
    pub(crate) fn fault(&self) -> Option<String> {
        self.pdq.fault().or_else(|| self.md5.footprint().fault).or_else(|| self.sha256.footprint().fault)
    }
}

impl Folder {
    fn take(path: &Path) -> Result<Self, FolderError> {
        let fault = |source| FolderError::Prepare { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(fault)?;
        let lock = File::options().write(true).create(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock, lives: AtomicU64::new(0) };
        folder.remove_lives().map_err(fault)?;
        Ok(folder)
    }

    /// A folder for another shard; those before lose their names, and what is mapped of them stays until the last
    /// search is done.
    fn next_life(&self) -> Result<PathBuf, FolderError> {
        let fault = |source| FolderError::Prepare { path: self.path.clone(), source };
        self.remove_lives().map_err(fault)?;
        let life = self.path.join(format!("{LIFE}{}", self.lives.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&life).map_err(fault)?;
        Ok(life)
    }

    fn remove_lives(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(LIFE) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The folder of the records, beside those of the indexes, which are called as the hash types.
const RECORDS: &str = "records";

/// Only folders whose names begin like this are ever deleted.
const LIFE: &str = "shard-";

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(folder: &Path) -> Result<IndexPlan, FolderError> {
        IndexPlan::new(PdqEngine::Exact, HnswConfig::default(), Some(folder))
    }

    #[test]
    fn a_folder_serves_one_matcher_and_keeps_what_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "kept").unwrap();
        let first = plan(folder.path()).unwrap();
        assert!(matches!(plan(folder.path()).unwrap_err(), FolderError::InUse { .. }));
        let (indexes, _) = first.begin().unwrap();
        // A rebuilt shard begins beside the one that is still searched.
        let (rebuilt, _) = first.begin().unwrap();
        assert!(indexes.md5.is_empty() && rebuilt.md5.is_empty());
        drop((indexes, rebuilt, first));
        plan(folder.path()).unwrap().begin().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "kept");
        let lives = fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(LIFE));
        assert_eq!(lives.count(), 1);
    }
}
