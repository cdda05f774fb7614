//! Builds the tables of `chain` from sorted rows, by counting.
//!
//! Two passes, as in counting sort. The first counts each bucket's entries, for all chunks at once; the sums of
//! the counts are the directory. The second goes over the rows once for each chunk and puts each entry where its
//! bucket has got to, so that a bucket's rows stay in ascending order. Chunks are shared out to threads.
//!
//! **Memory.** Rows are read through a buffer, never held. A thread keeps 8 bytes for each distinct hash, the
//! entries of one chunk, and all threads together the directory and one count of it each. Segments are merged
//! while they are searched, so this is memory on top of theirs.

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use memmap2::MmapMut;

use crate::chain::{ROWS_MAX, id_bits};
use crate::chunking::{Chunk, Chunking};

/// Rows are read so many at a time: 128 KiB of 32-byte hashes, a part of the second-level cache.
const ROWS_READ: usize = 4_096;

/// Entries are written so many at a time.
const ENTRIES_WRITTEN: usize = 1 << 15;

/// An entry on its way: the id below, the signature above it.
const ENTRY_BYTES: usize = 8;

/// Rows in ascending order, wherever they are.
pub(crate) trait RowSource<const BYTES: usize>: Sync {
    /// How many there are, copies included.
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

/// Where the tables go. Places count elements; every element is written once, in no particular order.
pub(crate) trait TableSink: Sync {
    fn directory(&self, at: usize, starts: &[u32]) -> io::Result<()>;
    fn signatures(&self, at: usize, signatures: &[u16]) -> io::Result<()>;
    fn ids(&self, at: usize, ids: &[u32]) -> io::Result<()>;
}

/// Builds the tables and says how many distinct hashes they hold.
///
/// The sink must have room for the [`Lengths`](crate::chain::Lengths) of so many; the caller knows their number
/// since it sorted the rows. Fails if there are too many rows, or if the source or the sink does.
pub(crate) fn build<const BYTES: usize>(
    chunking: &Chunking,
    source: &(impl RowSource<BYTES> + ?Sized),
    sink: &impl TableSink,
    threads: usize,
) -> io::Result<usize> {
    let rows = source.len();
    if rows > ROWS_MAX || u32::try_from(rows * chunking.len()).is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many rows for one segment"));
    }
    let (mut directory, distinct) = count(chunking, source, threads.max(1))?;
    let mut start = 0;
    for bucket in &mut directory {
        start += std::mem::replace(bucket, start);
    }
    directory.push(start);
    sink.directory(0, &directory)?;

    let left = Mutex::new(0..chunking.len());
    let next = || left.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let work = || {
        let mut table = Table::new(distinct)?;
        while let Some(at) = next() {
            table.fill(chunking, at, source, &directory)?;
            table.write(at * distinct, sink)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads.min(chunking.len())).map(|_| scope.spawn(work)).collect();
        let own: io::Result<()> = work();
        let results = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|_| Err(panicked())));
        results.fold(own, io::Result::and)
    })?;
    Ok(distinct)
}

/// The entries of every bucket, and the number of distinct rows. Each thread counts a share of the rows.
fn count<const BYTES: usize>(
    chunking: &Chunking,
    source: &(impl RowSource<BYTES> + ?Sized),
    threads: usize,
) -> io::Result<(Vec<u32>, usize)> {
    let rows = source.len();
    let share = |part: usize| part * rows / threads;
    let count_share = |part: usize| {
        let mut counts = vec![0_u32; chunking.buckets()];
        let mut distinct = 0;
        for_each_distinct(source, share(part)..share(part + 1), false, |_, row| {
            for chunk in chunking.chunks() {
                counts[(chunk.directory + chunk.of(row)) as usize] += 1;
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
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            distinct += more_distinct;
        }
        Ok((counts, distinct))
    })
}

/// Calls `each` with the place and the hash of every row in `first..end` that differs from the row before it.
///
/// `all_differ` says that all do, which spares the comparison.
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

/// The entries of one chunk, in the order of their buckets.
struct Table {
    entries: MmapMut,
    cursors: Vec<u32>,
}

impl Table {
    fn new(distinct: usize) -> io::Result<Self> {
        // A mapping of its own, for huge pages: entries are written all over it. They are only a wish.
        let entries = MmapMut::map_anon((distinct * ENTRY_BYTES).max(1))?;
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = entries.advise(memmap2::Advice::HugePage);
        Ok(Self { entries, cursors: Vec::new() })
    }

    fn fill<const BYTES: usize>(
        &mut self,
        chunking: &Chunking,
        at: usize,
        source: &(impl RowSource<BYTES> + ?Sized),
        directory: &[u32],
    ) -> io::Result<()> {
        let ring = chunking.chunks();
        let [chunk, next, third] = [at, at + 1, at + 2].map(|at| ring[at % ring.len()]);
        let rows = source.len();
        let id_bits = id_bits(rows);
        let spare = (1 << chunking.spare_bits(at, id_bits)) - 1;
        let buckets = &directory[chunk.directory as usize..][..1 << chunk.width];
        let first = directory[chunk.directory as usize];
        let buckets_end = directory[chunk.directory as usize + (1 << chunk.width)] as usize;
        self.cursors.clear();
        self.cursors.extend(buckets.iter().map(|start| start - first));
        let (entries, _) = self.entries.as_chunks_mut::<ENTRY_BYTES>();
        for_each_distinct(source, 0..rows, buckets_end - first as usize == rows, |row, hash| {
            let cursor = &mut self.cursors[chunk.of(hash) as usize];
            let id = row as u64 | u64::from(third.of(hash) & spare) << id_bits;
            let entry = id | u64::from(Chunk::signature(next.of(hash))) << 32;
            // Out of bounds only if the source gave other rows the first time.
            *entries.get_mut(*cursor as usize).ok_or_else(changed)? = entry.to_le_bytes();
            *cursor += 1;
            Ok(())
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of an entry are taken apart")]
    fn write(&self, first: usize, sink: &impl TableSink) -> io::Result<()> {
        let (mut signatures, mut ids) = (Vec::new(), Vec::new());
        let (entries, _) = self.entries.as_chunks::<ENTRY_BYTES>();
        for (part, entries) in entries.chunks(ENTRIES_WRITTEN).enumerate() {
            let entries = || entries.iter().map(|entry| u64::from_le_bytes(*entry));
            signatures.clear();
            signatures.extend(entries().map(|entry| (entry >> 32) as u16));
            ids.clear();
            ids.extend(entries().map(|entry| entry as u32));
            let at = first + part * ENTRIES_WRITTEN;
            sink.signatures(at, &signatures)?;
            sink.ids(at, &ids)?;
        }
        Ok(())
    }
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
    use crate::chain::Lengths;

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

    #[test]
    fn every_distinct_row_stands_in_its_bucket_of_every_chunk_with_its_neighbours_bits() {
        let chunking = Chunking::from_widths(64, &[8, 20, 18, 18]).unwrap();
        let mut rows: Vec<[u8; 8]> =
            (0_u64..700).map(|row| (row / 7).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
        rows.sort_unstable();
        let (directory, signatures, ids, distinct) = built(&chunking, &rows, 1);
        assert_eq!(distinct, 100);
        let (id_bits, ring) = (10, chunking.chunks());
        for (at, chunk) in ring.iter().enumerate() {
            let mut seen = Vec::new();
            for value in 0..1_u32 << chunk.width {
                let bucket = (chunk.directory + value) as usize;
                let mut last = None;
                for entry in directory[bucket] as usize..directory[bucket + 1] as usize {
                    let row = ids[entry] & 1_023;
                    let hash = rows[row as usize];
                    assert_eq!(chunk.of(&hash), value);
                    assert_eq!(u32::from(signatures[entry]), ring[(at + 1) % 4].of(&hash) & 0xffff);
                    let third = ring[(at + 2) % 4];
                    let bits = third.width.min(22);
                    assert_eq!(ids[entry] >> id_bits, third.of(&hash) & ((1 << bits) - 1));
                    assert!(last < Some(row));
                    last = Some(row);
                    seen.push(row);
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..700).step_by(7).collect::<Vec<_>>());
        }
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
