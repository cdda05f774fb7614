//! Approximate indexes, for vectors where no exact index is fast: [`vector_index`] for vectors of numbers,
//! and [`HnswIndex`] for hashes by Hamming distance. Both are [`vigie_index::HashIndex`] implementations.
//!
//! The method is the navigable small-world graph in layers (HNSW; Malkov and Yashunin, IEEE TPAMI 42(4),
//! 2020), from the crate `hnsw_rs`. The crate has no removals, and nothing can be inserted during a search.
//! The crate is therefore used for graphs that are built once:
//!
//! - New rows are in a list that is scanned, until a thread of the index has built a graph of them.
//! - Removed rows are stamped, and excluded by a filter inside the search. A graph is rebuilt when more than
//!   a fifth of it is dead.
//! - A search reads the list and the graphs of one view, and takes no lock that a writer takes. An insertion
//!   or removal is visible to every search that begins after it returned.
//!
//! **What is approximate.** An answer never contains a wrong row, and distances are those of the vectors. But
//! a row may be missing from it, however near it is. After every build the index measures how often: see
//! [`HnswIndex::recall`]. All matching rows of the list are found, and all of a graph that was scanned
//! instead of searched (`graph::segment` states when).
//!
//! **Equal vectors.** Many copies of one vector would divide a graph of the library into parts that no search
//! reaches (`findings/hnsw-rs-equal-points.sh`). A graph therefore has one node for each distinct vector,
//! with all of its items.
//!
//! **Persistence.** There is none: the matcher builds an index from the bank's log. The crate's loader ends
//! the process or panics on damaged files, so its dumps could not be used.
//!
//! Reading order: `config`; `graph` for how graphs become an index; then [`HnswIndex`] in `hashes`, its
//! [`vigie_index::HashIndex`] implementation in `any_hash`, and [`vector_index`] in `vectors`.

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
