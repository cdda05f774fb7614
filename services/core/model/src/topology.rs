//! The replicas that serve each shard, and the progress of each.

use crate::digest::SetDigest;
use crate::sequence::Sequence;
use crate::shard::ShardCount;
use crate::shard_group::ShardGroup;
use crate::tiling::{Tile, tiling};
use vigie_hashes::{HashType, HashTypeSet};

/// The measured recall of an approximate index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall {
    /// The share of the true nearest neighbours that the index found, 0 to 1.
    pub value: f64,
    /// The number of queries that were measured.
    pub sample: u32,
    /// The number of neighbours of each query.
    pub k: u32,
}

/// The number of live hashes of one type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HashCount {
    /// The type.
    pub hash_type: HashType,
    /// The number of hashes.
    pub hashes: u64,
    /// Whether the replica can search them. It cannot if its build has no row for the type.
    pub is_searched: bool,
    /// Whether the index of the type finds everything.
    pub exact: bool,
    /// The measured recall of an approximate index; `None` before the measurement, while everything in the
    /// index is still scanned.
    pub recall: Option<Recall>,
}

/// The description of a matcher by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaDescription {
    /// The shards that it serves, and the number of shards.
    pub shards: ShardGroup,
    /// The last change that it has applied.
    pub sequence: Sequence,
    /// The newest change of the log that it knows of.
    pub head: Sequence,
    /// The reason why it should not be searched; `None` if it is ready.
    pub unready_reason: Option<String>,
    /// The number of items.
    pub items: u64,
    /// The numbers of the items' hashes, by type.
    pub hashes: Vec<HashCount>,
    /// The digest of its hashes as of `sequence`.
    pub digest: SetDigest,
    /// The memory of its process in bytes, including mapped files; 0 if it is not known.
    pub memory_bytes: u64,
    /// A random number that its process drew at its start: replicas of one process share its memory. 0 if it
    /// is not known.
    pub process_id: u64,
}

impl ReplicaDescription {
    /// Returns the types that it can search; `None` if it reports no counts, so that they are not known.
    #[must_use]
    pub fn searched(&self) -> Option<HashTypeSet> {
        let searched = self.hashes.iter().filter(|count| count.is_searched).map(|count| count.hash_type);
        (!self.hashes.is_empty()).then(|| searched.collect())
    }

    /// Returns the number of live hashes of all types.
    #[must_use]
    pub fn hash_count(&self) -> u64 {
        self.hashes.iter().map(|count| count.hashes).sum()
    }
}

/// The coordinator's judgement of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaState {
    /// The replica answers searches.
    Ready,
    /// The replica answers, but is starting, behind or draining.
    NotReady,
    /// The replica does not answer.
    Unreachable,
    /// The replica reports another `shard_count` than the others and is not used.
    Refused,
}

impl ReplicaState {
    /// Returns the word for people and scripts.
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

/// A matcher as the coordinator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaView {
    /// The address at which the replica listens.
    pub endpoint: String,
    /// The coordinator's judgement of the replica.
    pub state: ReplicaState,
    /// The replica's shards; `None` if it has never answered.
    pub shards: Option<ShardGroup>,
    /// The last change that the replica has applied.
    pub sequence: Sequence,
    /// The newest change of the log that the replica knows of.
    pub head: Sequence,
    /// The number of items.
    pub items: u64,
    /// The number of hashes of the items.
    pub hashes: u64,
    /// The numbers of hashes by type.
    pub hash_counts: Vec<HashCount>,
    /// The reason why the replica is not ready; empty if it is.
    pub reason: String,
    /// The memory of its process in bytes, including mapped files; 0 if it is not known.
    pub memory_bytes: u64,
    /// A random number that its process drew at its start: replicas of one process share its memory. 0 if it
    /// is not known.
    pub process_id: u64,
    /// The expected duration of a call to the replica, in microseconds; 0 if no call has been answered yet.
    pub latency_us: u64,
    /// The number of the coordinator's calls that the replica is working on.
    pub in_flight: u32,
    /// Whether the replica is not called for a while because its calls failed.
    pub ejected: bool,
}

/// Every replica, and the number of shards on which they agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The number of shards; `None` while no matcher has answered.
    pub shard_count: Option<ShardCount>,
    /// The replicas, ordered by shard, then by endpoint.
    pub replicas: Vec<ReplicaView>,
}

impl Topology {
    /// Returns the number of replicas that answer searches.
    #[must_use]
    pub fn ready_count(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.state == ReplicaState::Ready).count()
    }

    /// Returns whether every shard has a replica that answers searches.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let tiles = self.tiles();
        !tiles.is_empty() && tiles.iter().all(|tile| tile.rank == Some(0))
    }

    /// Returns the number of live hashes of a type. The replicas of a shard hold the same hashes, so each
    /// shard counts once, with the replica that holds the most.
    #[must_use]
    pub fn hashes_of(&self, hash_type: HashType) -> u64 {
        let held = |replica: &ReplicaView| {
            let of_type = replica.hash_counts.iter().filter(|count| count.hash_type == hash_type);
            of_type.map(|count| count.hashes).max().unwrap_or(0)
        };
        let of_tile = |tile: Tile| {
            let replicas = self.replicas.iter().filter(|replica| replica.shards == Some(tile.group));
            replicas.map(held).max().unwrap_or(0)
        };
        self.tiles().into_iter().map(of_tile).sum()
    }

    /// Returns the count of a type over all shards, with the hashes of [`Self::hashes_of`]. The type is
    /// searched, and exactly, if all replicas that `is_counted` selects do so; the recall is the lowest that
    /// one of them measured.
    #[must_use]
    pub fn count_of(&self, hash_type: HashType, is_counted: impl Fn(&ReplicaView) -> bool) -> HashCount {
        let hashes = self.hashes_of(hash_type);
        let mut all = HashCount { hash_type, hashes, is_searched: true, exact: true, recall: None };
        let replicas = self.replicas.iter().filter(|replica| is_counted(replica));
        let counts = replicas.flat_map(|replica| &replica.hash_counts);
        for count in counts.filter(|count| count.hash_type == hash_type) {
            all.is_searched &= count.is_searched;
            all.exact &= count.exact;
            all.recall = lower(all.recall, count.recall);
        }
        all
    }

    /// Divides the shards into groups that replicas serve; the rank of those with a ready replica is 0.
    fn tiles(&self) -> Vec<Tile> {
        let Some(count) = self.shard_count else { return Vec::new() };
        let groups = |is_ready: bool| {
            let of_state = self.replicas.iter().filter(|one| (one.state == ReplicaState::Ready) == is_ready);
            of_state.filter_map(|replica| replica.shards).collect()
        };
        tiling(count, &[groups(true), groups(false)])
    }
}

/// Returns the lower of two measurements.
fn lower(one: Option<Recall>, other: Option<Recall>) -> Option<Recall> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.value < one.value { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// The end of the bank's log, and the size of the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// The newest change.
    pub sequence: Sequence,
    /// The BLAKE3 chain over all changes up to `sequence`.
    pub chain: [u8; 32],
    /// The number of banks.
    pub banks: u64,
    /// The number of items.
    pub items: u64,
    /// The number of hashes of the items.
    pub hashes: u64,
    /// The last change that is no longer kept.
    pub floor: Sequence,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(shard: u32, served: u32, hashes: u64, state: ReplicaState) -> ReplicaView {
        let count =
            HashCount { hash_type: HashType::PDQ, hashes, is_searched: true, exact: true, recall: None };
        ReplicaView {
            endpoint: String::new(),
            state,
            shards: ShardGroup::new(shard, 4, served).ok(),
            sequence: Sequence(1),
            head: Sequence(1),
            items: hashes,
            hashes,
            hash_counts: vec![count],
            reason: String::new(),
            memory_bytes: 0,
            process_id: 0,
            latency_us: 0,
            in_flight: 0,
            ejected: false,
        }
    }

    #[test]
    fn each_shard_counts_once_whatever_groups_its_replicas_serve() {
        use ReplicaState::{NotReady, Ready};
        let of = |replicas: &[ReplicaView]| {
            let topology = Topology { shard_count: ShardCount::new(4).ok(), replicas: replicas.to_vec() };
            (topology.is_whole(), topology.hashes_of(HashType::PDQ))
        };
        let pair = |hashes, state| replica(0, 2, hashes, state);
        let others = [replica(1, 1, 5, Ready), replica(3, 1, 6, Ready), replica(3, 1, 7, Ready)];
        let with = |more: &[ReplicaView]| of(&[&others[..], more].concat());
        assert_eq!(with(&[]), (false, 12));
        assert_eq!(with(&[pair(20, Ready)]), (true, 32));
        assert_eq!(with(&[pair(20, NotReady)]), (false, 32));
        let parts = [replica(0, 1, 9, Ready), replica(2, 1, 12, Ready)];
        assert_eq!(with(&parts), (true, 33));
        assert_eq!(with(&[&parts[..], &[pair(20, Ready)]].concat()), (true, 32));
        assert_eq!(with(&[&parts[..], &[pair(20, NotReady)]].concat()), (true, 33));
        assert_eq!(of(&[]), (false, 0));
        let none = Topology { shard_count: None, replicas: Vec::new() };
        assert!(!none.is_whole());
    }
}
