//! Divides a hash into chunks, and computes how far each chunk is searched for a given distance.
//!
//! Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): each chunk has a table from its value to the
//! hashes with that value. With few wide chunks a bucket has few hashes, but a search reads many buckets;
//! with many narrow chunks it is the other way round. [`Chunking::choose`] compares the costs of both on a
//! current processor, for a number of hashes and the usual distance of searches. The same tables serve every
//! other distance, but less efficiently.
//!
//! The chunk radii follow from the general pigeonhole principle (Qin and Xiao, "Pigeonring", PVLDB 2018):
//! chunk i is searched to T_i flips, where the sum of T_i + 1 over all chunks is the distance + 1. The code
//! stores T_i + 1 and calls it the chunk's allowance; a chunk of allowance 0 is not searched at all. `chain`
//! proves that this suffices.

use thiserror::Error;

use crate::search::flips::{FLIPS_MAX, Flips, WIDTH_MAX};
use crate::search::id_form::IdForm;

/// The smallest width of a chunk, in bits. The buckets of narrower chunks are too full for any number of
/// hashes that needs a table.
pub(crate) const WIDTH_MIN: u32 = 8;

/// The largest number of chunks: 512 bits in chunks of the smallest width.
pub(crate) const CHUNKS_MAX: usize = 64;

/// The smallest number of chunks, because a chain reads a chunk and the two after it.
const CHUNKS_MIN: usize = 3;

/// The memory that a directory may take for any number of hashes...
const DIRECTORY_BYTES_MIN: usize = 4 << 20;

/// ...or, if that is more, for each hash.
const DIRECTORY_BYTES_PER_HASH: usize = 8;

/// Memory is saved if the cost is at most this many times the lowest: within the error of the cost model.
const NEARLY_BEST: f64 = 1.1;

/// The same limit where memory matters more than time.
const NOT_MUCH_SLOWER: f64 = 2.0;

/// A chunk: consecutive bits of the permuted hash, whose bytes are read as one little-endian number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) width: u32,
    /// The position of the chunk's first bucket in the directory.
    pub(crate) directory: u32,
    /// The first of the 8 bytes that contain the chunk's bits, and the position of the bits in them.
    byte: usize,
    shift: u32,
}

impl Chunk {
    /// Returns the chunk's bits of a permuted hash.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "chunks have at most 20 bits")]
    pub(crate) fn of<const BYTES: usize>(&self, hash: &[u8; BYTES]) -> u32 {
        let bytes = hash[self.byte..].first_chunk().copied().unwrap_or_default();
        (u64::from_le_bytes(bytes) >> self.shift) as u32 & ((1 << self.width) - 1)
    }

    /// Returns the chunk's low bits that fit into a signature of 16 bits.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are meant")]
    pub(crate) fn signature(value: u32) -> u16 {
        value as u16
    }
}

/// The chunks of a hash, which cover it without gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunking {
    chunks: Vec<Chunk>,
    buckets: usize,
}

/// Widths that no segment can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ChunkingError {
    #[error("{0} chunks, where there must be 3 to 64")]
    Count(usize),
    #[error("a chunk of {0} bits, where it must be 8 to 20")]
    Width(u8),
    #[error("chunks of {0} bits together, where the hash has {1}")]
    Sum(usize, usize),
}

impl Chunking {
    /// Returns the chunking that searches `hashes` distinct hashes of `bits` bits to `distance` fastest. With
    /// narrow ids, returns the one that takes the least memory among those that are not much slower.
    ///
    /// `None` if comparing every hash in turn is faster.
    pub(crate) fn choose(bits: usize, hashes: usize, distance: u32, form: IdForm) -> Option<Self> {
        let counts = CHUNKS_MIN..=CHUNKS_MAX.min(bits / WIDTH_MIN as usize);
        let chunkings = counts.filter_map(|count| Self::even(bits, count));
        let affordable = chunkings.filter(|chunking| {
            let bytes = DIRECTORY_BYTES_MIN.max(DIRECTORY_BYTES_PER_HASH * hashes);
            chunking.buckets * size_of::<u32>() <= bytes && u32::try_from(chunking.len() * hashes).is_ok()
        });
        let costs = affordable.filter_map(|chunking| Some((chunking.cost_ns(hashes, distance)?, chunking)));
        let costs: Vec<(f64, Self)> = costs.collect();
        let least_ns = costs.iter().map(|(cost_ns, _)| *cost_ns).min_by(f64::total_cmp)?;
        let scan_ns = cost::SCANNED_BYTE_NS * bits as f64 / 8.0 * hashes as f64;
        // Chunkings are ordered by the number of chunks, and fewer chunks take less memory.
        let within = |times: f64| move |(cost_ns, _): &(f64, Self)| *cost_ns <= times * least_ns;
        let best = match form {
            IdForm::Wide => costs.into_iter().find(within(NEARLY_BEST))?,
            IdForm::Narrow => {
                let bytes = |chunking: &Self| {
                    chunking.buckets * size_of::<u32>()
                        + chunking.len() * hashes * (size_of::<u16>() + form.bytes())
                };
                let near = costs.into_iter().filter(within(NOT_MUCH_SLOWER));
                near.min_by_key(|(_, chunking)| bytes(chunking))?
            }
        };
        (best.0 < scan_ns).then_some(best.1)
    }

    /// Creates the chunks of these widths, from the first bit to the last of a hash of `bits` bits.
    pub(crate) fn from_widths(bits: usize, widths: &[u8]) -> Result<Self, ChunkingError> {
        if !(CHUNKS_MIN..=CHUNKS_MAX).contains(&widths.len()) {
            return Err(ChunkingError::Count(widths.len()));
        }
        if let Some(&width) = widths.iter().find(|&&width| !(WIDTH_MIN..=WIDTH_MAX).contains(&width.into())) {
            return Err(ChunkingError::Width(width));
        }
        let sum = widths.iter().map(|&width| usize::from(width)).sum();
        if sum != bits || bits < 64 {
            return Err(ChunkingError::Sum(sum, bits));
        }
        let (mut bit, mut directory) = (0, 0);
        let chunks = widths.iter().map(|&width| {
            let byte = (bit / 8).min(bits / 8 - 8);
            let shift = u32::try_from(bit - 8 * byte).expect("below 64");
            let chunk = Chunk { width: width.into(), directory, byte, shift };
            bit += usize::from(width);
            directory += 1 << width;
            chunk
        });
        let chunks = chunks.collect();
        Ok(Self { chunks, buckets: directory as usize })
    }

    /// Returns the widths, which a header stores.
    pub(crate) fn widths(&self) -> Vec<u8> {
        self.chunks.iter().map(|chunk| u8::try_from(chunk.width).expect("at most 20")).collect()
    }

    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Returns the number of chunks.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Returns the number of buckets of all tables together.
    pub(crate) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Returns how many bits of the third chunk fit beside an id of `id_bits` bits, for the chain that starts
    /// at `chunk`.
    pub(crate) fn spare_bits(&self, chunk: usize, id_bits: u32, form: IdForm) -> u32 {
        let bits = match form {
            IdForm::Wide => 32,
            IdForm::Narrow => 24,
        };
        self.chunks[(chunk + 2) % self.len()].width.min(bits - id_bits)
    }

    /// Returns how far each chunk is searched for `distance`. `None` if that is farther than the lists of
    /// flips reach.
    pub(crate) fn allowances(&self, distance: u32) -> Option<Allowances> {
        let parts = self.len();
        let parted = evenly(distance as usize + 1, parts);
        let mut allowances = [0; CHUNKS_MAX];
        for (allowance, part) in allowances.iter_mut().zip(parted) {
            *allowance = u8::try_from(part).ok().filter(|&part| u32::from(part) <= FLIPS_MAX + 1)?;
        }
        Some(Allowances(allowances))
    }

    /// Creates chunks whose widths differ by at most one bit.
    fn even(bits: usize, count: usize) -> Option<Self> {
        let widths: Option<Vec<u8>> = evenly(bits, count).map(|width| u8::try_from(width).ok()).collect();
        Self::from_widths(bits, &widths?).ok()
    }

    /// Returns the cost of a search of tables if the hashes are spread evenly, in nanoseconds.
    pub(crate) fn cost_ns(&self, hashes: usize, distance: u32) -> Option<f64> {
        let allowances = self.allowances(distance)?;
        let mut sum = 0.0;
        for (at, chunk) in self.chunks.iter().enumerate() {
            let Some(flips) = allowances.flips(at) else { continue };
            let next = (at + 1) % self.len();
            let signature_bits = self.chunks[next].width.min(16);
            let entries = hashes as f64 / f64::from(1 << chunk.width);
            let lines = if entries < 1.0 { entries } else { 1.0 + (entries - 1.0) / 32.0 };
            for flipped in 0..=flips {
                let probes = choices(chunk.width, flipped);
                let rest = flips - flipped + u32::from(allowances.of(next));
                let near: f64 =
                    (0..=rest.min(signature_bits)).map(|bits| choices(signature_bits, bits)).sum();
                let surviving = entries * near / f64::from(1 << signature_bits);
                sum += probes * (cost::PROBE_NS + lines * cost::LINE_NS + surviving * cost::SURVIVOR_NS);
            }
        }
        Some(sum)
    }

    /// Returns how many buckets of a chunk a search reads.
    pub(crate) fn probes_of(&self, chunk: usize, allowances: &Allowances) -> usize {
        let width = self.chunks[chunk].width;
        allowances.flips(chunk).map_or(0, |flips| Flips::of(width).up_to(flips).len())
    }
}

/// The costs of the steps of a search in nanoseconds, measured on one core of a Zen 3 server at 2.4 GHz. Only
/// their ratios matter, and not much: half or twice a figure changes the choice by a chunk or two.
mod cost {
    /// A bucket's position in the directory is computed, prefetched and read.
    pub(super) const PROBE_NS: f64 = 8.0;
    /// A line of 32 signatures is prefetched and compared.
    pub(super) const LINE_NS: f64 = 8.0;
    /// An entry whose signature is near is processed further.
    pub(super) const SURVIVOR_NS: f64 = 25.0;
    /// A byte of a hash is compared in a scan of all rows.
    pub(super) const SCANNED_BYTE_NS: f64 = 0.04;
}

/// For each chunk, one more than the number of flips to which it is searched. They sum to the distance + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowances([u8; CHUNKS_MAX]);

impl Allowances {
    #[inline(always)]
    pub(crate) fn of(&self, chunk: usize) -> u8 {
        self.0[chunk]
    }

    /// Returns T_i, if the chunk is searched.
    #[inline(always)]
    pub(crate) fn flips(&self, chunk: usize) -> Option<u32> {
        u32::from(self.0[chunk]).checked_sub(1)
    }
}

/// Splits `whole` into `parts` parts that differ by at most one, with the larger ones spread evenly among the
/// others.
fn evenly(whole: usize, parts: usize) -> impl Iterator<Item = usize> {
    (0..parts).map(move |part| (part + 1) * whole / parts - part * whole / parts)
}

/// Returns the number of ways to choose `chosen` of `from`.
fn choices(from: u32, chosen: u32) -> f64 {
    (0..chosen).map(|at| f64::from(from - at) / f64::from(at + 1)).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_bit_once() {
        fn check<const BYTES: usize>() {
            for hashes in [1_000, 30_000, 1_000_000, 100_000_000] {
                let Some(chunking) = Chunking::choose(8 * BYTES, hashes, 15, IdForm::Wide) else { continue };
                assert_eq!(Chunking::from_widths(8 * BYTES, &chunking.widths()).as_ref(), Ok(&chunking));
                let mut bit = 0;
                for chunk in chunking.chunks() {
                    for at in 0..chunk.width {
                        let mut hash = [0; BYTES];
                        hash[bit / 8] = 1 << (bit % 8);
                        assert_eq!(chunk.of(&hash), 1 << at);
                        let others = chunking.chunks().iter().filter(|other| *other != chunk);
                        assert!(others.map(|other| other.of(&hash)).all(|value| value == 0));
                        bit += 1;
                    }
                }
                assert_eq!(bit, 8 * BYTES);
            }
        }
        check::<8>();
        check::<12>();
        check::<16>();
        check::<32>();
        check::<64>();
    }

    #[test]
    fn wrong_widths_are_refused() {
        assert_eq!(Chunking::from_widths(256, &[]), Err(ChunkingError::Count(0)));
        assert_eq!(Chunking::from_widths(256, &[16; 65]), Err(ChunkingError::Count(65)));
        assert_eq!(Chunking::from_widths(64, &[24, 20, 20]), Err(ChunkingError::Width(24)));
        assert_eq!(Chunking::from_widths(64, &[0, 20, 20]), Err(ChunkingError::Width(0)));
        assert_eq!(Chunking::from_widths(256, &[16; 15]), Err(ChunkingError::Sum(240, 256)));
        assert_eq!(Chunking::from_widths(48, &[16; 3]), Err(ChunkingError::Sum(48, 48)));
    }

    #[test]
    fn pdq_hashes_in_great_number_are_cut_into_16_chunks_of_16() {
        for hashes in [200_000, 1_000_000, 10_000_000] {
            let chunking = Chunking::choose(256, hashes, 31, IdForm::Wide).unwrap();
            assert_eq!(chunking.widths(), [16; 16], "{hashes} hashes");
        }
    }

    #[test]
    fn few_hashes_are_cut_finer_and_very_few_not_at_all() {
        assert!(Chunking::choose(256, 20_000, 31, IdForm::Wide).unwrap().len() > 16);
        assert_eq!(Chunking::choose(256, 300, 31, IdForm::Wide), None);
        assert_eq!(Chunking::choose(256, 0, 31, IdForm::Wide), None);
        assert_eq!(Chunking::choose(64, 1_000_000, 40, IdForm::Wide), None);
    }

    #[test]
    fn directories_and_positions_stay_within_bounds() {
        for bits in [64, 96, 128, 256, 512] {
            for hashes in [0, 1, 1_000, 30_000, 1_000_000, 100_000_000, 1 << 27] {
                for distance in [0, 8, 31, 64] {
                    let Some(chunking) = Chunking::choose(bits, hashes, distance, IdForm::Wide) else {
                        continue;
                    };
                    assert!(chunking.buckets() * 4 <= (4 << 20).max(8 * hashes));
                    assert!(chunking.len() * hashes < 1 << 32);
                }
            }
        }
    }

    #[test]
    fn allowances_sum_to_the_distance_and_one() {
        let chunking = Chunking::from_widths(256, &[16; 16]).unwrap();
        for distance in 0..=64 {
            let allowances = chunking.allowances(distance).unwrap();
            let sum: u32 = (0..16).map(|chunk| u32::from(allowances.of(chunk))).sum();
            assert_eq!(sum, distance + 1);
        }
        assert_eq!(chunking.allowances(31).unwrap().0[..16], [2; 16]);
        assert_eq!(chunking.probes_of(3, &chunking.allowances(31).unwrap()), 17);
        assert!(chunking.allowances(95).is_some());
        assert_eq!(chunking.allowances(96), None);
    }

    #[test]
    fn spare_bits_never_reach_past_their_chunk() {
        let chunking = Chunking::from_widths(64, &[8, 20, 16, 20]).unwrap();
        let spare = |id_bits, form| [0, 1, 2, 3].map(|chunk| chunking.spare_bits(chunk, id_bits, form));
        assert_eq!(spare(20, IdForm::Wide), [12, 12, 8, 12]);
        assert_eq!(spare(1, IdForm::Wide), [16, 20, 8, 20]);
        assert_eq!((spare(20, IdForm::Narrow), spare(24, IdForm::Narrow)), ([4; 4], [0; 4]));
    }
}
