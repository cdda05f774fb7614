//! Approximate indexes, for vectors where nothing exact is fast: [`vector_index`] for vectors of numbers, and [`HnswIndex`] for hashes by
//! Hamming distance. Both are [`vigie_index::HashIndex`].
//!
//! The method is the navigable small-world graph in layers (HNSW; Malkov and Yashunin, IEEE TPAMI 42(4), 2020), by
//! the crate `hnsw_rs`. The crate has no removals, and nothing can be inserted while it is searched. So it is used
//! as a store of graphs that are built once:
//!
//! - What is new stands in a list that is scanned, until a thread of the index has built a graph of it.
//! - What is removed is stamped, and left out by a filter inside the search. A graph of which more than a fifth has
//!   died is built again.
//! - A search looks through the list and the graphs of one view, and takes no lock that a writer takes.
//!   An insertion or removal is visible to every search that begins after it returned.
//!
//! **What is approximate.** An answer never holds what does not belong there, and distances are those of the
//! vectors; but something may be missing from it, however near it is. How often is measured after every build, by
//! [`HnswIndex::recall`]. Everything in the list is found, as is everything in a graph for which a scan was taken
//! instead (`graph::segment` says when).
//!
//! **Equal vectors.** Many copies of one vector would cut a graph of the library into parts that no search reaches
//! (`findings/hnsw-rs-equal-points.sh`), so a graph has one node for each distinct vector, with all items that bear it.
//!
//! **Persistence.** There is none: the matcher builds an index from the bank's log. The crate's loader ends the
//! process or panics on damaged files, so its dumps could not be used.
//!
//! Reading order: `config`; `graph` for how graphs become an index; then [`HnswIndex`] in `hashes`, the same as a
//! [`vigie_index::HashIndex`] in `any_hash`, and [`vector_index`] in `vectors`.

mod config;
mod graph;
mod hashes;
mod any_hash;
mod vectors;

pub use any_hash::hamming_index;
pub use config::HnswConfig;
pub use hashes::{HnswIndex, HnswSnapshot};
pub use vectors::vector_index;

#[cfg(test)]
mod tests;
