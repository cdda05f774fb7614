//! What is alike in all parts of an index.

use crate::rows::tail::Keys;

/// What is alike in all segments and tails of an index.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) keys: Keys,
    /// The seed of the permutation that rows are stored under.
    pub(crate) seed: u64,
    /// The distance that tables are made for; `None` for an index that needs none.
    pub(crate) distance: Option<u32>,
    /// Whether tables take less memory, and searches longer.
    pub(crate) compact: bool,
}
