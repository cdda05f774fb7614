//! Which hashes an index holds: their length, and how they are compared.

use std::borrow::Cow;

use thiserror::Error;
use vigie_model::VectorClass;

/// Lengths of hashes that are compared by Hamming distance, in bytes.
pub const HAMMING_BYTES: [usize; 5] = [8, 12, 16, 32, 64];

/// The least length of a hash that is compared for equality, in bytes.
pub const EQUALITY_BYTES_MIN: usize = 4;

/// The greatest length of a hash that is compared for equality, in bytes.
pub const EQUALITY_BYTES_MAX: usize = 512;

/// The longest hash that is compared for equality and held as it is, in bytes.
pub(super) const HELD_BYTES_MAX: usize = 64;

/// The hashes of one index: all have the same length and are compared in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashShape {
    /// Hashes that are found within a number of differing bits.
    Hamming {
        /// Their length, one of [`HAMMING_BYTES`].
        bytes: usize,
    },
    /// Hashes that are found by equality, at distance 0.
    ///
    /// Up to 64 bytes the index holds the hash itself. It holds the BLAKE3-256 digest of a longer one: two such hashes are
    /// taken for equal when their digests are, and a caller that wants more compares the whole hashes, which it keeps
    /// itself.
    Equality {
        /// Their length, [`EQUALITY_BYTES_MIN`] to [`EQUALITY_BYTES_MAX`].
        bytes: usize,
    },
    /// Vectors that are found within a distance of their metric. The indexes of this crate hold none: `vigie-vectors` has one.
    Vector {
        /// Their elements and metric.
        class: VectorClass,
        /// Their length.
        bytes: usize,
    },
}

/// No index holds hashes of this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnsupportedShape {
    /// The length cannot be compared by Hamming distance.
    #[error("hashes compared by Hamming distance have 8, 12, 16, 32 or 64 bytes, not {0}")]
    Hamming(usize),
    /// The length cannot be compared for equality.
    #[error("hashes compared for equality have {EQUALITY_BYTES_MIN} to {EQUALITY_BYTES_MAX} bytes, not {0}")]
    Equality(usize),
    /// Only an approximate index holds vectors.
    #[error("vectors are searched by an approximate index")]
    Vector,
    /// The length is none of a vector.
    #[error("{0} bytes are no vector")]
    VectorBytes(usize),
}

impl HashShape {
    /// The length of a hash.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Hamming { bytes } | Self::Equality { bytes } | Self::Vector { bytes, .. } => bytes,
        }
    }

    /// What an index holds of a hash of this shape: the hash itself, or its digest where it is longer than an index holds.
    #[must_use]
    pub fn held(self, hash: &[u8]) -> Cow<'_, [u8]> {
        if self.holds_digests() {
            Cow::Owned(blake3::hash(hash).as_bytes().to_vec())
        } else {
            Cow::Borrowed(hash)
        }
    }

    /// Whether an index holds digests of such hashes in their place.
    #[must_use]
    pub const fn holds_digests(self) -> bool {
        matches!(self, Self::Equality { bytes } if bytes > HELD_BYTES_MAX)
    }

    /// Fails if no index holds hashes of this shape.
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
