//! The work of a search, computed before the search.
//!
//! The work of an exact search grows with the number of hashes, and steeply with the distance: within 64 bits
//! a hash takes about eighty times as long as within 31. A search is therefore charged by its cost, not as
//! one call. The unit is about a microsecond of one processor on a million hashes. Measured with
//! `vigie-loadtest index --engine mih --radius R` on 200,000 and on 1,000,000 hashes of the shape `pdq`
//! (means; BENCHMARKS.md has the table).

use std::iter::Sum;

use thiserror::Error;
use vigie_hashes::{Distance, Hash, HashType, HashTypeSet, Metric};

use crate::query::{Query, QueryHash, SearchOptions};

/// The cost of a hash that is searched within at most this many bits: pairs of a distance and a cost.
const COSTS: [(u32, u64); 8] =
    [(0, 1), (15, 4), (23, 8), (31, 16), (40, 100), (48, 240), (56, 500), (u32::MAX, 1_200)];
/// The cost of a hash that is compared for equality.
const EQUAL: u64 = 1;
/// The cost of a vector that is searched in graphs: a vector of 384 numbers among 100,000 takes about 500
/// microseconds.
const VECTOR: u64 = 500;
/// The cost of a vector that is compared with every other: 384 numbers with 100,000 vectors.
const EVERY_VECTOR: u64 = 16_000;

/// The cost of a hash that is compared with every other because its index is approximate and the search
/// exact: a scan of a million hashes of 32 bytes.
const EVERY_HASH: u64 = 4_000;

/// The cost of one or more searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cost(pub u64);

/// A search costs more than one call may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{hashes} hashes of type {hash_type} within {} are too much work for one call; ask for at most {hashes_max} within {}{}",
    within(*hash_type, *distance),
    within(*hash_type, *distance),
    distance_max.map(|distance| format!(", or within at most {}", hash_type.distance_text(distance))).unwrap_or_default()
)]
pub struct CostError {
    /// The type with the largest total cost.
    pub hash_type: HashType,
    /// The number of hashes of this type in the call.
    pub hashes: u64,
    /// The distance within which they are searched.
    pub distance: Distance,
    /// The largest number of hashes of this type that one call may search within that distance, without
    /// others.
    pub hashes_max: u64,
    /// The largest distance within which one call may search this many hashes, without others; `None` if the
    /// distance makes no difference.
    pub distance_max: Option<Distance>,
}

/// Returns a distance with its unit, if it has one.
fn within(hash_type: HashType, distance: Distance) -> String {
    let unit = if hash_type.vector_class().is_some() { "" } else { " bits" };
    format!("{}{unit}", hash_type.distance_text(distance))
}

impl Cost {
    /// The largest cost of one call: a full batch of queries with as many hashes as a query may have, at
    /// PDQ's default distance. A quarter to half a second of one processor.
    pub const MAX: Self = Self(Query::BATCH_MAX as u64 * Query::HASHES_MAX as u64 * 16);
    /// The cost of a call that takes one slot of a server: 64 pictures at PDQ's default distance.
    pub const SLOT: Self = Self(64 * 8 * 16);

    /// Returns the cost of a search for these queries.
    #[must_use]
    pub fn of(queries: &[Query], options: &SearchOptions) -> Self {
        let hashes = queries.iter().flat_map(|query| &query.hashes);
        let cost =
            |one: &QueryHash| units(&one.hash).saturating_mul(of_a_unit(one.hash.hash_type(), options));
        Self(hashes.map(cost).fold(0, u64::saturating_add))
    }

    /// Returns the cost of comparing with every hash those of the queries whose type is one of these; of a
    /// video, each frame.
    #[must_use]
    pub fn of_scans(queries: &[Query], is_scanned: impl Fn(HashType) -> bool) -> Self {
        let hashes = queries.iter().flat_map(|query| &query.hashes);
        let scanned = hashes.filter(|one| is_scanned(one.hash.hash_type()));
        Self(scanned.map(|one| units(&one.hash).saturating_mul(EVERY_HASH)).fold(0, u64::saturating_add))
    }

    /// The largest number of hashes that one call may have compared with every other.
    #[must_use]
    pub const fn scans_max() -> u64 {
        Self::MAX.0 / EVERY_HASH
    }

    /// Returns the cost of a search for one hash of a type; for a video, of one frame.
    #[must_use]
    pub fn of_hash(hash_type: HashType, options: &SearchOptions) -> Self {
        Self(of_a_unit(hash_type, options))
    }

    /// Returns the number of a server's slots that a call of this cost takes, at least one.
    #[must_use]
    pub fn slots(self) -> usize {
        usize::try_from(self.0.div_ceil(Self::SLOT.0)).unwrap_or(usize::MAX).max(1)
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        Self(costs.map(|Self(cost)| cost).fold(0, u64::saturating_add))
    }
}

/// Returns the number of units that a hash counts as: for a video its frames, otherwise one.
#[must_use]
pub fn units(hash: &Hash) -> u64 {
    hash.frames().map_or(1, |frames| frames.len() as u64)
}

/// Checks that one call may search for this many hashes of each type; a video counts as its frames.
pub fn check(
    hashes: impl IntoIterator<Item = (HashType, u64)>,
    options: &SearchOptions,
) -> Result<Cost, CostError> {
    let (mut all, mut dearest) = (0_u64, None);
    for (hash_type, count) in hashes {
        let cost = count.saturating_mul(of_a_unit(hash_type, options));
        all = all.saturating_add(cost);
        dearest = dearest.max(Some((cost, count, hash_type)));
    }
    match dearest {
        Some((_, hashes, hash_type)) if all > Cost::MAX.0 => {
            let affordable = Cost::MAX.0 / hashes.max(1);
            let nearer = COSTS.iter().rev().find(|(_, cost)| *cost <= affordable);
            let nearer = Distance(nearer.map_or(0, |(distance, _)| *distance));
            Err(CostError {
                hash_type,
                hashes,
                distance: options.max_distance(hash_type),
                hashes_max: Cost::MAX.0 / of_a_unit(hash_type, options),
                distance_max: hash_type.vector_class().is_none().then_some(nearer),
            })
        }
        Some(_) | None => Ok(Cost(all)),
    }
}

/// Returns how many queries one call may have whatever hashes of these types each of them has; at least one.
#[must_use]
pub fn queries_max(hash_types: &HashTypeSet, options: &SearchOptions) -> usize {
    let of_a_query = |hash_type: HashType| {
        let is_video = hash_type.row().is_some_and(|row| row.metric == Metric::Frames);
        let units = if is_video { Query::FRAMES_MAX } else { Query::HASHES_MAX };
        units as u64 * of_a_unit(hash_type, options)
    };
    let dearest = hash_types.iter().map(of_a_query).max().unwrap_or(EQUAL);
    usize::try_from(Cost::MAX.0 / dearest).unwrap_or(usize::MAX).max(1)
}

/// Returns the cost of one hash, or of one frame of a video. A frame costs less than half of a hash of its
/// own, because the usual rules search for most frames only in a part of the index. The longest video in all
/// variants therefore fits into one call, together with digests. A frame costs no less within fewer bits than
/// the usual ones, because it is compared with all frames of each candidate; so a call never has many more
/// than [`Query::FRAMES_MAX`].
fn of_a_unit(hash_type: HashType, options: &SearchOptions) -> u64 {
    let distance = options.max_distances.get(hash_type).0;
    let compared = || COSTS.iter().find(|(within, _)| distance <= *within).map_or(EQUAL, |(_, cost)| *cost);
    match hash_type.row().map(|row| row.metric) {
        Some(Metric::Hamming) => compared(),
        Some(Metric::Frames) => (7 * compared()).div_ceil(16).max(7),
        Some(Metric::Vector) if options.exact => EVERY_VECTOR,
        Some(Metric::Vector) => VECTOR,
        Some(Metric::Equality) | None => EQUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{MaxDistances, hash_types};
    use crate::rendition::Variant;
    use vigie_hashes::{Frame, VectorClass};

    fn within(bits: u32) -> SearchOptions {
        within_of(HashType::PDQ, bits)
    }

    fn within_of(hash_type: HashType, bits: u32) -> SearchOptions {
        SearchOptions {
            max_distances: MaxDistances::default().with(hash_type, bits).unwrap(),
            ..SearchOptions::default()
        }
    }

    #[test]
    fn the_largest_batch_at_the_default_distance_is_accepted_and_nothing_like_it_farther() {
        let pdq = |hashes| [(HashType::PDQ, hashes)];
        let most = 256 * 64;
        assert_eq!(check(pdq(most), &SearchOptions::default()), Ok(Cost::MAX));
        let refused = check(pdq(most), &within(64)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "16384 hashes of type pdq within 64 bits are too much work for one call; ask for at most 218 within 64 bits, \
             or within at most 31"
        );
        assert!(check(pdq(refused.hashes_max), &within(64)).is_ok());
        assert!(check(pdq(refused.hashes_max + 1), &within(64)).is_err());
        assert!(check(pdq(most), &within(refused.distance_max.unwrap().0)).is_ok());
        assert!(check([(HashType::PDQ, most), (HashType::MD5, 1)], &SearchOptions::default()).is_err());
        assert!(check([], &within(64)).is_ok());
    }

    #[test]
    fn one_call_may_compare_the_hashes_of_one_query_with_every_hash() {
        let hash = |number: u8| QueryHash { hash: Hash::md5([number; 16]), variant: Variant::Original };
        let query = |hashes: usize| Query { hashes: vec![hash(1); hashes] };
        let cost = |hashes| Cost::of_scans(&[query(hashes)], |hash_type| hash_type == HashType::MD5);
        assert!(cost(Query::HASHES_MAX) <= Cost::MAX && cost(2 * Query::HASHES_MAX) > Cost::MAX);
        let most = usize::try_from(Cost::scans_max()).unwrap();
        assert!(cost(most) <= Cost::MAX && cost(most + 1) > Cost::MAX);
        assert_eq!(Cost::of_scans(&[query(9)], |hash_type| hash_type == HashType::PDQ), Cost(0));
    }

    #[test]
    fn a_shared_call_never_costs_more_than_one_may() {
        for bits in 0..=64 {
            let queries = queries_max(&[HashType::PDQ].into_iter().collect(), &within(bits)) as u64;
            let hashes = (HashType::PDQ, queries * Query::HASHES_MAX as u64);
            assert!(queries == 1 || check([hashes], &within(bits)).is_ok(), "{bits}");
            assert!(check([(HashType::PDQ, Query::HASHES_MAX as u64)], &within(bits)).is_ok(), "{bits}");
        }
        assert!(queries_max(&HashTypeSet::default(), &within(64)) >= Query::BATCH_MAX);
    }

    #[test]
    fn the_longest_video_in_all_variants_is_one_call() {
        let frames = |count| {
            let frames: Vec<Frame> =
                (0..count).map(|time_ms| Frame { pdq: [7; 32], quality: 100, time_ms }).collect();
            QueryHash { hash: Hash::of_frames(&frames).unwrap(), variant: Variant::Original }
        };
        let video = [Query { hashes: vec![frames(4_096); 8] }];
        let cost = Cost::of(&video, &SearchOptions::default());
        assert_eq!(cost, Cost(8 * 4_096 * 7));
        let vectors = |count| [(VectorClass::ALL[0].hash_type(243), count)];
        let refused = check(vectors(700), &SearchOptions::default()).unwrap_err();
        assert!(refused.to_string().ends_with("ask for at most 524 within 0.000000"), "{refused}");
        assert!(check(vectors(524), &SearchOptions::default()).is_ok());
        let exact = SearchOptions { exact: true, ..SearchOptions::default() };
        assert_eq!(check(vectors(17), &exact).unwrap_err().hashes_max, 16);
        let digests = (HashType::MD5, Query::HASHES_MAX as u64);
        assert!(check([(HashType::VPDQ, 8 * 4_096), digests], &SearchOptions::default()).is_ok());
        assert!(check([(HashType::VPDQ, 9 * 4_096 + 600)], &SearchOptions::default()).is_err());
        assert_eq!(units(&video[0].hashes[0].hash), 4_096);
        let types = hash_types(&video);
        for bits in [0, 15, 31, 64] {
            let within = within_of(HashType::VPDQ, bits);
            assert_eq!(queries_max(&types, &within), 1, "{bits}");
        }
        let short = [Query { hashes: vec![frames(60); 8] }];
        assert_eq!(Cost::of(&short, &SearchOptions::default()), Cost(60 * 8 * 7));
    }

    #[test]
    fn a_picture_takes_one_slot_and_a_costly_search_several() {
        let hash = |hash| QueryHash { hash, variant: Variant::Original };
        let hashes = (0..8).map(|at| hash(Hash::pdq([at; 32]))).chain([hash(Hash::md5([1; 16]))]).collect();
        let picture = [Query { hashes }];
        let slots = |bits| Cost::of(&picture, &within(bits)).slots();
        assert_eq!((slots(31), slots(48), slots(64)), (1, 1, 2));
        assert_eq!(Cost::MAX.slots(), 32);
        assert_eq!(Cost::default().slots(), 1);
    }
}
