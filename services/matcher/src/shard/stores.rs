//! What a shard holds its items in: indexes of their hashes, and records.
//!
//! With a folder, both are files that the system maps and may drop from memory; without one they are memory.

use crate::shard::indexes::{IndexPlan, Indexes};
use crate::shard::records::RecordStore;

/// The indexes and records of one shard.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) indexes: Indexes,
    pub(crate) records: RecordStore,
    /// The shard's folder in the matcher's; `None` where a snapshot cannot be made of them.
    pub(crate) folder: Option<String>,
}

/// The folder of the records, beside those of the indexes, which are called as the hash types.
pub(crate) const RECORDS: &str = "records";

impl Stores {
    /// Empty stores without a folder.
    pub(crate) fn in_memory(plan: IndexPlan) -> Self {
        Self { indexes: Indexes::new(plan, None), records: RecordStore::in_memory(), folder: None }
    }
}
