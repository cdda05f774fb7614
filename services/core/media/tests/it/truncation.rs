//! Checks that a file that ends early is refused, or has lost nothing of the picture: it is never decoded
//! with missing parts.

use std::path::Path;
use std::{fs, iter};

use vigie_media::{DecodeError, Limits, decode};

/// Cuts `file` at many positions. Up to `tail_max` bytes at its end may be missing unnoticed, because they
/// are not part of the picture; the decoded picture is then the same.
fn check(file: &str, tail_max: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    let content = fs::read(path).unwrap();
    let whole = decode(&content, &Limits::default()).unwrap();
    let coarse = (0..content.len()).step_by((content.len() / 150).max(1));
    let fine = content.len().saturating_sub(60)..content.len();
    let head = 0..content.len().min(40);
    for length in iter::empty().chain(head).chain(coarse).chain(fine) {
        match decode(&content[..length], &Limits::default()) {
            Err(error) => {
                let missing = content.len() - length;
                assert!(
                    !matches!(error, DecodeError::DecoderPanicked { .. }),
                    "{file}: panicked at {length}"
                );
                assert!(missing > 0, "{file}: {error}");
                // After the header, the error must be that the file is truncated.
                assert!(
                    length < content.len() / 2 || error.kind().name() == "truncated",
                    "{file} at {length}: {error}"
                );
            }
            Ok(picture) => {
                let missing = content.len() - length;
                assert!(
                    missing <= tail_max,
                    "{file}: accepted with {missing} of {} bytes missing",
                    content.len()
                );
                assert!(picture.rgb() == whole.rgb(), "{file}: another picture with {missing} bytes missing");
            }
        }
    }
}

#[test]
fn a_truncated_jpeg_is_refused_down_to_its_last_byte() {
    for file in [
        "colour-420.jpg",
        "colour-422.jpg",
        "colour-444.jpg",
        "progressive.jpg",
        "grey.jpg",
        "grey-progressive.jpg",
        "restart-markers.jpg",
        "cmyk-adobe.jpg",
        "ycck.jpg",
        "rgb-components.jpg",
        "odd-size-420.jpg",
    ] {
        check(file, 0);
    }
}

#[test]
fn a_truncated_png_is_refused_unless_only_what_follows_the_pixels_is_missing() {
    // The last chunk (12 bytes), the checksums of the pixels (4 and 4), and the end of their compressed data
    // (up to 2).
    for file in ["palette.png", "rgb-16-bit.png", "bilevel.png", "size-200x150.png", "alpha.png"] {
        check(file, 22);
    }
}

#[test]
fn a_truncated_webp_is_refused() {
    for file in ["lossy.webp", "lossy-alpha.webp", "lossless.webp", "lossless-alpha.webp"] {
        check(file, 0);
    }
}

#[test]
fn a_truncated_avif_is_refused() {
    for file in ["colour-420.avif", "colour-444.avif", "grey.avif", "tiles.avif"] {
        check(file, 0);
    }
}

#[test]
fn a_truncated_gif_is_refused_unless_only_what_follows_the_first_frame_is_missing() {
    for file in ["still.gif", "not-interlaced.gif", "partial-first-frame.gif"] {
        check(file, 4);
    }
}

#[test]
fn an_animation_cut_after_its_first_frame_is_still_that_frame() {
    for file in ["animated.gif", "animated.webp", "animated.avif"] {
        check(file, usize::MAX);
    }
}

#[test]
fn a_truncated_bmp_is_refused() {
    for file in ["rgb.bmp", "palette.bmp", "bilevel.bmp", "grey.bmp", "alpha.bmp"] {
        check(file, 0);
    }
}

#[test]
fn a_truncated_tiff_is_refused_unless_only_the_link_to_the_next_page_is_missing() {
    for file in
        ["rgb.tif", "lzw.tif", "deflate.tif", "packbits.tif", "bilevel.tif", "cmyk.tif", "rgb-16-bit.tif"]
    {
        check(file, 4);
    }
}
