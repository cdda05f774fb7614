//! The changing parts of an index: moments, views, merges, and the store that creates them.

pub(crate) mod moment;
pub(crate) mod view;
pub(crate) mod merge;
pub(crate) mod layout;
mod writer;
mod job;
mod merger;
pub(crate) mod store;
