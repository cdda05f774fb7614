//! The engine of both indexes, of bits and of numbers: a list, graphs, and the thread that builds them.
//!
//! Reading order: `metric`, `rows`, `answer` for the parts; `segment` for the graph; `view`, `writer`,
//! `engine` for how they become an index; `recall`.
//!
//! **Shared with the exact index**: entries, edits, filters, cancellation. Not shared, with the reasons:
//!
//! - *Tombstones.* The exact index keeps a bit for each row and a log of removals, because eight bytes are
//!   much compared with its 130 bytes a row. Here a row has a stamp of eight bytes besides several hundred
//!   bytes of its node. The stamp is checked inside the library's search for every visited node, without
//!   reading a log.
//! - *The merge policy.* The exact index rewrites rows by copying them, and merges segments of at most twice
//!   the size. Linking a row into a graph again costs a thousand times as much, and one thread does it. Here
//!   only segments that are not larger are merged, and a graph is rebuilt when a fifth of it is dead, because
//!   dead nodes slow down every search.

pub(crate) mod metric;
pub(crate) mod rows;
pub(crate) mod answer;
pub(crate) mod segment;
pub(crate) mod view;
pub(crate) mod writer;
pub(crate) mod engine;
mod recall;
