//! Matches between images and videos. If a bank's charter allows it, frames of its videos answer searches for
//! images, and its images answer searches for videos.
//!
//! Both are searches for PDQ hashes: an image's hashes are searched in the indexes of frames, and the usable
//! frames of a video, in all its variants, in the index of images. Each near hash is a match.

use vigie_index::BankFilter;
use vigie_model::{BankSet, DistinctFrames, Frames, Query, Variant};

use crate::searching::asked::Batch;

/// Returns the searched banks that are also in this set; `None` if there is none.
pub(super) fn among(set: Option<&BankSet>, searched: &BankFilter) -> Option<BankFilter> {
    let both: BankSet = set?.iter().filter(|bank| searched.contains(*bank)).collect();
    (!both.is_empty()).then(|| BankFilter::from(&both))
}

/// Returns the videos of the queries, each with the number of its query, its variant, and its usable frames.
pub(super) fn frames_of(queries: &[Query]) -> Vec<(usize, Variant, DistinctFrames)> {
    let of_query = |(number, query): (usize, &Query)| {
        let videos = query
            .hashes
            .iter()
            .filter_map(|one| Some((one.variant, one.hash.frames().map(Frames::distinct)?)));
        videos.map(move |(variant, frames)| (number, variant, frames)).collect::<Vec<_>>()
    };
    queries.iter().enumerate().flat_map(of_query).collect()
}

/// Returns the frames of these videos as one batch.
pub(super) fn batch(videos: &[(usize, Variant, DistinctFrames)]) -> Batch<'_> {
    let mut batch = Batch { hashes: Vec::new(), origins: Vec::new() };
    for (query, variant, frames) in videos {
        batch.hashes.extend(frames.hashes().iter().map(|hash| &hash[..]));
        batch.origins.resize(batch.hashes.len(), (*query, *variant));
    }
    batch
}
