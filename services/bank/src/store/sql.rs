//! What the two SQL databases have in common: the statements that read, how rows read back, and the migration of logs.

pub(super) mod rows;
pub(super) mod read;
pub(super) mod rechain;
