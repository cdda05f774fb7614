//! The engines that can be measured: one trait for all, one file for each.

mod mih;
mod hnsw;
mod flat;

use std::path::Path;

use vigie_index::{Edit, Entry, Hit};
use vigie_model::{BankId, Distance, ItemId};

use crate::Hash;
use crate::cli::EngineName;

/// Answers queries. The item of [`Hit::entry`] is the row's number.
pub(crate) trait Search: Send + Sync {
    /// Returns the rows found within `radius` of each query, by distance, then by row.
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>>;
}

/// An index of rows.
pub(crate) trait Engine: Search {
    /// Whether the answers equal those of a linear scan.
    fn is_exact(&self) -> bool;

    /// Returns the number of hashes in the index.
    fn len(&self) -> usize;

    /// Returns the size that the engine itself reports, hashes included, in bytes; `None` if it reports none.
    fn account(&self) -> Option<u64>;

    /// Returns the interface for writing; `None` if the index is built once and does not change.
    fn updates(&self) -> Option<&dyn Updates>;
}

/// The interface for writing to an [`Engine`] while it is searched.
pub(crate) trait Updates: Sync {
    /// Applies the edits; all of them become visible at the same moment.
    fn apply(&self, edits: &[Edit<32>]);

    /// Returns the index in its present state; later edits do not change it.
    fn snapshot(&self) -> Box<dyn Search>;

    /// Whether [`Self::merge`] does anything.
    fn merges(&self) -> bool;

    /// Merges everything into one segment, and returns when that is done.
    fn merge(&self) -> anyhow::Result<()>;
}

/// Builds an index of these rows, its files in `directory` if there is one.
pub(crate) fn build(
    name: EngineName,
    rows: Vec<(Hash, Entry)>,
    directory: Option<&Path>,
) -> anyhow::Result<Box<dyn Engine>> {
    Ok(match name {
        EngineName::Mih => Box::new(mih::build(rows, directory)?),
        EngineName::Hnsw => Box::new(hnsw::build(&rows, directory)?),
        EngineName::Flat => Box::new(flat::build(&rows, directory)?),
    })
}

/// Opens an index that was built in `directory`.
pub(crate) fn open(name: EngineName, directory: &Path) -> anyhow::Result<Box<dyn Engine>> {
    Ok(match name {
        EngineName::Mih => Box::new(mih::open(directory)?),
        EngineName::Hnsw => hnsw::refuse_directory()?,
        EngineName::Flat => flat::refuse_directory()?,
    })
}

/// Returns the entry of a row of the data file.
pub(crate) const fn entry(row: u64) -> Entry {
    Entry { item: ItemId(row), bank: BankId(1) }
}
