//! The topology as searches see it. A new view replaces the whole, so each search reads one state of it without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_model::{HashType, HashTypeSet, Sequence, ShardIdentity, VectorClass};

use crate::replicas::extra_calls::{Budget, Latencies};
use crate::replicas::replica::Replica;
use crate::replicas::table::Table;

/// The topology as it can be searched.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) table: Table,
    pub(crate) replicas: BTreeMap<Arc<str>, Arc<Replica>>,
    /// Each shard of the set in use.
    pub(crate) shards: Vec<Shard>,
    /// Every name has been looked up and every matcher heard or found silent, once.
    pub(crate) is_complete: bool,
}

/// A replica that may be asked, and how far it is known to have come.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) replica: Arc<Replica>,
    pub(crate) sequence: Sequence,
    /// The hash types that it can search; `None` if it does not report them.
    pub(crate) searched: Option<HashTypeSet>,
}

impl Candidate {
    /// The first of these types that the replica cannot search: its version may not know it.
    pub(crate) fn lacks(&self, hash_types: &HashTypeSet) -> Option<HashType> {
        let searched = self.searched.as_ref()?;
        // A vector is searched where its class is, whatever the shard holds.
        let needed = |hash_type: HashType| hash_type.vector_class().map_or(hash_type, VectorClass::marker);
        hash_types.iter().find(|hash_type| !searched.contains(needed(*hash_type)))
    }
}

/// A shard as it can be asked now.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) identity: ShardIdentity,
    /// Replicas that say that they are ready.
    pub(crate) ready: Vec<Candidate>,
    /// Replicas that said so when they were last heard.
    pub(crate) silent: Vec<Candidate>,
    /// Hashes that it was last known to hold.
    pub(crate) hashes_known: u64,
    /// Why no replica is ready, if none is.
    pub(crate) why_none: String,
    pub(crate) record: Arc<ShardRecord>,
}

/// The latencies of a shard's recent searches.
#[derive(Debug)]
pub(crate) struct ShardRecord {
    pub(crate) budget: Budget,
    pub(crate) latencies: Latencies,
}
