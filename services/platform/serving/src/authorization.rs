//! The caller's identity, and the decision whether a call may go on.

pub(crate) mod guard;
pub(crate) mod identity;
