//! The luma path against the RGB path: the same pixels, the same refusals.

use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::decode::jpeg_header;
use crate::luma::LumaSource;
use crate::picture::{CHANNELS, Picture};

/// The luma path's answer at any size.
fn luma_of(content: &[u8]) -> Option<Luma> {
    let header = jpeg_header::read(content).ok()?;
    header.check_complete(content).ok()?;
    decode_any_size(content, &header, &Limits::default())
}

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

/// Compares the luma of each pixel. `clamped_min` is how many pixels clamping must have moved, at least, so that the
/// picture proves something.
fn check(name: &str, content: &[u8], clamped_min: usize) {
    let luma = luma_of(content).unwrap_or_else(|| panic!("{name}: not decoded"));
    let picture = crate::decode(content, &Limits::default()).unwrap();
    let (width, height) = picture.size();
    assert_eq!(luma.size(), (width, height), "{name}");
    let rows = luma.samples().chunks_exact(luma.stride());
    let ours = rows.take(height).flat_map(|row| &row[..width]).map(|&sample| f32::from(sample));
    let theirs = picture.rgb().as_chunks::<CHANNELS>().0.iter().map(|rgb| Picture::luma(&rgb.map(f32::from)));
    let (mut sum, mut most) = (0.0, 0.0_f32);
    for (ours, theirs) in ours.zip(theirs) {
        sum += f64::from(ours - theirs);
        most = most.max((ours - theirs).abs());
    }
    let mean = sum / (width * height) as f64;
    assert!(mean.abs() < 0.3 && most < 4.0, "{name}: {mean} in the mean, {most} at most");
    let clamped = picture.rgb().iter().filter(|&&sample| sample == 0 || sample == 255).count();
    assert!(clamped >= clamped_min, "{name}: {clamped} samples at the ends of their range");
}

/// Discs and stripes of full colours, drawn without shades, so that compression pushes them out of RGB.
fn saturated(width: u32, height: u32) -> Vec<u8> {
    let colours = [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 0],
        [255, 0, 255],
        [0, 255, 255],
        [255; 3],
        [0; 3],
    ];
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (x.abs_diff(width / 3), y.abs_diff(height / 2));
            let ring = (dx * dx + dy * dy).isqrt() / 23;
            rgb.extend(colours[((ring + x / 57 + y / 91) % 8) as usize]);
        }
    }
    rgb
}

#[test]
fn luma_is_that_of_rgb_for_every_sampling() {
    for name in [
        "colour-420.jpg",
        "colour-422.jpg",
        "colour-444.jpg",
        "odd-size-420.jpg",
        "low-quality.jpg",
        "restart-markers.jpg",
        "orientation.jpg",
        "grey.jpg",
    ] {
        check(name, &file(name), 0);
    }
}

#[test]
fn luma_is_that_of_rgb_where_colours_are_clamped() {
    check("saturated.jpg", &file("saturated.jpg"), 10_000);
    for (quality, width, height) in [(95, 640, 480), (75, 641, 479), (40, 303, 517)] {
        let mut content = Vec::new();
        JpegEncoder::new_with_quality(&mut content, quality)
            .encode(&saturated(width, height), width, height, image::ExtendedColorType::Rgb8)
            .unwrap();
        check(&format!("drawn, quality {quality}"), &content, 100_000);
    }
}

#[test]
fn what_this_path_does_not_know_is_left_to_the_other() {
    for name in
        ["progressive.jpg", "grey-progressive.jpg", "cmyk-adobe.jpg", "ycck.jpg", "rgb-components.jpg"]
    {
        assert!(luma_of(&file(name)).is_none(), "{name}");
    }
}

#[test]
fn small_pictures_go_by_rgb() {
    let content = file("colour-420.jpg");
    let header = jpeg_header::read(&content).unwrap();
    assert!(decode(&content, &header, &Limits::default()).is_none());
}

#[test]
fn a_truncated_file_is_not_decoded_even_if_it_ends_in_an_end_marker() {
    for name in ["colour-420.jpg", "colour-444.jpg", "restart-markers.jpg", "grey.jpg"] {
        let content = file(name);
        for length in 0..content.len() {
            assert!(luma_of(&content[..length]).is_none(), "{name}: cut at {length}");
            let ended = [&content[..length], b"\xff\xd9"].concat();
            assert!(luma_of(&ended).is_none() || length + 2 == content.len(), "{name}: ended at {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_this_path_decodes_the_other_decodes_too(
        name in prop::sample::select(vec!["colour-420.jpg", "colour-422.jpg", "restart-markers.jpg", "grey.jpg"]),
        edits in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut content = file(name);
        for (place, byte) in edits {
            // Its first three bytes are what makes it a JPEG.
            let place = 3 + place.index(content.len() - 3);
            content[place] = byte;
        }
        let limits = Limits { pixels_max: 1_000_000, ..Limits::default() };
        let checked = jpeg_header::read(&content).and_then(|header| {
            limits.check_dimensions(header.width.into(), header.height.into())?;
            Ok(luma_of(&content))
        });
        if let Ok(Some(_)) = checked {
            prop_assert!(crate::decode(&content, &limits).is_ok());
        }
    }
}
