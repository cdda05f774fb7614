//! Who serves which shard, and how far each has come.

use crate::digest::SetDigest;
use crate::sequence::Sequence;
use crate::shard::{ShardCount, ShardIdentity};
use vigie_hashes::{HashType, HashTypeSet};

/// How much of the truth an approximate index was measured to find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// The share of the true nearest neighbours that it found, 0 to 1.
    pub value: f64,
    /// Over how many queries.
    pub sample: u32,
    /// Neighbours of each query.
    pub k: u32,
}

/// Living hashes of one type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HashCount {
    /// The type.
    pub hash_type: HashType,
    /// How many.
    pub hashes: u64,
    /// Whether the replica can search them; it cannot where its build has no row for the type.
    pub is_searched: bool,
    /// Whether their index finds everything.
    pub exact: bool,
    /// What an approximate index finds, once that was measured; before, everything in it is still scanned.
    pub recall: Option<Recall>,
}

/// What a matcher says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaDescription {
    /// Its shard, and of how many.
    pub identity: ShardIdentity,
    /// The last change that it has applied.
    pub sequence: Sequence,
    /// The newest change that it has heard of.
    pub head: Sequence,
    /// `None` where it is to be asked; otherwise why not.
    pub unready_reason: Option<String>,
    /// Living items.
    pub items: u64,
    /// Their hashes, by type.
    pub hashes: Vec<HashCount>,
    /// What the hashes come to as of `sequence`.
    pub digest: SetDigest,
    /// Memory that its process holds, mapped files included; 0 where it is not known.
    pub memory_bytes: u64,
    /// A number that its process drew when it started: replicas of one process share its memory. 0 where it is not known.
    pub process_id: u64,
}

impl ReplicaDescription {
    /// The types that it can search; `None` if it reports no counts, and so not which.
    #[must_use]
    pub fn searched(&self) -> Option<HashTypeSet> {
        let searched = self.hashes.iter().filter(|count| count.is_searched).map(|count| count.hash_type);
        (!self.hashes.is_empty()).then(|| searched.collect())
    }

    /// Living hashes of all types.
    #[must_use]
    pub fn hash_count(&self) -> u64 {
        self.hashes.iter().map(|count| count.hashes).sum()
    }
}

/// What the coordinator makes of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// It answers searches.
    Ready,
    /// It answers, but is starting, behind or draining.
    NotReady,
    /// It does not answer.
    Unreachable,
    /// It says another `shard_count` than the rest and is not used.
    Refused,
}

impl ReplicaState {
    /// The word for people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// One matcher as the coordinator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaView {
    /// Where it listens.
    pub endpoint: String,
    /// What the coordinator makes of it.
    pub state: ReplicaState,
    /// Its shard; `None` where it never answered.
    pub identity: Option<ShardIdentity>,
    /// The last change that it has applied.
    pub sequence: Sequence,
    /// The newest change that it has heard of.
    pub head: Sequence,
    /// Living items.
    pub items: u64,
    /// Their hashes.
    pub hashes: u64,
    /// The same, by type.
    pub hash_counts: Vec<HashCount>,
    /// Why it is not ready; empty where it is.
    pub reason: String,
    /// Memory that its process holds, mapped files included; 0 where it is not known.
    pub memory_bytes: u64,
    /// A number that its process drew when it started: replicas of one process share its memory. 0 where it is not known.
    pub process_id: u64,
    /// How long a call to it is expected to take, in microseconds; 0 where none has been answered yet.
    pub latency_us: u64,
    /// Calls of the coordinator that it is working on.
    pub in_flight: u32,
    /// Whether it is left alone for a while because its calls failed.
    pub ejected: bool,
}

/// Every replica, and the count of shards that they agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// `None` while no matcher has answered.
    pub shard_count: Option<ShardCount>,
    /// By shard, then endpoint.
    pub replicas: Vec<ReplicaView>,
}

impl Topology {
    /// Replicas that answer searches.
    #[must_use]
    pub fn ready_count(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.state == ReplicaState::Ready).count()
    }
}

/// How far the bank's log has come, and what is in the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// The newest change.
    pub sequence: Sequence,
    /// BLAKE3 over all changes up to it.
    pub chain: [u8; 32],
    /// Living banks.
    pub banks: u64,
    /// Living items.
    pub items: u64,
    /// Their hashes.
    pub hashes: u64,
    /// Changes up to this one are no longer kept.
    pub floor: Sequence,
}
