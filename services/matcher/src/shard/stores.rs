//! What a shard holds its items in: indexes of each hash type, and records.
//!
//! With a folder, both are files that the system maps and may drop from memory; without one they are memory.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vigie_index::{EqualityIndex, HnswConfig, IndexOptions, OpenError, SegmentError};
use vigie_model::{HashType, Sequence, ShardIdentity};

use crate::saving::folder::{Folder, FolderError};
use crate::saving::snapshot::{self, RestoreError, SaveError};
use crate::shard::pdq::{PdqEngine, PdqIndex};
use crate::shard::records::RecordStore;
use crate::shard::state::Shard;

/// Indexes of every hash type.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) pdq: PdqIndex,
    pub(crate) md5: EqualityIndex<16>,
    pub(crate) sha256: EqualityIndex<32>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) indexes: Indexes,
    pub(crate) records: RecordStore,
    /// The shard's folder in the matcher's; `None` where a snapshot cannot be made of them.
    pub(crate) folder: Option<String>,
}

/// The folder of the records, beside those of the indexes, which are called as the hash types.
pub(crate) const RECORDS: &str = "records";

/// How the stores of a shard are made. A shard that is rebuilt gets new ones.
#[derive(Debug)]
pub(crate) struct StorePlan {
    engine: PdqEngine,
    hnsw: HnswConfig,
    folder: Option<Arc<Folder>>,
}

impl StorePlan {
    /// Bytes of the shard's files; 0 where it has none.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.folder.as_ref().map_or(0, |folder| folder.shard_bytes())
    }

    /// Takes the folder, if there is one.
    pub(crate) fn new(
        engine: PdqEngine,
        hnsw: HnswConfig,
        folder: Option<&Path>,
    ) -> Result<Self, FolderError> {
        Ok(Self { engine, hnsw, folder: folder.map(Folder::take).transpose()?.map(Arc::new) })
    }

    /// Empty stores.
    pub(crate) fn begin(&self) -> Result<Stores, FolderError> {
        let Some(folder) = &self.folder else { return Ok(self.in_memory()) };
        let name = folder.begin_shard()?;
        let home = folder.path().join(&name);
        let of = |hash_type: HashType| home.join(hash_type.name());
        let options = IndexOptions::default();
        let records = home.join(RECORDS);
        fs::create_dir(&records).map_err(|source| FolderError::Prepare { path: records.clone(), source })?;
        let indexes = Indexes {
            pdq: PdqIndex::begin(self.engine, self.hnsw, &of(HashType::Pdq))?,
            md5: EqualityIndex::begin(&of(HashType::Md5), options)?,
            sha256: EqualityIndex::begin(&of(HashType::Sha256), options)?,
        };
        let folder = self.makes_snapshots().then_some(name);
        Ok(Stores { indexes, records: RecordStore::begin(&records), folder })
    }

    /// Empty stores that need no folder.
    pub(crate) fn in_memory(&self) -> Stores {
        let indexes = Indexes {
            pdq: PdqIndex::in_memory(self.engine, self.hnsw),
            md5: EqualityIndex::new(),
            sha256: EqualityIndex::new(),
        };
        Stores { indexes, records: RecordStore::in_memory(), folder: None }
    }

    /// Whether shards can be saved and found again. The approximate engine has no files.
    pub(crate) fn makes_snapshots(&self) -> bool {
        self.folder.is_some() && self.engine == PdqEngine::Exact
    }

    /// The shard that was saved last; `None` where none was, or none can be used.
    pub(crate) fn restore(&self, identity: ShardIdentity) -> Result<Option<Shard>, RestoreError> {
        match &self.folder {
            Some(folder) => snapshot::restore(folder, identity, self.engine),
            None => Ok(None),
        }
    }

    /// Saves a shard, and answers its last change that is in the snapshot.
    pub(crate) fn save(&self, shard: &Shard) -> Result<Sequence, SaveError> {
        let folder = self.folder.as_ref().ok_or(SaveError::NotKept)?;
        snapshot::save(folder, shard, self.engine, &mut |_| Ok(()))
    }

    /// Disowns what was saved.
    pub(crate) fn discard_snapshot(&self) -> Result<(), FolderError> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.discard_snapshot())
    }

    /// Where snapshots are kept, if they can be made.
    pub(crate) fn snapshot_folder(&self) -> Option<&Arc<Folder>> {
        self.folder.as_ref().filter(|_| self.makes_snapshots())
    }

    pub(crate) const fn engine(&self) -> PdqEngine {
        self.engine
    }
}

impl Indexes {
    /// The exact indexes that were saved under this tag in a shard's folder.
    pub(crate) fn open(home: &Path, tag: &[u8]) -> Result<Self, OpenError> {
        let of = |hash_type: HashType| home.join(hash_type.name());
        let options = IndexOptions::default();
        Ok(Self {
            pdq: PdqIndex::open(&of(HashType::Pdq), tag)?,
            md5: EqualityIndex::open_tagged(&of(HashType::Md5), options, tag)?,
            sha256: EqualityIndex::open_tagged(&of(HashType::Sha256), options, tag)?,
        })
    }

    /// Gives up what was saved before this tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        self.pdq.forget_before(tag);
        self.md5.forget_before(tag);
        self.sha256.forget_before(tag);
    }

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
