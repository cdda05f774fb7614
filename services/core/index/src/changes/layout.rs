//! The properties that all parts of an index share.

use crate::rows::tail::Keys;

/// The properties that all segments and tails of an index share.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) keys: Keys,
    /// The seed of the permutation in which rows are stored.
    pub(crate) seed: u64,
    /// The distance that tables are built for; `None` for an index without tables.
    pub(crate) distance: Option<u32>,
    /// Whether tables are built to take less memory, which makes searches slower.
    pub(crate) compact: bool,
}
