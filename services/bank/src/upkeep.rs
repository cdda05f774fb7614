//! Maintains stores: proves them, copies them, restores copies, and clears purged data from their files.

pub(crate) mod lists;
pub(crate) mod verify;
pub(crate) mod backup;
pub(crate) mod erase;
