//! Who takes part: members with their principals and keys, what they share, and their policies.

mod day;
pub(crate) mod members;
pub(crate) mod sharing;
pub(crate) mod policies;
