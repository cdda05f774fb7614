//! What the indexes are asked, what they answer, and how they are stopped.

pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod cancel;
pub(crate) mod audit;
