//! The keys under which the rows of a tail are filed.

use std::hash::{BuildHasher, RandomState};

use crate::search::chunking::Chunking;

/// The number of lists for each key.
pub(super) const LISTS: usize = 1 << 16;

/// The number of bits in a chunk.
pub(super) const CHUNK_BITS: u32 = 16;

/// The kind of keys under which rows are filed.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// Each 16-bit chunk of the hash is a key.
    Chunks(Chunking),
    /// The key is a hash of the digest, keyed at random so that nobody can prepare digests that all share a
    /// list.
    Digest(RandomState),
}

impl Keys {
    /// Returns the keys of a radius index of hashes of `bytes` bytes.
    pub(crate) fn chunks_of(bytes: usize) -> Self {
        let widths = vec![16; bytes / 2];
        Self::Chunks(Chunking::from_widths(bytes * 8, &widths).expect("16 divides the bits of every hash"))
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Chunks(chunking) => chunking.len(),
            Self::Digest(_) => 1,
        }
    }

    /// Returns for each key the list, and 32 more bits to compare.
    pub(super) fn of<const BYTES: usize>(&self, hash: &[u8; BYTES]) -> impl Iterator<Item = (usize, u32)> {
        (0..self.count()).map(move |key| match self {
            Self::Chunks(_) => (key * LISTS + usize::from(chunk(hash, key)), next_chunks(hash, key)),
            Self::Digest(state) => {
                let keyed = state.hash_one(hash);
                let list = usize::try_from(keyed % LISTS as u64).expect("below the number of lists");
                (list, u32::try_from(keyed >> 32).expect("the upper half"))
            }
        })
    }
}

#[inline]
pub(super) fn chunk<const BYTES: usize>(hash: &[u8; BYTES], at: usize) -> u16 {
    let at = at * 2 % BYTES;
    u16::from_le_bytes([hash[at], hash[at + 1]])
}

/// Returns the two chunks after this one, cyclically.
#[inline]
pub(super) fn next_chunks<const BYTES: usize>(hash: &[u8; BYTES], at: usize) -> u32 {
    u32::from(chunk(hash, at + 1)) | u32::from(chunk(hash, at + 2)) << CHUNK_BITS
}
