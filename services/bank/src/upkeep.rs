//! Looks after stores: proves them, copies them, and makes stores of copies.

pub(crate) mod verify;
pub(crate) mod backup;
