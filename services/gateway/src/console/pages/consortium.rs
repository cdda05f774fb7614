//! The consortium: members with their principals and keys, shared banks, and policies.

mod day;
pub(crate) mod members;
pub(crate) mod sharing;
pub(crate) mod policies;
