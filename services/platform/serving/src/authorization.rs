//! Who calls, and whether the call may go on.

pub(crate) mod guard;
pub(crate) mod identity;
