//! The search of a tail for near rows, through its lists.

use std::sync::atomic::{Ordering, Ordering::Relaxed};

use super::columns::{LISTS_FROM, Link, Tail, distance, number_of, words_of};
use super::keys::{CHUNK_BITS, Keys, LISTS, chunk, next_chunks};
use crate::question::cancel::{COMPARISONS_PER_HIT, Cancelled, Checkpoint};
use crate::search::chunking::Allowances;
use crate::search::flips::Flips;
use crate::search::signature::{Kernel, Task, dispatch, prefetch};

/// The cost of visiting a node, in rows compared by a scan.
const ROWS_PER_NODE: usize = 3;

/// The buffers of a search, kept from query to query.
#[derive(Default)]
pub(crate) struct TailScratch {
    frontier: Vec<Step>,
    next: Vec<Step>,
    candidates: Vec<u32>,
}

/// A list that is being followed.
#[derive(Clone, Copy)]
struct Step {
    /// The number of the list at first, then that of the next node.
    at: u32,
    chunk: u16,
    /// The number of bits in which the query's chunk differs from the list's.
    distance: u16,
}

impl<const BYTES: usize> Tail<BYTES> {
    /// Finds every one of the first `rows` rows within `radius` of each query, and passes on the query's
    /// number, the row and the distance. Each row is passed on once, in any order, including dead rows.
    pub(crate) fn search(
        &self,
        rows: usize,
        queries: &[[u8; BYTES]],
        radius: u32,
        checkpoint: &mut Checkpoint<'_>,
        scratch: &mut TailScratch,
        found: &mut impl FnMut(usize, u32, u32),
    ) -> Result<(), Cancelled> {
        dispatch(Search { tail: self, rows, queries, radius, checkpoint, scratch, found })
    }
}

/// A search of a tail, compiled for the instruction set that counts bits fastest.
struct Search<'a, 'c, const BYTES: usize, F> {
    tail: &'a Tail<BYTES>,
    rows: usize,
    queries: &'a [[u8; BYTES]],
    radius: u32,
    checkpoint: &'a mut Checkpoint<'c>,
    scratch: &'a mut TailScratch,
    found: &'a mut F,
}

impl<const BYTES: usize, F: FnMut(usize, u32, u32)> Task for Search<'_, '_, BYTES, F> {
    type Output = Result<(), Cancelled>;

    #[inline(always)]
    fn run<K: Kernel>(mut self, _: K) -> Self::Output {
        for (number, query) in self.queries.iter().enumerate() {
            if !self.search_lists(number, query)? {
                let found = &mut *self.found;
                let mut found = |row, distance| found(number, row, distance);
                self.tail.scan(self.rows, query, |_| Some(self.radius), self.checkpoint, &mut found)?;
            }
        }
        Ok(())
    }
}

impl<const BYTES: usize, F: FnMut(usize, u32, u32)> Search<'_, '_, BYTES, F> {
    /// Searches the lists. Returns false, before anything was found, if a scan costs less.
    #[inline(always)]
    fn search_lists(&mut self, number: usize, query: &[u8; BYTES]) -> Result<bool, Cancelled> {
        let Self { tail, rows, radius, .. } = *self;
        let Keys::Chunks(chunking) = &tail.keys else { return Ok(false) };
        let Some(lists) = tail.lists.get().filter(|_| rows >= LISTS_FROM) else { return Ok(false) };
        let (heads, nodes, keys) = (lists.heads.get(), lists.nodes.get(), chunking.len());
        let Some(allowances) = chunking.allowances(radius) else { return Ok(false) };
        let probes: usize = (0..chunking.len()).map(|at| chunking.probes_of(at, &allowances)).sum();
        let nodes_max = rows / ROWS_PER_NODE;
        if probes > nodes_max {
            return Ok(false);
        }
        self.checkpoint.spend(probes)?;
        let TailScratch { frontier, next, candidates } = &mut *self.scratch;
        candidates.clear();
        frontier.clear();
        let limits = Limits::new(query, &allowances, chunking.len());
        for at in 0..chunking.len() {
            let Some(flips) = allowances.flips(at) else { continue };
            let own = at * LISTS + usize::from(chunk(query, at));
            for &mask in Flips::of(CHUNK_BITS).up_to(flips) {
                let list = own ^ mask as usize;
                prefetch(heads, list);
                frontier.push(Step {
                    at: number_of(list),
                    chunk: small(at),
                    distance: small(mask.count_ones() as usize),
                });
            }
        }
        // All lists are followed together, one row at a time, so that the waits for memory overlap.
        next.clear();
        let mut follow = |step: Step, link: Link, next: &mut Vec<Step>| {
            if link.is_empty() {
                return;
            }
            let (row, key) = (link.row(), usize::from(step.chunk));
            if !link.is_last() {
                let node = row * keys + key;
                prefetch(nodes, node);
                next.push(Step { at: number_of(node), ..step });
            }
            if limits.allow(key, step.distance, link.check) && row < rows {
                candidates.push(number_of(row));
            }
        };
        for step in &*frontier {
            follow(*step, Link::unpack(heads[step.at as usize].load(Ordering::Acquire)), next);
        }
        let mut visited = probes;
        while !next.is_empty() {
            std::mem::swap(frontier, next);
            next.clear();
            visited += frontier.len();
            if visited > nodes_max {
                return Ok(false);
            }
            self.checkpoint.spend(frontier.len())?;
            for step in &*frontier {
                follow(*step, Link::unpack(nodes[step.at as usize].load(Relaxed)), next);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        let query = words_of(query);
        for &row in &*candidates {
            let distance = distance(tail.words(row as usize), &query);
            if distance <= radius {
                let mut spent = Ok(());
                tail.each_copy(row as usize, rows, |row| {
                    (self.found)(number, row, distance);
                    spent = self.checkpoint.spend(COMPARISONS_PER_HIT);
                    spent.is_ok()
                });
                spent?;
            }
        }
        Ok(true)
    }
}

/// The limits by which a query excludes a row of a list, for each chunk.
struct Limits {
    /// The query's 32 bits that follow the chunk.
    sought: [u32; CHUNKS_MAX],
    /// The number of bits in which two and three chunks from here may differ, plus one.
    two: [u16; CHUNKS_MAX],
    three: [u16; CHUNKS_MAX],
}

impl Limits {
    #[inline(always)]
    fn new<const BYTES: usize>(query: &[u8; BYTES], allowances: &Allowances, chunks: usize) -> Self {
        let mut limits = Self { sought: [0; CHUNKS_MAX], two: [0; CHUNKS_MAX], three: [0; CHUNKS_MAX] };
        for at in 0..chunks {
            let allowed = |more: usize| u16::from(allowances.of((at + more) % chunks));
            limits.sought[at] = next_chunks(query, at);
            limits.two[at] = allowed(0) + allowed(1);
            limits.three[at] = limits.two[at] + allowed(2);
        }
        limits
    }

    /// Checks whether the differing bits of the chunk and the next two leave the hash within the radius, as
    /// far as the chain that begins here shows (see `chain`).
    #[inline(always)]
    fn allow(&self, chunk: usize, distance: u16, check: u32) -> bool {
        let differing = check ^ self.sought[chunk];
        let two = distance + small((differing & 0xffff).count_ones() as usize);
        let three = two + small((differing >> CHUNK_BITS).count_ones() as usize);
        two < self.two[chunk] && three < self.three[chunk]
    }
}

/// The number of chunks of the longest hash, 64 bytes.
const CHUNKS_MAX: usize = 32;

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "chunks and their bits are few")]
const fn small(number: usize) -> u16 {
    number as u16
}
