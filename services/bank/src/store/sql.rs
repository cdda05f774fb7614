//! What the two SQL databases have in common: the statements that read and that find items, how rows read back, and the migration of logs.

pub(super) mod rows;
pub(super) mod read;
pub(super) mod find;
pub(super) mod audit;
pub(super) mod changes;
pub(super) mod documents;
pub(super) mod exchanges;
pub(super) mod purges;
pub(super) mod published;
pub(super) mod records;
pub(super) mod rechain;
