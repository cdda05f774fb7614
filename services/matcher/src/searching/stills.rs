//! Stills of known videos, and known pictures in videos: in the banks whose charters say so, frames of videos answer images, and images
//! answer videos.
//!
//! Either is a search for PDQ hashes: in the indexes of frames for those of an image, and in the index of images for the usable frames of a
//! video, in all its variants. One that is near is a match.

use vigie_index::BankFilter;
use vigie_model::{BankSet, DistinctFrames, Frames, Query, Variant};

use crate::searching::asked::Batch;

/// Those of the banks that are searched which are in this set; `None` for none.
pub(super) fn among(set: Option<&BankSet>, searched: &BankFilter) -> Option<BankFilter> {
    let both: BankSet = set?.iter().filter(|bank| searched.contains(*bank)).collect();
    (!both.is_empty()).then(|| BankFilter::from(&both))
}

/// The videos of queries: of which query each is, which way round it is, and its usable frames.
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

/// Their frames.
pub(super) fn batch(videos: &[(usize, Variant, DistinctFrames)]) -> Batch<'_> {
    let mut batch = Batch { hashes: Vec::new(), origins: Vec::new() };
    for (query, variant, frames) in videos {
        batch.hashes.extend(frames.hashes().iter().map(|hash| &hash[..]));
        batch.origins.resize(batch.hashes.len(), (*query, *variant));
    }
    batch
}
