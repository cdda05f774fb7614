//! Statistics.

pub mod month;
pub mod cell;
pub mod latency;
pub mod suppress;
