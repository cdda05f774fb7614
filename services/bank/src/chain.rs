//! The proof that the log is whole: a chain over its batches, and a checksum of each change.
//!
//! `chain = BLAKE3(previous chain, for each change of the batch: sequence, length, stored bytes)`, with the sequence
//! as 64-bit and the length as 32-bit big-endian. Before the first batch the chain is [`GENESIS`]. Who holds the
//! newest chain can prove that nothing before it was altered, left out or reordered. The chain names the batch at
//! fault; the checksum, which proves nothing against somebody who recomputes it, names the change.

use vigie_model::Sequence;

/// The chain of an empty log.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

/// A chain that is being extended by one batch.
#[derive(Debug)]
pub(crate) struct Link(blake3::Hasher);

impl Link {
    /// Begins a batch after `previous`.
    pub(crate) fn after(previous: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(previous);
        Self(hasher)
    }

    /// Adds the next change.
    pub(crate) fn add(&mut self, sequence: Sequence, payload: &[u8]) {
        // A payload has kilobytes at most: the model bounds every field of a change.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.0.update(&sequence.0.to_be_bytes()).update(&length.to_be_bytes()).update(payload);
    }

    /// The chain after the batch.
    pub(crate) fn end(&self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The first 64 bits of BLAKE3 over the sequence and the stored bytes.
pub(crate) fn checksum(sequence: Sequence, payload: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.0.to_be_bytes()).update(payload);
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(changes: &[(u64, &[u8])]) -> [u8; 32] {
        let mut link = Link::after(&GENESIS);
        for (sequence, payload) in changes {
            link.add(Sequence(*sequence), payload);
        }
        link.end()
    }

    #[test]
    fn the_chain_is_fixed() {
        // Recomputed by hand from the definition: any change of it would disown every log there is.
        let mut bytes = vec![0; 32];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0xaa, 0xbb]);
        assert_eq!(chain(&[(7, &[0xaa, 0xbb])]), *blake3::hash(&bytes).as_bytes());
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
