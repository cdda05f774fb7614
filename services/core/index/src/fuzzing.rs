//! The functions that the fuzz targets in `fuzz/` call. Compiled for them and for tests only.

use vigie_model::{BankId, ItemId};

use crate::question::cancel::{Cancellation, Checkpoint};
use crate::question::entry::Entry;
use crate::rows::home::Home;
use crate::rows::segment::{self, Segment, Shape};
use crate::rows::segment_file::{SectionId, forge};
use crate::rows::tombstones::SourceId;
use crate::search::chunking::Chunking;
use crate::search::pipeline::Scratch;
use crate::search::verify;

/// Opens a segment and reads all of it. The first byte selects the meaning of the others:
///
/// - 0: they are the file.
/// - 1: they are the file, after its checksums are corrected.
/// - otherwise: they describe a whole file and changes to it; the checksums are corrected if the byte is odd.
pub fn segment_file(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let mut file = if *kind < 2 { rest.to_vec() } else { described(rest) };
    if kind % 2 == 1 {
        forge::sign(&mut file);
    }
    if let Ok(segment) = forge::open(&file) {
        forge::read_all(&segment);
    }
}

/// Searches a segment of a few rows whose file was changed in places and whose checksums were then corrected.
/// The segment is searched or refused, whatever it holds.
///
/// The first byte is the number of rows, the second how many of their bytes are random. Then come the rows,
/// and then for each change its position (2 bytes, in the file's last 64 KiB or at its start) and the change
/// (1 byte).
pub fn segment_search(data: &[u8]) {
    let mut rest = data;
    let count = number::<1>(&mut rest) % 64;
    let mut rows: Vec<([u8; 8], Entry)> = (0..count as u64)
        .map(|item| {
            let hash = (number::<2>(&mut rest) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            (hash, Entry { item: ItemId(item), bank: BankId(u32::from(item % 3 == 0)) })
        })
        .collect();
    segment::sort(&mut rows, 1);
    let chunking = Chunking::from_widths(64, &[8; 8]).expect("eight times eight is 64");
    let shape = Shape { chunking: Some(chunking), ..segment::shape_of_rows(&rows, 0, None, false) };
    let whole = segment::write(&Home::Memory, &shape, vec![(0, rows.iter().copied())], 1, &|| false);
    let whole = whole.expect("memory holds a few rows");
    let sections = segment::SECTIONS.map(|id| (id, whole.section(id).unwrap_or_default()));
    let mut file = forge::image(&sections, whole.meta());
    while !rest.is_empty() {
        let place = number::<2>(&mut rest);
        let at = if place.is_multiple_of(2) { place % file.len() } else { place % 512 };
        file[at] ^= number::<1>(&mut rest).to_le_bytes()[0];
    }
    forge::sign(&mut file);
    let Ok(Ok(segment)) = forge::open(&file).map(|file| Segment::<8>::open(SourceId(0), file, None)) else {
        return;
    };
    let queries: Vec<[u8; 8]> = rows.iter().map(|row| row.0).chain([[0; 8], [0xff; 8]]).take(8).collect();
    let never = Cancellation::never();
    let mut checkpoint = Checkpoint::begin(&never).expect("nothing cancels it");
    let mut scratch = Scratch::new();
    for radius in [0, 3, 10, 64] {
        let mut found = |_: usize, row: u32, distance: u32| {
            assert!(distance <= radius, "nothing beyond the radius is reported");
            std::hint::black_box((segment.entry(row as usize), segment.dead.contains(row as usize)));
        };
        let outcome = match segment.tables() {
            Some(tables) => tables.search(&queries, radius, &mut checkpoint, &mut scratch, &mut found),
            None => verify::scan(segment.hashes(), &queries, radius, &mut checkpoint, &mut found),
        };
        outcome.expect("nothing cancels it");
    }
    for query in &queries {
        std::hint::black_box((segment.lookup(query), segment.find(query, ItemId(1))));
    }
}

/// Creates a whole file with changes from a description: the number of sections, their lengths, the length of
/// the note, then for each change its position (2 bytes) and the change (1 byte).
fn described(mut rest: &[u8]) -> Vec<u8> {
    let count = number::<1>(&mut rest) % 8;
    let lengths: Vec<_> = (0..count).map(|_| number::<2>(&mut rest) % 4_096).collect();
    let note_bytes = number::<2>(&mut rest) % 512;
    let filler: Vec<u8> = rest.iter().copied().chain((0..=u8::MAX).cycle()).take(4_096).collect();
    let sections = (1..).zip(&lengths).map(|(id, bytes)| (SectionId(id), &filler[..*bytes]));
    let mut file = forge::image(&sections.collect::<Vec<_>>(), &filler[..note_bytes]);
    while !rest.is_empty() {
        // Most changes go into the table of sections, where they have the most effect.
        let place = number::<2>(&mut rest);
        let at = if place.is_multiple_of(4) { place } else { place % 256 } % file.len();
        file[at] ^= number::<1>(&mut rest).to_le_bytes()[0];
    }
    file
}

/// Returns the next `BYTES` bytes as a little-endian number. Missing bytes count as zero.
fn number<const BYTES: usize>(rest: &mut &[u8]) -> usize {
    let (taken, left) = rest.split_at(rest.len().min(BYTES));
    *rest = left;
    taken.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// A short random test without a fuzzer.
        #[test]
        fn hostile_segment_files_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::segment_file(&data);
        }

        #[test]
        fn damaged_segments_are_searched_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::segment_search(&data);
        }
    }
}
