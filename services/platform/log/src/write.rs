//! A write's way: into the queue, into a group, planned, committed, answered.

mod keys;
mod queue;
mod stamps;
mod writer;

pub use queue::{Log, WriteLimits};
pub use writer::Writer;
