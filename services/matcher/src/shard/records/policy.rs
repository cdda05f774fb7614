//! The choice of the record files that are merged.
//!
//! The index has its own policy: its segments may be merged in any combination, and are measured in rows,
//! which all have the same length. Files of records are in the order of their items, so only neighbours are
//! merged, and they are measured in bytes:
//!
//! - **Half dead.** A file in which at least half of the records are dead is rewritten without them. Each
//!   removed record costs at most one rewritten record.
//! - **Similar.** Two neighbours are merged if neither is larger than twice the other. The files before them
//!   join in as long as each is at most twice the size collected so far, up to [`FILE_BYTES_MAX`]. So the
//!   file of a record grows by at least half whenever it is rewritten: a record is rewritten at most 6 times
//!   from 16 MiB on (see [`super::OVERLAY_ITEMS_MAX`]), and about 30 times if it begins in a snapshot's
//!   smallest file.
//!
//! Files whose sizes fall by more than half from one to the next are left alone: about ten of them.

use std::ops::Range;

/// Merged files are never larger than this. It bounds the time that the follower waits for one merge to less
/// than a second.
pub(super) const FILE_BYTES_MAX: u64 = 128 << 20;

/// The size of one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) living: u64,
    pub(super) dead: u64,
    /// The bytes of the living records.
    pub(super) bytes: u64,
}

/// Returns the files to merge next, or `None` if no merge is due.
pub(super) fn next_merge(files: &[Extent]) -> Option<Range<usize>> {
    if let Some(at) = files.iter().position(|one| one.dead > 0 && one.dead >= one.living) {
        return Some(at..at + 1);
    }
    let are_alike = |pair: &[Extent]| {
        let (least, most) = (pair[0].bytes.min(pair[1].bytes), pair[0].bytes.max(pair[1].bytes));
        most <= 2 * least && most + least <= FILE_BYTES_MAX
    };
    let first = files.windows(2).rposition(are_alike)?;
    let mut gathered = files[first].bytes + files[first + 1].bytes;
    let more = files[..first].iter().rev().take_while(|before| {
        let joins = before.bytes <= 2 * gathered && before.bytes + gathered <= FILE_BYTES_MAX;
        gathered += before.bytes;
        joins
    });
    Some(first - more.count()..first + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn extent(bytes: u64, dead: u64) -> Extent {
        Extent { living: 100, dead, bytes }
    }

    #[test]
    fn alike_neighbours_and_what_is_half_dead_are_merged() {
        let check = |sizes: &[u64], expected: Option<Range<usize>>| {
            let files: Vec<_> = sizes.iter().map(|&bytes| extent(bytes, 0)).collect();
            assert_eq!(next_merge(&files), expected, "{sizes:?}");
        };
        check(&[], None);
        check(&[9], None);
        check(&[9, 4], None);
        check(&[9, 5], Some(0..2));
        check(&[100, 9, 5], Some(1..3));
        check(&[20, 9, 5], Some(0..3));
        check(&[1, 100, 3], None);
        check(&[FILE_BYTES_MAX, FILE_BYTES_MAX, FILE_BYTES_MAX / 2], None);
        assert_eq!(next_merge(&[extent(900, 99), extent(9, 100)]), Some(1..2));
    }

    #[test]
    fn a_record_is_rewritten_a_few_times_and_files_stay_few() {
        const FLUSHED: u64 = 16 << 20;
        let (mut files, mut written, mut total) = (Vec::<Extent>::new(), 0, 0);
        for _ in 0..1_000 {
            files.push(extent(FLUSHED, 0));
            total += FLUSHED;
            while let Some(range) = next_merge(&files) {
                let bytes = files[range.clone()].iter().map(|one| one.bytes).sum();
                written += bytes;
                files.splice(range, [extent(bytes, 0)]);
            }
        }
        assert!(written <= 4 * total, "{} times", written / total);
        assert!(files.len() as u64 <= 2 * total / FILE_BYTES_MAX + 8, "{} files", files.len());
    }
}
