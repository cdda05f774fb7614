//! Checks hostile bytes: bombs, mutations, noise. Each gives an error quickly, and never a panic.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, sync::LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use vigie_media::{DecodeError, Limits, decode, fingerprint};

/// All files of the crate's test data.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = [fs::read_dir(folder.join("frames")).unwrap(), fs::read_dir(folder).unwrap()];
    let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
        .iter()
        .filter(|path| !path.to_string_lossy().contains("size-"))
        .map(|path| fs::read(path).unwrap())
        .collect()
});

/// Checks that the content is refused quickly with an error of this kind, whose text contains `words`.
fn check(content: &[u8], kind: &str, words: &str) {
    // The best of three runs, because the machine may be busy.
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let error = decode(content, &Limits::default()).unwrap_err();
        best = best.min(start.elapsed());
        assert_eq!(error.kind().name(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(best < Duration::from_millis(5), "took {best:?}");
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    out.extend(width.to_be_bytes());
    out.extend(height.to_be_bytes());
    out.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    out
}

fn jpeg(width: u16, height: u16, marker: u8, precision: u8) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8, 0xff, marker, 0, 17, precision];
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    out.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0xff, 0xd9]);
    out
}

fn gif(width: u16, height: u16) -> Vec<u8> {
    let mut out = b"GIF89a".to_vec();
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255, b',', 0, 0, 0, 0]);
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend([0, 2, 1, 0, 0, b';']);
    out
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut out = b"BM".to_vec();
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend([1, 0, 24, 0]);
    out.extend([0; 24]);
    out
}

fn tiff(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, value) in [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, 1),
    ] {
        out.extend(u16::to_le_bytes(tag));
        out.extend([4, 0, 1, 0, 0, 0]);
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out
}

fn webp(width: u32, height: u32) -> Vec<u8> {
    let mut vp8x = vec![0, 0, 0, 0];
    vp8x.extend(&(width - 1).to_le_bytes()[..3]);
    vp8x.extend(&(height - 1).to_le_bytes()[..3]);
    // A lossless picture of one pixel within the declared canvas.
    let chunks = [&b"VP8X\x0a\0\0\0"[..], &vp8x, b"VP8L\x06\0\0\0\x2f\0\0\0\0\0"].concat();
    let size = u32::try_from(chunks.len() + 4).unwrap();
    [&b"RIFF"[..], &size.to_le_bytes(), b"WEBP", &chunks].concat()
}

#[test]
fn a_side_beyond_the_limit_is_refused_by_the_header() {
    for content in
        [png(60_000, 60_000), jpeg(20_000, 20_000, 0xc0, 8), gif(60_000, 60_000), bmp(40_000, -40_000)]
    {
        check(&content, "side_too_long", "16384 pixels a side");
    }
    for content in [tiff(1_000_000, 1_000_000), webp(16_777_216, 200), png(u32::MAX >> 1, 1)] {
        check(&content, "side_too_long", "16384 pixels a side");
    }
}

#[test]
fn pixels_beyond_the_limit_are_refused_by_the_header() {
    for content in [
        png(16_000, 16_000),
        jpeg(16_000, 16_000, 0xc2, 8),
        gif(16_000, 16_000),
        bmp(16_000, 16_000),
        tiff(16_000, 16_000),
        webp(16_000, 16_000),
    ] {
        check(&content, "too_many_pixels", "256000000 pixels: at most 50000000 pixels");
    }
}

#[test]
fn memory_beyond_the_limit_is_refused_by_the_header() {
    // Progressive: two bytes for each coefficient besides the picture.
    let limits = Limits { alloc_bytes_max: 20_000_000, ..Limits::default() };
    let error = decode(&jpeg(2_000, 2_000, 0xc2, 8), &limits).unwrap_err();
    assert_eq!(error.kind().name(), "alloc");
    assert!(error.to_string().contains("20000000 bytes"));
}

#[test]
fn a_small_frame_header_hides_no_large_frame() {
    let mut content = gif(20, 20);
    // The frame's own width and height, after the screen's, the palette and the offset.
    content[24..28].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    check(&content, "side_too_long", "65535");
}

#[test]
fn what_is_no_picture_says_what_is_accepted() {
    check(b"", "empty", "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF");
    check(b"%PDF-1.7 and so on", "unknown_format", "JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF");
    check(b"\0\0\0\x0cjP  \r\n\x87\n and so on", "decoder_missing", "no decoder for JPEG 2000: convert");
    check(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and so on", "decoder_missing", "no decoder for HEIC: convert");
    check(&vec![0xff; 20_000_001], "too_large_input", "at most 20000000 bytes");
    check(&png(0, 10), "corrupt", "without pixels");
    check(&jpeg(10, 10, 0xc9, 8), "corrupt", "table of the JPEG is missing");
    check(&jpeg(10, 10, 0xc3, 8), "unsupported", "lossless");
    check(&jpeg(10, 10, 0xc1, 12), "unsupported", "8 bits");
}

#[test]
fn every_error_has_a_short_label_of_its_own() {
    let limits = Limits { input_bytes_max: 3, ..Limits::default() };
    assert_eq!(
        fingerprint(b"many", &limits).unwrap_err(),
        DecodeError::InputTooLarge { bytes: 4, bytes_max: 3 }
    );
    assert_eq!(DecodeError::DecoderPanicked { format: "PNG" }.kind().name(), "panicked");
    assert_eq!(DecodeError::Truncated { format: "PNG" }.kind().name(), "truncated");
}

/// Returns small limits, so that a mutation that survives as a large picture is still fast.
fn small() -> Limits {
    Limits { pixels_max: 1_000_000, alloc_bytes_max: 16_000_000, ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_give_a_picture_or_an_error(
        file in any::<Index>(),
        edits in vec((any::<Index>(), any::<u8>()), 1..12),
        head_edits in vec((0_usize..80, any::<u8>()), 0..3),
        keep in 0.2_f64..1.3,
    ) {
        let mut content = file.get(&FILES).clone();
        for (place, byte) in edits {
            let place = place.index(content.len());
            content[place] = byte;
        }
        for (place, byte) in head_edits {
            if let Some(old) = content.get_mut(place) {
                *old = byte;
            }
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        content.truncate((content.len() as f64 * keep) as usize);
        if let Err(error) = fingerprint(&content, &small()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn noise_after_a_signature_gives_an_error_or_a_picture(signature in 0_usize..8, noise in vec(any::<u8>(), 0..400)) {
        let signatures: [&[u8]; 8] = [
            b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"RIFF\x40\0\0\0WEBPVP8 ", b"GIF89a", b"BM", b"II*\0", b"",
            b"\0\0\0\x18ftypavif\0\0\0\0avifmif1\0\0\x01\0meta\0\0\0\0",
        ];
        let content = [signatures[signature], &noise].concat();
        let _ = fingerprint(&content, &small());
    }
}
