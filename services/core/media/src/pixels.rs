//! The memory of one picture: on the heap, or for a large picture in a mapping of its own.
//!
//! The kernel provides memory in pages of 4 KB, each at the cost of a page fault: 750 for one megapixel and
//! 9,000 for twelve, a third of the time of decoding. Each thread therefore keeps the memory of one picture
//! for the next one, overwritten with zeros: nothing of a picture outlives it, and the next one begins with
//! zeros in any case. Large pictures are rare, and their memory is not kept. They use huge pages instead,
//! which need two dozen faults. If the kernel has no huge pages, it provides ordinary ones, and decoding is
//! only slower.

use std::cell::RefCell;
use std::mem;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// The samples of one picture.
pub(crate) enum Pixels {
    Heap(Vec<u8>),
    /// A mapping of at least `len` bytes.
    Pages {
        pages: MmapMut,
        len: usize,
    },
}

/// The size of a huge page on x86-64 and, with 4 KB pages, on arm64.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// The size from which on a picture has a mapping of its own, in bytes.
const PAGES_BYTES_MIN: usize = 8 << 20;

/// The smallest block that is kept, in bytes. The allocator itself keeps smaller blocks.
const KEPT_BYTES_MIN: usize = 128 << 10;

thread_local! {
    /// The memory of an earlier picture of this thread, filled with zeros. Empty while a picture uses it.
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Pixels {
    /// Allocates `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len >= PAGES_BYTES_MIN
            && let Ok(pages) = MmapMut::map_anon(len.next_multiple_of(HUGE_PAGE_BYTES))
        {
            // A hint: if it is refused, the pages are ordinary ones.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Self::Pages { pages, len };
        }
        let kept = if is_kept(len) { KEPT.take() } else { Vec::new() };
        if kept.capacity() < len {
            return Self::Heap(vec![0; len]);
        }
        let mut samples = kept;
        samples.resize(len, 0);
        Self::Heap(samples)
    }
}

/// Checks whether a block of this size is kept for the next picture.
fn is_kept(len: usize) -> bool {
    (KEPT_BYTES_MIN..PAGES_BYTES_MIN).contains(&len)
}

impl Drop for Pixels {
    fn drop(&mut self) {
        let Self::Heap(samples) = self else { return };
        if !is_kept(samples.len()) {
            return;
        }
        let mut samples = mem::take(samples);
        samples.fill(0);
        // The larger of two blocks serves more pictures. A thread that ends needs neither.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.capacity() < samples.capacity() {
                *kept = samples;
            }
        });
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
    #[test]
    fn the_memory_of_one_picture_serves_the_next_and_holds_nothing_of_the_first() {
        let len = 300_000;
        let mut first = Pixels::zeroed(len);
        first.fill(7);
        let place = first.as_ptr();
        drop(first);
        KEPT.with_borrow(|kept| {
            assert_eq!((kept.as_ptr(), kept.len()), (place, len));
            assert!(kept.iter().all(|&byte| byte == 0));
        });
        for len in [200_000, len, 250_000] {
            let mut next = Pixels::zeroed(len);
            assert_eq!((next.as_ptr(), next.len()), (place, len));
            assert!(next.iter().all(|&byte| byte == 0));
            next.fill(9);
        }
    }

    #[test]
    fn of_two_pictures_the_larger_leaves_its_memory() {
        let (small, large) = (Pixels::zeroed(200_000), Pixels::zeroed(400_000));
        let place = large.as_ptr();
        drop(large);
        drop(small);
        assert_eq!(Pixels::zeroed(300_000).as_ptr(), place);
    }
}
