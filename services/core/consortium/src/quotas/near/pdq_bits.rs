//! A PDQ hash as words, for fast distances.

use std::ops::{BitOr, BitXor};

/// The 256 bits of a PDQ hash, or a set of its bit positions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PdqBits([u64; 4]);

/// Hides the bits: hashes are sensitive.
impl std::fmt::Debug for PdqBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PdqBits(..)")
    }
}

impl PdqBits {
    /// Converts the bytes of a hash; `None` if they are not 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: [[u8; 8]; 4] = words.try_into().ok()?;
        rest.is_empty().then(|| Self(words.map(u64::from_be_bytes)))
    }

    /// Returns the bytes of the hash.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *to = word.to_be_bytes();
        }
        bytes
    }

    /// Returns the number of set bits.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns the number of differing bits.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self ^ other).count()
    }
}

impl BitXor for PdqBits {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] ^ other.0[at]))
    }
}

impl BitOr for PdqBits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }
}
