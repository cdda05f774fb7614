//! What a shard holds its items in: indexes of each hash type, and records.
//!
//! With a folder, both are files that the system maps and may drop from memory; without one they are memory.

use std::path::Path;

use vigie_index::{EqualityIndex, IndexOptions, OpenError, SegmentError};
use vigie_model::HashType;
use vigie_vectors::HnswConfig;

use crate::shard::pdq::{PdqEngine, PdqIndex};
use crate::shard::records::RecordStore;

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

impl Stores {
    /// Empty stores without a folder.
    pub(crate) fn in_memory(engine: PdqEngine, hnsw: HnswConfig) -> Self {
        let indexes = Indexes {
            pdq: PdqIndex::in_memory(engine, hnsw),
            md5: EqualityIndex::new(),
            sha256: EqualityIndex::new(),
        };
        Self { indexes, records: RecordStore::in_memory(), folder: None }
    }
}

impl Indexes {
    /// Empty indexes in a shard's folder.
    pub(crate) fn begin(home: &Path, engine: PdqEngine, hnsw: HnswConfig) -> Result<Self, OpenError> {
        let of = |hash_type: HashType| home.join(hash_type.to_string());
        let options = IndexOptions::default();
        Ok(Self {
            pdq: PdqIndex::begin(engine, hnsw, &of(HashType::PDQ))?,
            md5: EqualityIndex::begin(&of(HashType::MD5), options)?,
            sha256: EqualityIndex::begin(&of(HashType::SHA256), options)?,
        })
    }

    /// The exact indexes that were saved under this tag in a shard's folder.
    pub(crate) fn open(home: &Path, tag: &[u8]) -> Result<Self, OpenError> {
        let of = |hash_type: HashType| home.join(hash_type.to_string());
        let options = IndexOptions::default();
        Ok(Self {
            pdq: PdqIndex::open(&of(HashType::PDQ), tag)?,
            md5: EqualityIndex::open_tagged(&of(HashType::MD5), options, tag)?,
            sha256: EqualityIndex::open_tagged(&of(HashType::SHA256), options, tag)?,
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
