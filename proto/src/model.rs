//! Package `vigie.model.v1`: hashes, queries, matches, coverage.

pub(crate) mod packed;
mod picture;
pub(crate) mod search_options;
pub(crate) mod standing;
pub(crate) mod video;

use vigie_model::{
    BankId, BankName, BankRef, Coverage, Distance, Facts, Hash, HashCount, HashType, ItemId, Match, Query,
    QueryHash, QueryMatches, Recall, Rendition, Sequence, SetDigest, ShardFailure, ShardId, Variant,
    VideoEvidence, Way,
};

use crate::invalid::{Invalid, check_len, each};
use crate::pb::model::v1 as pb;
use crate::time::{time, unix_ms};

/// The sender of a message.
///
/// A newer process may know more hash types than this one. A type that a peer has accepted is kept and passed
/// on under its number; a type that a client sends must be known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A client. Hash types without a row in the table of this build are refused.
    Client,
    /// Another service, or a file that this one wrote. All hash types are accepted.
    Peer,
}

/// Reads a hash type from its number on the wire.
pub(crate) fn hash_type(field: &str, number: i32, sender: Sender) -> Result<HashType, Invalid> {
    let hash_type = u16::try_from(number).map(HashType::from_number);
    match hash_type {
        Ok(None) => Err(Invalid::missing(field)),
        Ok(Some(hash_type)) if hash_type.is_known() || sender == Sender::Peer => Ok(hash_type),
        Ok(Some(_)) | Err(_) => {
            let known: Vec<String> =
                HashType::known().map(|one| format!("{} ({one})", one.number())).collect();
            let reason =
                format!("{number} is no hash type that this version knows; it knows {}", known.join(", "));
            Err(Invalid::new(field, reason))
        }
    }
}

/// Reads a list of hash types that a peer sent.
pub(crate) fn hash_types(field: &str, numbers: Vec<i32>) -> Result<Vec<HashType>, Invalid> {
    each(field, numbers, |number| hash_type("", number, Sender::Peer))
}

/// Returns the number of a hash type on the wire.
pub(crate) fn hash_type_number(hash_type: HashType) -> i32 {
    hash_type.number().into()
}

impl From<SetDigest> for pb::SetDigest {
    fn from(digest: SetDigest) -> Self {
        Self { sums: digest.sums.map(u64::to_be_bytes).concat(), hash_count: digest.hashes }
    }
}

impl TryFrom<pb::SetDigest> for SetDigest {
    type Error = Invalid;

    fn try_from(message: pb::SetDigest) -> Result<Self, Invalid> {
        let sums = match message.sums.as_chunks::<8>() {
            (&[a, b, c, d], []) => [a, b, c, d].map(u64::from_be_bytes),
            _ => {
                let reason = format!("has {} bytes; it must have 32", message.sums.len());
                return Err(Invalid::new("sums", reason));
            }
        };
        Ok(Self { sums, hashes: message.hash_count })
    }
}

/// Reads a digest. `field`: its field, for errors.
pub(crate) fn digest(field: &str, message: pb::SetDigest) -> Result<SetDigest, Invalid> {
    message.try_into().map_err(|invalid: Invalid| invalid.within(field))
}

impl From<HashCount> for pb::HashCount {
    fn from(count: HashCount) -> Self {
        let recall = |Recall { value, sample, k }: Recall| pb::Recall { value, sample, k };
        Self {
            hash_type: hash_type_number(count.hash_type),
            hashes: count.hashes,
            exact: count.exact,
            not_searched: !count.is_searched,
            recall: count.recall.map(recall),
        }
    }
}

impl TryFrom<pb::HashCount> for HashCount {
    type Error = Invalid;

    fn try_from(message: pb::HashCount) -> Result<Self, Invalid> {
        let recall = |pb::Recall { value, sample, k }: pb::Recall| {
            let is_share = (0.0..=1.0).contains(&value);
            is_share
                .then_some(Recall { value, sample, k })
                .ok_or_else(|| Invalid::new("recall.value", "is not a share from 0 to 1"))
        };
        Ok(Self {
            hash_type: hash_type("hash_type", message.hash_type, Sender::Peer)?,
            hashes: message.hashes,
            is_searched: !message.not_searched,
            exact: message.exact,
            recall: message.recall.map(recall).transpose()?,
        })
    }
}

impl From<Variant> for pb::Variant {
    fn from(variant: Variant) -> Self {
        match variant {
            Variant::Original => Self::Original,
            Variant::Rotate90 => Self::Rotate90,
            Variant::Rotate180 => Self::Rotate180,
            Variant::Rotate270 => Self::Rotate270,
            Variant::FlipX => Self::FlipX,
            Variant::FlipY => Self::FlipY,
            Variant::FlipPlus1 => Self::FlipPlus1,
            Variant::FlipMinus1 => Self::FlipMinus1,
        }
    }
}

/// Reads a variant; an unspecified one is the original.
pub(crate) fn variant(number: i32) -> Result<Variant, Invalid> {
    match pb::Variant::try_from(number) {
        Ok(pb::Variant::Unspecified | pb::Variant::Original) => Ok(Variant::Original),
        Ok(pb::Variant::Rotate90) => Ok(Variant::Rotate90),
        Ok(pb::Variant::Rotate180) => Ok(Variant::Rotate180),
        Ok(pb::Variant::Rotate270) => Ok(Variant::Rotate270),
        Ok(pb::Variant::FlipX) => Ok(Variant::FlipX),
        Ok(pb::Variant::FlipY) => Ok(Variant::FlipY),
        Ok(pb::Variant::FlipPlus1) => Ok(Variant::FlipPlus1),
        Ok(pb::Variant::FlipMinus1) => Ok(Variant::FlipMinus1),
        Err(_) => Err(Invalid::new("variant", format!("{number} is no variant that this version knows"))),
    }
}

impl From<Way> for pb::Way {
    fn from(way: Way) -> Self {
        match way {
            Way::Plain => Self::Plain,
            Way::Scaled => Self::Scaled,
            Way::Unbordered => Self::Unbordered,
            Way::PaletteIndices => Self::PaletteIndices,
            Way::AsStored => Self::AsStored,
            Way::Other => Self::Unspecified,
        }
    }
}

/// Reads a way. An unspecified one is plain, and an unknown one is [`Way::Other`].
pub(crate) fn way(number: i32) -> Way {
    match pb::Way::try_from(number) {
        Ok(pb::Way::Unspecified | pb::Way::Plain) => Way::Plain,
        Ok(pb::Way::Scaled) => Way::Scaled,
        Ok(pb::Way::Unbordered) => Way::Unbordered,
        Ok(pb::Way::PaletteIndices) => Way::PaletteIndices,
        Ok(pb::Way::AsStored) => Way::AsStored,
        Err(_) => Way::Other,
    }
}

impl From<Hash> for pb::Hash {
    fn from(hash: Hash) -> Self {
        Self { hash_type: hash_type_number(hash.hash_type()), value: hash.as_bytes().to_vec() }
    }
}

/// Reads a hash.
pub(crate) fn hash(message: pb::Hash, sender: Sender) -> Result<Hash, Invalid> {
    hash_of("value", &message.value, message.hash_type, sender)
}

/// Reads a hash from its bytes and the number of its type. `field`: the field of the bytes, for errors.
pub(crate) fn hash_of(field: &str, bytes: &[u8], number: i32, sender: Sender) -> Result<Hash, Invalid> {
    let hash_type = hash_type("hash_type", number, sender)?;
    if sender == Sender::Client && hash_type.vector_class().is_some() && hash_type.name().is_none() {
        let number = hash_type.number();
        let reason = format!(
            "{number} is no hash type that is declared here; declare it first with `vigie hash-type declare`"
        );
        return Err(Invalid::new("hash_type", reason));
    }
    let read = match sender {
        Sender::Client => Hash::from_bytes(hash_type, bytes),
        Sender::Peer => Hash::from_peer(hash_type, bytes),
    };
    read.map_err(|error| Invalid::new(field, error))
}

impl From<QueryHash> for pb::QueryHash {
    fn from(query: QueryHash) -> Self {
        Self { hash: Some(query.hash.into()), variant: pb::Variant::from(query.variant).into() }
    }
}

fn query_hash(message: pb::QueryHash, sender: Sender) -> Result<QueryHash, Invalid> {
    let hash_message = message.hash.ok_or_else(|| Invalid::missing("hash"))?;
    Ok(QueryHash {
        hash: hash(hash_message, sender).map_err(|invalid| invalid.within("hash"))?,
        variant: variant(message.variant)?,
    })
}

/// Reads the hashes of one query.
pub(crate) fn query_hashes(hashes: Vec<pb::QueryHash>, sender: Sender) -> Result<Vec<QueryHash>, Invalid> {
    check_len("hashes", hashes.len(), 1, Query::HASHES_MAX)?;
    let hashes = each("hashes", hashes, |hash| query_hash(hash, sender))?;
    check_frames(Query { hashes }).map(|query| query.hashes)
}

/// Checks that a query has at most [`Query::FRAMES_MAX`] frames of videos.
pub(crate) fn check_frames(query: Query) -> Result<Query, Invalid> {
    match query.frames() {
        0..=Query::FRAMES_MAX => Ok(query),
        frames => {
            let reason = format!("have {frames} frames of videos; a query has at most {}", Query::FRAMES_MAX);
            Err(Invalid::new("hashes", reason))
        }
    }
}

impl From<&Query> for pb::HashQuery {
    fn from(query: &Query) -> Self {
        Self { hashes: query.hashes.iter().map(|hash| hash.clone().into()).collect() }
    }
}

/// Reads the queries of one call between services. A query may be empty, because all its hashes may have been
/// skipped.
pub(crate) fn queries(messages: Vec<pb::HashQuery>) -> Result<Vec<Query>, Invalid> {
    check_len("queries", messages.len(), 1, Query::BATCH_MAX)?;
    each("queries", messages, |message| {
        check_len("hashes", message.hashes.len(), 0, Query::HASHES_MAX)?;
        check_frames(Query { hashes: each("hashes", message.hashes, |hash| query_hash(hash, Sender::Peer))? })
    })
}

/// Reads a bank's name, with or without the name of its owner. `field`: its field, for errors.
pub fn bank_ref(field: &str, name: &str) -> Result<BankRef, Invalid> {
    name.parse().map_err(|error| Invalid::new(field, error))
}

/// Reads the name of a bank.
pub(crate) fn bank_name(field: &str, name: &str) -> Result<BankName, Invalid> {
    name.parse().map_err(|error| Invalid::new(field, error))
}

impl From<Match> for pb::Match {
    fn from(found: Match) -> Self {
        Self {
            item_id: found.item.0,
            bank_id: found.bank.0,
            bank: found.bank_name.to_string(),
            external_reference: found.external_reference.map(String::from).unwrap_or_default(),
            labels: found.labels.into_iter().map(String::from).collect(),
            hash_type: hash_type_number(found.hash_type),
            distance: found.distance.0,
            variant: pb::Variant::from(found.variant).into(),
            exact: found.exact,
            other_matches: found.other_matches,
            frame: found.rendition.frame,
            // The plain way is sent as unspecified: services behind a frontend know no other way.
            way: match found.rendition.way {
                Way::Plain => pb::Way::Unspecified.into(),
                way @ (Way::Scaled | Way::Unbordered | Way::PaletteIndices | Way::AsStored | Way::Other) => {
                    pb::Way::from(way).into()
                }
            },
            facts: found.facts.map(|facts| (*facts).into()),
            video: found.video.map(|evidence| (*evidence).into()),
            item_time_ms: found.item_time_ms,
            added_at_unix_ms: unix_ms(found.added_at),
        }
    }
}

impl TryFrom<pb::Match> for Match {
    type Error = Invalid;

    fn try_from(message: pb::Match) -> Result<Self, Invalid> {
        let reference = message.external_reference;
        let hash_type = hash_type("hash_type", message.hash_type, Sender::Peer)?;
        Ok(Self {
            item: ItemId(message.item_id),
            bank: BankId(message.bank_id),
            bank_name: bank_ref("bank", &message.bank)?,
            external_reference: (!reference.is_empty()).then(|| reference.into_boxed_str()),
            labels: message.labels.into_iter().map(String::into_boxed_str).collect(),
            hash_type,
            distance: distance(hash_type, message.distance)?,
            variant: variant(message.variant)?,
            exact: message.exact,
            other_matches: message.other_matches,
            rendition: Rendition { frame: message.frame, way: way(message.way) },
            added_at: time(message.added_at_unix_ms),
            facts: message.facts.map(Facts::try_from).transpose()?.map(Box::new),
            video: message.video.map(VideoEvidence::from).map(Box::new),
            item_time_ms: message.item_time_ms,
        })
    }
}

/// Reads a distance for a hash type. Without a vector class it is in bits, at most 65,535.
pub(crate) fn distance(hash_type: HashType, distance: u32) -> Result<Distance, Invalid> {
    if distance > u16::MAX.into() && hash_type.vector_class().is_none() {
        return Err(Invalid::new("distance", "is more bits than a hash has"));
    }
    Ok(Distance(distance))
}

impl From<QueryMatches> for pb::QueryMatches {
    fn from(found: QueryMatches) -> Self {
        Self {
            truncated: found.is_cut(),
            matches_left_out: found.left_out,
            limit_reached: found.limit_reached || found.is_cut(),
            set_aside: found.set_aside,
            common_frames: found.common_frames,
            matches: found.matches.into_iter().map(Into::into).collect(),
        }
    }
}

/// Reads the number of left-out matches: at least 1 if the answer was truncated.
pub(crate) fn left_out(truncated: bool, matches: u32) -> u32 {
    matches.max(truncated.into())
}

impl TryFrom<pb::QueryMatches> for QueryMatches {
    type Error = Invalid;

    fn try_from(message: pb::QueryMatches) -> Result<Self, Invalid> {
        Ok(Self {
            matches: each("matches", message.matches, Match::try_from)?,
            limit_reached: message.limit_reached,
            left_out: left_out(message.truncated, message.matches_left_out),
            set_aside: message.set_aside,
            common_frames: message.common_frames,
        })
    }
}

impl From<Coverage> for pb::Coverage {
    fn from(coverage: Coverage) -> Self {
        let failure = |failure: ShardFailure| pb::ShardFailure {
            shard: failure.shard.0.into(),
            reason: failure.reason,
        };
        Self {
            shards_total: coverage.shards_total.into(),
            shards_answered: coverage.shards_answered.into(),
            hashes_searched: coverage.hashes_searched,
            hashes_total: coverage.hashes_total,
            sequence_min: coverage.sequence_min.0,
            sequence_max: coverage.sequence_max.0,
            failures: coverage.failures.into_iter().map(failure).collect(),
            as_of: Some(coverage.as_of.into()),
        }
    }
}

impl TryFrom<pb::Coverage> for Coverage {
    type Error = Invalid;

    fn try_from(message: pb::Coverage) -> Result<Self, Invalid> {
        let small = |field: &str, count| {
            u16::try_from(count).map_err(|_| Invalid::new(field, "is more shards than there can be"))
        };
        let failure = |failure: pb::ShardFailure| {
            Ok(ShardFailure { shard: ShardId(small("shard", failure.shard)?), reason: failure.reason })
        };
        Ok(Self {
            shards_total: small("shards_total", message.shards_total)?,
            shards_answered: small("shards_answered", message.shards_answered)?,
            hashes_searched: message.hashes_searched,
            hashes_total: message.hashes_total,
            sequence_min: Sequence(message.sequence_min),
            sequence_max: Sequence(message.sequence_max),
            as_of: message.as_of.map(Into::into).unwrap_or_default(),
            failures: each("failures", message.failures, failure)?,
        })
    }
}

/// Reads a required coverage.
pub(crate) fn coverage(message: Option<pb::Coverage>) -> Result<Coverage, Invalid> {
    message
        .ok_or_else(|| Invalid::missing("coverage"))?
        .try_into()
        .map_err(|invalid: Invalid| invalid.within("coverage"))
}

#[cfg(test)]
mod tests {
    use vigie_model::VectorClass;

    use super::*;

    #[test]
    fn a_wrong_hash_length_is_named_without_the_hash() {
        let hash = pb::Hash { hash_type: 1, value: vec![0xab; 31] };
        let query = pb::HashQuery { hashes: vec![pb::QueryHash { hash: Some(hash), variant: 0 }] };
        let invalid = queries(vec![query]).unwrap_err();
        assert_eq!(invalid.field, "queries[0].hashes[0].hash.value");
        assert!(!invalid.reason.contains("ab"), "{}", invalid.reason);
    }

    /// The wire's enumeration and the table of hash types have the same names and numbers.
    #[test]
    fn every_row_of_the_table_is_named_on_the_wire() {
        for hash_type in HashType::of_table() {
            let named = pb::HashType::try_from(hash_type_number(hash_type)).unwrap();
            let name = hash_type.to_string().to_uppercase();
            assert_eq!(named.as_str_name(), format!("HASH_TYPE_{name}"));
        }
    }

    #[test]
    fn a_vector_of_no_declared_type_is_refused_from_clients_and_kept_from_peers() {
        let number = VectorClass::ALL[2].hash_type(254).number();
        let message = pb::Hash { hash_type: number.into(), value: vec![7; 9] };
        let refused = hash(message.clone(), Sender::Client).unwrap_err();
        assert_eq!(refused.field, "hash_type");
        let declare =
            "1790 is no hash type that is declared here; declare it first with `vigie hash-type declare`";
        assert_eq!(refused.reason, declare);
        assert_eq!(pb::Hash::from(hash(message.clone(), Sender::Peer).unwrap()), message);
    }

    #[test]
    fn an_unknown_type_is_refused_from_clients_and_kept_from_peers() {
        let message = pb::Hash { hash_type: 4_321, value: vec![7; 9] };
        let refused = hash(message.clone(), Sender::Client).unwrap_err();
        assert_eq!(refused.field, "hash_type");
        assert!(
            refused.reason.starts_with("4321 is no hash type that this version knows; it knows 1 (pdq)"),
            "{refused}"
        );
        let kept = hash(message.clone(), Sender::Peer).unwrap();
        assert_eq!(pb::Hash::from(kept), message);
        for number in [-1, 0, 70_000] {
            assert!(hash_type("", number, Sender::Peer).is_err(), "{number}");
        }
    }
}
