//! Which record files are made into one.
//!
//! The index has a policy of its own: its segments may be merged in any choice, and are measured in rows, which all have the
//! same length. Files of records lie side by side in the order of their items, so only neighbours are merged, and are measured
//! in bytes:
//!
//! - **Half dead.** A file of which at least half has died is written anew without it. That rewrites a living record
//!   for a dead one that goes.
//! - **Alike.** Neighbours of which neither is more than twice the other's size are made into one, and with it those
//!   before them that are at most twice what has gathered, up to [`FILE_BYTES_MAX`]. So a record's file grows by half
//!   at least whenever it is rewritten: from 16 MiB on (see [`super::OVERLAY_ITEMS_MAX`]) 6 times at most, and a record
//!   of a snapshot's smallest file some 30 times in its life.
//!
//! Sizes that fall by more than half from file to file are left alone: some ten of them.

use std::ops::Range;

/// Files are not merged beyond this, which bounds how long the follower waits for one merge: under a second.
pub(super) const FILE_BYTES_MAX: u64 = 128 << 20;

/// What there is of one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) living: u64,
    pub(super) dead: u64,
    /// Of what lives.
    pub(super) bytes: u64,
}

/// The files to be made into one; `None` where they are well as they are.
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
