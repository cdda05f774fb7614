//! The topology that searches read. Each change publishes a whole new view, so a search reads one consistent
//! state without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_model::{HashType, HashTypeSet, Sequence, ShardGroup, VectorClass};

use crate::replicas::extra_calls::{Budget, Latencies};
use crate::replicas::replica::Replica;
use crate::replicas::table::Table;

/// The topology, ready to be searched.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) table: Table,
    pub(crate) replicas: BTreeMap<Arc<str>, Arc<Replica>>,
    /// The groups of shards of the set in use. They are disjoint, and have every shard.
    pub(crate) groups: Vec<Group>,
    /// Whether every name has been looked up, and every matcher heard or found silent, at least once.
    pub(crate) is_complete: bool,
}

/// A replica that may be asked, and the last sequence that it reported.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) replica: Arc<Replica>,
    pub(crate) sequence: Sequence,
    /// The hash types that the replica can search; `None` if it does not report them.
    pub(crate) searched: Option<HashTypeSet>,
}

impl Candidate {
    /// Returns the first of `hash_types` that the replica cannot search because its version may not know it,
    /// if there is one.
    pub(crate) fn lacks(&self, hash_types: &HashTypeSet) -> Option<HashType> {
        let searched = self.searched.as_ref()?;
        // A vector can be searched wherever its class is supported, whatever the shard holds.
        let needed = |hash_type: HashType| hash_type.vector_class().map_or(hash_type, VectorClass::marker);
        hash_types.iter().find(|hash_type| !searched.contains(needed(*hash_type)))
    }
}

/// The shards that one replica is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) shards: ShardGroup,
    /// The replicas that report that they are ready.
    pub(crate) ready: Vec<Candidate>,
    /// The replicas that were ready at their last description, and are silent now.
    pub(crate) silent: Vec<Candidate>,
    /// The number of hashes that the shards were last known to hold.
    pub(crate) hashes_known: u64,
    /// The reasons why no replica is ready, if none is; otherwise empty.
    pub(crate) why_none: String,
    pub(crate) record: Arc<GroupRecord>,
}

/// The budget of extra calls and the recent search latencies of one group.
#[derive(Debug)]
pub(crate) struct GroupRecord {
    pub(crate) budget: Budget,
    pub(crate) latencies: Latencies,
}
