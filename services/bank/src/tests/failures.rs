//! Tests with failing stores, and of banks that take over from each other.

pub(in crate::tests) mod faulty;
mod faults;
pub(in crate::tests) mod standby;
mod disasters;
mod away;
mod encrypted;
