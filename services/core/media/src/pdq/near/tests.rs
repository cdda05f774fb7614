//! Compares the hashes of large JPEGs with those of the exact pictures.

#![expect(clippy::cast_possible_truncation, reason = "drawn samples are bytes, or wrap")]

use image::codecs::jpeg::JpegEncoder;
use vigie_model::PdqHash;

use crate::decode::{decode, decode_frames};
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;

fn distance(a: &PdqHash, b: &PdqHash) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

fn jpeg(width: u32, height: u32, quality: u8, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let rgb: Vec<u8> =
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    let mut content = Vec::new();
    JpegEncoder::new_with_quality(&mut content, quality)
        .encode(&rgb, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
    content
}

/// Returns coloured waves of several lengths, which differ between the colours as in a photograph.
fn waves(width: u32, height: u32) -> Vec<u8> {
    jpeg(width, height, 85, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = |a: f32, b: f32| (std::f32::consts::TAU * (a * u + b * v)).sin();
        let light = wave(1.3, 0.4) + wave(3.1, -5.2) + 0.7 * wave(-9.5, 11.0) + 0.5 * wave(23.0, 17.0);
        [0.9, 1.0, 0.7].map(|share| (128.0 + 38.0 * (share * light + 0.4 * wave(7.0 * share, 2.0))) as u8)
    })
}

/// Returns rings of full colours without shades, which compression pushes out of RGB.
fn rings(width: u32, height: u32) -> Vec<u8> {
    const COLOURS: [[u8; 3]; 6] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255; 3], [0; 3]];
    jpeg(width, height, 75, |x, y| {
        let (dx, dy) = (x.abs_diff(width / 3), y.abs_diff(height / 2));
        let ring = (dx * dx + dy * dy).isqrt() * 40 / height;
        COLOURS[(ring + x * 11 / width + y * 7 / height) as usize % 6]
    })
}

/// Returns grain of single pixels: cells lose the part of it that reaches the hash.
fn grain(width: u32, height: u32) -> Vec<u8> {
    jpeg(width, height, 95, |x, y| [(x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) as u8; 3])
}

/// Checks the hash of a file. Returns whether a picture that is not exact decided it.
fn check(name: &str, content: &[u8]) -> bool {
    let mut hashed = None;
    let mut visit = |_, frame: Frame| {
        let (near, hashes) = match frame.samples {
            Samples::Near(near) => (true, near.hashes()),
            Samples::Rgb(picture) => (false, Some(crate::pdq(&picture))),
        };
        hashed = hashes.map(|hashes| (near, hashes));
        if hashed.is_some() { Taken::Hashed } else { Taken::NeedsRgb }
    };
    let limits = Limits::default();
    decode_frames(content, &limits, &mut Frames::new(&limits, &mut visit)).unwrap();
    let exact = crate::pdq(&decode(content, &limits).unwrap());
    let (near, hashes) = hashed.unwrap();
    let bits = distance(&hashes.pdq[0], &exact.pdq[0]);
    assert!(bits <= 2, "{name}: {bits} bits");
    assert!(hashes.quality.get().abs_diff(exact.quality.get()) <= 1, "{name}: {}", hashes.quality);
    near
}

#[test]
fn a_hash_that_is_not_of_the_exact_picture_is_at_most_two_bits_away() {
    let mut near = 0;
    let sizes = [(640, 480), (481, 640), (1_152, 864), (1_801, 1_440)];
    for (width, height) in sizes {
        for (name, content) in [
            ("waves", waves(width, height)),
            ("rings", rings(width, height)),
            ("grain", grain(width, height)),
        ] {
            near += u32::from(check(&format!("{name}, {width} x {height}"), &content));
        }
    }
    near += u32::from(check("waves", &waves(2_950, 2_949)));
    // Without enough of these the test would prove nothing.
    assert!(near >= 7, "{near} of 13 were hashed quickly");
}

#[test]
fn a_picture_without_detail_is_decided_by_its_exact_pixels() {
    for (width, height) in [(640, 480), (2_000, 1_600)] {
        let content = jpeg(width, height, 90, |_, _| [90, 120, 40]);
        assert!(!check("flat", &content), "{width} x {height}");
    }
}

#[test]
fn a_border_that_ends_within_a_cell_is_found_in_the_exact_picture() {
    let (width, height) = (2_000, 1_602);
    let inner = |x: u32, y: u32| [(x * 97 / width * 31 % 256) as u8, (y * 41 / height * 57 % 256) as u8, 90];
    let content = jpeg(width, height, 95, |x, y| if (50..1_550).contains(&y) { inner(x, y) } else { [0; 3] });
    let limits = Limits::default();
    let with = crate::picture(&content, &limits, crate::Ways::default()).unwrap();
    let unbordered = with.first.further.iter().find(|(way, _)| *way == vigie_model::Way::Unbordered);
    let alone = jpeg(width, 1_500, 95, |x, y| inner(x, y + 50));
    let alone = crate::picture(&alone, &limits, crate::Ways::NONE).unwrap();
    let bits = distance(&unbordered.unwrap().1.pdq[0], &alone.first.plain.pdq[0]);
    assert!(bits <= 16, "{bits} bits");
}
