//! The search of the tables, as a pipeline in which memory is asked for long before it is needed.
//!
//! A search looks into hundreds of buckets, and nearly each step waits for another cache line if it is taken
//! by itself: the directory, the signatures, the ids, the hash. So the buckets of all chunks and all queries form
//! one stream that goes through the steps in groups, and each step asks for the lines of the next:
//!
//! 1. [`Feed`] computes the next buckets and asks for their places in the directory;
//! 2. `locate` reads where their entries lie, charges the query, and asks for the lines of signatures;
//! 3. `compare` compares the signatures of a line at once, and asks for the ids of those that are near;
//! 4. `settle` compares the ids' spare bits and asks for the hashes of what is left;
//! 5. `verify` compares whole hashes, at the next round of step 4.
//!
//! Everything here is `inline(always)`, so that it is compiled for the instructions of the kernel.

use crate::cancel::{Cancelled, Checkpoint};
use crate::chain::{ChainTables, cost};
use crate::chunking::{Allowances, Chunk};
use crate::flips::Flips;
use crate::signature::{Kernel, LANES, Line, Task, prefetch};
use crate::verify::Found;

/// Buckets that go through a step together.
const GROUP: usize = 16;

/// Steps of the stream between asking for a place in the directory and reading it.
const DIRECTORY_AHEAD: usize = 2;

/// Steps between asking for signatures and comparing them.
const LINES_AHEAD: usize = 1;

/// Groups kept: those on their way, and the one that is filled.
const RING: usize = 4;
const _: () = assert!(DIRECTORY_AHEAD < RING && LINES_AHEAD < RING);

/// Starts kept: more than there can be on their way if each has one bucket.
const STARTS: usize = 256;
const _: () = assert!((DIRECTORY_AHEAD + LINES_AHEAD + 1) * GROUP <= STARTS);

/// A bucket of more lines is compared on the spot: the processor fetches ahead by itself what is read in order.
const LINES_MAX: usize = 64;

/// Lines that a group of buckets may have, and one that is written in advance.
const GLANCES: usize = GROUP * LINES_MAX + 1;

/// Lines compared between two looks at the time and the budget.
const LINES_AT_ONCE: usize = 512;

/// Comparing a line costs this many times what a [`Checkpoint`] counts, the comparison of two hashes.
const COMPARISONS_PER_LINE: usize = 4;

/// Survivors wait for so many others, so that their ids have arrived and their hashes are fetched together.
const SURVIVORS_MIN: usize = 16;

/// At most so many are kept waiting.
const SURVIVORS_MAX: usize = 256;

/// A start of chains: a chunk that is searched, and the two after it.
#[derive(Clone, Copy)]
struct Link {
    chunk: Chunk,
    next: Chunk,
    third: Chunk,
    /// The flips of the chunk's value.
    masks: &'static [u32],
    /// How many bits the chunk may differ in; the chunk and the next; and how many more with the third.
    reach: u8,
    pair_reach: u8,
    third_reach: u8,
    /// The bits of the third chunk that ids have.
    spare: u32,
}

impl Link {
    /// Whether a row that differs from the query in these bits is found from this start.
    #[inline(always)]
    fn finds<const BYTES: usize>(&self, differing: &[u8; BYTES]) -> bool {
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
struct Start {
    query: u32,
    link: u8,
    third_reach: u8,
    /// The query's spare bits, where an id has them.
    spare: u32,
}

/// A bucket to look into, and what to look for.
#[derive(Clone, Copy, Default)]
struct Probe {
    bucket: u32,
    sought: u16,
    limit: u8,
    start: u8,
}

/// A line of signatures to compare.
#[derive(Clone, Copy, Default)]
struct Glance {
    line: u32,
    /// The lanes that belong to the bucket.
    wanted: u32,
    sought: u16,
    limit: u8,
    start: u8,
}

/// An entry whose signature is near.
#[derive(Clone, Copy)]
struct Survivor {
    entry: u32,
    query: u32,
    spare: u32,
    link: u8,
    /// The bits that the third chunk may differ in.
    left: u8,
}

/// A row whose chain is near.
#[derive(Clone, Copy)]
struct Candidate {
    row: u32,
    query: u32,
    link: u8,
}

/// As many as go through a step together, at most `MAX`.
struct Group<T, const MAX: usize> {
    len: usize,
    items: [T; MAX],
}

impl<T: Copy + Default, const MAX: usize> Group<T, MAX> {
    fn new() -> Self {
        Self { len: 0, items: [T::default(); MAX] }
    }

    #[inline(always)]
    fn items(&self) -> &[T] {
        &self.items[..self.len.min(MAX)]
    }
}

/// Memory that searches reuse.
pub(crate) struct Scratch {
    links: Vec<Link>,
    /// What each query has been charged.
    pub(crate) spent: Vec<u64>,
    starts: [Start; STARTS],
    probes: Vec<Group<Probe, GROUP>>,
    glances: Vec<Group<Glance, GLANCES>>,
    survivors: Vec<Survivor>,
    candidates: Vec<Candidate>,
    /// Query, row and distance of what was found.
    hits: Vec<(u32, u32, u32)>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            links: Vec::new(),
            spent: Vec::new(),
            starts: [Start::default(); STARTS],
            probes: (0..RING).map(|_| Group::new()).collect(),
            glances: (0..RING).map(|_| Group::new()).collect(),
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
        self.survivors.clear();
        self.candidates.clear();
        self.hits.clear();
    }
}

/// A search of the tables for a batch of queries. Those that have spent more than the budget afterwards were
/// given up: nothing was told of them.
pub(crate) struct Search<'a, 'c, 'f, const BYTES: usize> {
    pub(crate) tables: &'a ChainTables<'a, BYTES>,
    pub(crate) queries: &'a [[u8; BYTES]],
    pub(crate) radius: u32,
    pub(crate) allowances: &'a Allowances,
    pub(crate) budget: u64,
    pub(crate) checkpoint: &'a mut Checkpoint<'c>,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) found: &'a mut Found<'f>,
}

impl<const BYTES: usize> Task for Search<'_, '_, '_, BYTES> {
    type Output = Result<(), Cancelled>;

    #[inline(always)]
    fn run<K: Kernel>(mut self, kernel: K) -> Self::Output {
        self.link();
        let (lines, rest) = self.tables.signatures.as_chunks::<LANES>();
        let mut last = [0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let lines = Lines { lines, last };
        let mut feed =
            Feed { query: 0, link: 0, masks: &[], probe: Probe::default(), directory: 0, value: 0 };
        let (mut step, mut idle) = (0_usize, 0);
        while idle < DIRECTORY_AHEAD + LINES_AHEAD {
            idle = if self.feed(&mut feed, step % RING) { 0 } else { idle + 1 };
            self.locate(kernel, &lines, step.wrapping_sub(DIRECTORY_AHEAD) % RING, step % RING)?;
            self.compare(kernel, &lines, step.wrapping_sub(LINES_AHEAD) % RING);
            if self.scratch.survivors.len() >= SURVIVORS_MIN {
                self.settle(kernel);
            }
            step = step.wrapping_add(1);
        }
        self.settle(kernel);
        self.verify(kernel);
        self.tell();
        Ok(())
    }
}

/// Where in the stream of buckets we are.
struct Feed<'a> {
    query: usize,
    link: usize,
    /// Flips of the current start that are still to come.
    masks: &'a [u32],
    /// What the current start looks for, with the limit of no flips.
    probe: Probe,
    directory: u32,
    value: u32,
}

/// Signatures by cache lines; the last one is a copy if it is not full.
struct Lines<'a> {
    lines: &'a [Line],
    last: Line,
}

impl Lines<'_> {
    #[inline(always)]
    fn get(&self, line: usize) -> &Line {
        self.lines.get(line).unwrap_or(&self.last)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rows, entries, queries and chunks are counted in `u32` or less"
)]
impl<const BYTES: usize> Search<'_, '_, '_, BYTES> {
    /// The starts of chains, in the order of chunks.
    fn link(&mut self) {
        let (tables, allowances) = (self.tables, self.allowances);
        let count = tables.chunking.len();
        let link = |at: usize| {
            let flips = allowances.flips(at)?;
            let [chunk, next, third] = [at, at + 1, at + 2].map(|at| tables.chunking.chunks()[at % count]);
            Some(Link {
                chunk,
                next,
                third,
                masks: Flips::of(chunk.width).up_to(flips),
                reach: flips as u8,
                pair_reach: flips as u8 + allowances.of((at + 1) % count),
                third_reach: allowances.of((at + 2) % count),
                spare: (1 << tables.chunking.spare_bits(at, tables.id_bits)) - 1,
            })
        };
        self.scratch.links.clear();
        self.scratch.links.extend((0..count).filter_map(link));
    }

    #[inline(always)]
    fn is_given_up(&self, query: usize) -> bool {
        self.scratch.spent[query] > self.budget
    }

    /// Step 1. False if there are no more buckets.
    #[inline(always)]
    fn feed(&mut self, feed: &mut Feed<'_>, at: usize) -> bool {
        if feed.query < self.queries.len() && self.is_given_up(feed.query) {
            (feed.masks, feed.link) = (&[], self.scratch.links.len());
        }
        let mut len = 0;
        while len < GROUP {
            if feed.masks.is_empty() && !self.next_start(feed) {
                break;
            }
            let group = &mut self.scratch.probes[at].items[len..];
            let (now, later) = feed.masks.split_at(feed.masks.len().min(group.len()));
            for (probe, &mask) in group.iter_mut().zip(now) {
                let bucket = feed.directory + (feed.value ^ mask);
                prefetch(self.tables.directory, bucket as usize);
                *probe = Probe { bucket, limit: feed.probe.limit - mask.count_ones() as u8, ..feed.probe };
            }
            len += now.len();
            feed.masks = later;
        }
        self.scratch.probes[at].len = len;
        len > 0
    }

    /// Goes on to the next chunk to search or the next query's first.
    #[inline(always)]
    fn next_start(&mut self, feed: &mut Feed<'_>) -> bool {
        if feed.link == self.scratch.links.len() {
            (feed.query, feed.link) = (feed.query + 1, 0);
        }
        let Some(query) = self.queries.get(feed.query) else { return false };
        let link = &self.scratch.links[feed.link];
        let start = feed.probe.start.wrapping_add(1);
        self.scratch.starts[usize::from(start)] = Start {
            query: feed.query as u32,
            link: feed.link as u8,
            third_reach: link.third_reach,
            spare: (link.third.of(query) & link.spare) << self.tables.id_bits,
        };
        let sought = Chunk::signature(link.next.of(query));
        feed.probe = Probe { bucket: 0, sought, limit: link.pair_reach, start };
        (feed.directory, feed.value) = (link.chunk.directory, link.chunk.of(query));
        feed.masks = link.masks;
        feed.link += 1;
        true
    }

    /// Step 2.
    ///
    /// What a group costs is charged to its last query. With several queries in a group, one may so be given up
    /// for another, but never without a scan's worth of work having been done.
    #[inline(always)]
    fn locate<K: Kernel>(
        &mut self,
        kernel: K,
        lines: &Lines<'_>,
        from: usize,
        to: usize,
    ) -> Result<(), Cancelled> {
        let (mut len, mut count, mut lines_sum) = (0, self.scratch.probes[from].len, 0);
        for at in 0..count {
            let probe = self.scratch.probes[from].items()[at];
            let bucket = probe.bucket as usize;
            let Some(&[first, end]) = self.tables.directory.get(bucket..bucket + 2) else { continue };
            if first >= end || end as usize > self.tables.signatures.len() {
                continue;
            }
            let (line, last) = (first / LANES as u32, (end - 1) / LANES as u32);
            let (head, tail) = (
                u32::MAX << (first % LANES as u32),
                u32::MAX >> (LANES as u32 - 1 - (end - 1) % LANES as u32),
            );
            lines_sum += (last - line + 1) as usize;
            let Probe { sought, limit, start, .. } = probe;
            let glance = Glance { line, wanted: head, sought, limit, start };
            let glances = &mut self.scratch.glances[to].items;
            prefetch(lines.lines, line as usize);
            prefetch(lines.lines, last as usize);
            if last - line <= 1 {
                // Most buckets of a million hashes have one line or two. Both are written, so that nothing
                // has to be guessed.
                let two = last - line;
                glances[len] = Glance { wanted: head & (tail | two.wrapping_neg()), ..glance };
                glances[len + 1] = Glance { line: last, wanted: tail, ..glance };
                len += 1 + two as usize;
            } else if last - line < LINES_MAX as u32 {
                glances[len] = glance;
                len += 1;
                for line in line + 1..last {
                    prefetch(lines.lines, line as usize);
                    glances[len] = Glance { line, wanted: u32::MAX, ..glance };
                    len += 1;
                }
                glances[len] = Glance { line: last, wanted: tail, ..glance };
                len += 1;
            } else {
                lines_sum = 0;
                self.compare_long(kernel, lines, glance, last, tail)?;
            }
        }
        self.scratch.glances[to].len = len;
        if let Some(last) = self.scratch.probes[from].items().last() {
            let query = self.scratch.starts[usize::from(last.start)].query as usize;
            self.scratch.spent[query] += cost::PROBE * count as u64 + cost::LINE * lines_sum as u64;
        }
        count += COMPARISONS_PER_LINE * lines_sum;
        self.checkpoint.spend(count)
    }

    /// A bucket of many lines, compared and charged for at once.
    #[inline(always)]
    fn compare_long<K: Kernel>(
        &mut self,
        kernel: K,
        lines: &Lines<'_>,
        glance: Glance,
        last: u32,
        tail: u32,
    ) -> Result<(), Cancelled> {
        let query = self.scratch.starts[usize::from(glance.start)].query as usize;
        let mut wanted = glance.wanted;
        for first in (glance.line..=last).step_by(LINES_AT_ONCE) {
            if self.is_given_up(query) {
                break;
            }
            self.checkpoint.spend(COMPARISONS_PER_LINE * LINES_AT_ONCE)?;
            let end = last.min(first + LINES_AT_ONCE as u32 - 1);
            self.scratch.spent[query] += cost::LINE * u64::from(end - first + 1);
            for line in first..=end {
                if line == last {
                    wanted &= tail;
                }
                self.look(kernel, lines, &Glance { line, wanted, ..glance });
                wanted = u32::MAX;
            }
        }
        Ok(())
    }

    /// Step 3.
    #[inline(always)]
    fn compare<K: Kernel>(&mut self, kernel: K, lines: &Lines<'_>, at: usize) {
        for item in 0..self.scratch.glances[at].len {
            let glance = self.scratch.glances[at].items()[item];
            self.look(kernel, lines, &glance);
        }
    }

    #[inline(always)]
    fn look<K: Kernel>(&mut self, kernel: K, lines: &Lines<'_>, glance: &Glance) {
        let line = lines.get(glance.line as usize);
        let mut near = kernel.near(line, glance.sought, glance.limit) & glance.wanted;
        if near == 0 {
            return;
        }
        let start = self.scratch.starts[usize::from(glance.start)];
        if self.is_given_up(start.query as usize) {
            return;
        }
        while near != 0 {
            let lane = near.trailing_zeros() as usize;
            near &= near - 1;
            let differing = (line[lane] ^ glance.sought).count_ones() as u8;
            let entry = glance.line as usize * LANES + lane;
            prefetch(self.tables.ids, entry);
            self.scratch.survivors.push(Survivor {
                entry: entry as u32,
                query: start.query,
                spare: start.spare,
                link: start.link,
                left: glance.limit - differing + start.third_reach,
            });
        }
        if self.scratch.survivors.len() >= SURVIVORS_MAX {
            self.settle(kernel);
        }
    }

    /// Step 4, after step 5 for those that went through step 4 before.
    #[inline(always)]
    fn settle<K: Kernel>(&mut self, kernel: K) {
        self.verify(kernel);
        let Self { tables, scratch, .. } = self;
        let row_mask = (1 << tables.id_bits) - 1;
        for survivor in scratch.survivors.drain(..) {
            scratch.spent[survivor.query as usize] += cost::SURVIVOR;
            let Some(&id) = tables.ids.get(survivor.entry as usize) else { continue };
            if ((id ^ survivor.spare) >> tables.id_bits).count_ones() <= survivor.left.into() {
                let row = id & row_mask;
                prefetch(tables.rows, row as usize);
                scratch.candidates.push(Candidate { row, query: survivor.query, link: survivor.link });
            }
        }
    }

    /// Step 5.
    #[inline(always)]
    fn verify<K: Kernel>(&mut self, kernel: K) {
        for at in 0..self.scratch.candidates.len() {
            let Candidate { row, query, link } = self.scratch.candidates[at];
            let sought = &self.queries[query as usize];
            let Some(hash) = self.tables.rows.get(row as usize) else { continue };
            let distance = kernel.distance(hash, sought);
            if distance > self.radius {
                continue;
            }
            let differing = std::array::from_fn(|byte| hash[byte] ^ sought[byte]);
            if self.scratch.links[..usize::from(link)].iter().any(|link| link.finds::<BYTES>(&differing)) {
                continue;
            }
            self.scratch.hits.push((query, row, distance));
        }
        self.scratch.candidates.clear();
    }

    /// Tells of what was found, except for queries that were given up.
    #[inline(always)]
    fn tell(&mut self) {
        let Self { scratch, budget, found, .. } = self;
        for (query, row, distance) in scratch.hits.drain(..) {
            if scratch.spent[query as usize] <= *budget {
                found(query as usize, row, distance);
            }
        }
    }
}
