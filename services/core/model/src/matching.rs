//! What a platform asks of a frontend, and what it is told.

use bytes::Bytes;

use crate::classification::Classification;
use crate::failure::DecodeFailure;
use crate::fingerprint::{Quality, VideoFingerprint, VideoPartial};
use crate::query::{QueryHash, QueryMatches, SearchOptions};
use crate::verdict::Decided;
use vigie_hashes::{Distance, HashType};

/// One piece of content that is asked about.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// An image file, to be decoded and hashed.
    Image(Bytes),
    /// A video file, to be decoded and hashed.
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

/// A batch of content and how to look for it.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchCall {
    /// What is asked about, at most [`crate::Query::BATCH_MAX`].
    pub contents: Vec<Content>,
    /// How to search.
    pub options: SearchOptions,
    /// The PDQ quality from which on a hash is trusted; `None` for the frontend's own floor.
    pub quality_floor: Option<Quality>,
    /// Where the content comes from, in a word that policies ask for; may be empty.
    pub surface: Box<str>,
    /// The names of the classifiers that are asked about each image, each once.
    pub classifiers: Vec<Box<str>>,
}

impl MatchCall {
    /// The longest surface, in bytes.
    pub const SURFACE_LEN_MAX: usize = 64;
    /// Classifiers of one call.
    pub const CLASSIFIERS_MAX: usize = 16;
}

/// Why a hash type was not searched for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The image holds too little detail for a trustworthy hash.
    QualityBelowFloor,
    /// The image could not be decoded.
    NotDecoded,
    /// A reason that this version does not know.
    Other,
}

/// Where the hashes of a content come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The caller sent them.
    Hashed,
    /// An image file, of which these frames were hashed.
    Decoded(Decoded),
    /// A video file, of which these frames were hashed.
    Video(DecodedVideo),
    /// An image file or a video that could not be decoded: only its digests were searched.
    Undecoded(DecodeFailure),
}

/// What was decoded of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Width of the first frame, in pixels.
    pub width: u32,
    /// Height of the first frame, in pixels.
    pub height: u32,
    /// Frames or pages that were decoded and are not left out; 0: the frontend is of a version that decodes
    /// the first and does not count others.
    pub frames_seen: u32,
    /// At least so many frames were not searched: not decoded, or beyond the queries of one call. "No match"
    /// says nothing of them.
    pub frames_left_out: u32,
    /// Of the frames seen, those of too little detail for a trustworthy hash: "no match" says nothing of
    /// them.
    pub frames_below_floor: u32,
    /// Of the frames seen, hashes in further ways that were not searched: they were beyond the queries of one
    /// call.
    pub ways_left_out: u32,
}

impl Decoded {
    /// Whether every frame of the file is known to have been searched in every way, and none of several was
    /// too poor for that.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        let is_searched = self.frames_seen == 1 || self.frames_below_floor == 0;
        self.frames_seen > 0 && self.frames_left_out == 0 && self.ways_left_out == 0 && is_searched
    }
}

/// What was decoded of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedVideo {
    /// Width of the first frame as it is stored, in pixels.
    pub width: u32,
    /// Height of the first frame as it is stored, in pixels.
    pub height: u32,
    /// How long the video is, in milliseconds, by its container; `None` where that does not say.
    pub duration_ms: Option<u64>,
    /// Frames that were hashed.
    pub frames_seen: u32,
    /// Of the frames seen, those of too little detail for a trustworthy hash: "no match" says nothing of
    /// them.
    pub frames_below_floor: u32,
    /// When the last frame that was hashed is shown, in milliseconds.
    pub seen_until_ms: u32,
    /// Why not all of the video was sampled: "no match" says nothing of the rest. `None` where it was.
    pub partial: Option<VideoPartial>,
}

impl DecodedVideo {
    /// What is said of a video whose frames are trusted from this quality on.
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

    /// Whether all of the video was sampled, and not all frames were too poor to be searched.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.partial.is_none() && self.frames_below_floor < self.frames_seen
    }
}

/// How one hash type of one query was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTypeSearch {
    /// The type.
    pub hash_type: HashType,
    /// The largest distance that counted as a match.
    pub max_distance: Distance,
    /// Whether the index finds everything within that distance.
    pub exact: bool,
    /// Set where the type was not searched: "no match" then says nothing of it.
    pub skipped: Option<SkipReason>,
}

/// What was found for one piece of content.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The items.
    pub found: QueryMatches,
    /// Every hash type of the content, searched or skipped.
    pub searches: Vec<HashTypeSearch>,
    /// PDQ's quality of the content, if known.
    pub pdq_quality: Option<Quality>,
    /// The floor that the quality was held against.
    pub quality_floor: Quality,
    /// Where the hashes come from.
    pub source: Source,
    /// The answer for at least one item repeats an earlier one: the member's budget of near queries for that
    /// item is spent for today.
    pub near_budget_spent: bool,
    /// The verdict of the caller's policy; `None` for a caller without one.
    pub decision: Option<Decided>,
    /// What classifiers say of the content's first frame: one for each that was asked, by name. Never a
    /// verdict.
    pub classifications: Vec<Classification>,
}
