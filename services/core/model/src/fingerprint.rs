//! What one image yields: its hashes, their quality, and which way round it was held.

use std::fmt;

use thiserror::Error;

use crate::query::QueryHash;
use crate::variant::Variant;
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

/// Everything that is computed from one image. The image itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageFingerprint {
    /// Width of the decoded image, in pixels.
    pub width: u32,
    /// Height of the decoded image, in pixels.
    pub height: u32,
    /// The PDQ hash of the image and of its seven turned and mirrored variants, in the order of [`Variant::ALL`].
    pub pdq: [PdqHash; 8],
    /// PDQ's quality of the image; the same for all eight variants.
    pub quality: Quality,
    /// Digests of the file's bytes, each of another type, by ascending type.
    pub digests: Vec<Hash>,
}

impl ImageFingerprint {
    /// The hashes to look for: all eight variants and every digest.
    #[must_use]
    pub fn query_hashes(&self) -> Vec<QueryHash> {
        let turned = Variant::ALL.into_iter().zip(self.pdq);
        let pdq = turned.map(|(variant, bytes)| QueryHash { hash: Hash::pdq(bytes), variant });
        let digests = self.digests.iter().cloned();
        pdq.chain(digests.map(|hash| QueryHash { hash, variant: Variant::Original })).collect()
    }

    /// The hashes under which a known image is banked: the upright PDQ and every digest.
    ///
    /// Queries carry all eight variants, so the bank needs one.
    #[must_use]
    pub fn banked_hashes(&self) -> Vec<Hash> {
        [Hash::pdq(self.pdq[0])].into_iter().chain(self.digests.iter().cloned()).collect()
    }

    /// The digest of a type; `None` if it was not computed.
    #[must_use]
    pub fn digest(&self, hash_type: HashType) -> Option<&Hash> {
        self.digests.iter().find(|digest| digest.hash_type() == hash_type)
    }
}

/// Shows size and quality only: hashes are sensitive.
impl fmt::Debug for ImageFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageFingerprint")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}
