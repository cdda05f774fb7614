//! A content as queries, and the answers to these as the answer for the content.
//!
//! Each frame of an image, in each way in which it was hashed, is a query of its own: so a match is known to be of that frame and
//! way, and no service behind the frontend has to know of frames. The digests go with the first.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::answer::{Reach, cut};
use vigie_model::{
    DecodeFailure, Decoded, Hash, HashType, HashTypeSearch, ItemId, Limit, Match, Matched, MaxDistances,
    PdqHash, PictureFingerprint, Quality, Query, QueryHash, QueryMatches, Rendition, SkipReason, Source,
    Variant,
};

use crate::hashing_pool::HashedImage;

/// A content that can be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// At least one query, without hashes that are not to be trusted, and what each was taken of.
    pub(crate) queries: Vec<(Rendition, Query)>,
    /// Every hash type of the content, and why it is not searched if it is not.
    hash_types: Vec<(HashType, Option<SkipReason>)>,
    pdq_quality: Option<Quality>,
    source: Source,
}

/// How the queries were searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched<'a> {
    pub(crate) max_distances: &'a MaxDistances,
    /// Hash types whose index may have missed a match.
    pub(crate) approximate: &'a [HashType],
    pub(crate) quality_floor: Quality,
}

impl Prepared {
    /// Hashes that the caller sent. If their quality is below the floor, the perceptual ones are left out.
    pub(crate) fn of_hashes(
        mut hashes: Vec<QueryHash>,
        pdq_quality: Option<Quality>,
        floor: Quality,
    ) -> Self {
        let is_poor = pdq_quality.is_some_and(|quality| quality < floor);
        let skipped = |hash_type: HashType| {
            (is_poor && hash_type.has_quality_floor()).then_some(SkipReason::QualityBelowFloor)
        };
        let hash_types: BTreeSet<HashType> = hashes.iter().map(|one| one.hash.hash_type()).collect();
        let hash_types = hash_types.into_iter().map(|hash_type| (hash_type, skipped(hash_type))).collect();
        hashes.retain(|one| skipped(one.hash.hash_type()).is_none());
        let queries = vec![(Rendition::default(), Query { hashes })];
        Self { queries, hash_types, pdq_quality, source: Source::Hashed }
    }

    /// The hashes of an image file.
    pub(crate) fn of_image(image: HashedImage, floor: Quality) -> Self {
        let HashedImage { digests, picture } = image;
        match picture {
            Ok(picture) => Self::of_picture(&picture, digests, floor),
            Err(failure) => Self::of_digests(digests, failure),
        }
    }

    fn of_picture(picture: &PictureFingerprint, digests: Vec<Hash>, floor: Quality) -> Self {
        let (mut pdq, mut frames_below_floor) = (Vec::new(), 0);
        // A still stretch of an animation has one hash many times.
        let mut known: BTreeSet<[PdqHash; 8]> = BTreeSet::new();
        for frame in picture.frames() {
            frames_below_floor += u32::from(frame.ways().all(|(_, hashes)| hashes.quality < floor));
            for (way, hashes) in frame.ways().filter(|(_, hashes)| hashes.quality >= floor) {
                if known.insert(hashes.pdq) {
                    let query = Query { hashes: hashes.query_hashes().collect() };
                    pdq.push((Rendition { frame: frame.number, way }, query));
                }
            }
        }
        let skipped = pdq.is_empty().then_some(SkipReason::QualityBelowFloor);
        let source = Source::Decoded(Decoded {
            width: picture.width,
            height: picture.height,
            frames_seen: picture.frames_seen(),
            frames_left_out: picture.frames_left_out,
            frames_below_floor,
        });
        Self::with_digests(pdq, digests, skipped, Some(picture.quality()), source)
    }

    fn of_digests(digests: Vec<Hash>, failure: DecodeFailure) -> Self {
        let skipped = Some(SkipReason::NotDecoded);
        Self::with_digests(Vec::new(), digests, skipped, None, Source::Undecoded(failure))
    }

    fn with_digests(
        mut queries: Vec<(Rendition, Query)>,
        digests: Vec<Hash>,
        pdq_skipped: Option<SkipReason>,
        pdq_quality: Option<Quality>,
        source: Source,
    ) -> Self {
        let types = digests.iter().map(|digest| (digest.hash_type(), None));
        let mut hash_types: Vec<_> = std::iter::once((HashType::PDQ, pdq_skipped)).chain(types).collect();
        hash_types.sort_unstable_by_key(|(hash_type, _)| *hash_type);
        let digests = digests.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        match queries.first_mut() {
            Some((rendition, first)) if *rendition == Rendition::default() => first.hashes.extend(digests),
            // A digest is of the file, and not of a frame: its match names the first.
            _ => queries.insert(0, (Rendition::default(), Query { hashes: digests.collect() })),
        }
        Self { queries, hash_types, pdq_quality, source }
    }

    /// The answer for the content, from what was found for its queries.
    pub(crate) fn answered(self, found: QueryMatches, searched: Searched<'_>) -> Matched {
        let searches = self.hash_types.into_iter().map(|(hash_type, skipped)| HashTypeSearch {
            hash_type,
            max_distance: searched.max_distances.get(hash_type),
            exact: !searched.approximate.contains(&hash_type),
            skipped,
        });
        Matched {
            found,
            searches: searches.collect(),
            pdq_quality: self.pdq_quality,
            quality_floor: searched.quality_floor,
            source: self.source,
        }
    }
}

/// What was found for the queries of one content: each item once, by its nearest match.
#[derive(Debug)]
pub(crate) struct Found {
    items: BTreeMap<ItemId, Match>,
    limit: Limit,
    limit_reached: bool,
    reach: Reach,
    /// The bytes of the items' matches, at most.
    bytes: usize,
}

impl Found {
    /// Nothing yet.
    pub(crate) fn new(limit: Limit) -> Self {
        Self { items: BTreeMap::new(), limit, limit_reached: false, reach: Reach::default(), bytes: 0 }
    }

    /// Keeps of what was found for all contents of a call no more than an answer of so many bytes may hold.
    pub(crate) fn cut_all(all: Vec<Self>, bytes_max: usize) -> Vec<Self> {
        let limits: Vec<Limit> = all.iter().map(|found| found.limit).collect();
        let mut results: Vec<QueryMatches> = all.into_iter().map(Self::finish).collect();
        cut(&mut results, bytes_max);
        results.into_iter().zip(limits).map(|(result, limit)| Self::of(result, limit)).collect()
    }

    /// What was finished, to be added to.
    fn of(result: QueryMatches, limit: Limit) -> Self {
        let mut found = Self { limit_reached: result.limit_reached, ..Self::new(limit) };
        found.reach.note(&result);
        found.bytes = result.bytes();
        found.items = result.matches.into_iter().map(|one| (one.item, one)).collect();
        found
    }

    /// The bytes of what was found, at most.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the answer to one query. Of many more items than the limit the nearest are kept.
    pub(crate) fn add(&mut self, rendition: Rendition, answer: QueryMatches) {
        self.limit_reached |= answer.limit_reached;
        self.reach.note(&answer);
        self.bytes += answer.bytes();
        for mut found in answer.matches {
            found.rendition = rendition;
            match self.items.get_mut(&found.item) {
                None => drop(self.items.insert(found.item, found)),
                Some(known) => {
                    let others = known.other_matches.saturating_add(found.other_matches).saturating_add(1);
                    if found.answer_order(known).is_lt() {
                        *known = found;
                    }
                    known.other_matches = others;
                }
            }
        }
        if self.items.len() > self.limit.get() * 4 {
            let nearest = self.take_nearest();
            self.bytes = nearest.iter().map(Match::bytes).sum();
            self.items = nearest.into_iter().map(|found| (found.item, found)).collect();
        }
    }

    /// The nearest items, up to the limit.
    pub(crate) fn finish(mut self) -> QueryMatches {
        let mut matches: Vec<Match> = std::mem::take(&mut self.items).into_values().collect();
        matches.sort_by(Match::answer_order);
        let mut result = QueryMatches { matches, limit_reached: self.limit_reached, left_out: 0 };
        self.reach.apply(&mut result, self.limit);
        result
    }

    fn take_nearest(&mut self) -> Vec<Match> {
        let mut matches: Vec<Match> = std::mem::take(&mut self.items).into_values().collect();
        matches.sort_by(Match::answer_order);
        self.limit_reached |= matches.len() > self.limit.get();
        matches.truncate(self.limit.get());
        matches
    }
}

#[cfg(test)]
mod tests;
