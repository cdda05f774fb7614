//! One engine for bits and numbers: a list, graphs, and the thread that builds them.
//!
//! Reading order: `metric`, `rows`, `answer` for the parts; `segment` for the graph; `view`, `writer`, `engine` for how they
//! become an index; `recall`.
//!
//! **Shared with the exact index**: entries, edits, filters, cancellation. Not shared, and why:
//!
//! - *Tombstones.* The exact index keeps a bit for each row and a log of removals, because eight bytes a row are much beside
//!   its 130. A row here has a stamp of eight bytes beside some hundreds of its node, which answers within the search of the
//!   library, for every node that it visits, without a look at a log.
//! - *The merge policy.* The exact index rewrites rows by copying them, and merges what is at most twice as large. Linking a
//!   row to a graph again costs a thousand times as much, and one thread does it: only what is no larger is merged, and a
//!   graph is built again when a fifth of it has died, because dead nodes slow every search.

pub(crate) mod metric;
pub(crate) mod rows;
pub(crate) mod answer;
pub(crate) mod segment;
pub(crate) mod view;
pub(crate) mod writer;
pub(crate) mod engine;
mod recall;
