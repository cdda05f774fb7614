//! Followers: what they get, and what the log keeps for them.

pub(in crate::tests) mod follow;
pub(in crate::tests) mod digest;
pub(in crate::tests) mod load;
mod retention;
pub(super) mod published;
