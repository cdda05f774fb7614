//! The storage of a shard's items: the indexes of their hashes, and their records.
//!
//! Both are in memory. With a folder they are also in files, from which a matcher continues after a restart.

use crate::shard::indexes::{IndexPlan, Indexes};
use crate::shard::records::RecordStore;

/// The indexes and records of one shard.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) indexes: Indexes,
    pub(crate) records: RecordStore,
    /// The shard's folder in the matcher's folder; `None` if no snapshot can be made of these stores.
    pub(crate) folder: Option<String>,
}

/// The folder of the records. The folders of the indexes beside it are named by hash types.
pub(crate) const RECORDS: &str = "records";

impl Stores {
    /// Returns empty stores without a folder.
    pub(crate) fn in_memory(plan: IndexPlan) -> Self {
        Self { indexes: Indexes::new(plan, None), records: RecordStore::in_memory(), folder: None }
    }
}
