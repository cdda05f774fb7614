//! Creates, saves and opens the stores of a shard: in memory or in a folder, with the configured engine.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vigie_model::{Sequence, ShardIdentity};

use crate::saving::folder::{Folder, FolderError};
use crate::saving::snapshot::{self, RestoreError, SaveError};
use crate::shard::indexes::{IndexPlan, Indexes};
use crate::shard::pdq::PdqEngine;
use crate::shard::records::RecordStore;
use crate::shard::state::Shard;
use crate::shard::stores::{RECORDS, Stores};

/// The settings of a shard's stores. A shard that is rebuilt gets new stores.
#[derive(Debug)]
pub(crate) struct StorePlan {
    indexes: IndexPlan,
    folder: Option<Arc<Folder>>,
}

impl StorePlan {
    /// Returns the bytes of the shard's files; 0 without files.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.folder.as_ref().map_or(0, |folder| folder.shard_bytes())
    }

    /// Locks the folder, if there is one.
    pub(crate) fn new(indexes: IndexPlan, folder: Option<&Path>) -> Result<Self, FolderError> {
        Ok(Self { indexes, folder: folder.map(Folder::take).transpose()?.map(Arc::new) })
    }

    /// Returns empty stores, in the folder if there is one.
    pub(crate) fn begin(&self) -> Result<Stores, FolderError> {
        let Some(folder) = &self.folder else { return Ok(self.in_memory()) };
        let name = folder.begin_shard()?;
        let home = folder.path().join(&name);
        let records = home.join(RECORDS);
        fs::create_dir(&records).map_err(|source| FolderError::Prepare { path: records.clone(), source })?;
        let indexes = Indexes::new(self.indexes.clone(), Some(&home));
        let folder = self.makes_snapshots().then_some(name);
        Ok(Stores { indexes, records: RecordStore::begin(&records), folder })
    }

    /// Returns empty stores without files.
    pub(crate) fn in_memory(&self) -> Stores {
        Stores::in_memory(self.indexes.clone())
    }

    /// Returns whether shards are in files, whether or not snapshots are made of them.
    pub(crate) const fn keeps_files(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns whether shards can be saved and restored. The approximate engine has no files.
    pub(crate) fn makes_snapshots(&self) -> bool {
        self.folder.is_some() && self.indexes.pdq_engine == PdqEngine::Exact
    }

    /// Returns the shard that was saved last, or `None` if there is none.
    ///
    /// Errors: the snapshot cannot be used.
    pub(crate) fn restore(&self, identity: ShardIdentity) -> Result<Option<Shard>, RestoreError> {
        match &self.folder {
            Some(folder) => snapshot::restore(folder, identity, &self.indexes),
            None => Ok(None),
        }
    }

    /// Saves a shard. Returns the last change that is in the snapshot.
    pub(crate) fn save(&self, shard: &Shard) -> Result<Sequence, SaveError> {
        let folder = self.folder.as_ref().ok_or(SaveError::NotKept)?;
        snapshot::save(folder, shard, &mut |_| Ok(()))
    }

    /// Discards the snapshot.
    pub(crate) fn discard_snapshot(&self) -> Result<(), FolderError> {
        self.folder.as_ref().map_or(Ok(()), |folder| folder.discard_snapshot())
    }

    /// Returns the folder of snapshots, if snapshots can be made.
    pub(crate) fn snapshot_folder(&self) -> Option<&Arc<Folder>> {
        self.folder.as_ref().filter(|_| self.makes_snapshots())
    }

    pub(crate) const fn indexes(&self) -> &IndexPlan {
        &self.indexes
    }
}
