//! The memory of one picture: on the heap, or, for a large one, in pages of its own.
//!
//! An allocator takes memory of this size from the kernel for each picture and gives it back after, and the kernel hands it out
//! in pages of 4 KB: 9,000 faults for 12 megapixels, a third of the time of decoding. Keeping buffers for the next picture
//! would save that, and would keep content too. So large pictures ask for huge pages instead: two dozen faults, and the memory is
//! gone with the picture. Where the kernel has no huge pages to give, it gives ordinary ones, and this is only slower.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// The samples of one picture.
pub(crate) enum Pixels {
    Heap(Vec<u8>),
    /// At least `len` bytes of pages.
    Pages {
        pages: MmapMut,
        len: usize,
    },
}

/// A huge page on x86-64 and, with 4 KB pages, on arm64.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// From here on a picture has pages of its own. An allocator keeps smaller blocks for the next picture.
const PAGES_BYTES_MIN: usize = 8 << 20;

impl Pixels {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len >= PAGES_BYTES_MIN
            && let Ok(pages) = MmapMut::map_anon(len.next_multiple_of(HUGE_PAGE_BYTES))
        {
            // Advice: where it is refused, the pages are ordinary ones.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Self::Pages { pages, len };
        }
        Self::Heap(vec![0; len])
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(samples) => samples,
            Self::Pages { pages, len } => &pages[..*len],
        }
    }
}

impl DerefMut for Pixels {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(samples) => samples,
            Self::Pages { pages, len } => &mut pages[..*len],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_memory_hold_as_many_zeros_as_were_asked_for() {
        for len in [0, 1, PAGES_BYTES_MIN - 1, PAGES_BYTES_MIN, PAGES_BYTES_MIN + 1, 9_999_999] {
            let mut pixels = Pixels::zeroed(len);
            assert_eq!(pixels.len(), len);
            assert!(pixels.iter().all(|&byte| byte == 0));
            pixels.fill(7);
            assert!(pixels.iter().all(|&byte| byte == 7));
        }
    }
}
