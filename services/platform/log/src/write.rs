//! The path of a write: it is queued, grouped, planned, committed and answered.

mod keys;
mod queue;
mod stamps;
mod writer;

pub use queue::{Log, WriteLimits};
pub use writer::Writer;
