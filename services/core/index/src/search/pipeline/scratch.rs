//! What is on its way through the pipeline, and the memory that it is kept in from search to search.

use crate::search::chunking::Chunk;
use crate::search::signature::LANES;

/// Buckets that go through a step together: enough to hide the overhead of a step, few enough that a group's
/// lines stay in a first-level cache.
pub(super) const GROUP: usize = 16;

/// Groups kept: those on their way, and the one that is filled.
pub(super) const RING: usize = 4;

/// Starts kept: more than there can be on their way if each has one bucket.
pub(super) const STARTS: usize = 256;

/// A bucket of more lines is not broken up: the processor fetches ahead by itself what is read in order.
pub(super) const LINES_MAX: usize = 64;

/// Lines that a group of buckets may have, and one that is written in advance.
const GLANCES: usize = GROUP * LINES_MAX + 1;

/// At most so many survivors are kept waiting, and those of one more line.
pub(super) const SURVIVORS_MAX: usize = 256;

/// A start of chains: a chunk that is searched, and the two after it.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) chunk: Chunk,
    pub(super) next: Chunk,
    pub(super) third: Chunk,
    /// The flips of the chunk's value.
    pub(super) masks: &'static [u32],
    /// How many bits the chunk may differ in; the chunk and the next; and how many more with the third.
    pub(super) reach: u8,
    pub(super) pair_reach: u8,
    pub(super) third_reach: u8,
    /// The bits of the third chunk that ids have.
    pub(super) spare: u32,
}

impl Link {
    /// Whether a row that differs from the query in these bits is found from this start.
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
    /// The query's spare bits, where an id has them.
    pub(super) spare: u32,
}

/// What a bucket is looked into for, in one word: the signature sought, the bits that it may differ in, and the
/// number of the [`Start`].
#[derive(Clone, Copy, Default)]
pub(super) struct Sought(u32);

#[expect(clippy::cast_possible_truncation, reason = "the parts of a word are taken apart")]
impl Sought {
    #[inline(always)]
    pub(super) fn new(signature: u16, limit: u8, start: u8) -> Self {
        Self(u32::from(signature) | u32::from(limit) << 16 | u32::from(start) << 24)
    }

    /// The same with a limit that is lower by as many bits as were flipped, never more than it is.
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

/// A bucket to look into.
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
    /// The lanes of the first line and of the last that belong to it.
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
    /// The bits that the third chunk may differ in.
    pub(super) left: u8,
}

/// A row whose chain is near.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) row: u32,
    pub(super) query: u32,
    pub(super) link: u8,
}

/// As many as go through a step together, at most `MAX`.
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

/// Memory that searches reuse, some 60 KiB.
pub(crate) struct Scratch {
    pub(super) links: Vec<Link>,
    /// What each query has been charged.
    pub(crate) spent: Vec<u64>,
    pub(super) starts: Box<[Start; STARTS]>,
    pub(super) probes: Vec<Group<Probe, GROUP>>,
    pub(super) glances: Vec<Group<Glance, GLANCES>>,
    pub(super) long: Vec<Long>,
    pub(super) survivors: Vec<Survivor>,
    pub(super) candidates: Vec<Candidate>,
    /// Query, row and distance of what was found.
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

    /// Forgets the search before, which may have been cancelled anywhere.
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
