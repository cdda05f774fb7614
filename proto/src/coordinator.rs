//! Package `vigie.coordinator.v1`.

use vigie_model::{HashCount, ReplicaState, ReplicaView, SearchAnswer, Sequence, ShardCount, Topology};

use crate::invalid::{Invalid, each};
use crate::matcher::shards;
use crate::model::{coverage, hash_type_number, hash_types};
use crate::pb::coordinator::v1 as pb;
use crate::search::{Form, results, search_request};

search_request!(pb::SearchRequest);

impl From<SearchAnswer> for pb::SearchResponse {
    fn from(answer: SearchAnswer) -> Self {
        Self {
            results: answer.results.into_iter().map(Into::into).collect(),
            coverage: Some(answer.coverage.into()),
            approximate_hash_types: answer.approximate.into_iter().map(hash_type_number).collect(),
            results_omitted: false,
            bank_set_kept: false,
            packed: None,
        }
    }
}

impl pb::SearchResponse {
    /// Returns the answer as a message, with its results in this form.
    #[must_use]
    pub fn of(mut answer: SearchAnswer, form: Form) -> Self {
        match form {
            Form::Plain => answer.into(),
            Form::Packed => {
                let results = std::mem::take(&mut answer.results);
                Self { packed: Some(results.into_iter().collect()), ..answer.into() }
            }
        }
    }
}

impl TryFrom<pb::SearchResponse> for SearchAnswer {
    type Error = Invalid;

    fn try_from(message: pb::SearchResponse) -> Result<Self, Invalid> {
        Ok(Self {
            results: results(message.results, message.packed)?,
            coverage: coverage(message.coverage)?,
            approximate: hash_types("approximate_hash_types", message.approximate_hash_types)?,
        })
    }
}

impl From<ReplicaView> for pb::Replica {
    fn from(view: ReplicaView) -> Self {
        let state = match view.state {
            ReplicaState::Ready => pb::ReplicaState::Ready,
            ReplicaState::NotReady => pb::ReplicaState::NotReady,
            ReplicaState::Unreachable => pb::ReplicaState::Unreachable,
            ReplicaState::Refused => pb::ReplicaState::Refused,
        };
        Self {
            endpoint: view.endpoint,
            state: state.into(),
            shard: view.shards.map_or(0, |shards| shards.first().0.into()),
            shard_count: view.shards.map_or(0, |shards| shards.shard_count().get().into()),
            shards_served: view.shards.map_or(0, |shards| shards.size().into()),
            sequence: view.sequence.0,
            head_sequence: view.head.0,
            items: view.items,
            hashes: view.hashes,
            reason: view.reason,
            hash_counts: view.hash_counts.into_iter().map(Into::into).collect(),
            memory_bytes: view.memory_bytes,
            process_id: view.process_id,
            latency_us: view.latency_us,
            in_flight: view.in_flight,
            ejected: view.ejected,
        }
    }
}

impl TryFrom<pb::Replica> for ReplicaView {
    type Error = Invalid;

    fn try_from(message: pb::Replica) -> Result<Self, Invalid> {
        let state = match message.state() {
            pb::ReplicaState::Ready => ReplicaState::Ready,
            pb::ReplicaState::NotReady => ReplicaState::NotReady,
            pb::ReplicaState::Unreachable => ReplicaState::Unreachable,
            pb::ReplicaState::Refused => ReplicaState::Refused,
            pb::ReplicaState::Unspecified => return Err(Invalid::missing("state")),
        };
        let shards = (message.shard_count > 0)
            .then(|| shards(message.shard, message.shard_count, message.shards_served))
            .transpose()?;
        Ok(Self {
            endpoint: message.endpoint,
            state,
            shards,
            sequence: Sequence(message.sequence),
            head: Sequence(message.head_sequence),
            items: message.items,
            hashes: message.hashes,
            reason: message.reason,
            hash_counts: each("hash_counts", message.hash_counts, HashCount::try_from)?,
            memory_bytes: message.memory_bytes,
            process_id: message.process_id,
            latency_us: message.latency_us,
            in_flight: message.in_flight,
            ejected: message.ejected,
        })
    }
}

impl From<Topology> for pb::DescribeTopologyResponse {
    fn from(topology: Topology) -> Self {
        Self {
            shard_count: topology.shard_count.map_or(0, |count| count.get().into()),
            replicas: topology.replicas.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::DescribeTopologyResponse> for Topology {
    type Error = Invalid;

    fn try_from(message: pb::DescribeTopologyResponse) -> Result<Self, Invalid> {
        let shard_count = (message.shard_count > 0)
            .then(|| ShardCount::new(message.shard_count))
            .transpose()
            .map_err(|error| Invalid::new("shard_count", error))?;
        Ok(Self { shard_count, replicas: each("replicas", message.replicas, ReplicaView::try_from)? })
    }
}
