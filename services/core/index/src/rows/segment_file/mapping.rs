//! Memory that holds segments: mapped files, and anonymous memory in huge pages.
#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe, since others could change it; and mapped bytes become numbers"
)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

use memmap2::{Mmap, MmapMut};

use super::PAGE_BYTES;

/// Maps a whole file for reading.
pub(super) fn of_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: a mapping is sound as long as nothing changes or cuts the file under it. Segment files are written
    // under another name, flushed, and renamed when they are complete; no code of this crate opens one for
    // writing after that, and what replaces one is another file. Other processes are kept away by the lock on
    // the folder, which the caller holds. Deleting the file leaves the mapping as it is.
    let map = unsafe { Mmap::map(file)? };
    advise_huge(&map, map.len());
    Ok(map)
}

/// Zeros to be written to, in huge pages as far as they fill such.
pub(crate) fn anonymous(bytes: usize) -> io::Result<MmapMut> {
    // Linux aligns a mapping to huge pages if its length is a multiple of one.
    let length = if bytes < PAGE_BYTES { bytes.max(1) } else { bytes.next_multiple_of(PAGE_BYTES) };
    let map = MmapMut::map_anon(length)?;
    // Not beyond: the last huge page would be mostly empty.
    #[cfg(target_os = "linux")]
    if let whole @ 1.. = bytes / PAGE_BYTES {
        // Advice: where it is not taken, pages are small.
        let _ = map.advise_range(memmap2::Advice::HugePage, 0, whole * PAGE_BYTES);
    }
    Ok(map)
}

/// Brings a part of anonymous memory in, ahead of writing to it. That it could not be is no loss.
pub(crate) fn populate_fresh(map: &MmapMut, part: Range<usize>) {
    #[cfg(all(target_os = "linux", not(miri)))]
    let _ = map.advise_range(memmap2::Advice::PopulateWrite, part.start, part.len());
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (map, part);
}

/// Numbers that several threads read and write, all zero at first, in huge pages as far as they fill such.
pub(crate) struct Cells {
    map: MmapMut,
    count: usize,
}

impl Cells {
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        Ok(Self { map: anonymous(count * size_of::<AtomicU64>())?, count })
    }

    /// All of them.
    #[inline(always)]
    pub(crate) fn get(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has `count` times 8 bytes, begins at a page, and lives as long as the slice. It was
        // zeroed by the system, and any bytes are an `AtomicU64`. Nothing else reads or writes it: it is private
        // to this type, which lends it in no other way.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}

/// Brings a part of a mapped file into the page tables, reading it from disk if need be.
///
/// Faster than a fault for each page; and a disk that fails is an error here, where a fault would kill the
/// process.
pub(super) fn populate(map: &Mmap, part: Range<usize>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match map.advise_range(memmap2::Advice::PopulateRead, part.start, part.len()) {
        // Linux before 5.14 does not know this advice.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
        _ => {}
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (map, part);
    Ok(())
}

/// Asks for huge pages. It is advice: where it is not taken, pages are small.
fn advise_huge(map: &Mmap, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= PAGE_BYTES {
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (map, bytes);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_cannot_be_read_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 << 20).unwrap();
        let map = of_file(&file).unwrap();
        populate(&map, 0..3 << 20).unwrap();
        // Stands for a failing disk: both deny the page. Nothing reads through the mapping here.
        file.set_len(0).unwrap();
        assert!(populate(&map, 1 << 20..2 << 20).is_err());
    }

    #[test]
    fn anonymous_memory_is_zero_and_long_enough() {
        for bytes in [0, 1, 5_000, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1] {
            let map = anonymous(bytes).unwrap();
            assert!(map.len() >= bytes && map.iter().all(|byte| *byte == 0));
        }
    }
}
