//! What is measured: one trait for every engine, a file for each.

mod mih;
mod hnsw;
mod flat;

use std::path::Path;

use vigie_index::{Edit, Entry, Hit};
use vigie_model::{BankId, Distance, ItemId};

use crate::Hash;
use crate::cli::EngineName;

/// Answers queries. [`Hit::entry`] names the row as its item.
pub(crate) trait Search: Send + Sync {
    /// Every row found within `radius` of each query, by distance, then by row.
    fn search(&self, queries: &[Hash], radius: Distance) -> Vec<Vec<Hit>>;
}

/// An index of rows.
pub(crate) trait Engine: Search {
    /// Whether answers are those of a linear scan.
    fn is_exact(&self) -> bool;

    /// Hashes held.
    fn len(&self) -> usize;

    /// The bytes that it says it takes, the hashes included; `None` if it does not say.
    fn account(&self) -> Option<u64>;

    /// How it is written to; `None` if it is built once.
    fn updates(&self) -> Option<&dyn Updates>;
}

/// The writing side of an [`Engine`], while it is searched.
pub(crate) trait Updates: Sync {
    /// Makes the edits visible, all at once.
    fn apply(&self, edits: &[Edit<32>]);

    /// The index as it is now: later edits do not show.
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

/// What a row of the data file leads to.
pub(crate) const fn entry(row: u64) -> Entry {
    Entry { item: ItemId(row), bank: BankId(1) }
}
