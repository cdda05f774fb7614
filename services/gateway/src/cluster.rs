//! The state of the cluster as the gateway last saw it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_access::WallClock;
use vigie_clients::{CoordinatorClient, EndpointError, MatchClient, Network};
use vigie_model::{HashCount, HashType, Recall, Topology, UnixMillis};

use crate::config::Config;

/// The pause between two checks.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause between checks until every shard has been seen once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The most time of one check.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// The state of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Every shard answers.
    Ready,
    /// The gateway has never seen every shard answer.
    NeverReady,
    /// The last time that every shard answered is too long ago.
    Stale,
}

/// The last successful check of the cluster. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    seen: Arc<Mutex<Option<Seen>>>,
    age_max: Duration,
}

/// A successful check.
#[derive(Debug, Clone)]
struct Seen {
    at: Instant,
    topology: Option<Topology>,
    wall: UnixMillis,
}

/// The searched hashes of one type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Indexed {
    /// Number of hashes.
    pub(crate) hashes: u64,
    /// Whether every replica's index is exact.
    pub(crate) exact: bool,
    /// The lowest recall that a replica measured of an approximate index; `None` if none was measured.
    pub(crate) recall: Option<Recall>,
    /// The time of the check.
    pub(crate) at: UnixMillis,
}

/// The figures of the last successful check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastSeen {
    /// The time of the check.
    pub(crate) at: UnixMillis,
    /// Number of shards of the cluster; `None` if no coordinator reports it.
    pub(crate) shards: Option<u16>,
    /// Number of replicas of the shards that answered; `None` if no coordinator reports it.
    pub(crate) replicas_ready: Option<usize>,
}

impl Cluster {
    pub(crate) fn new(config: &Config) -> Self {
        Self { seen: Arc::default(), age_max: Duration::from_millis(config.status_age_ms_max) }
    }

    /// Returns the present state.
    pub(crate) fn state(&self) -> State {
        match self.seen().as_ref().map(|seen| seen.at.elapsed()) {
            None => State::NeverReady,
            Some(age) if age > self.age_max => State::Stale,
            Some(_) => State::Ready,
        }
    }

    /// Returns why the gateway is not ready, until every shard has been seen once.
    pub(crate) fn unready_reason(&self) -> Option<&'static str> {
        (self.state() == State::NeverReady).then_some("waiting until every shard answers")
    }

    /// Returns the index of a type, as it was last seen; `None` if no coordinator reports it.
    pub(crate) fn indexed(&self, hash_type: HashType) -> Option<Indexed> {
        let seen = self.seen();
        let seen = seen.as_ref().filter(|seen| seen.at.elapsed() <= self.age_max)?;
        let topology = seen.topology.as_ref()?;
        Some(indexed_of(topology, hash_type, seen.wall))
    }

    /// Returns the types of which a replica counted hashes in the last check, and every known type.
    pub(crate) fn types(&self) -> BTreeSet<HashType> {
        let seen = self.seen();
        let replicas =
            seen.as_ref().and_then(|seen| seen.topology.as_ref()).map(|topology| &topology.replicas);
        let counts = replicas.into_iter().flatten().flat_map(|replica| &replica.hash_counts);
        let counted = counts.filter(|count| count.hashes > 0).map(|count| count.hash_type);
        HashType::known().chain(counted).collect()
    }

    /// Returns the lowest recall of a type's approximate index, as it was last seen.
    pub(crate) fn recall(&self, hash_type: HashType) -> Option<Recall> {
        self.indexed(hash_type)?.recall
    }

    /// Returns the figures of the last successful check; `None` if there was none.
    pub(crate) fn last_seen(&self) -> Option<LastSeen> {
        let seen = self.seen();
        let Seen { topology, wall, .. } = seen.as_ref()?;
        let shards = topology.as_ref().and_then(|topology| topology.shard_count);
        Some(LastSeen {
            at: *wall,
            shards: shards.map(|count| count.get()),
            replicas_ready: topology.as_ref().map(Topology::ready_count),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, topology: Option<Topology>, wall: UnixMillis) {
        *self.seen() = Some(Seen { at: Instant::now(), topology, wall });
    }

    /// Checks periodically, for as long as it is polled.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid.
    pub(crate) fn watch(
        &self,
        config: &Config,
        network: &Network,
        clock: WallClock,
    ) -> Result<impl Future<Output = ()> + Send + use<>, EndpointError> {
        let coordinators = &config.coordinator;
        let coordinator = match coordinators.is_empty() {
            true => None,
            false => Some(CoordinatorClient::new_on(coordinators, network)?),
        };
        let frontends = MatchClient::new_on(&config.frontend, network)?;
        let this = self.clone();
        Ok(async move {
            loop {
                let until = Instant::now() + LOOK_MAX;
                match &coordinator {
                    Some(coordinator) => {
                        if let Ok(topology) = coordinator.describe_topology(until).await
                            && topology.is_whole()
                        {
                            this.saw(Some(topology), clock.now());
                        }
                    }
                    None => {
                        if frontends.is_serving(until).await {
                            this.saw(None, clock.now());
                        }
                    }
                }
                let is_known = this.state() != State::NeverReady;
                tokio::time::sleep(if is_known { PAUSE } else { FIRST_PAUSE }).await;
            }
        })
    }
}

/// Returns the index of a type over all shards, taking the fullest replica of each shard.
fn indexed_of(topology: &Topology, hash_type: HashType, at: UnixMillis) -> Indexed {
    let HashCount { hashes, exact, recall, .. } = topology.count_of(hash_type, |_| true);
    Indexed { hashes, exact, recall, at }
}

#[cfg(test)]
mod tests {
    use vigie_model::{ReplicaState, ReplicaView, Sequence, ShardCount, ShardGroup};

    use super::*;

    fn replica(shard: u16, hashes: u64, recall: Option<f64>) -> ReplicaView {
        let recall = recall.map(|value| Recall { value, sample: 200, k: 10 });
        let count = HashCount { hash_type: HashType::PDQ, hashes, is_searched: true, exact: false, recall };
        ReplicaView {
            endpoint: "http://a".to_owned(),
            state: ReplicaState::Ready,
            shards: ShardGroup::new(shard.into(), 2, 1).ok(),
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
    fn the_lowest_recall_of_any_replica_is_that_of_the_type() {
        let check = |recalls: &[Option<f64>], lowest: Option<f64>| {
            let replicas = recalls.iter().zip([0, 0, 1]).map(|(recall, shard)| replica(shard, 5, *recall));
            let topology = Topology { shard_count: ShardCount::new(2).ok(), replicas: replicas.collect() };
            let indexed = indexed_of(&topology, HashType::PDQ, UnixMillis(3));
            assert_eq!((indexed.hashes, indexed.exact), (10, false));
            assert_eq!(indexed.recall.map(|recall| recall.value), lowest);
            assert!(indexed_of(&topology, HashType::MD5, UnixMillis(3)).exact);
        };
        check(&[None, None, None], None);
        check(&[Some(1.0), Some(0.996), None], Some(0.996));
        check(&[Some(0.5), Some(0.996), Some(0.7)], Some(0.5));
    }
}
