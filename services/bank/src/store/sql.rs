//! The common part of the two SQL databases: statements that read and find items, the decoding of rows, and
//! the migration of logs.

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
