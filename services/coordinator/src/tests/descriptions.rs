//! Descriptions of matchers.

use vigie_model::{ReplicaDescription, Sequence, SetDigest, ShardGroup};

/// Returns the description of a matcher at sequence 5 of 6. The matcher is ready if `unready` gives no
/// reason.
pub(crate) fn description(shards: ShardGroup, unready: Option<&str>) -> ReplicaDescription {
    ReplicaDescription {
        shards,
        sequence: Sequence(5),
        head: Sequence(6),
        unready_reason: unready.map(str::to_owned),
        items: 1,
        hashes: Vec::new(),
        digest: SetDigest::EMPTY,
        memory_bytes: 0,
        process_id: 0,
    }
}

/// Returns the report of a matcher of one shard.
pub(crate) fn says(
    shard: u32,
    shard_count: u32,
    unready: Option<&str>,
) -> Result<ReplicaDescription, String> {
    says_of(ShardGroup::new(shard, shard_count, 1).unwrap(), unready)
}

/// Returns the report of a matcher of these shards.
pub(crate) fn says_of(shards: ShardGroup, unready: Option<&str>) -> Result<ReplicaDescription, String> {
    Ok(description(shards, unready))
}
