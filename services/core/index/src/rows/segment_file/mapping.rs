//! The memory of segments: anonymous, in huge pages, read-only once it is filled.
#![expect(unsafe_code, reason = "anonymous memory becomes numbers")]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::{Mmap, MmapMut};

use super::PAGE_BYTES;

/// Whether memory that is filled from now on stays writable, for tests that flip bits in it from outside
/// (through `/proc/self/mem`).
static STAYS_WRITABLE: AtomicBool = AtomicBool::new(false);

/// Sets [`STAYS_WRITABLE`].
pub(crate) fn leave_writable() {
    STAYS_WRITABLE.store(true, Ordering::Relaxed);
}

/// Filled memory, to which no code of this process writes any more.
pub(crate) enum Filled {
    /// Memory that the processor protects against writes.
    Protected(Mmap),
    /// Memory without that protection, for tests: see [`STAYS_WRITABLE`].
    Writable(MmapMut),
}

impl Filled {
    /// Ends the filling and protects the memory.
    pub(crate) fn new(map: MmapMut) -> io::Result<Self> {
        if STAYS_WRITABLE.load(Ordering::Relaxed) {
            return Ok(Self::Writable(map));
        }
        map.make_read_only().map(Self::Protected)
    }
}

impl Deref for Filled {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Protected(map) => map,
            Self::Writable(map) => map,
        }
    }
}

/// Asks the system to drop a file from its page cache, so that the next read comes from the disk. A hint
/// only.
pub(super) fn forget_cached(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Allocates zeroed memory, with huge pages where it fills whole ones.
pub(crate) fn anonymous(bytes: usize) -> io::Result<MmapMut> {
    // Linux aligns a mapping to huge pages if its length is a multiple of their size.
    let length = if bytes < PAGE_BYTES { bytes.max(1) } else { bytes.next_multiple_of(PAGE_BYTES) };
    let map = MmapMut::map_anon(length)?;
    // Not for the rest: the last huge page would be mostly empty.
    #[cfg(target_os = "linux")]
    if let whole @ 1.. = bytes / PAGE_BYTES {
        // A hint: if the system does not follow it, pages are small.
        let _ = map.advise_range(memmap2::Advice::HugePage, 0, whole * PAGE_BYTES);
    }
    Ok(map)
}

/// Allocates the pages of a part of anonymous memory before it is written to. A failure does no harm.
pub(crate) fn populate_fresh(map: &MmapMut, part: Range<usize>) {
    #[cfg(all(target_os = "linux", not(miri)))]
    let _ = map.advise_range(memmap2::Advice::PopulateWrite, part.start, part.len());
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (map, part);
}

/// Numbers that several threads read and write, all zero at first, with huge pages where they fill whole
/// ones.
pub(crate) struct Cells {
    map: MmapMut,
    count: usize,
}

impl Cells {
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        Ok(Self { map: anonymous(count * size_of::<AtomicU64>())?, count })
    }

    /// Returns all numbers.
    #[inline(always)]
    pub(crate) fn get(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has `count` times 8 bytes, begins at a page, and lives as long as the slice. It
        // was zeroed by the system, and any bytes are an `AtomicU64`. Nothing else reads or writes it: it is
        // private to this type, which lends it in no other way.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn anonymous_memory_is_zero_and_long_enough() {
        for bytes in [0, 1, 5_000, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1] {
            let map = anonymous(bytes).unwrap();
            assert!(map.len() >= bytes && map.iter().all(|byte| *byte == 0));
        }
    }
}
