//! What one image yields: its hashes, their quality, and which way round it was held.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::failure::DecodeFailureKind;
use crate::query::QueryHash;
use crate::rendition::{Variant, Way};
use vigie_hashes::{Hash, HashType, PdqHash};

/// PDQ's score of how much detail an image holds, 0 to 100. Below 50 a hash is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quality(u8);

/// The quality is outside 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("quality {0} is outside 0 to 100")]
pub struct QualityError(pub u64);

impl Quality {
    /// The reference's threshold: hashes of quality 49 and less are discarded.
    pub const FLOOR_DEFAULT: Self = Self(50);

    /// Checks that `score` lies in 0 to 100.
    pub fn new(score: u64) -> Result<Self, QualityError> {
        match u8::try_from(score) {
            Ok(score @ 0..=100) => Ok(Self(score)),
            _ => Err(QualityError(score)),
        }
    }

    /// The score, 0 to 100.
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
    /// The hash of the picture and of its seven turned and mirrored variants, in the order of [`Variant::ALL`].
    pub pdq: [PdqHash; 8],
    /// PDQ's quality of the picture; the same for all eight variants.
    pub quality: Quality,
}

impl PictureHashes {
    /// The hashes to search for.
    pub fn query_hashes(&self) -> impl Iterator<Item = QueryHash> + use<> {
        let turned = Variant::ALL.into_iter().zip(self.pdq);
        turned.map(|(variant, bytes)| QueryHash { hash: Hash::pdq(bytes), variant })
    }
}

/// Shows the quality only: hashes are sensitive.
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
    /// When the frame is shown, from the beginning of the animation; `None` for a page, and for a picture that stands still.
    pub time: Option<Duration>,
    /// The hashes of the frame as it is.
    pub plain: PictureHashes,
    /// Further hashes to search for, each way once, in the order of [`Way::FURTHER`].
    pub further: Vec<(Way, PictureHashes)>,
}

impl FrameFingerprint {
    /// All hashes of the frame, each with the way in which it was taken: first [`Way::Plain`].
    pub fn ways(&self) -> impl Iterator<Item = (Way, &PictureHashes)> {
        let further = self.further.iter().map(|(way, hashes)| (*way, hashes));
        std::iter::once((Way::Plain, &self.plain)).chain(further)
    }
}

/// The hashes of a picture file, of one frame or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFingerprint {
    /// Width of the first frame, in pixels.
    pub width: u32,
    /// Height of the first frame, in pixels.
    pub height: u32,
    /// The first frame.
    pub first: FrameFingerprint,
    /// The frames after it that were hashed, by ascending number.
    pub later: Vec<FrameFingerprint>,
    /// At least so many frames of the file were not hashed: too many, too large, damaged, or lost to a decoder's fault. 0: the
    /// whole file was hashed.
    pub frames_left_out: u32,
    /// How the decoder failed on a frame after the first, where it panicked or its process died. That frame and those after it
    /// are among the frames left out.
    pub later_fault: Option<DecodeFailureKind>,
}

impl PictureFingerprint {
    /// The frames that were hashed.
    pub fn frames(&self) -> impl Iterator<Item = &FrameFingerprint> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// How many frames were hashed.
    #[must_use]
    pub fn frames_seen(&self) -> u32 {
        u32::try_from(1 + self.later.len()).unwrap_or(u32::MAX)
    }

    /// The quality of the first frame.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.first.plain.quality
    }
}

/// Everything that is computed from one image file. The image itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageFingerprint {
    /// The hashes of the picture.
    pub picture: PictureFingerprint,
    /// Digests of the file's bytes, each of another type, by ascending type.
    pub digests: Vec<Hash>,
}

impl ImageFingerprint {
    /// The hashes under which a known image is banked: the upright PDQ of the first frame and every digest.
    ///
    /// Queries carry all eight variants, so the bank needs one.
    #[must_use]
    pub fn banked_hashes(&self) -> Vec<Hash> {
        [Hash::pdq(self.picture.first.plain.pdq[0])].into_iter().chain(self.digests.iter().cloned()).collect()
    }

    /// The digest of a type; `None` if it was not computed.
    #[must_use]
    pub fn digest(&self, hash_type: HashType) -> Option<&Hash> {
        self.digests.iter().find(|digest| digest.hash_type() == hash_type)
    }
}

/// Shows the picture's size and quality only: hashes are sensitive.
impl fmt::Debug for ImageFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageFingerprint").field("picture", &self.picture).finish_non_exhaustive()
    }
}
