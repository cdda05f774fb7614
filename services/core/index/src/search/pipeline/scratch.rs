//! The data in the pipeline, and its memory, which is reused from search to search.

use crate::search::chunking::Chunk;
use crate::search::signature::LANES;

/// The number of buckets that pass through a step together: enough to hide the overhead of a step, and few
/// enough that a group's lines stay in a first-level cache.
pub(super) const GROUP: usize = 16;

/// The number of groups kept: those in the pipeline, and the one that is being filled.
pub(super) const RING: usize = 4;

/// The number of starts kept: more than can be in the pipeline if each has one bucket.
pub(super) const STARTS: usize = 256;

/// The largest number of lines of a bucket that is processed in a group. The processor itself prefetches the
/// lines of a longer bucket, which are read in order.
pub(super) const LINES_MAX: usize = 64;

/// The number of lines that a group of buckets may have, and one that is written in advance.
const GLANCES: usize = GROUP * LINES_MAX + 1;

/// The largest number of waiting survivors; those of one more line may be added.
pub(super) const SURVIVORS_MAX: usize = 256;

/// A start of chains: a chunk that is searched, and the two after it.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) chunk: Chunk,
    pub(super) next: Chunk,
    pub(super) third: Chunk,
    /// The masks that flip the chunk's value.
    pub(super) masks: &'static [u32],
    /// The number of bits in which the chunk may differ; the chunk and the next one; and how many more with
    /// the third.
    pub(super) reach: u8,
    pub(super) pair_reach: u8,
    pub(super) third_reach: u8,
    /// The bits of the third chunk that ids contain.
    pub(super) spare: u32,
}

impl Link {
    /// Checks whether a row that differs from the query in these bits is found from this start.
    #[inline(always)]
    pub(super) fn finds<const BYTES: usize>(&self, differing: &[u8; BYTES]) -> bool {
        let first = self.chunk.of(differing).count_ones();
        let pair = first + Chunk::signature(self.next.of(differing)).count_ones();
        let triple = pair + (self.third.of(differing) & self.spare).count_ones();
        first <= self.reach.into()
            && pair <= self.pair_reach.into()
            && triple <= u32::from(self.pair_reach) + u32::from(self.third_reach)
    }
}

/// A chunk of a query that is searched.
#[derive(Clone, Copy, Default)]
pub(super) struct Start {
    pub(super) query: u32,
    pub(super) link: u8,
    pub(super) third_reach: u8,
    /// The query's spare bits, at the position that they have in an id.
    pub(super) spare: u32,
}

/// The target of reading a bucket, in one word: the signature, the number of bits in which it may differ, and
/// the number of the [`Start`].
#[derive(Clone, Copy, Default)]
pub(super) struct Sought(u32);

#[expect(clippy::cast_possible_truncation, reason = "the parts of a word are taken apart")]
impl Sought {
    #[inline(always)]
    pub(super) fn new(signature: u16, limit: u8, start: u8) -> Self {
        Self(u32::from(signature) | u32::from(limit) << 16 | u32::from(start) << 24)
    }

    /// Returns the same target with a limit lowered by the number of flipped bits, which must not exceed the
    /// limit.
    #[inline(always)]
    pub(super) fn after(self, flips: u32) -> Self {
        Self(self.0.wrapping_sub(flips << 16))
    }

    #[inline(always)]
    pub(super) fn signature(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    pub(super) fn limit(self) -> u8 {
        (self.0 >> 16) as u8
    }

    #[inline(always)]
    pub(super) fn start(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

/// A bucket to read.
#[derive(Clone, Copy, Default)]
pub(super) struct Probe {
    pub(super) bucket: u32,
    pub(super) sought: Sought,
}

/// A line of signatures to compare.
#[derive(Clone, Copy, Default)]
pub(super) struct Glance {
    pub(super) line: u32,
    /// The lanes that belong to the bucket.
    pub(super) wanted: u32,
    pub(super) sought: Sought,
}

/// A bucket of many lines.
#[derive(Clone, Copy)]
pub(super) struct Long {
    pub(super) first: u32,
    pub(super) last: u32,
    /// The lanes of the first line and of the last that belong to the bucket.
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) sought: Sought,
}

/// An entry whose signature is near.
#[derive(Clone, Copy)]
pub(super) struct Survivor {
    pub(super) entry: u32,
    pub(super) query: u32,
    pub(super) spare: u32,
    pub(super) link: u8,
    /// The number of bits in which the third chunk may differ.
    pub(super) left: u8,
}

/// A row whose chain is near.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) row: u32,
    pub(super) query: u32,
    pub(super) link: u8,
}

/// The elements that pass through a step together, at most `MAX`.
pub(super) struct Group<T, const MAX: usize> {
    pub(super) len: usize,
    pub(super) items: [T; MAX],
}

impl<T: Copy + Default, const MAX: usize> Group<T, MAX> {
    fn new() -> Self {
        Self { len: 0, items: [T::default(); MAX] }
    }

    #[inline(always)]
    pub(super) fn items(&self) -> &[T] {
        &self.items[..self.len.min(MAX)]
    }
}

/// Memory that searches reuse, about 60 KiB.
pub(crate) struct Scratch {
    pub(super) links: Vec<Link>,
    /// The cost that each query has been charged.
    pub(crate) spent: Vec<u64>,
    pub(super) starts: Box<[Start; STARTS]>,
    pub(super) probes: Vec<Group<Probe, GROUP>>,
    pub(super) glances: Vec<Group<Glance, GLANCES>>,
    pub(super) long: Vec<Long>,
    pub(super) survivors: Vec<Survivor>,
    pub(super) candidates: Vec<Candidate>,
    /// The query, the row and the distance of each hit.
    pub(super) hits: Vec<(u32, u32, u32)>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            links: Vec::new(),
            spent: Vec::new(),
            starts: Box::new([Start::default(); STARTS]),
            probes: (0..RING).map(|_| Group::new()).collect(),
            glances: (0..RING).map(|_| Group::new()).collect(),
            long: Vec::with_capacity(GROUP),
            survivors: Vec::with_capacity(SURVIVORS_MAX + LANES),
            candidates: Vec::with_capacity(SURVIVORS_MAX + LANES),
            hits: Vec::new(),
        }
    }

    /// Removes the data of the previous search, which may have been cancelled at any point.
    pub(crate) fn begin(&mut self, queries: usize, spent: u64) {
        self.spent.clear();
        self.spent.resize(queries, spent);
        self.probes.iter_mut().for_each(|group| group.len = 0);
        self.glances.iter_mut().for_each(|group| group.len = 0);
        self.long.clear();
        self.survivors.clear();
        self.candidates.clear();
        self.hits.clear();
    }
}
