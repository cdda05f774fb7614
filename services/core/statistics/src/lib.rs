//! Statistics.

pub mod month;
pub mod cell;
pub mod latency;
pub mod suppress;
pub mod fields;
pub mod report;
pub mod render;
pub mod statement;
