//! Converts a content to queries, and the answers to these to the answer for the content.
//!
//! Each frame of an image, in each way in which it was hashed, is a separate query: so a match is known to
//! belong to that frame and way, and no service behind the frontend has to know of frames. The digests are
//! part of the first query. The number of queries of a call is bounded ([`take_queries`]); the rest counts as
//! left out.

mod video;

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::answer::{Reach, cut};
use vigie_model::{
    DecodeFailure, Decoded, Hash, HashType, HashTypeSearch, ItemId, Limit, Match, Matched, PdqHash,
    PictureFingerprint, PictureHashes, Quality, Query, QueryHash, QueryMatches, Rendition, SearchOptions,
    SkipReason, Source, Variant, Way,
};

use crate::hashing::HashedImage;

/// A content that can be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// At least one query, without hashes of too low quality, each with its rendition. The first frame's
    /// queries come first, then further frames as they are, then further frames in further ways.
    queries: Vec<(Rendition, Query)>,
    /// The number of queries of the first frame.
    first_queries: usize,
    /// The queries for the hashes of each decoded frame. Frames that look the same share queries.
    frames: Vec<Vec<usize>>,
    /// Every hash type of the content, with the reason if it is not searched.
    hash_types: Vec<(HashType, Option<SkipReason>)>,
    pdq_quality: Option<Quality>,
    source: Source,
}

/// How the queries were searched: options and accuracy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched<'a> {
    pub(crate) options: &'a SearchOptions,
    /// Hash types whose index may have missed a match.
    pub(crate) approximate: &'a [HashType],
    pub(crate) quality_floor: Quality,
}

impl Prepared {
    /// Prepares hashes that the caller sent. If their quality is below the floor, the perceptual ones are
    /// left out.
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
        let source = Source::Hashed;
        Self { queries, first_queries: 1, frames: Vec::new(), hash_types, pdq_quality, source }
    }

    /// Prepares the hashes of an image file.
    pub(crate) fn of_image(image: HashedImage, floor: Quality) -> Self {
        let HashedImage { digests, hashes } = image;
        match hashes {
            Ok(picture) => Self::of_picture(&picture.fingerprint, digests, floor),
            Err(failure) => Self::of_digests(HashType::PDQ, digests, failure),
        }
    }

    fn of_picture(picture: &PictureFingerprint, digests: Vec<Hash>, floor: Quality) -> Self {
        let poor = picture.frames().filter(|frame| frame.ways().all(|(_, hashes)| hashes.quality < floor));
        let frames_below_floor = u32::try_from(poor.count()).unwrap_or(u32::MAX);
        let skipped = (frames_below_floor == picture.frames_seen()).then_some(SkipReason::QualityBelowFloor);
        let source = Source::Decoded(Decoded {
            width: picture.width,
            height: picture.height,
            frames_seen: picture.frames_seen(),
            frames_left_out: picture.frames_left_out,
            frames_below_floor,
            ways_left_out: 0,
        });
        let mut prepared = Self::of_file(digests, (HashType::PDQ, skipped), Some(picture.quality()), source);
        let Self { queries, frames, .. } = &mut prepared;
        frames.resize(1 + picture.later.len(), Vec::new());
        // A still part of an animation repeats one hash many times.
        let mut known: BTreeMap<[PdqHash; 8], usize> = BTreeMap::new();
        let mut add = |at: usize, frame: u32, way: Way, hashes: &PictureHashes| {
            if hashes.quality < floor {
                return;
            }
            let query = *known.entry(hashes.pdq).or_insert_with(|| {
                let rendition = Rendition { frame, way };
                let hashes = hashes.query_hashes();
                if rendition == Rendition::default() {
                    queries[0].1.hashes.splice(..0, hashes);
                    return 0;
                }
                queries.push((rendition, Query { hashes: hashes.collect() }));
                queries.len() - 1
            });
            frames[at].push(query);
        };
        for (way, hashes) in picture.first.ways() {
            add(0, picture.first.number, way, hashes);
        }
        let later = || (1..).zip(&picture.later);
        for (at, frame) in later() {
            add(at, frame.number, Way::Plain, &frame.plain);
        }
        for (at, frame) in later() {
            for (way, hashes) in &frame.further {
                add(at, frame.number, *way, hashes);
            }
        }
        prepared.first_queries = prepared.frames[0].iter().max().map_or(1, |last| last + 1);
        prepared
    }

    /// Prepares a file whose hash of this type could not be computed.
    fn of_digests(hash_type: HashType, digests: Vec<Hash>, failure: DecodeFailure) -> Self {
        let skipped = (hash_type, Some(SkipReason::NotDecoded));
        Self::of_file(digests, skipped, None, Source::Undecoded(failure))
    }

    /// Prepares the digests of a file. They belong to the file and not to a frame, so a match of them names
    /// the first frame. `perceptual` is the type of the other hashes, with the reason if it is not searched.
    fn of_file(
        digests: Vec<Hash>,
        perceptual: (HashType, Option<SkipReason>),
        pdq_quality: Option<Quality>,
        source: Source,
    ) -> Self {
        let types = digests.iter().map(|digest| (digest.hash_type(), None));
        let mut hash_types: Vec<_> = std::iter::once(perceptual).chain(types).collect();
        hash_types.sort_unstable_by_key(|(hash_type, _)| *hash_type);
        let digests = digests.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        let queries = vec![(Rendition::default(), Query { hashes: digests.collect() })];
        Self { queries, first_queries: 1, frames: Vec::new(), hash_types, pdq_quality, source }
    }

    /// Takes the first `count` queries. The frames and ways of the other queries count as left out.
    fn take(&mut self, count: usize) -> Vec<(Rendition, Query)> {
        let mut queries = std::mem::take(&mut self.queries);
        queries.truncate(count);
        if let Source::Decoded(decoded) = &mut self.source {
            for hashes in &self.frames {
                let left_out = hashes.iter().filter(|query| **query >= count).count();
                if left_out > 0 && left_out == hashes.len() {
                    decoded.frames_seen -= 1;
                    decoded.frames_left_out = decoded.frames_left_out.saturating_add(1);
                } else {
                    decoded.ways_left_out += u32::try_from(left_out).unwrap_or(u32::MAX);
                }
            }
        }
        queries
    }

    /// Returns the answer for the content, made of the matches of its queries.
    pub(crate) fn answered(self, found: QueryMatches, searched: Searched<'_>) -> Matched {
        let searches = self.hash_types.into_iter().map(|(hash_type, skipped)| HashTypeSearch {
            hash_type,
            max_distance: searched.options.max_distance(hash_type),
            exact: !searched.approximate.contains(&hash_type),
            skipped,
        });
        Matched {
            found,
            searches: searches.collect(),
            pdq_quality: self.pdq_quality,
            quality_floor: searched.quality_floor,
            source: self.source,
            near_budget_spent: false,
            decision: None,
            classifications: Vec::new(),
        }
    }
}

/// Takes the queries of a call, each with the index of its content: first the first frame's queries of each
/// content, then one query of each content in turn, up to `queries_max` in all.
pub(crate) fn take_queries<'a>(
    contents: impl Iterator<Item = &'a mut Prepared>,
    queries_max: usize,
) -> Vec<(usize, Rendition, Query)> {
    let mut contents: Vec<&mut Prepared> = contents.collect();
    let mut counts: Vec<usize> = contents.iter().map(|content| content.first_queries).collect();
    let mut left = queries_max.saturating_sub(counts.iter().sum());
    loop {
        let unfilled = counts.iter_mut().zip(&contents).filter(|(count, of)| **count < of.queries.len());
        let filled = unfilled.take(left).map(|(count, _)| *count += 1).count();
        if filled == 0 {
            break;
        }
        left -= filled;
    }
    let taken = contents.iter_mut().zip(counts).enumerate();
    taken
        .flat_map(|(at, (of, count))| of.take(count).into_iter().map(move |(of, query)| (at, of, query)))
        .collect()
}

/// The matches of the queries of one content: each item once, with its nearest match.
#[derive(Debug)]
pub(crate) struct Found {
    items: BTreeMap<ItemId, Match>,
    limit: Limit,
    limit_reached: bool,
    set_aside: bool,
    /// The largest count of any one query.
    common_frames: u32,
    reach: Reach,
    /// An upper bound of the bytes of the items' matches.
    bytes: usize,
}

impl Found {
    /// Creates a result without matches.
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            items: BTreeMap::new(),
            limit,
            limit_reached: false,
            set_aside: false,
            common_frames: 0,
            reach: Reach::default(),
            bytes: 0,
        }
    }

    /// Cuts the matches of all contents of a call to what an answer of `bytes_max` bytes can hold.
    pub(crate) fn cut_all(all: Vec<Self>, bytes_max: usize) -> Vec<Self> {
        let limits: Vec<Limit> = all.iter().map(|found| found.limit).collect();
        let mut results: Vec<QueryMatches> = all.into_iter().map(Self::finish).collect();
        cut(&mut results, bytes_max);
        results.into_iter().zip(limits).map(|(result, limit)| Self::of(result, limit)).collect()
    }

    /// Converts finished matches back, so that more can be added.
    fn of(result: QueryMatches, limit: Limit) -> Self {
        let QueryMatches { limit_reached, set_aside, common_frames, .. } = result;
        let mut found = Self { limit_reached, set_aside, common_frames, ..Self::new(limit) };
        found.reach.note(&result);
        found.bytes = result.bytes();
        found.items = result.matches.into_iter().map(|one| (one.item, one)).collect();
        found
    }

    /// Returns an upper bound of the bytes of the matches.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the answer to one query. When there are many more items than the limit, the nearest are kept.
    pub(crate) fn add(&mut self, rendition: Rendition, answer: QueryMatches) {
        self.limit_reached |= answer.limit_reached;
        self.set_aside |= answer.set_aside;
        self.common_frames = self.common_frames.max(answer.common_frames);
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

    /// Returns the nearest items, up to the limit.
    pub(crate) fn finish(mut self) -> QueryMatches {
        let mut matches: Vec<Match> = std::mem::take(&mut self.items).into_values().collect();
        matches.sort_by(Match::answer_order);
        let (limit_reached, set_aside) = (self.limit_reached, self.set_aside);
        let mut result = QueryMatches {
            matches,
            limit_reached,
            set_aside,
            common_frames: self.common_frames,
            left_out: 0,
        };
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
