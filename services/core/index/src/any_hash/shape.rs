//! The shape of the hashes of an index: their length, and how they are compared.

use std::borrow::Cow;

use thiserror::Error;
use vigie_model::VectorClass;

/// The lengths of hashes that an index compares by Hamming distance, in bytes.
pub const HAMMING_BYTES: [usize; 5] = [8, 12, 16, 32, 64];

/// The smallest length of a hash that is compared for equality, in bytes.
pub const EQUALITY_BYTES_MIN: usize = 4;

/// The largest length of a hash that is compared for equality, in bytes.
pub const EQUALITY_BYTES_MAX: usize = 512;

/// The largest length of a hash that is compared for equality and stored unchanged, in bytes.
pub(super) const HELD_BYTES_MAX: usize = 64;

/// The hashes of one index: all have the same length and are compared in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashShape {
    /// Hashes that are found within a number of differing bits.
    Hamming {
        /// The length of each hash in bytes, one of [`HAMMING_BYTES`].
        bytes: usize,
    },
    /// Hashes that are found by equality, at distance 0.
    ///
    /// An index stores a hash of up to 64 bytes itself, and the BLAKE3-256 digest of a longer one. Two such
    /// hashes count as equal if their digests are equal. A caller that needs more certainty keeps the whole
    /// hashes and compares them.
    Equality {
        /// The length of each hash in bytes, [`EQUALITY_BYTES_MIN`] to [`EQUALITY_BYTES_MAX`].
        bytes: usize,
    },
    /// Vectors that are found within a distance of their metric. This crate has no index for them;
    /// `vigie-vectors` has one.
    Vector {
        /// The form of the elements, and the metric.
        class: VectorClass,
        /// The length of each vector, in bytes.
        bytes: usize,
    },
}

/// No index supports hashes of this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnsupportedShape {
    /// No index compares hashes of this length by Hamming distance.
    #[error("hashes compared by Hamming distance have 8, 12, 16, 32 or 64 bytes, not {0}")]
    Hamming(usize),
    /// No index compares hashes of this length for equality.
    #[error("hashes compared for equality have {EQUALITY_BYTES_MIN} to {EQUALITY_BYTES_MAX} bytes, not {0}")]
    Equality(usize),
    /// Vectors need an approximate index, and this crate has none.
    #[error("vectors are searched by an approximate index")]
    Vector,
    /// The length is not that of a vector of the class.
    #[error("{0} bytes are no vector")]
    VectorBytes(usize),
}

impl HashShape {
    /// Returns the length of each hash, in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Hamming { bytes } | Self::Equality { bytes } | Self::Vector { bytes, .. } => bytes,
        }
    }

    /// Returns the stored form of a hash of this shape: the hash itself, or its digest if it is longer than
    /// an index stores.
    #[must_use]
    pub fn held(self, hash: &[u8]) -> Cow<'_, [u8]> {
        if self.holds_digests() {
            Cow::Owned(blake3::hash(hash).as_bytes().to_vec())
        } else {
            Cow::Borrowed(hash)
        }
    }

    /// Checks whether an index stores digests instead of such hashes.
    #[must_use]
    pub const fn holds_digests(self) -> bool {
        matches!(self, Self::Equality { bytes } if bytes > HELD_BYTES_MAX)
    }

    /// Fails if no index of this crate supports hashes of this shape.
    pub fn check(self) -> Result<(), UnsupportedShape> {
        match self {
            Self::Hamming { bytes } if !HAMMING_BYTES.contains(&bytes) => {
                Err(UnsupportedShape::Hamming(bytes))
            }
            Self::Equality { bytes } if !(EQUALITY_BYTES_MIN..=EQUALITY_BYTES_MAX).contains(&bytes) => {
                Err(UnsupportedShape::Equality(bytes))
            }
            Self::Vector { class, bytes } if !class.accepts(bytes) => {
                Err(UnsupportedShape::VectorBytes(bytes))
            }
            Self::Hamming { .. } | Self::Equality { .. } | Self::Vector { .. } => Ok(()),
        }
    }
}
