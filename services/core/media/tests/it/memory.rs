//! Checks that decoding allocates no more memory than its limit, counted by an allocator for one thread.
#![expect(
    unsafe_code,
    reason = "a counting allocator has to implement an unsafe trait; each call goes to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use image::ImageEncoder;
use vigie_media::{Limits, Ways, decode, picture};
use vigie_model::DecodeFailureKind;

struct Counting;

thread_local! {
    /// The bytes that this thread holds, and the most that it has held since the last reset.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(change: impl Fn(usize) -> usize) {
    // Threads allocate while they end, when their locals no longer exist.
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
        // SAFETY: the caller gives the guarantees that `System` requires.
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

/// Returns the largest number of bytes that `work` held at once.
fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get().0;
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

/// The memory of a decoder that the limit does not count, in bytes: tables, readers, a few rows.
const SLACK_BYTES: usize = 1_500_000;

#[test]
fn no_file_makes_decoding_hold_more_than_the_limit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let content = fs::read(&path).unwrap();
        for alloc_bytes_max in [60_000, 150_000, 400_000, 5_000_000] {
            let limits = Limits { alloc_bytes_max, ..Limits::default() };
            let held = peak(|| drop(decode(&content, &limits)));
            let allowed = usize::try_from(alloc_bytes_max).unwrap() + SLACK_BYTES;
            assert!(held <= allowed, "{}: held {held} bytes, {allowed} are allowed", path.display());
        }
    }
}

/// Returns a chunk of a PNG, with an invalid checksum.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), &kind[..], data, &[0; 4]].concat()
}

/// Returns 20 MB of zeros, compressed.
fn packed_zeros() -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = png::Encoder::new(&mut packed, 20_000, 1_000);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![0; 20_000_000]).unwrap();
    // Before it are the signature, the header, and its own length and kind; after it is the last chunk.
    let data = packed.windows(4).position(|kind| kind == b"IDAT").unwrap() + 4;
    packed[data..packed.len() - 16].to_vec()
}

#[test]
fn the_metadata_of_a_png_take_no_memory() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/palette.png");
    let content = fs::read(path).unwrap();
    let limits = Limits { alloc_bytes_max: 200_000, ..Limits::default() };
    let plain = decode(&content, &limits).unwrap();
    let (head, rest) = content.split_at(33);
    let packed = packed_zeros();
    let metadata = [
        chunk(b"iCCP", &[&b"name\0\0"[..], &packed].concat()),
        chunk(b"zTXt", &[&b"name\0\0"[..], &packed].concat()),
        chunk(b"iTXt", &[&b"name\0\x01\0\0\0"[..], &packed].concat()),
        chunk(b"tEXt", &[&b"name\0"[..], &[b'a'; 4_000_000]].concat()),
        chunk(b"eXIf", &[0; 4_000_000]),
        chunk(b"abCd", &[0; 4_000_000]),
    ];
    for chunk in &metadata {
        // Several chunks: each is within a limit that all of them together exceed.
        let content = [head, &chunk.repeat(3), rest].concat();
        let held = peak(|| assert!(decode(&content, &limits).unwrap().rgb() == plain.rgb()));
        assert!(held <= 200_000 + SLACK_BYTES, "{:?}: held {held} bytes", &chunk[4..8]);
    }
}

/// Returns animations of three frames of 2,000 x 1,000 pixels, the last two in a part of it.
fn large_animations() -> [Vec<u8>; 2] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frames/disposal-3.gif");
    let mut gif = fs::read(path).unwrap();
    gif[6..10].copy_from_slice(&[0xd0, 0x07, 0xe8, 0x03]);
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 2_000, 1_000);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(3, 0).unwrap();
    encoder.set_dispose_op(png::DisposeOp::Previous).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for height in [1_000, 900, 900] {
        writer.set_frame_dimension(2_000, height).unwrap();
        writer.write_image_data(&vec![7; 2_000 * height as usize * 4]).unwrap();
    }
    writer.finish().unwrap();
    [gif, png]
}

#[test]
fn an_animation_holds_what_was_announced() {
    for content in large_animations() {
        let mut frames = Vec::new();
        for alloc_bytes_max in [5_000_000, 16_000_000, 20_000_000, 40_000_000] {
            let limits = Limits { alloc_bytes_max, ..Limits::default() };
            let held = peak(|| {
                let decoded = picture(&content, &limits, Ways::NONE);
                frames.push(decoded.map_or(0, |decoded| decoded.later.len() + 1));
            });
            let allowed = usize::try_from(alloc_bytes_max).unwrap() + SLACK_BYTES;
            assert!(held <= allowed, "held {held} bytes, {allowed} are allowed");
        }
        assert_eq!(frames[..2], [0, 1], "one frame needs less than several");
        assert!(frames[3] > 2, "{frames:?}");
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
