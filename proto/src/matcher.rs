//! Package `vigie.matcher.v1`.

use vigie_model::{HashCount, ReplicaDescription, Sequence, ShardAnswer, ShardGroup};

use crate::invalid::{Invalid, each};
use crate::model::{digest, hash_type_number, hash_types};
use crate::pb::matcher::v1 as pb;
use crate::search::{results, search_request};

search_request!(pb::SearchRequest);

impl From<ShardAnswer> for pb::SearchResponse {
    fn from(answer: ShardAnswer) -> Self {
        Self {
            results: answer.results.into_iter().map(Into::into).collect(),
            shard: answer.shards.first().0.into(),
            shard_count: answer.shards.shard_count().get().into(),
            shards_served: answer.shards.size().into(),
            sequence: answer.sequence.0,
            hashes_searched: answer.hashes_searched,
            approximate_hash_types: answer.approximate.into_iter().map(hash_type_number).collect(),
            as_of: Some(answer.as_of.into()),
            bank_set_kept: false,
            packed: None,
        }
    }
}

impl TryFrom<pb::SearchResponse> for ShardAnswer {
    type Error = Invalid;

    fn try_from(message: pb::SearchResponse) -> Result<Self, Invalid> {
        Ok(Self {
            shards: shards(message.shard, message.shard_count, message.shards_served)?,
            sequence: Sequence(message.sequence),
            as_of: message.as_of.map(Into::into).unwrap_or_default(),
            hashes_searched: message.hashes_searched,
            results: results(message.results, message.packed)?,
            approximate: hash_types("approximate_hash_types", message.approximate_hash_types)?,
        })
    }
}

/// Reads the shards of a matcher. Older versions serve one shard, and do not send the number of shards.
pub(crate) fn shards(shard: u32, shard_count: u32, shards_served: u32) -> Result<ShardGroup, Invalid> {
    let shards = ShardGroup::new(shard, shard_count, shards_served.max(1));
    shards.map_err(|error| Invalid::new("shard", error))
}

/// The largest number of a hash type that the first version knows. That version refuses other numbers in
/// `hashes`, so later types are counted in `other_hashes`.
const FIRST_TYPES_MAX: u16 = 3;

impl From<ReplicaDescription> for pb::DescribeResponse {
    fn from(description: ReplicaDescription) -> Self {
        let is_of_the_first = |count: &HashCount| count.hash_type.number() <= FIRST_TYPES_MAX;
        let (first, others): (Vec<_>, Vec<_>) = description.hashes.into_iter().partition(is_of_the_first);
        Self {
            shard: description.shards.first().0.into(),
            shard_count: description.shards.shard_count().get().into(),
            shards_served: description.shards.size().into(),
            sequence: description.sequence.0,
            head_sequence: description.head.0,
            ready: description.unready_reason.is_none(),
            reason: description.unready_reason.unwrap_or_default(),
            items: description.items,
            hashes: first.into_iter().map(Into::into).collect(),
            other_hashes: others.into_iter().map(Into::into).collect(),
            digest: Some(description.digest.into()),
            resident_bytes: description.memory_bytes,
            process_id: description.process_id,
        }
    }
}

impl TryFrom<pb::DescribeResponse> for ReplicaDescription {
    type Error = Invalid;

    fn try_from(message: pb::DescribeResponse) -> Result<Self, Invalid> {
        let mut hashes = each("hashes", message.hashes, HashCount::try_from)?;
        hashes.extend(each("other_hashes", message.other_hashes, HashCount::try_from)?);
        Ok(Self {
            shards: shards(message.shard, message.shard_count, message.shards_served)?,
            sequence: Sequence(message.sequence),
            head: Sequence(message.head_sequence),
            unready_reason: (!message.ready).then_some(message.reason),
            items: message.items,
            hashes,
            digest: digest("digest", message.digest.ok_or_else(|| Invalid::missing("digest"))?)?,
            memory_bytes: message.resident_bytes,
            process_id: message.process_id,
        })
    }
}

impl From<ReplicaDescription> for pb::WatchResponse {
    fn from(description: ReplicaDescription) -> Self {
        Self { replica: Some(description.into()) }
    }
}

impl TryFrom<pb::WatchResponse> for ReplicaDescription {
    type Error = Invalid;

    fn try_from(message: pb::WatchResponse) -> Result<Self, Invalid> {
        message.replica.ok_or_else(|| Invalid::missing("replica"))?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{HashType, SetDigest};

    use super::*;

    fn description(hashes: Vec<HashCount>, shards: ShardGroup) -> ReplicaDescription {
        ReplicaDescription {
            shards,
            sequence: Sequence(1),
            head: Sequence(1),
            unready_reason: None,
            items: 1,
            hashes,
            digest: SetDigest::EMPTY,
            memory_bytes: 0,
            process_id: 7,
        }
    }

    #[test]
    fn the_first_version_can_read_the_counts_of_a_newer_one() {
        let numbers = [1, 2, 3, 4, 4_321];
        let count = |number| HashCount {
            hash_type: HashType::from_number(number).unwrap(),
            hashes: 1,
            is_searched: number < 5,
            exact: true,
            recall: None,
        };
        let description = description(numbers.map(count).into(), ShardGroup::new(0, 1, 1).unwrap());
        let message = pb::DescribeResponse::from(description.clone());
        assert!(message.hashes.iter().all(|count| (1..=3).contains(&count.hash_type)));
        let read = ReplicaDescription::try_from(message).unwrap();
        assert_eq!(read, description);
        assert_eq!(read.searched().unwrap().iter().map(HashType::number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn the_shards_of_a_matcher_are_read_from_every_version_and_checked() {
        let pair = ShardGroup::new(1, 4, 2).unwrap();
        let message = pb::DescribeResponse::from(description(vec![], pair));
        assert_eq!((message.shard, message.shard_count, message.shards_served), (1, 4, 2));
        let read = |shards_served| {
            let message = pb::DescribeResponse { shards_served, ..message.clone() };
            ReplicaDescription::try_from(message).map(|description| description.shards)
        };
        assert_eq!(read(2).unwrap(), pair);
        assert_eq!(read(0).unwrap(), ShardGroup::new(1, 4, 1).unwrap(), "an older version");
        for wrong in [3, 4, 5, u32::MAX] {
            assert!(read(wrong).is_err(), "shard 1 of 4, {wrong} served");
        }
        let answer = pb::SearchResponse { shard: 1, shard_count: 4, ..pb::SearchResponse::default() };
        let read = |shards_served| {
            let answer = ShardAnswer::try_from(pb::SearchResponse { shards_served, ..answer.clone() });
            answer.map(|answer| answer.shards)
        };
        assert_eq!(read(2).unwrap(), pair);
        assert_eq!(read(0).unwrap(), ShardGroup::new(1, 4, 1).unwrap());
        assert!(read(4).is_err());
    }
}
