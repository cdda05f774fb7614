//! The index of PDQ hashes: exact or approximate, as configured.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vigie_index::{
    BankFilter, Cancellation, Cancelled, Edit, Entry, Hit, IndexOptions, OpenError, RadiusIndex,
    RadiusSnapshot, SavedFile, SegmentError,
};
use vigie_model::{BankId, Distance, Recall};
use vigie_vectors::{HnswConfig, HnswIndex, HnswSnapshot};

/// Which engine searches PDQ hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PdqEngine {
    /// Finds every hash within the distance.
    #[default]
    Exact,
    /// May miss a match, and is slower than the exact one up to large numbers of hashes: it is there to be compared
    /// with. Answers say that they are approximate.
    Hnsw,
}

/// Hashes that can be searched while they are written to.
#[derive(Debug)]
pub(crate) enum PdqIndex {
    Exact(RadiusIndex<32>),
    Approximate(HnswIndex<32>),
}

/// The index at one moment.
#[derive(Debug)]
pub(crate) enum PdqSnapshot {
    Exact(RadiusSnapshot<32>),
    Approximate(HnswSnapshot<32>),
}

impl PdqIndex {
    /// An empty index. Only the approximate engine has parameters; they have no fault.
    pub(crate) fn in_memory(engine: PdqEngine, hnsw: HnswConfig) -> Self {
        match engine {
            PdqEngine::Exact => Self::Exact(RadiusIndex::new()),
            PdqEngine::Hnsw => Self::Approximate(HnswIndex::new(hnsw)),
        }
    }

    /// An empty index with its files in `folder`. The approximate engine has none.
    pub(crate) fn begin(engine: PdqEngine, hnsw: HnswConfig, folder: &Path) -> Result<Self, OpenError> {
        match engine {
            PdqEngine::Exact => RadiusIndex::begin(folder, IndexOptions::default()).map(Self::Exact),
            PdqEngine::Hnsw => Ok(Self::in_memory(engine, hnsw)),
        }
    }

    /// The exact index that was saved under this tag in `folder`.
    pub(crate) fn open(folder: &Path, tag: &[u8]) -> Result<Self, OpenError> {
        RadiusIndex::open_tagged(folder, IndexOptions::default(), tag).map(Self::Exact)
    }

    /// Writes it down under a tag, and answers the files. The approximate engine has none.
    pub(crate) fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        match self {
            Self::Exact(index) => index.save(tag),
            Self::Approximate(_) => Ok(Vec::new()),
        }
    }

    /// Gives up what was saved before this tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        match self {
            Self::Exact(index) => index.forget_before(tag),
            Self::Approximate(_) => {}
        }
    }

    /// What last went wrong with its files.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Exact(index) => index.footprint().fault,
            Self::Approximate(_) => None,
        }
    }

    /// Waits for a build where the approximate engine's list is full.
    pub(crate) fn apply(&self, edits: &[Edit<32>]) -> usize {
        match self {
            Self::Exact(index) => index.apply(edits),
            Self::Approximate(index) => index.apply(edits),
        }
    }

    /// Adds many hashes at once.
    pub(crate) fn load(&self, pairs: Vec<([u8; 32], Entry)>) -> Result<(), SegmentError> {
        match self {
            Self::Exact(index) => index.load(pairs),
            Self::Approximate(index) => {
                for pairs in pairs.chunks(EDITS_AT_ONCE) {
                    let edits: Vec<_> =
                        pairs.iter().map(|(hash, entry)| Edit::Insert(*hash, *entry)).collect();
                    index.apply(&edits);
                }
                Ok(())
            }
        }
    }

    /// Makes one segment of everything; the approximate engine does what it needs by itself.
    pub(crate) fn merge(&self) -> Result<(), SegmentError> {
        match self {
            Self::Exact(index) => index.merge(),
            Self::Approximate(_) => Ok(()),
        }
    }

    pub(crate) fn remove_bank(&self, bank: BankId) -> usize {
        match self {
            Self::Exact(index) => index.remove_bank(bank),
            Self::Approximate(index) => index.remove_bank(bank),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Exact(index) => index.len(),
            Self::Approximate(index) => index.len(),
        }
    }

    pub(crate) const fn is_exact(&self) -> bool {
        match self {
            Self::Exact(index) => index.is_exact(),
            Self::Approximate(index) => index.is_exact(),
        }
    }

    pub(crate) fn recall(&self) -> Option<Recall> {
        match self {
            Self::Exact(_) => None,
            Self::Approximate(index) => index.recall(),
        }
    }

    pub(crate) fn snapshot(&self) -> PdqSnapshot {
        match self {
            Self::Exact(index) => PdqSnapshot::Exact(index.snapshot()),
            Self::Approximate(index) => PdqSnapshot::Approximate(index.snapshot()),
        }
    }
}

/// Hashes that the approximate engine is given at once: its list has to have room for them.
const EDITS_AT_ONCE: usize = 1_024;

impl PdqSnapshot {
    pub(crate) const fn is_exact(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Approximate(_) => false,
        }
    }

    /// Hands over every hash that it finds within `radius` of each query, with the number of the query.
    pub(crate) fn each(
        &self,
        queries: &[[u8; 32]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        mut take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        match self {
            Self::Exact(snapshot) => snapshot.each(queries, radius, filter, cancel, take),
            Self::Approximate(snapshot) => {
                for (query, hits) in snapshot.search(queries, radius, filter, cancel)?.into_iter().enumerate()
                {
                    hits.into_iter().for_each(|hit| take(query, hit));
                }
                Ok(())
            }
        }
    }
}
