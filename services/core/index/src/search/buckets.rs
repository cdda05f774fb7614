//! Builds the tables of `chain` from sorted rows, by counting.
//!
//! The method is a radix sort of two digits, so that no write is spread wider than the caches. One pass
//! counts, for all chunks at once, how many entries have each value of a chunk's leading bits. Then, for each
//! chunk, a pass over the rows distributes the entries to as many parts, each of which is written
//! sequentially. Each part now fits into the second-level cache, and its entries are counted and distributed
//! again by the remaining bits. Both steps keep rows in ascending order, so the rows of a bucket ascend. The
//! chunks are distributed over the threads.
//!
//! **Memory.** Rows are read through a buffer and not kept. A thread keeps 8 bytes for each distinct hash
//! (the entries of one chunk), and 6 bytes for each entry that waits to be written: about a million, unless
//! most are in one part. Segments are searched while they are merged, so this memory is in addition to
//! theirs.

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use memmap2::MmapMut;

use crate::search::chunking::{Chunk, Chunking, WIDTH_MIN};
use crate::search::id_form::{IdForm, NARROW_ROWS_MAX};
use crate::search::tables::{ROWS_MAX, id_bits};

/// The number of rows that are read at a time: 128 KiB of 32-byte hashes, a part of the second-level cache.
const ROWS_READ: usize = 4_096;

/// Entries are written up to multiples of this number, so that signatures and ids fill whole 2 MiB of their
/// sections.
const ENTRIES_WRITTEN: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };

/// The number of a chunk's leading bits that select its part. The resulting number of parts can be written at
/// once from the first-level cache.
const PART_BITS: u32 = WIDTH_MIN;

const PARTS: usize = 1 << PART_BITS;

/// The size of an entry during the sort: the id in the low bits, the signature above it, then the bits that
/// distinguish the buckets of a part.
const ENTRY_BYTES: usize = 8;

/// Rows in ascending order, in memory or in a file.
pub(crate) trait RowSource<const BYTES: usize>: Sync {
    /// Returns the number of rows, including copies.
    fn len(&self) -> usize;

    /// Fills `into` with the rows from `first` on.
    fn read(&self, first: usize, into: &mut [[u8; BYTES]]) -> io::Result<()>;
}

impl<const BYTES: usize> RowSource<BYTES> for [[u8; BYTES]] {
    fn len(&self) -> usize {
        self.len()
    }

    fn read(&self, first: usize, into: &mut [[u8; BYTES]]) -> io::Result<()> {
        into.copy_from_slice(&self[first..first + into.len()]);
        Ok(())
    }
}

/// The destination of the tables. Positions count elements. Every element is written once, in no particular
/// order.
pub(crate) trait TableSink: Sync {
    fn directory(&self, at: usize, starts: &[u32]) -> io::Result<()>;
    fn signatures(&self, at: usize, signatures: &[u16]) -> io::Result<()>;
    fn ids(&self, at: usize, ids: &[u32]) -> io::Result<()>;

    /// Returns the form in which the sink stores ids.
    fn id_form(&self) -> IdForm {
        IdForm::Wide
    }
}

/// Builds the tables and returns how many distinct hashes they hold.
///
/// The sink must have space for the [`Lengths`](crate::search::tables::Lengths) of that number of hashes,
/// which the caller knows because it sorted the rows. Fails if there are too many rows, or if the source or
/// the sink fails.
pub(crate) fn build<const BYTES: usize>(
    chunking: &Chunking,
    source: &(impl RowSource<BYTES> + ?Sized),
    sink: &impl TableSink,
    threads: usize,
) -> io::Result<usize> {
    let rows = source.len();
    let is_narrow = sink.id_form() == IdForm::Narrow;
    if rows > ROWS_MAX || is_narrow && rows > NARROW_ROWS_MAX || u32::try_from(rows * chunking.len()).is_err()
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many rows for one segment"));
    }
    let (counts, distinct) = count(chunking, source, threads.max(1))?;
    let left = Mutex::new(0..chunking.len());
    let next = || left.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let work = || {
        let mut table = Table::new(distinct)?;
        while let Some(at) = next() {
            table.deal(chunking, at, source, &counts[at], sink.id_form())?;
            table.write(chunking, at, sink)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(chunking.len())).map(|_| scope.spawn(work)).collect();
        let own: io::Result<()> = work();
        let results = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|_| Err(panicked())));
        results.fold(own, io::Result::and)
    })?;
    sink.directory(chunking.buckets(), &[place(chunking.len() * distinct)])?;
    Ok(distinct)
}

/// Counts the entries of each part, for every chunk, and the distinct rows. Each thread counts a share of the
/// rows.
fn count<const BYTES: usize>(
    chunking: &Chunking,
    source: &(impl RowSource<BYTES> + ?Sized),
    threads: usize,
) -> io::Result<(Vec<[u32; PARTS]>, usize)> {
    let rows = source.len();
    let share = |part: usize| part * rows / threads;
    let count_share = |part: usize| {
        let mut counts = vec![[0_u32; PARTS]; chunking.len()];
        let mut distinct = 0;
        for_each_distinct(source, share(part)..share(part + 1), false, |_, row| {
            for (chunk, counts) in chunking.chunks().iter().zip(&mut counts) {
                counts[part_of(chunk, chunk.of(row))] += 1;
            }
            distinct += 1;
            Ok(())
        })?;
        Ok((counts, distinct))
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|part| scope.spawn(move || count_share(part))).collect();
        let (mut counts, mut distinct) = count_share(0)?;
        for helper in helpers {
            let (more, more_distinct) = helper.join().unwrap_or_else(|_| Err(panicked()))?;
            let more = more.as_flattened();
            counts.as_flattened_mut().iter_mut().zip(more).for_each(|(count, more)| *count += more);
            distinct += more_distinct;
        }
        Ok((counts, distinct))
    })
}

/// Calls `each` with the position and the hash of every row in `first..end` that differs from the row before
/// it.
///
/// `all_differ` asserts that all of them do, which saves the comparison.
fn for_each_distinct<const BYTES: usize>(
    source: &(impl RowSource<BYTES> + ?Sized),
    rows: Range<usize>,
    all_differ: bool,
    mut each: impl FnMut(usize, &[u8; BYTES]) -> io::Result<()>,
) -> io::Result<()> {
    let Range { start: first, end } = rows;
    let mut before = [0; BYTES];
    if first > 0 && first < end {
        source.read(first - 1, std::slice::from_mut(&mut before))?;
    }
    let mut buffer = vec![[0; BYTES]; ROWS_READ.min(end - first)];
    for at in (first..end).step_by(ROWS_READ) {
        let rows = &mut buffer[..ROWS_READ.min(end - at)];
        source.read(at, rows)?;
        for (place, row) in (at..).zip(rows.iter()) {
            if all_differ || *row != before || place == 0 {
                before = *row;
                each(place, row)?;
            }
        }
    }
    Ok(())
}

/// The entries of one chunk, ordered by part.
struct Table {
    entries: MmapMut,
    distinct: usize,
    /// The end of each part.
    ends: [u32; PARTS],
    sorted: Sorted,
}

impl Table {
    fn new(distinct: usize) -> io::Result<Self> {
        // The entries have a mapping of their own, for huge pages, because writes go to all of it. Huge pages
        // are only a hint.
        let entries = MmapMut::map_anon((distinct * ENTRY_BYTES).max(1))?;
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = entries.advise(memmap2::Advice::HugePage);
        Ok(Self { entries, distinct, ends: [0; PARTS], sorted: Sorted::default() })
    }

    /// Distributes the entries of a chunk to parts of these lengths.
    fn deal<const BYTES: usize>(
        &mut self,
        chunking: &Chunking,
        at: usize,
        source: &(impl RowSource<BYTES> + ?Sized),
        counts: &[u32; PARTS],
        form: IdForm,
    ) -> io::Result<()> {
        let ring = chunking.chunks();
        let [chunk, next, third] = [at, at + 1, at + 2].map(|at| ring[at % ring.len()]);
        let rows = source.len();
        let id_bits = id_bits(rows);
        let spare = (1 << chunking.spare_bits(at, id_bits, form)) - 1;
        let rest = (1 << rest_bits(&chunk)) - 1;
        let mut cursors = *counts;
        starts(&mut cursors);
        let (entries, _) = self.entries.as_chunks_mut::<ENTRY_BYTES>();
        for_each_distinct(source, 0..rows, self.distinct == rows, |row, hash| {
            let value = chunk.of(hash);
            let cursor = &mut cursors[part_of(&chunk, value)];
            let id = row as u64 | u64::from(third.of(hash) & spare) << id_bits;
            let signature = u64::from(Chunk::signature(next.of(hash)));
            let entry = id | signature << 32 | u64::from(value & rest) << 48;
            *entries.get_mut(*cursor as usize).ok_or_else(changed)? = entry.to_le_bytes();
            *cursor += 1;
            Ok(())
        })?;
        self.ends = *counts;
        starts(&mut self.ends);
        self.ends.iter_mut().zip(counts).for_each(|(end, count)| *end += count);
        if cursors == self.ends { Ok(()) } else { Err(changed()) }
    }

    /// Sorts the parts, and writes them and their directory.
    fn write(&mut self, chunking: &Chunking, at: usize, sink: &impl TableSink) -> io::Result<()> {
        let Self { entries, distinct, ends, sorted } = self;
        let chunk = &chunking.chunks()[at];
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        let first = at * *distinct;
        let mut directory = Vec::with_capacity(1 << chunk.width);
        let (mut start, mut written) = (0, first);
        for end in ends.map(|end| end as usize) {
            sorted.add(&entries[start..end], rest_bits(chunk));
            directory.extend(sorted.buckets.iter().map(|bucket| place(first + start) + bucket));
            start = end;
            let whole = (first + end) / ENTRIES_WRITTEN * ENTRIES_WRITTEN;
            if whole > written {
                sorted.write(written, whole - written, sink)?;
                written = whole;
            }
        }
        sorted.write(written, first + start - written, sink)?;
        sink.directory(chunk.directory as usize, &directory)
    }
}

/// Entries in the order of their buckets, ready to be written.
#[derive(Default)]
struct Sorted {
    signatures: Vec<u16>,
    ids: Vec<u32>,
    /// The start of each bucket of the last part, relative to the part.
    buckets: Vec<u32>,
    cursors: Vec<u32>,
}

impl Sorted {
    /// Adds a part whose buckets differ in `rest_bits` bits.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of an entry are taken apart")]
    fn add(&mut self, entries: &[[u8; ENTRY_BYTES]], rest_bits: u32) {
        let entries = || entries.iter().map(|entry| u64::from_le_bytes(*entry));
        let before = self.ids.len();
        self.buckets.clear();
        self.buckets.resize(1 << rest_bits, 0);
        for entry in entries() {
            self.buckets[(entry >> 48) as usize] += 1;
        }
        starts(&mut self.buckets);
        self.cursors.clone_from(&self.buckets);
        self.signatures.resize(before + entries().len(), 0);
        self.ids.resize(before + entries().len(), 0);
        let (signatures, ids) = (&mut self.signatures[before..], &mut self.ids[before..]);
        for entry in entries() {
            let cursor = &mut self.cursors[(entry >> 48) as usize];
            signatures[*cursor as usize] = (entry >> 32) as u16;
            ids[*cursor as usize] = entry as u32;
            *cursor += 1;
        }
    }

    /// Writes the first entries and removes them.
    fn write(&mut self, at: usize, count: usize, sink: &impl TableSink) -> io::Result<()> {
        sink.signatures(at, &self.signatures[..count])?;
        sink.ids(at, &self.ids[..count])?;
        self.signatures.drain(..count);
        self.ids.drain(..count);
        Ok(())
    }
}

/// Replaces each count by the sum of the counts before it.
fn starts(counts: &mut [u32]) {
    let mut start = 0;
    for count in counts {
        start += std::mem::replace(count, start);
    }
}

/// Returns the part to which a chunk's value belongs.
#[inline(always)]
fn part_of(chunk: &Chunk, value: u32) -> usize {
    (value >> rest_bits(chunk)) as usize
}

/// Returns the number of bits of a chunk that distinguish the buckets of a part: at most 12, which fit into
/// an entry.
#[inline(always)]
const fn rest_bits(chunk: &Chunk) -> u32 {
    chunk.width - PART_BITS
}

fn place(entry: usize) -> u32 {
    u32::try_from(entry).expect("entries of a segment are fewer than 2^32")
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the rows changed while their tables were built")
}

fn panicked() -> io::Error {
    io::Error::other("a thread that built tables panicked")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::search::tables::Lengths;

    /// Tables in memory.
    pub(crate) struct Arrays {
        pub(crate) directory: Mutex<Vec<u32>>,
        pub(crate) signatures: Mutex<Vec<u16>>,
        pub(crate) ids: Mutex<Vec<u32>>,
    }

    impl Arrays {
        pub(crate) fn new(lengths: Lengths) -> Self {
            Self {
                directory: Mutex::new(vec![u32::MAX; lengths.directory]),
                signatures: Mutex::new(vec![0; lengths.signatures]),
                ids: Mutex::new(vec![u32::MAX; lengths.ids]),
            }
        }
    }

    fn put<T: Copy>(array: &Mutex<Vec<T>>, at: usize, values: &[T]) -> io::Result<()> {
        array.lock().unwrap()[at..][..values.len()].copy_from_slice(values);
        Ok(())
    }

    impl TableSink for Arrays {
        fn directory(&self, at: usize, starts: &[u32]) -> io::Result<()> {
            put(&self.directory, at, starts)
        }

        fn signatures(&self, at: usize, signatures: &[u16]) -> io::Result<()> {
            put(&self.signatures, at, signatures)
        }

        fn ids(&self, at: usize, ids: &[u32]) -> io::Result<()> {
            put(&self.ids, at, ids)
        }
    }

    fn built(chunking: &Chunking, rows: &[[u8; 8]], threads: usize) -> (Vec<u32>, Vec<u16>, Vec<u32>, usize) {
        let mut distinct = rows.to_vec();
        distinct.dedup();
        let arrays = Arrays::new(Lengths::of(chunking, distinct.len()));
        let count = build(chunking, rows, &arrays, threads).unwrap();
        let Arrays { directory, signatures, ids } = arrays;
        let [directory, ids] = [directory, ids].map(|array| array.into_inner().unwrap());
        (directory, signatures.into_inner().unwrap(), ids, count)
    }

    /// Builds tables of `count` hashes, each of them `copies` times, and checks every entry.
    fn check(count: u32, copies: u32, hash: impl Fn(u64) -> u64) {
        let chunking = Chunking::from_widths(64, &[8, 20, 18, 18]).unwrap();
        let row_count = count * copies;
        let mut rows: Vec<[u8; 8]> =
            (0..row_count).map(|row| hash(u64::from(row / copies)).to_le_bytes()).collect();
        rows.sort_unstable();
        let (directory, signatures, ids, distinct) = built(&chunking, &rows, 1);
        assert_eq!(distinct, count as usize);
        let (id_bits, ring) = (id_bits(rows.len()), chunking.chunks());
        for (at, chunk) in ring.iter().enumerate() {
            let mut seen = Vec::new();
            for value in 0..1_u32 << chunk.width {
                let bucket = (chunk.directory + value) as usize;
                let mut last = None;
                for entry in directory[bucket] as usize..directory[bucket + 1] as usize {
                    let row = ids[entry] & ((1 << id_bits) - 1);
                    let hash = rows[row as usize];
                    assert_eq!(chunk.of(&hash), value);
                    assert_eq!(u32::from(signatures[entry]), ring[(at + 1) % 4].of(&hash) & 0xffff);
                    let third = ring[(at + 2) % 4];
                    let bits = third.width.min(32 - id_bits);
                    assert_eq!(ids[entry] >> id_bits, third.of(&hash) & ((1 << bits) - 1));
                    assert!(last < Some(row));
                    last = Some(row);
                    seen.push(row);
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..row_count).step_by(copies as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_distinct_row_stands_in_its_bucket_of_every_chunk_with_its_neighbours_bits() {
        check(100, 7, |number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        check(5_000, 1, |number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }

    #[test]
    fn hashes_that_agree_in_most_bits_fill_few_parts() {
        check(5_000, 1, |number| number << 30);
        check(5_000, 2, |number| number);
    }

    #[test]
    fn threads_change_nothing() {
        let chunking = Chunking::from_widths(64, &[8; 8]).unwrap();
        let mut rows: Vec<[u8; 8]> =
            (0_u64..9_000).map(|row| (row / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
        rows.sort_unstable();
        for rows in [&rows[..], &rows[..1], &rows[..0], &rows[..8_192]] {
            let one = built(&chunking, rows, 1);
            assert_eq!(one, built(&chunking, rows, 2));
            assert_eq!(one, built(&chunking, rows, 7));
            assert_eq!(one, built(&chunking, rows, 50));
        }
    }

    #[test]
    fn a_source_that_fails_or_changes_its_mind_is_an_error() {
        struct Fickle(std::sync::atomic::AtomicU64);
        impl RowSource<8> for Fickle {
            fn len(&self) -> usize {
                3
            }

            fn read(&self, first: usize, into: &mut [[u8; 8]]) -> io::Result<()> {
                use std::sync::atomic::Ordering::Relaxed;
                for (row, into) in (first as u64..).zip(into) {
                    *into = if self.0.fetch_add(1, Relaxed) < 3 { [0; 8] } else { row.to_le_bytes() };
                }
                Ok(())
            }
        }
        let chunking = Chunking::from_widths(64, &[8; 8]).unwrap();
        let arrays = Arrays::new(Lengths::of(&chunking, 1));
        let error = build(&chunking, &Fickle(0.into()), &arrays, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
