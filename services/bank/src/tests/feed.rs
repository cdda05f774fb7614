//! Followers: what they get, and what the log keeps for them.

pub(in crate::tests) mod follow;
mod digest;
mod load;
mod retention;
pub(super) mod published;
