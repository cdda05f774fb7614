//! Lanes: threads that send requests when they are due.
//!
//! Reading order: [`schedule`] (when requests are due), [`trace`] (or a recorded sequence of them), [`kind`] (which kind comes
//! next), [`pace`] (waits for a moment), [`drive`] (a lane), `closed` (the callers of a closed loop), [`request`] (one request),
//! [`shared`] (what lanes share), [`probe`] (how soon writes are seen).

pub(crate) mod schedule;
pub(crate) mod trace;
pub(crate) mod kind;
pub(crate) mod pace;
pub(crate) mod shared;
pub(crate) mod drive;
mod closed;
pub(crate) mod request;
pub(crate) mod probe;
