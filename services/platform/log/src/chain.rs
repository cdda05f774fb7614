//! The chain: one value for each batch, which depends on every change up to its end.
//!
//! ```text
//! digest(change) = BLAKE3-256(stored bytes)
//! chain(batch)   = BLAKE3-256 in key derivation mode, context "vigie log 2026-11-28 chain of digests",
//!                  over: chain(previous batch), 32 bytes;
//!                        then for each change of the batch:
//!                        its sequence, 8 bytes big-endian; its digest, 32 bytes
//! ```
//!
//! Before the first batch the chain is 32 zero bytes. The holder of the newest chain can prove that no change
//! before it was altered, left out, inserted or reordered. Because the chain covers digests, the bytes of a
//! change can be removed: its digest stays, and the chain remains valid. A change whose bytes are present but
//! do not match its digest was altered.
//!
//! Key derivation mode with its own context separates the chain from the digests, from any other use of
//! BLAKE3 and from the former chain. Every part has a fixed length, so no two batches are the same sequence
//! of bytes.

use crate::position::{Chain, Digest, Sequence};

/// Fixed: another context would make every existing log invalid.
const CONTEXT: &str = "vigie log 2026-11-28 chain of digests";

/// Returns the digest of the stored bytes of a change.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(blake3::hash(bytes).into())
}

/// A chain that is being extended by one batch.
#[derive(Debug)]
pub struct Link(blake3::Hasher);

impl Link {
    /// Begins a batch after `previous`.
    #[must_use]
    pub fn after(previous: &Chain) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&previous.0);
        Self(hasher)
    }

    /// Adds the next change.
    pub fn add(&mut self, sequence: Sequence, digest: &Digest) {
        self.0.update(&sequence.0.to_be_bytes()).update(&digest.0);
    }

    /// Returns the chain after the batch.
    #[must_use]
    pub fn end(&self) -> Chain {
        Chain(self.0.finalize().into())
    }
}

/// The chain by its former definition, over bytes instead of digests: `BLAKE3(previous chain, for each
/// change: sequence, length, stored bytes)`, the sequence as 64-bit and the length as 32-bit big-endian.
///
/// Logs from before November 2026 use it. It is kept to check such logs, and to recognise followers that come
/// with a value of it.
#[derive(Debug)]
pub struct FormerLink(blake3::Hasher);

impl FormerLink {
    /// Begins a batch after `previous`.
    #[must_use]
    pub fn after(previous: &Chain) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&previous.0);
        Self(hasher)
    }

    /// Adds the next change.
    pub fn add(&mut self, sequence: Sequence, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.update(&sequence.0.to_be_bytes()).update(&length.to_be_bytes()).update(bytes);
    }

    /// Returns the chain after the batch.
    #[must_use]
    pub fn end(&self) -> Chain {
        Chain(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(changes: &[(u64, &[u8])]) -> Chain {
        let mut link = Link::after(&Chain::GENESIS);
        for (sequence, bytes) in changes {
            link.add(Sequence(*sequence), &digest(bytes));
        }
        link.end()
    }

    #[test]
    fn the_chain_is_fixed() {
        // Recomputed from the definition: a change of the definition would make every existing log invalid.
        let mut input = vec![0; 32];
        input.extend(7_u64.to_be_bytes());
        input.extend(blake3::hash(&[0xaa, 0xbb]).as_bytes());
        let expected = blake3::derive_key("vigie log 2026-11-28 chain of digests", &input);
        assert_eq!(chain(&[(7, &[0xaa, 0xbb])]), Chain(expected));
    }

    #[test]
    fn the_former_chain_is_fixed() {
        let mut link = FormerLink::after(&Chain::GENESIS);
        link.add(Sequence(7), &[0xaa, 0xbb]);
        let mut bytes = vec![0; 32];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0xaa, 0xbb]);
        assert_eq!(link.end(), Chain(*blake3::hash(&bytes).as_bytes()));
    }

    #[test]
    fn every_part_of_a_batch_counts() {
        let whole = chain(&[(1, b"ab"), (2, b"c")]);
        let others = [
            chain(&[(1, b"ab")]),
            chain(&[(1, b"a"), (2, b"bc")]),
            chain(&[(2, b"ab"), (3, b"c")]),
            chain(&[(1, b"ab"), (2, b"d")]),
            chain(&[(2, b"c"), (1, b"ab")]),
        ];
        assert!(others.iter().all(|other| *other != whole));
    }
}
