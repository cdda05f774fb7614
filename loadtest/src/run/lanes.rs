//! Lanes: threads that send requests when they are due.
//!
//! Reading order: [`schedule`] (when requests are due), [`trace`] (a recorded schedule), [`kind`] (which kind
//! comes next), [`pace`] (waits for a moment), [`drive`] (a lane), `closed` (the callers of a closed loop),
//! [`request`] (one request), [`shared`] (the state that lanes share), [`probe`] (how soon writes become
//! visible).

pub(crate) mod schedule;
pub(crate) mod trace;
pub(crate) mod kind;
pub(crate) mod pace;
pub(crate) mod shared;
pub(crate) mod drive;
mod closed;
pub(crate) mod request;
pub(crate) mod probe;
