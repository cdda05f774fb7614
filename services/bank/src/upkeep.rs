//! Looks after stores: proves them, copies them, makes stores of copies, and has them rid of what was purged.

pub(crate) mod lists;
pub(crate) mod verify;
pub(crate) mod backup;
pub(crate) mod erase;
