//! Decoding asks for no more memory than its limit, as counted by an allocator that watches one thread.
#![expect(
    unsafe_code,
    reason = "a counting allocator has to implement an unsafe trait; each call goes to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use image::ImageEncoder;
use vigie_media::{Limits, decode};
use vigie_model::DecodeFailureKind;

struct Counting;

thread_local! {
    /// Bytes that this thread holds, and the most that it has held since the last reset.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(change: impl Fn(usize) -> usize) {
    // Threads allocate while they end, when their locals are gone.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = change(now);
        held.set((now, peak.max(now)));
    });
}

// SAFETY: every call is passed to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|held| held + layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(|held| held + layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|held| held.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held at once.
fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get().0;
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

/// What a decoder may hold besides what the limit counts: tables, readers, a few rows.
const SLACK_BYTES: usize = 1_500_000;

#[test]
fn no_file_makes_decoding_hold_more_than_the_limit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        for alloc_bytes_max in [60_000, 150_000, 400_000, 5_000_000] {
            let limits = Limits { alloc_bytes_max, ..Limits::default() };
            let held = peak(|| drop(decode(&content, &limits)));
            let allowed = usize::try_from(alloc_bytes_max).unwrap() + SLACK_BYTES;
            assert!(held <= allowed, "{}: held {held} bytes, {allowed} are allowed", path.display());
        }
    }
}

#[test]
fn what_a_large_picture_holds_is_what_was_announced() {
    // 4 megapixels of grey: 16 MB announced, of which the limit allows all or nothing.
    let pixels = vec![0x55; 2_000 * 2_000];
    let mut content = Vec::new();
    image::codecs::png::PngEncoder::new(&mut content)
        .write_image(&pixels, 2_000, 2_000, image::ExtendedColorType::L8)
        .unwrap();
    let refused = Limits { alloc_bytes_max: 15_000_000, ..Limits::default() };
    let held =
        peak(|| assert_eq!(decode(&content, &refused).unwrap_err().kind(), DecodeFailureKind::OutOfMemory));
    assert!(held < SLACK_BYTES, "held {held} bytes before refusing");
    let held = peak(|| assert!(decode(&content, &Limits::default()).is_ok()));
    assert!(held <= 16_000_000 + SLACK_BYTES, "held {held} bytes");
}
