//! The search of the tables, as a pipeline that prefetches memory long before it is needed.
//!
//! A search reads hundreds of buckets, and done singly, nearly each step of a bucket waits for another cache
//! line: the directory, the signatures, the ids, the hash. The buckets of all chunks and all queries
//! therefore form one stream that passes through the steps in groups, and each step prefetches the lines of
//! the next:
//!
//! 1. [`Feed`] computes the next buckets and prefetches their positions in the directory;
//! 2. `locate` reads the positions of their entries, charges the query, and prefetches the lines of
//!    signatures;
//! 3. `compare` compares the signatures of a line at once, and prefetches the ids of those that are near;
//! 4. `settle` compares the ids' spare bits and prefetches the hashes of the remaining entries;
//! 5. `verify` compares whole hashes, at the next round of step 4.
//!
//! Everything here is `inline(always)`, so that it is compiled for the instructions of the kernel.

use crate::question::cancel::{COMPARISONS_PER_HIT, Cancelled, Checkpoint};
use crate::search::chunking::{Allowances, Chunk};
use crate::search::flips::Flips;
use crate::search::signature::{Kernel, LANES, Line, Task, prefetch};
use crate::search::tables::{ChainTables, Ids, cost};
use crate::search::verify::Found;

mod scratch;

pub(crate) use scratch::Scratch;
use scratch::{
    Candidate, GROUP, Glance, LINES_MAX, Link, Long, Probe, RING, STARTS, SURVIVORS_MAX, Sought, Start,
    Survivor,
};

/// The number of steps of the stream between prefetching a position in the directory and reading it.
const DIRECTORY_AHEAD: usize = 2;

/// The number of steps between prefetching signatures and comparing them.
const LINES_AHEAD: usize = 1;

const _: () = assert!(DIRECTORY_AHEAD < RING && LINES_AHEAD < RING);
const _: () = assert!((DIRECTORY_AHEAD + LINES_AHEAD + 1) * GROUP <= STARTS);

/// The number of lines of a long bucket that are compared between two checks of the deadline and the budget.
const LINES_AT_ONCE: usize = 512;

/// The cost of comparing a line, in the unit of a [`Checkpoint`]: the comparison of two hashes.
const COMPARISONS_PER_LINE: usize = 4;

/// Survivors wait until there are this many, so that their ids have arrived and their hashes are fetched
/// together.
const SURVIVORS_MIN: usize = 16;

/// A search of the tables for a batch of queries. Queries that have spent more than the budget afterwards
/// were given up, and none of their hits was reported.
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
        let mut feed = Feed::default();
        let (mut step, mut idle) = (0_usize, 0);
        while idle < DIRECTORY_AHEAD + LINES_AHEAD {
            idle = if self.feed(&mut feed, step % RING) { 0 } else { idle + 1 };
            self.locate(&lines, step.wrapping_sub(DIRECTORY_AHEAD) % RING, step % RING)?;
            self.compare(kernel, &lines, step.wrapping_sub(LINES_AHEAD) % RING);
            if !self.scratch.long.is_empty() {
                self.compare_long(kernel, &lines)?;
            }
            if self.scratch.survivors.len() >= SURVIVORS_MIN {
                self.settle(kernel);
            }
            step = step.wrapping_add(1);
        }
        self.settle(kernel);
        self.verify(kernel);
        self.report()
    }
}

/// The position in the stream of buckets.
#[derive(Default)]
struct Feed<'a> {
    query: usize,
    link: usize,
    /// The flips of the current start that are still to come.
    masks: &'a [u32],
    /// The signature and limit that the current start looks for, without flips.
    sought: Sought,
    directory: u32,
    value: u32,
}

/// The signatures as cache lines; the last line is a copy if it is not full.
struct Lines<'a> {
    lines: &'a [Line],
    last: Line,
}

impl Lines<'_> {
    #[inline(always)]
    fn get(&self, line: u32) -> &Line {
        self.lines.get(line as usize).unwrap_or(&self.last)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rows, entries, queries and chunks are counted in `u32` or less"
)]
impl<const BYTES: usize> Search<'_, '_, '_, BYTES> {
    /// Computes the starts of chains, in the order of chunks.
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
                spare: (1 << tables.chunking.spare_bits(at, tables.id_bits, tables.id_form())) - 1,
            })
        };
        self.scratch.links.clear();
        self.scratch.links.extend((0..count).filter_map(link));
    }

    /// Runs step 1. Returns false if there are no more buckets.
    #[inline(always)]
    fn feed(&mut self, feed: &mut Feed<'_>, at: usize) -> bool {
        if self.scratch.spent.get(feed.query).is_some_and(|&spent| spent > self.budget) {
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
                *probe = Probe { bucket, sought: feed.sought.after(mask.count_ones()) };
            }
            len += now.len();
            feed.masks = later;
        }
        self.scratch.probes[at].len = len;
        len > 0
    }

    /// Moves to the next chunk to search, or to the first chunk of the next query.
    #[inline(always)]
    fn next_start(&mut self, feed: &mut Feed<'_>) -> bool {
        if feed.link == self.scratch.links.len() {
            (feed.query, feed.link) = (feed.query + 1, 0);
        }
        let Some(query) = self.queries.get(feed.query) else { return false };
        let link = &self.scratch.links[feed.link];
        let start = feed.sought.start().wrapping_add(1);
        self.scratch.starts[usize::from(start)] = Start {
            query: feed.query as u32,
            link: feed.link as u8,
            third_reach: link.third_reach,
            spare: (link.third.of(query) & link.spare) << self.tables.id_bits,
        };
        feed.sought = Sought::new(Chunk::signature(link.next.of(query)), link.pair_reach, start);
        (feed.directory, feed.value) = (link.chunk.directory, link.chunk.of(query));
        feed.masks = link.masks;
        feed.link += 1;
        true
    }

    /// Runs step 2.
    ///
    /// The cost of a group is charged to its last query. With several queries in a group, one may be given up
    /// because of another's cost, but never before the work of a whole scan was done.
    #[inline(always)]
    fn locate(&mut self, lines: &Lines<'_>, from: usize, to: usize) -> Result<(), Cancelled> {
        let Self { tables: ChainTables { directory, signatures, .. }, scratch, .. } = self;
        let Scratch { probes, glances, long, starts, spent, .. } = &mut **scratch;
        let (probes, glances) = (probes[from].items(), &mut glances[to]);
        let (mut len, mut lines_sum) = (0, 0);
        for &Probe { bucket, sought } in probes {
            let Some(&[first, end]) = directory.get(bucket as usize..bucket as usize + 2) else { continue };
            if first >= end || end as usize > signatures.len() {
                continue;
            }
            let (line, last) = (first / LANES as u32, (end - 1) / LANES as u32);
            let head = u32::MAX << (first % LANES as u32);
            let tail = u32::MAX >> (LANES as u32 - 1 - (end - 1) % LANES as u32);
            let more = last - line;
            prefetch(lines.lines, line as usize);
            prefetch(lines.lines, last as usize);
            if more <= 1 {
                // Most buckets of a million hashes have one line or two. Both are written, so that the
                // processor does not have to predict a branch.
                let wanted = head & (tail | more.wrapping_neg());
                glances.items[len] = Glance { line, wanted, sought };
                glances.items[len + 1] = Glance { line: last, wanted: tail, sought };
                len += 1 + more as usize;
            } else if more < LINES_MAX as u32 {
                let bucket = &mut glances.items[len..][..more as usize + 1];
                for (line, glance) in (line..).zip(bucket.iter_mut()) {
                    prefetch(lines.lines, line as usize);
                    *glance = Glance { line, wanted: u32::MAX, sought };
                }
                bucket[0].wanted = head;
                bucket[more as usize].wanted = tail;
                len += more as usize + 1;
            } else {
                long.push(Long { first: line, last, head, tail, sought });
                continue;
            }
            lines_sum += more as usize + 1;
        }
        glances.len = len;
        if let Some(last) = probes.last() {
            let query = starts[usize::from(last.sought.start())].query as usize;
            spent[query] += cost::PROBE * probes.len() as u64 + cost::LINE * lines_sum as u64;
        }
        self.checkpoint.spend(probes.len() + COMPARISONS_PER_LINE * lines_sum)
    }

    /// Runs step 3.
    #[inline(always)]
    fn compare<K: Kernel>(&mut self, kernel: K, lines: &Lines<'_>, at: usize) {
        let mut done = 0;
        while done < self.scratch.glances[at].len {
            let Self { tables, scratch, budget, .. } = self;
            let Scratch { glances, starts, spent, survivors, .. } = &mut **scratch;
            for glance in &glances[at].items()[done..] {
                done += 1;
                let line = lines.get(glance.line);
                let near =
                    kernel.near(line, glance.sought.signature(), glance.sought.limit()) & glance.wanted;
                if near != 0 {
                    let start = &starts[usize::from(glance.sought.start())];
                    if spent[start.query as usize] > *budget {
                        continue;
                    }
                    survive(tables.ids, line, glance, near, start, survivors);
                    if survivors.len() >= SURVIVORS_MAX {
                        break;
                    }
                }
            }
            if self.scratch.survivors.len() >= SURVIVORS_MAX {
                self.settle(kernel);
            }
        }
    }

    /// Runs step 3 for buckets with many lines, whose cost is charged as they are compared.
    #[inline(always)]
    fn compare_long<K: Kernel>(&mut self, kernel: K, lines: &Lines<'_>) -> Result<(), Cancelled> {
        while let Some(Long { mut first, last, mut head, tail, sought }) = self.scratch.long.pop() {
            let start = self.scratch.starts[usize::from(sought.start())];
            let query = start.query as usize;
            while first <= last && self.scratch.spent[query] <= self.budget {
                let end = last.min(first + LINES_AT_ONCE as u32 - 1);
                self.checkpoint.spend(COMPARISONS_PER_LINE * (end - first + 1) as usize)?;
                while first <= end && self.scratch.survivors.len() < SURVIVORS_MAX {
                    let wanted = head & if first == last { tail } else { u32::MAX };
                    let glance = Glance { line: first, wanted, sought };
                    let line = lines.get(first);
                    let near = kernel.near(line, sought.signature(), sought.limit()) & wanted;
                    self.scratch.spent[query] += cost::LINE;
                    survive(self.tables.ids, line, &glance, near, &start, &mut self.scratch.survivors);
                    (first, head) = (first + 1, u32::MAX);
                }
                if self.scratch.survivors.len() >= SURVIVORS_MAX {
                    self.settle(kernel);
                }
            }
        }
        Ok(())
    }

    /// Runs step 4, after step 5 for the entries that passed step 4 before.
    #[inline(always)]
    fn settle<K: Kernel>(&mut self, kernel: K) {
        self.verify(kernel);
        let Self { tables, scratch, .. } = self;
        let row_mask = (1 << tables.id_bits) - 1;
        for survivor in scratch.survivors.drain(..) {
            scratch.spent[survivor.query as usize] += cost::SURVIVOR;
            let Some(id) = tables.ids.get(survivor.entry as usize) else { continue };
            if ((id ^ survivor.spare) >> tables.id_bits).count_ones() <= survivor.left.into() {
                let row = id & row_mask;
                prefetch(tables.rows, row as usize);
                scratch.candidates.push(Candidate { row, query: survivor.query, link: survivor.link });
            }
        }
    }

    /// Runs step 5.
    #[inline(always)]
    fn verify<K: Kernel>(&mut self, kernel: K) {
        let Self { tables, scratch, queries, radius, .. } = self;
        let Scratch { candidates, links, hits, .. } = &mut **scratch;
        for Candidate { row, query, link } in candidates.drain(..) {
            let sought = &queries[query as usize];
            let Some(hash) = tables.rows.get(row as usize) else { continue };
            let distance = kernel.distance(hash, sought);
            if distance <= *radius {
                let differing = std::array::from_fn(|byte| hash[byte] ^ sought[byte]);
                // Only the first start that finds the row reports it.
                if !links[..usize::from(link)].iter().any(|link| link.finds::<BYTES>(&differing)) {
                    hits.push((query, row, distance));
                }
            }
        }
    }

    /// Reports the hits, except those of queries that were given up.
    #[inline(always)]
    fn report(&mut self) -> Result<(), Cancelled> {
        let Self { scratch, budget, found, checkpoint, .. } = self;
        for (query, row, distance) in scratch.hits.drain(..) {
            checkpoint.spend(COMPARISONS_PER_HIT)?;
            if scratch.spent[query as usize] <= *budget {
                found(query as usize, row, distance);
            }
        }
        Ok(())
    }
}

/// Records the entries whose signatures are near, and prefetches their ids.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a count of at most 16; an entry's place")]
fn survive(
    ids: Ids<'_>,
    line: &Line,
    glance: &Glance,
    mut near: u32,
    start: &Start,
    survivors: &mut Vec<Survivor>,
) {
    while near != 0 {
        let lane = near.trailing_zeros() as usize;
        near &= near - 1;
        let differing = (line[lane] ^ glance.sought.signature()).count_ones() as u8;
        let entry = glance.line as usize * LANES + lane;
        ids.prefetch(entry);
        survivors.push(Survivor {
            entry: entry as u32,
            query: start.query,
            spare: start.spare,
            link: start.link,
            left: glance.sought.limit() - differing + start.third_reach,
        });
    }
}
