//! What changes beneath a search: moments, views, merges, and the store that makes them.

pub(crate) mod moment;
pub(crate) mod view;
pub(crate) mod merge;
pub(crate) mod store;
