//! Queries, search options, matches and answers.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;
use vigie_hashes::{Distance, Frames, Hash, HashType, HashTypeSet, PARTS_OF_ONE};

use crate::bank::BankId;
use crate::bank_ref::BankRef;
use crate::bank_set::BankSet;
use crate::coverage::{AsOf, Coverage, MinCoverage};
use crate::item::{ItemContent, ItemId};
use crate::member::MemberId;
use crate::rendition::{Rendition, Variant};
use crate::sequence::{Sequence, UnixMillis};
use crate::shard_group::ShardGroup;
use crate::standing::Facts;
use crate::video::{VideoEvidence, VideoRules};

/// A hash to search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryHash {
    /// The hash.
    pub hash: Hash,
    /// The orientation of the image in which this hash was computed.
    pub variant: Variant,
}

/// A piece of content to search for, given by its hashes. At most [`Query::HASHES_MAX`] of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The hashes; a match of any of them is a match of the query.
    pub hashes: Vec<QueryHash>,
}

/// Returns the types of the hashes of all these queries.
#[must_use]
pub fn hash_types(queries: &[Query]) -> HashTypeSet {
    queries.iter().flat_map(|query| &query.hashes).map(|one| one.hash.hash_type()).collect()
}

impl Query {
    /// The largest number of hashes of one query: eight variants and two digests of an image, and a few
    /// renditions.
    pub const HASHES_MAX: usize = 64;
    /// The largest number of frames of videos in one query: eight variants of the longest.
    pub const FRAMES_MAX: usize = 8 * ItemContent::FRAMES_MAX;
    /// The largest number of queries of one call.
    pub const BATCH_MAX: usize = 256;
    /// The largest number of matches that one call may ask for, its queries times its limit: a full batch at
    /// the default limit.
    pub const ANSWERS_MAX: usize = 25_600;

    /// Returns the number of frames of videos in the query's hashes.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.hashes.iter().filter_map(|one| one.hash.frames()).map(Frames::len).sum()
    }
}

/// The options that all queries of one call share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchOptions {
    /// The banks to search; if empty, all enabled ones. Must be empty if there is a `bank_set`.
    pub banks: Vec<BankRef>,
    /// Exactly the banks to search: those of the set that exist and are enabled. An empty set searches none.
    /// A frontend of a deployment with members computes it; `None` in other deployments.
    pub bank_set: Option<Arc<BankSet>>,
    /// The member for whom the search is made, for whom items may be set aside. A frontend of a deployment
    /// with members computes it.
    pub member: Option<MemberId>,
    /// Whether items that are set aside for the member are also returned. A frontend sets this to see their
    /// effect.
    pub with_aside: bool,
    /// The largest distances of a match.
    pub max_distances: MaxDistances,
    /// The banks, among the searched ones, whose charters limit the distance of vectors. A frontend computes
    /// them.
    pub thresholds: Vec<Threshold>,
    /// Whether vectors are compared one by one, so that none is missed.
    pub exact: bool,
    /// The rules by which a video matches.
    pub video_rules: VideoRules,
    /// The banks, among the searched ones, whose charters let videos and images match one another. A frontend
    /// computes them.
    pub stills: Stills,
    /// The largest number of items to return for each query, the nearest first.
    pub limit: Limit,
    /// The answer must include every change up to this one.
    pub min_sequence: Sequence,
    /// The smallest share of shards with which an answer is accepted.
    pub min_coverage: MinCoverage,
}

/// The banks in which a frame of a video and an image may match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stills {
    /// The banks whose videos' frames match images; `None` for no bank.
    pub frames_of: Option<Arc<BankSet>>,
    /// The banks whose images match videos; `None` for no bank.
    pub images_of: Option<Arc<BankSet>>,
}

/// The largest distance of vectors of a type in some banks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The type.
    pub hash_type: HashType,
    /// The largest distance.
    pub distance: Distance,
    /// The banks.
    pub banks: Arc<BankSet>,
}

impl SearchOptions {
    /// The largest number of banks named in one call.
    pub const BANKS_MAX: usize = 256;
    /// The largest number of thresholds of one call.
    pub const THRESHOLDS_MAX: usize = 256;

    /// Returns the largest distance of a match of `hash_type` in a bank: its threshold, or the caller's
    /// distance if that is smaller.
    #[must_use]
    pub fn max_distance_in(&self, hash_type: HashType, bank: BankId) -> Distance {
        let is_of = |one: &&Threshold| one.hash_type == hash_type && one.banks.contains(bank);
        let threshold = self.thresholds.iter().find(is_of).map(|one| one.distance);
        match (threshold, self.max_distances.asked_of(hash_type)) {
            (Some(threshold), Some(asked)) => threshold.min(asked),
            (Some(threshold), None) => threshold,
            (None, _) => self.max_distances.get(hash_type),
        }
    }

    /// Returns the largest distance of a match of `hash_type` in any bank.
    #[must_use]
    pub fn max_distance(&self, hash_type: HashType) -> Distance {
        let asked = self.max_distances.asked_of(hash_type);
        let thresholds = self.thresholds.iter().filter(|one| one.hash_type == hash_type);
        let farthest = thresholds.map(|one| one.distance).max().unwrap_or_default();
        asked.unwrap_or_else(|| hash_type.distance_default().max(farthest))
    }
}

/// The largest distances that a caller asked for. A type that it did not name has
/// [`HashType::distance_default`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaxDistances {
    /// The distances, in ascending order of type, each type once.
    asked: SmallVec<[(HashType, Distance); 2]>,
}

/// The distance is larger than the hash type accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "max_distance for {hash_type} is {}; it must be 0 to {}",
    hash_type.distance_text(*distance),
    hash_type.distance_text(hash_type.distance_max())
)]
pub struct MaxDistanceError {
    /// The type that was named.
    pub hash_type: HashType,
    /// The distance that was asked for.
    pub distance: Distance,
}

impl MaxDistances {
    /// Sets the distance of `hash_type`, after checking it against the table. A type that is unknown to this
    /// build accepts any distance: the replica that knows the type decides.
    pub fn with(mut self, hash_type: HashType, distance: u32) -> Result<Self, MaxDistanceError> {
        let accepted = Some(Distance(distance))
            .filter(|&accepted| !hash_type.is_known() || accepted <= hash_type.distance_max())
            .ok_or(MaxDistanceError { hash_type, distance: Distance(distance) })?;
        match self.asked.binary_search_by_key(&hash_type, |(asked, _)| *asked) {
            Ok(at) => self.asked[at].1 = accepted,
            Err(at) => self.asked.insert(at, (hash_type, accepted)),
        }
        Ok(self)
    }

    /// Returns the largest distance of a match of `hash_type`.
    #[must_use]
    pub fn get(&self, hash_type: HashType) -> Distance {
        self.asked_of(hash_type).unwrap_or_else(|| hash_type.distance_default())
    }

    /// Returns the largest distance that the caller asked for; `None` if it named none.
    #[must_use]
    pub fn asked_of(&self, hash_type: HashType) -> Option<Distance> {
        self.asked.iter().find(|(asked, _)| *asked == hash_type).map(|(_, distance)| *distance)
    }

    /// Returns the caller's distances, in ascending order of type. Only these are sent: a peer of another
    /// version has its own defaults.
    pub fn asked(&self) -> impl ExactSizeIterator<Item = (HashType, Distance)> {
        self.asked.iter().copied()
    }
}

/// The largest number of items to return for one query, 1 to [`Limit::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

/// The limit is negative or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("limit is {0}; it must be 1 to {max}, or 0 for the default of {default}", max = Limit::MAX, default = Limit::DEFAULT)]
pub struct LimitError(pub i64);

impl Limit {
    /// The largest number of items that one query can ask for.
    pub const MAX: u16 = 1_000;
    /// The limit that 0 means.
    pub const DEFAULT: u16 = 100;

    /// Checks the limit; 0 means [`Self::DEFAULT`].
    pub fn new(limit: i64) -> Result<Self, LimitError> {
        match u16::try_from(limit) {
            Ok(0) => Ok(Self(Self::DEFAULT)),
            Ok(limit @ 1..=Self::MAX) => Ok(Self(limit)),
            _ => Err(LimitError(limit)),
        }
    }

    /// Returns the limit as a length.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

/// A known item within the requested distance of a query, described by its nearest hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The item.
    pub item: ItemId,
    /// The bank that contains the item.
    pub bank: BankId,
    /// The bank's name at the time of the answer: its owner's name for it, or from a frontend that knows
    /// members, the caller's.
    pub bank_name: BankRef,
    /// The contributor's own name for the item.
    pub external_reference: Option<Box<str>>,
    /// The contributor's labels.
    pub labels: Box<[Box<str>]>,
    /// The type of the hash that matched.
    pub hash_type: HashType,
    /// The distance of the hash from the query.
    pub distance: Distance,
    /// The orientation of the query's image that matched.
    pub variant: Variant,
    /// Whether the index that found the match finds everything.
    pub exact: bool,
    /// The number of further pairs of a query hash and a hash of this item within the requested distance. All
    /// videos of a query and of an item count as one pair, if they match.
    pub other_matches: u32,
    /// The frame of the content that matched, and the way in which it was hashed. The frontend sets it;
    /// elsewhere it is the first frame, plain.
    pub rendition: Rendition,
    /// The time at which the item was added; `None` if the shard does not know it.
    pub added_at: Option<UnixMillis>,
    /// The opinions of members on the item and other facts, for the searching member; `None` if there are
    /// none.
    pub facts: Option<Box<Facts>>,
    /// The time of the frame of the item's video that is near an image, in milliseconds; `None` if the match
    /// is not of this kind.
    pub item_time_ms: Option<u32>,
    /// The evidence that the query, a video, matches the item; `None` if only hashes of other types match. If
    /// an item matches in both ways, the hash type names the nearer one, to which the distance and the rank
    /// belong. The distance of videos is that of the nearest two frames.
    pub video: Option<Box<VideoEvidence>>,
}

/// The position of a match in an answer: the smallest rank comes first.
///
/// A hash is ranked by its distance: in bits, and for a vector in thousandths and then in smaller parts. A
/// video is ranked by the matching share of its time, the larger of the query's and the item's: by the
/// missing thousandths, and then by the number of matching frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    missing: u32,
    /// For a video the matching frames; for a vector the largest number minus the rest of its distance, in
    /// parts of a thousandth.
    frames: Reverse<u32>,
    item: ItemId,
}

impl Rank {
    /// Returns the rank of an item by one of its hashes.
    #[must_use]
    pub fn of_hash(hash_type: HashType, distance: Distance, item: ItemId) -> Self {
        if hash_type.vector_class().is_none() {
            return Self { missing: distance.0, frames: Reverse(u32::MAX), item };
        }
        let parts = PARTS_OF_ONE / 1_000;
        Self { missing: distance.0 / parts, frames: Reverse(u32::MAX - distance.0 % parts), item }
    }

    /// Returns the rank of an item by its video.
    #[must_use]
    pub fn of_video(evidence: &VideoEvidence, item: ItemId) -> Self {
        let missing = 1_000 - u32::from(evidence.permille());
        Self { missing, frames: Reverse(evidence.query.frames_matched), item }
    }
}

impl Match {
    /// Returns the rank of the match.
    #[must_use]
    pub fn rank(&self) -> Rank {
        match &self.video {
            Some(evidence) if self.hash_type == HashType::VPDQ => Rank::of_video(evidence, self.item),
            Some(_) | None => Rank::of_hash(self.hash_type, self.distance, self.item),
        }
    }

    /// Compares matches in the order of answers: by rank. Within one item, the hash type, the variant and the
    /// rendition decide which of several equally near hashes the answer names.
    #[must_use]
    pub fn answer_order(&self, other: &Self) -> Ordering {
        let key = |one: &Self| (one.rank(), one.distance, one.hash_type, one.variant, one.rendition);
        key(self).cmp(&key(other))
    }
}

/// The answer to one query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryMatches {
    /// Each matching item once, in the order of [`Match::answer_order`].
    pub matches: Vec<Match>,
    /// Whether more items match than are returned, because of the limit or because some were omitted.
    pub limit_reached: bool,
    /// The number of matches within the limit that were omitted because the answer would have been too large.
    /// Each is farther than the returned ones. An upper bound if several queries belong to one content.
    pub left_out: u32,
    /// Whether an item matches that is set aside for the searching member; it is not returned. If more items
    /// match than the limit allows, a farther one may not be noticed. Members never see this field.
    pub set_aside: bool,
    /// The number of usable frames of a video query that are near so many known frames (logos, title cards)
    /// that not all of these were examined, so that an item may have been missed. 0 if there are none.
    pub common_frames: u32,
}

/// The answer of one matcher, for its shards, to a batch of queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardAnswer {
    /// The shards that were searched, and the number of shards.
    pub shards: ShardGroup,
    /// The answer includes every change of these shards up to this one.
    pub sequence: Sequence,
    /// The age of the answer in time.
    pub as_of: AsOf,
    /// The number of hashes that were searched.
    pub hashes_searched: u64,
    /// The results, one for each query, in the order of the request.
    pub results: Vec<QueryMatches>,
    /// The hash types whose index may miss a match.
    pub approximate: Vec<HashType>,
}

/// The answer of the whole cluster to a batch of queries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchAnswer {
    /// The results, one for each query, in the order of the request.
    pub results: Vec<QueryMatches>,
    /// The coverage of the answer.
    pub coverage: Coverage,
    /// The hash types whose index may miss a match.
    pub approximate: Vec<HashType>,
}

#[cfg(test)]
mod tests {
    use vigie_hashes::VectorClass;

    use super::*;

    #[test]
    fn distances_are_checked_for_each_type() {
        let accept = |hash_type, distance| MaxDistances::default().with(hash_type, distance);
        assert_eq!(accept(HashType::PDQ, 64).unwrap().get(HashType::PDQ), Distance(64));
        assert!(accept(HashType::MD5, 0).is_ok());
        assert!(accept(HashType::MD5, 1).is_err());
        let error = accept(HashType::PDQ, 300).unwrap_err();
        assert_eq!(error.to_string(), "max_distance for pdq is 300; it must be 0 to 64");
        let unknown = HashType::from_number(777).unwrap();
        assert_eq!(accept(unknown, 200).unwrap().get(unknown), Distance(200));
        let vector = VectorClass::ALL[0].hash_type(240);
        assert_eq!(accept(vector, 183_204).unwrap().get(vector), Distance(183_204));
        let error = accept(vector, 2_000_001).unwrap_err();
        assert_eq!(error.to_string(), "max_distance for type-1264 is 2.000001; it must be 0 to 2.000000");
    }

    #[test]
    fn the_threshold_of_a_bank_holds_but_for_what_is_asked_nearer() {
        let vector = VectorClass::ALL[0].hash_type(241);
        let threshold = |bank, distance| Threshold {
            hash_type: vector,
            distance: Distance(distance),
            banks: Arc::new([BankId(bank)].into_iter().collect()),
        };
        let mut options = SearchOptions {
            thresholds: vec![threshold(1, 100), threshold(2, 300)],
            ..SearchOptions::default()
        };
        let in_banks =
            |options: &SearchOptions| [1, 2, 3].map(|bank| options.max_distance_in(vector, BankId(bank)).0);
        assert_eq!((in_banks(&options), options.max_distance(vector)), ([100, 300, 0], Distance(300)));
        options.max_distances = options.max_distances.with(vector, 200).unwrap();
        assert_eq!((in_banks(&options), options.max_distance(vector)), ([100, 200, 200], Distance(200)));
        assert_eq!(options.max_distance_in(HashType::PDQ, BankId(1)), Distance(31));
    }

    #[test]
    fn vectors_stand_by_their_distance_among_each_other_and_by_thousandths_among_others() {
        let vector = VectorClass::ALL[0].hash_type(242);
        let rank = |hash_type, distance, item| Rank::of_hash(hash_type, Distance(distance), ItemId(item));
        let ordered = [
            rank(vector, 0, 9),
            rank(vector, 1, 1),
            rank(vector, 999, 1),
            rank(HashType::PDQ, 1, 1),
            rank(vector, 30_999, 1),
            rank(HashType::PDQ, 31, 1),
            rank(vector, 31_500, 1),
            rank(vector, 31_500, 2),
        ];
        assert!(ordered.is_sorted_by(|one, other| one < other), "{ordered:?}");
    }

    #[test]
    fn only_what_was_asked_for_travels() {
        assert_eq!(MaxDistances::default().asked().len(), 0);
        assert_eq!(MaxDistances::default().get(HashType::PDQ), Distance(31));
        let both = MaxDistances::default().with(HashType::SHA256, 0).unwrap().with(HashType::PDQ, 9).unwrap();
        let again = both.clone().with(HashType::PDQ, 12).unwrap();
        assert_eq!(
            both.asked().collect::<Vec<_>>(),
            [(HashType::PDQ, Distance(9)), (HashType::SHA256, Distance(0))]
        );
        assert_eq!(again.asked().len(), 2);
        assert_eq!(again.get(HashType::PDQ), Distance(12));
    }

    #[test]
    fn a_negative_limit_is_refused_in_words() {
        assert_eq!(
            Limit::new(-1).unwrap_err().to_string(),
            "limit is -1; it must be 1 to 1000, or 0 for the default of 100"
        );
        assert_eq!(Limit::new(0).unwrap().get(), 100);
        assert!(Limit::new(1_001).is_err());
    }
}
