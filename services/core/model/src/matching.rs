//! The requests of platforms to a frontend, and its answers.

use bytes::Bytes;

use crate::classification::Classification;
use crate::failure::DecodeFailure;
use crate::fingerprint::{Quality, VideoFingerprint, VideoPartial};
use crate::query::{QueryHash, QueryMatches, SearchOptions};
use crate::verdict::Decided;
use vigie_hashes::{Distance, HashType};

/// A piece of content in a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// An image file, which the frontend decodes and hashes.
    Image(Bytes),
    /// A video file, which the frontend decodes and hashes.
    Video(Bytes),
    /// Hashes that the caller has computed.
    Hashed {
        /// The hashes, of any types and variants.
        hashes: Vec<QueryHash>,
        /// PDQ's quality of the image, if the caller knows it.
        pdq_quality: Option<Quality>,
    },
}

/// Shows sizes only: content and hashes are sensitive.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Video(bytes) => write!(f, "Video({} bytes)", bytes.len()),
            Self::Image(bytes) => write!(f, "Image({} bytes)", bytes.len()),
            Self::Hashed { hashes, .. } => write!(f, "Hashed({} hashes)", hashes.len()),
        }
    }
}

/// A batch of content with the options of its search.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchCall {
    /// The content, at most [`crate::Query::BATCH_MAX`].
    pub contents: Vec<Content>,
    /// The options of the search.
    pub options: SearchOptions,
    /// The smallest PDQ quality of a trusted hash; `None` for the frontend's own floor.
    pub quality_floor: Option<Quality>,
    /// A word for the place where the content appears, which policies can use; may be empty.
    pub surface: Box<str>,
    /// The names of the classifiers that score each image, without duplicates.
    pub classifiers: Vec<Box<str>>,
}

impl MatchCall {
    /// The longest surface, in bytes.
    pub const SURFACE_LEN_MAX: usize = 64;
    /// The largest number of classifiers of one call.
    pub const CLASSIFIERS_MAX: usize = 16;
}

/// The reason why a hash type was not searched for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The image has too little detail for a trustworthy hash.
    QualityBelowFloor,
    /// The image could not be decoded.
    NotDecoded,
    /// A reason that is unknown to this version.
    Other,
}

/// The source of the hashes of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The caller sent the hashes.
    Hashed,
    /// An image file whose frames were hashed.
    Decoded(Decoded),
    /// A video file whose frames were hashed.
    Video(DecodedVideo),
    /// An image file or a video that could not be decoded: only its digests were searched.
    Undecoded(DecodeFailure),
}

/// The result of decoding an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Width of the first frame, in pixels.
    pub width: u32,
    /// Height of the first frame, in pixels.
    pub height: u32,
    /// The number of frames or pages that were decoded and not left out. 0 means that the frontend's version
    /// decodes only the first one and does not count the others.
    pub frames_seen: u32,
    /// A lower bound on the number of frames that were not searched: they were not decoded, or exceeded the
    /// limit on queries of one call. "No match" does not cover them.
    pub frames_left_out: u32,
    /// The number of seen frames with too little detail for a trustworthy hash. "No match" does not cover
    /// them.
    pub frames_below_floor: u32,
    /// The number of hashes, derived from the seen frames in further ways, that were not searched because
    /// they exceeded the limit on queries of one call.
    pub ways_left_out: u32,
}

impl Decoded {
    /// Whether every frame of the file was certainly searched in every way, and, if there are several frames,
    /// none was below the quality floor.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        let is_searched = self.frames_seen == 1 || self.frames_below_floor == 0;
        self.frames_seen > 0 && self.frames_left_out == 0 && self.ways_left_out == 0 && is_searched
    }
}

/// The result of decoding a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedVideo {
    /// Width of the first frame as it is stored, in pixels.
    pub width: u32,
    /// Height of the first frame as it is stored, in pixels.
    pub height: u32,
    /// The duration of the video according to its container, in milliseconds; `None` if the container does
    /// not give it.
    pub duration_ms: Option<u64>,
    /// The number of hashed frames.
    pub frames_seen: u32,
    /// The number of seen frames with too little detail for a trustworthy hash. "No match" does not cover
    /// them.
    pub frames_below_floor: u32,
    /// The presentation time of the last hashed frame, in milliseconds.
    pub seen_until_ms: u32,
    /// The reason why only a part of the video was sampled; "no match" does not cover the rest. `None` if all
    /// of it was sampled.
    pub partial: Option<VideoPartial>,
}

impl DecodedVideo {
    /// Returns the result for a video; `quality_floor` is the smallest quality of a trusted frame.
    #[must_use]
    pub fn of(video: &VideoFingerprint, quality_floor: u8) -> Self {
        let count = |frames: usize| u32::try_from(frames).unwrap_or(u32::MAX);
        let poor = video.frames.iter().filter(|frame| {
            let mut ways = std::iter::once(&frame.plain).chain(&frame.unbordered);
            ways.all(|hashes| hashes.quality.get() < quality_floor)
        });
        Self {
            width: video.width,
            height: video.height,
            duration_ms: video.duration.and_then(|duration| u64::try_from(duration.as_millis()).ok()),
            frames_seen: count(video.frames.len()),
            frames_below_floor: count(poor.count()),
            seen_until_ms: video.frames.last().map_or(0, |frame| frame.time_ms),
            partial: video.partial,
        }
    }

    /// Whether all of the video was sampled, and at least one frame reached the quality floor.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.partial.is_none() && self.frames_below_floor < self.frames_seen
    }
}

/// The search for one hash type of one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTypeSearch {
    /// The hash type.
    pub hash_type: HashType,
    /// The largest distance that counted as a match.
    pub max_distance: Distance,
    /// Whether the index finds every item within that distance.
    pub exact: bool,
    /// The reason why the type was not searched; "no match" then does not cover it.
    pub skipped: Option<SkipReason>,
}

/// The answer for one piece of content.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The items that matched.
    pub found: QueryMatches,
    /// Every hash type of the content, searched or skipped.
    pub searches: Vec<HashTypeSearch>,
    /// PDQ's quality of the content, if known.
    pub pdq_quality: Option<Quality>,
    /// The quality floor of the search.
    pub quality_floor: Quality,
    /// The source of the hashes.
    pub source: Source,
    /// Whether the answer for at least one item repeats an earlier one, because the member's budget of near
    /// queries for that item is spent for today.
    pub near_budget_spent: bool,
    /// The verdict of the caller's policy; `None` for a caller without one.
    pub decision: Option<Decided>,
    /// The scores of classifiers for the content's first frame: one entry for each requested classifier, by
    /// name. Never a verdict.
    pub classifications: Vec<Classification>,
}
