//! The mutable tail: the newest rows, found by lists that are appended to while they are read.
//!
//! A row is filed under each of its keys, at the head of that key's list, and never moves. A radius index has
//! a key for each 16-bit chunk of the hash, so that a search visits the lists of the chunks near its own, as
//! in `chain`. Whatever leads to a row, a list's head or the node before, carries beside its number the 32
//! bits that follow the chunk, so that a row that is not near is nearly always refused before it is looked at.
//! An equality index has one key, drawn from a keyed hash of the digest. (Append-only lists instead of growing
//! arrays: a reader needs no more than the head that it loaded.)
//!
//! **Copies.** Only the first row of a hash is filed; rows that bear the same hash hang on a list of that
//! row's own. A hundred thousand copies of one hash are one node to everybody else.
//!
//! **Worst case.** Hashes that differ but agree in a chunk share a list. A search counts the nodes it visits,
//! and where that would cost more than looking at every row, it does that instead: at most twice the scan of
//! [`TAIL_ROWS`] rows, about 0.2 ms. Few rows ([`LISTS_FROM`]) are always scanned and not filed at all.
//!
//! **Visibility.** Which rows a reader may see is decided by `moment`: rows at or above its count are passed
//! over wherever they turn up. **Ordering:** a row's columns and links are written before the head that leads
//! to it is stored with `Release`; readers load heads with `Acquire`, and whatever they reach from there is
//! older.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};

use vigie_model::{BankId, ItemId};

use crate::question::cancel::{COMPARISONS_PER_HIT, Cancelled, Checkpoint};
use crate::question::entry::Entry;
use crate::rows::locator::Locator;
use crate::rows::segment_file::Cells;
use crate::rows::tombstones::{DeadRows, SourceId};
use crate::search::chunking::{Allowances, Chunking};
use crate::search::flips::Flips;
use crate::search::signature::{Kernel, Task, dispatch, prefetch};

/// Rows of a full tail. Filling one takes two minutes at 1,000 inserts a second, and making a segment of it a
/// tenth of a second.
/// (Tests make do with a smaller one, so that they see tails fill and segments merge.)
pub(crate) const TAIL_ROWS: usize = if cfg!(test) { 1 << 12 } else { 1 << 17 };

/// Rows of a block, the step by which a tail's memory grows.
const BLOCK_ROWS: usize = if cfg!(test) { 256 } else { 2_048 };

/// From so many rows on, rows are filed in lists; a scan of fewer is as quick.
const LISTS_FROM: usize = BLOCK_ROWS;

/// Lists for each key.
const LISTS: usize = 1 << 16;

/// Bits of a chunk.
const CHUNK_BITS: u32 = 16;

/// Visiting a node costs about as much as comparing so many rows in a scan.
const ROWS_PER_NODE: usize = 3;

/// Under which keys rows are filed.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    /// Each 16-bit chunk of the hash.
    Chunks(Chunking),
    /// A hash of the digest, keyed at random so that nobody can prepare digests that all share a list.
    Digest(RandomState),
}

impl Keys {
    /// Those of a radius index of hashes of `bytes` bytes.
    pub(crate) fn chunks_of(bytes: usize) -> Self {
        let widths = vec![16; bytes / 2];
        Self::Chunks(Chunking::from_widths(bytes * 8, &widths).expect("16 divides the bits of every hash"))
    }

    fn count(&self) -> usize {
        match self {
            Self::Chunks(chunking) => chunking.len(),
            Self::Digest(_) => 1,
        }
    }

    /// For each key the list, and 32 bits more to compare.
    fn of<const BYTES: usize>(&self, hash: &[u8; BYTES]) -> impl Iterator<Item = (usize, u32)> {
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

fn chunk<const BYTES: usize>(hash: &[u8; BYTES], at: usize) -> u16 {
    let at = at * 2 % BYTES;
    u16::from_le_bytes([hash[at], hash[at + 1]])
}

/// The two chunks after this one, round the ring.
fn next_chunks<const BYTES: usize>(hash: &[u8; BYTES], at: usize) -> u32 {
    u32::from(chunk(hash, at + 1)) | u32::from(chunk(hash, at + 2)) << CHUNK_BITS
}

/// Rows in memory, appended by one writer and read by anyone.
pub(crate) struct Tail<const BYTES: usize> {
    pub(crate) id: SourceId,
    pub(crate) dead: DeadRows,
    keys: Keys,
    blocks: Box<[OnceLock<Block>]>,
    /// Made by the row that fills the first block.
    lists: OnceLock<Lists>,
}

/// [`BLOCK_ROWS`] rows.
struct Block {
    /// Row after row.
    words: Box<[AtomicU64]>,
    items: Box<[AtomicU64]>,
    banks: Box<[AtomicU32]>,
    /// For a filed row the newest of the rows with the same hash, for such a row the one before it; as a
    /// row's number plus one, 0 at the end.
    copies: Box<[AtomicU32]>,
}

/// The lists of all keys. They are looked into at random, so they lie in huge pages where there are such.
struct Lists {
    /// For each key its lists: a [`Link`] to the newest row of each.
    heads: Cells,
    /// For each row and key a [`Link`] to the next row of the list.
    nodes: Cells,
}

/// Leads to a row of a list, and tells the 32 bits of it that are compared first.
#[derive(Clone, Copy)]
struct Link {
    /// The row's number plus one, 0 for an empty list; and [`Self::LAST`].
    to: u32,
    check: u32,
}

impl Link {
    /// The row is the last of its list, so that its node need not be looked at.
    const LAST: u32 = 1 << 31;

    #[inline(always)]
    const fn pack(self) -> u64 {
        self.to as u64 | (self.check as u64) << 32
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "each half is a u32")]
    const fn unpack(packed: u64) -> Self {
        Self { to: packed as u32, check: (packed >> 32) as u32 }
    }

    #[inline(always)]
    const fn is_empty(self) -> bool {
        self.to == 0
    }

    #[inline(always)]
    const fn row(self) -> usize {
        (self.to & !Self::LAST) as usize - 1
    }

    #[inline(always)]
    const fn is_last(self) -> bool {
        self.to & Self::LAST != 0
    }
}

/// Buffers of a search, kept from query to query.
#[derive(Default)]
pub(crate) struct TailScratch {
    frontier: Vec<Step>,
    next: Vec<Step>,
    candidates: Vec<u32>,
}

/// A list that is being followed.
#[derive(Clone, Copy)]
struct Step {
    /// The list's number, then that of the node that comes next.
    at: u32,
    chunk: u16,
    /// Bits in which the query's chunk differs from the list's.
    distance: u16,
}

impl<const BYTES: usize> Tail<BYTES> {
    const WORDS: usize = BYTES.div_ceil(8);

    pub(crate) fn new(id: SourceId, keys: Keys) -> Self {
        const { assert!(BYTES >= 8 && BYTES <= 64 && BYTES.is_multiple_of(4), "8 to 64 bytes, a multiple of 4") };
        Self {
            id,
            dead: DeadRows::none_of(TAIL_ROWS),
            keys,
            blocks: (0..TAIL_ROWS / BLOCK_ROWS).map(|_| OnceLock::new()).collect(),
            lists: OnceLock::new(),
        }
    }

    fn block(&self, row: usize) -> &Block {
        self.blocks[row / BLOCK_ROWS].get().expect("a row that is asked for was written")
    }

    pub(crate) fn hash(&self, row: usize) -> [u8; BYTES] {
        let mut hash = [0; BYTES];
        for (bytes, word) in hash.chunks_mut(8).zip(self.words(row)) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes()[..bytes.len()]);
        }
        hash
    }

    #[inline(always)]
    fn words(&self, row: usize) -> &[AtomicU64] {
        &self.block(row).words[row % BLOCK_ROWS * Self::WORDS..][..Self::WORDS]
    }

    pub(crate) fn item(&self, row: usize) -> ItemId {
        ItemId(self.block(row).items[row % BLOCK_ROWS].load(Relaxed))
    }

    pub(crate) fn bank(&self, row: usize) -> BankId {
        BankId(self.block(row).banks[row % BLOCK_ROWS].load(Relaxed))
    }

    pub(crate) fn entry(&self, row: usize) -> Entry {
        Entry { item: self.item(row), bank: self.bank(row) }
    }

    /// Memory taken, the lists included.
    pub(crate) fn bytes(&self) -> usize {
        let block = |block: &Block| {
            let links = size_of_val(&*block.banks) + size_of_val(&*block.copies);
            size_of_val(&*block.words) + size_of_val(&*block.items) + links
        };
        let (mut blocks, mut sum) = (0, self.dead.bytes());
        for one in self.blocks.iter().filter_map(OnceLock::get) {
            blocks += 1;
            sum += block(one);
        }
        // Nodes are pages that the system gives as they are written to.
        let nodes = blocks * BLOCK_ROWS * self.keys.count() * size_of::<AtomicU64>();
        sum + self.lists.get().map_or(0, |lists| size_of_val(lists.heads.get()) + nodes)
    }

    /// Every one of the first `rows` rows within `radius` of each query, as the query's number, the row and
    /// the distance; each row once, in any order, the dead ones too.
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

    /// Compares every one of the first `rows` rows. `reach` says before each block how far a row may lie to
    /// be of use.
    #[inline(always)]
    pub(crate) fn scan(
        &self,
        rows: usize,
        query: &[u8; BYTES],
        reach: impl Fn(usize) -> Option<u32>,
        checkpoint: &mut Checkpoint<'_>,
        found: &mut impl FnMut(u32, u32),
    ) -> Result<(), Cancelled> {
        let query = words_of(query);
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(rows - first);
            checkpoint.spend(count)?;
            let Some(radius) = reach(first) else { continue };
            let words = &self.block(first).words[..count * Self::WORDS];
            for (row, words) in (first..).zip(words.chunks_exact(Self::WORDS)) {
                let distance = distance(words, &query);
                if distance <= radius {
                    found(number_of(row), distance);
                }
            }
        }
        Ok(())
    }

    /// The first `rows` rows whose hash equals this one, the dead ones too, until `found` says that it has enough.
    pub(crate) fn lookup(&self, rows: usize, hash: &[u8; BYTES], mut found: impl FnMut(u32) -> bool) {
        let Some(lists) = self.lists.get() else {
            let words = words_of(hash);
            let mut equal = (0..rows).filter(|&row| distance(self.words(row), &words) == 0);
            let _enough = equal.all(|row| found(number_of(row)));
            return;
        };
        let (list, check) = self.keys.of(hash).next().expect("a hash has a key");
        let words = words_of(hash);
        let mut link = Link::unpack(lists.heads.get()[list].load(Ordering::Acquire));
        while !link.is_empty() {
            let row = link.row();
            if check == link.check && distance(self.words(row), &words) == 0 {
                return self.each_copy(row, rows, &mut found);
            }
            if link.is_last() {
                return;
            }
            link = Link::unpack(lists.nodes.get()[row * self.keys.count()].load(Relaxed));
        }
    }

    /// A filed row and those with the same hash, as far as they are among the first `rows`, until `found` has enough.
    fn each_copy(&self, filed: usize, rows: usize, mut found: impl FnMut(u32) -> bool) {
        let mut row = filed;
        loop {
            if row < rows && !found(number_of(row)) {
                return;
            }
            let copy = self.block(row).copies[row % BLOCK_ROWS].load(Ordering::Acquire);
            let Some(next) = copy.checked_sub(1) else { return };
            row = next as usize;
        }
    }

    /// Fills a row's columns.
    fn write(&self, row: usize, hash: &[u8; BYTES], entry: Entry) {
        let block = self.blocks[row / BLOCK_ROWS].get_or_init(|| Block::new(Self::WORDS));
        let at = row % BLOCK_ROWS;
        for (cell, word) in block.words[at * Self::WORDS..][..Self::WORDS].iter().zip(words_of(hash)) {
            cell.store(word, Relaxed);
        }
        block.items[at].store(entry.item.0, Relaxed);
        block.banks[at].store(entry.bank.0, Relaxed);
    }

    /// Files a row under its keys, in lists that nobody reads yet or that it is ready for.
    fn file(&self, lists: &Lists, row: usize, hash: &[u8; BYTES]) {
        let (heads, nodes) = (lists.heads.get(), lists.nodes.get());
        for (key, (list, check)) in self.keys.of(hash).enumerate() {
            let next = heads[list].load(Relaxed);
            nodes[row * self.keys.count() + key].store(next, Relaxed);
            let last = if Link::unpack(next).is_empty() { Link::LAST } else { 0 };
            heads[list].store(Link { to: (number_of(row) + 1) | last, check }.pack(), Ordering::Release);
        }
    }
}

impl Block {
    fn new(words: usize) -> Self {
        Self {
            words: zeros(BLOCK_ROWS * words),
            items: zeros(BLOCK_ROWS),
            banks: zeros(BLOCK_ROWS),
            copies: zeros(BLOCK_ROWS),
        }
    }
}

/// A search of a tail, compiled for whichever instructions count ones most quickly.
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
    /// False if a scan is the better way, before anything was found.
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
        // All lists are followed together, a row at a time, so that the waits for memory overlap.
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

/// What a query asks of a row in a list of each chunk.
struct Limits {
    /// The 32 bits that follow the chunk.
    sought: [u32; CHUNKS_MAX],
    /// The bits that two and three chunks from here may differ in, and one more.
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

    /// Whether the bits by which the chunk and the next two differ leave the hash within the radius, as far as
    /// the chain that begins here can tell (see `chain`).
    #[inline(always)]
    fn allow(&self, chunk: usize, distance: u16, check: u32) -> bool {
        let differing = check ^ self.sought[chunk];
        let two = distance + small((differing & 0xffff).count_ones() as usize);
        let three = two + small((differing >> CHUNK_BITS).count_ones() as usize);
        two < self.two[chunk] && three < self.three[chunk]
    }
}

/// Chunks of the longest hash, 64 bytes.
const CHUNKS_MAX: usize = 32;

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "chunks and their bits are few")]
const fn small(number: usize) -> u16 {
    number as u16
}

/// `count` atomics that are zero.
fn zeros<T: Default>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

fn number_of(row: usize) -> u32 {
    u32::try_from(row).expect("a tail has fewer than 2^32 rows")
}

/// The hash as little-endian words, the last one filled up with zeros.
fn words_of<const BYTES: usize>(hash: &[u8; BYTES]) -> [u64; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(hash.chunks(8)) {
        let mut filled = [0; 8];
        filled[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(filled);
    }
    words
}

#[inline(always)]
fn distance(words: &[AtomicU64], query: &[u64; 8]) -> u32 {
    words.iter().zip(query).map(|(word, query)| (word.load(Relaxed) ^ query).count_ones()).sum()
}

/// What the writer knows of a tail: how full it is, and where a pair of hash and item stands.
pub(crate) struct TailBooks<const BYTES: usize> {
    rows: usize,
    pairs: Locator,
    /// The filed row of each hash.
    filed: Locator,
}

impl<const BYTES: usize> TailBooks<BYTES> {
    pub(crate) fn new() -> Self {
        Self { rows: 0, pairs: Locator::default(), filed: Locator::default() }
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// Living rows.
    pub(crate) fn live(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.rows == TAIL_ROWS
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pairs.bytes() + self.filed.bytes()
    }

    /// The living row of this pair.
    pub(crate) fn find(&self, tail: &Tail<BYTES>, hash: &[u8; BYTES], item: ItemId) -> Option<usize> {
        let words = words_of(hash);
        let is_it = |row: u32| {
            let row = row as usize;
            tail.item(row) == item && distance(tail.words(row), &words) == 0
        };
        self.pairs.find(self.pairs.fingerprint(hash, item), is_it).map(|row| row as usize)
    }

    /// Appends a row for a pair that has no living one, to a tail that is not full.
    pub(crate) fn append(&mut self, tail: &Tail<BYTES>, hash: &[u8; BYTES], entry: Entry) {
        let row = self.rows;
        tail.write(row, hash, entry);
        self.rows += 1;
        self.pairs.insert(self.pairs.fingerprint(hash, entry.item), number_of(row));
        match self.filed_row(tail, hash) {
            Some(filed) => {
                let newest = &tail.block(filed).copies[filed % BLOCK_ROWS];
                tail.block(row).copies[row % BLOCK_ROWS].store(newest.load(Relaxed), Relaxed);
                newest.store(number_of(row) + 1, Ordering::Release);
            }
            None => {
                self.filed.insert(self.filed.fingerprint(hash, ItemId(0)), number_of(row));
                match tail.lists.get() {
                    Some(lists) => tail.file(lists, row, hash),
                    None if self.rows < LISTS_FROM => {}
                    None => self.begin_lists(tail),
                }
            }
        }
    }

    /// Forgets the pair of a row that dies.
    pub(crate) fn forget(&mut self, tail: &Tail<BYTES>, row: usize) {
        let fingerprint = self.pairs.fingerprint(&tail.hash(row), tail.item(row));
        self.pairs.remove(fingerprint, number_of(row));
    }

    fn filed_row(&self, tail: &Tail<BYTES>, hash: &[u8; BYTES]) -> Option<usize> {
        let words = words_of(hash);
        let is_it = |row: u32| distance(tail.words(row as usize), &words) == 0;
        self.filed.find(self.filed.fingerprint(hash, ItemId(0)), is_it).map(|row| row as usize)
    }

    /// Files every row so far, and only then shows the lists to readers.
    fn begin_lists(&self, tail: &Tail<BYTES>) {
        let cells = |count| Cells::new(count).expect("there is memory for the lists of a tail");
        let keys = tail.keys.count();
        let lists = Lists { heads: cells(keys * LISTS), nodes: cells(keys * TAIL_ROWS) };
        for row in 0..self.rows {
            let hash = tail.hash(row);
            if self.filed_row(tail, &hash) == Some(row) {
                tail.file(&lists, row, &hash);
            }
        }
        assert!(tail.lists.set(lists).is_ok(), "one writer makes the lists, once");
    }
}
