//! What a shard holds its items in: indexes of their hashes, and records.
//!
//! Both lie in memory. With a folder, they are beside that in files, from which a matcher goes on after a restart.

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
