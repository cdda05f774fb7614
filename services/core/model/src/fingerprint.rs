//! The hashes of one image, their quality, and the orientation in which they were computed.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::failure::DecodeFailureKind;
use crate::item::ItemContent;
use crate::query::QueryHash;
use crate::rendition::{Variant, Way};
use vigie_hashes::{Frame, Frames, Hash, HashType, PdqHash};

/// PDQ's score of the amount of detail in an image, 0 to 100. Below 50 a hash is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quality(u8);

/// The quality is outside 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("quality {0} is outside 0 to 100")]
pub struct QualityError(pub u64);

impl Quality {
    /// The reference's threshold: hashes of quality 49 and less are discarded.
    pub const FLOOR_DEFAULT: Self = Self(50);

    /// Checks that `score` is from 0 to 100.
    pub fn new(score: u64) -> Result<Self, QualityError> {
        match u8::try_from(score) {
            Ok(score @ 0..=100) => Ok(Self(score)),
            _ => Err(QualityError(score)),
        }
    }

    /// Returns the score, 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The PDQ hashes of one picture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PictureHashes {
    /// The hashes of the picture and of its seven rotated and mirrored variants, in the order of
    /// [`Variant::ALL`].
    pub pdq: [PdqHash; 8],
    /// PDQ's quality of the picture, which applies to all eight variants.
    pub quality: Quality,
}

impl PictureHashes {
    /// Returns the hashes to search for.
    pub fn query_hashes(&self) -> impl Iterator<Item = QueryHash> + use<> {
        let turned = Variant::ALL.into_iter().zip(self.pdq);
        turned.map(|(variant, bytes)| QueryHash { hash: Hash::pdq(bytes), variant })
    }
}

/// Shows only the quality: hashes are sensitive.
impl fmt::Debug for PictureHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PictureHashes").field("quality", &self.quality).finish_non_exhaustive()
    }
}

/// The hashes of one frame of an animation, or of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameFingerprint {
    /// The frame's number in its file, from 0.
    pub number: u32,
    /// The time at which the frame is shown, from the beginning of the animation; `None` for a page, and for
    /// a still picture.
    pub time: Option<Duration>,
    /// The hashes of the unchanged frame.
    pub plain: PictureHashes,
    /// Further hashes to search for, at most one set for each way, in the order of [`Way::FURTHER`].
    pub further: Vec<(Way, PictureHashes)>,
}

impl FrameFingerprint {
    /// Returns all hashes of the frame with the way in which each was computed: first [`Way::Plain`].
    pub fn ways(&self) -> impl Iterator<Item = (Way, &PictureHashes)> {
        let further = self.further.iter().map(|(way, hashes)| (*way, hashes));
        std::iter::once((Way::Plain, &self.plain)).chain(further)
    }
}

/// The hashes of a picture file with one or more frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFingerprint {
    /// The width of the first frame, in pixels.
    pub width: u32,
    /// The height of the first frame, in pixels.
    pub height: u32,
    /// The first frame.
    pub first: FrameFingerprint,
    /// The later frames that were hashed, in ascending order of number.
    pub later: Vec<FrameFingerprint>,
    /// A lower bound of the number of frames that were not hashed: too many, too large, damaged, or lost to a
    /// decoder's fault. 0 if the whole file was hashed.
    pub frames_left_out: u32,
    /// The failure of the decoder on a frame after the first, if it panicked or its process died. That frame
    /// and those after it count as left out.
    pub later_fault: Option<DecodeFailureKind>,
}

impl PictureFingerprint {
    /// Returns the frames that were hashed.
    pub fn frames(&self) -> impl Iterator<Item = &FrameFingerprint> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// Returns the number of frames that were hashed.
    #[must_use]
    pub fn frames_seen(&self) -> u32 {
        u32::try_from(1 + self.later.len()).unwrap_or(u32::MAX)
    }

    /// Returns the quality of the first frame.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.first.plain.quality
    }
}

/// The hashes of one frame of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFrame {
    /// The frame's number among the decoded frames, from 0.
    pub number: u32,
    /// The time at which the frame is shown, in milliseconds from the beginning of the video.
    pub time_ms: u32,
    /// The hashes of the unchanged frame.
    pub plain: PictureHashes,
    /// The hashes of the frame without the black bars that all sampled frames have; `None` if there are no
    /// bars.
    pub unbordered: Option<PictureHashes>,
}

/// The hashes of some frames of a video file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFingerprint {
    /// The width of the first frame as it is stored, in pixels.
    pub width: u32,
    /// The height of the first frame as it is stored, in pixels.
    pub height: u32,
    /// The duration of the video according to its container; `None` if the container has none.
    pub duration: Option<Duration>,
    /// The frames that were hashed, ordered by number: at least one.
    pub frames: Vec<VideoFrame>,
    /// The reason why only a part of the video was sampled; `None` if all of it was.
    pub partial: Option<VideoPartial>,
}

/// The reason why only a part of a video was sampled. "No match" then does not cover the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoPartial {
    /// Parts of the file are damaged and were skipped.
    Damaged,
    /// The file ends before the video does.
    CutOff,
    /// The video is longer than the part that is sampled.
    TooLong,
    /// The video has more frames than are hashed.
    TooManyFrames,
    /// Decoding took more time than allowed for one video.
    TimedOut,
    /// The decoder failed after some frames.
    DecoderFailed,
}

impl VideoPartial {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Damaged,
        Self::CutOff,
        Self::TooLong,
        Self::TooManyFrames,
        Self::TimedOut,
        Self::DecoderFailed,
    ];

    /// Returns the word for metrics, messages and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::CutOff => "cut_off",
            Self::TooLong => "too_long",
            Self::TooManyFrames => "too_many_frames",
            Self::TimedOut => "timed_out",
            Self::DecoderFailed => "decoder_failed",
        }
    }

    /// Returns the reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl VideoFingerprint {
    /// Returns the list of frames under which the video is banked, for one way of hashing. Frames that hardly
    /// differ from the previous one are left out ([`Frame::pruned`](vigie_hashes::Frame::pruned)). `None` if
    /// more remain than a hash may have.
    #[must_use]
    pub fn banked(&self, way: Way) -> Option<Hash> {
        let frames: Vec<Frame> = self.frames_in(way, Variant::Original).collect();
        Hash::of_frames(&Frame::pruned(&frames)).ok()
    }

    /// Returns the frames in one way of hashing, [`Way::Plain`] or [`Way::Unbordered`], and in one variant.
    pub fn frames_in(&self, way: Way, variant: Variant) -> impl Iterator<Item = Frame> {
        let at = Variant::ALL.iter().position(|one| *one == variant).unwrap_or_default();
        self.frames.iter().filter_map(move |frame| {
            let hashes = if way == Way::Unbordered { frame.unbordered.as_ref()? } else { &frame.plain };
            Some(Frame { pdq: hashes.pdq[at], quality: hashes.quality.get(), time_ms: frame.time_ms })
        })
    }

    /// Returns the ways in which the frames were hashed.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        let is_bordered = self.frames.iter().any(|frame| frame.unbordered.is_some());
        [Way::Plain].into_iter().chain(is_bordered.then_some(Way::Unbordered))
    }
}

/// Returns the hashes of a known video's item: those of its frames, those without black bars if both fit into
/// one item, and the digests of the file.
#[must_use]
pub fn hashes_of_video(
    plain: Hash,
    unbordered: Option<Hash>,
    digests: impl IntoIterator<Item = Hash>,
) -> Vec<Hash> {
    let frames = |hash: &Hash| hash.frames().map_or(0, Frames::len);
    let unbordered = unbordered.filter(|other| frames(&plain) + frames(other) <= ItemContent::FRAMES_MAX);
    [plain].into_iter().chain(unbordered).chain(digests).collect()
}

/// All hashes and digests of one image file. The image itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageFingerprint {
    /// The hashes of the picture.
    pub picture: PictureFingerprint,
    /// The digests of the file's bytes, one of each type, in ascending order of type.
    pub digests: Vec<Hash>,
}

impl ImageFingerprint {
    /// Returns the hashes under which a known image is banked: the upright PDQ of the first frame and every
    /// digest.
    ///
    /// Queries have all eight variants, so the bank needs only one.
    #[must_use]
    pub fn banked_hashes(&self) -> Vec<Hash> {
        [Hash::pdq(self.picture.first.plain.pdq[0])].into_iter().chain(self.digests.iter().cloned()).collect()
    }

    /// Returns the hashes as [`Self::banked_hashes`] does, without a PDQ hash of too low quality.
    #[must_use]
    pub fn trusted_hashes(&self) -> Vec<Hash> {
        let is_trusted = self.picture.quality() >= Quality::FLOOR_DEFAULT;
        let mut hashes = self.banked_hashes();
        hashes.retain(|hash| is_trusted || !hash.hash_type().has_quality_floor());
        hashes
    }

    /// Returns the digest of a type; `None` if it was not computed.
    #[must_use]
    pub fn digest(&self, hash_type: HashType) -> Option<&Hash> {
        self.digests.iter().find(|digest| digest.hash_type() == hash_type)
    }
}

/// Shows only the picture's size and quality: hashes are sensitive.
impl fmt::Debug for ImageFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageFingerprint").field("picture", &self.picture).finish_non_exhaustive()
    }
}
