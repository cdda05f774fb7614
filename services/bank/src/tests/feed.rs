//! Tests of followers: the messages that they get, and the changes that the log keeps for them.

pub(in crate::tests) mod follow;
pub(in crate::tests) mod digest;
pub(in crate::tests) mod load;
mod retention;
pub(super) mod published;
