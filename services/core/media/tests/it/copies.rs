//! Checks copies that the plain hash misses and a further way finds: thumbnails, and pictures between bars.
//! Prints its tables with `cargo test --release -p vigie-media --test it copies -- --nocapture`.
//! `VIGIE_COPIES=all` tests every size and quality of twelve pictures instead of three.

use std::env;

use image::imageops::{self, FilterType};
use vigie_media::{Limits, Ways, picture};
use vigie_model::{FrameFingerprint, Way};
use vigie_pictures::{RgbImage, draw, encode_jpeg, encode_png};

/// Returns the seeds of the copied pictures: twelve in the long form.
fn seeds() -> std::ops::RangeInclusive<u32> {
    if all() { 1..=12 } else { 1..=3 }
}

/// Half of PDQ's default distance, minus the distance that an index and another resampler may add.
const DISTANCE_MAX: u32 = 10;

/// The widths of bars in percent of a side. A quarter of the bars end at the edge of a JPEG block.
const SHARES: [u32; 7] = [1, 2, 3, 5, 8, 12, 20];

fn all() -> bool {
    env::var("VIGIE_COPIES").is_ok_and(|which| which == "all")
}

fn hashed(content: &[u8]) -> FrameFingerprint {
    picture(content, &Limits::default(), Ways::default()).unwrap().first
}

/// Returns the distances from the original's plain hash: that of the plain hash, and that of the hash of the
/// given way.
fn distances(content: &[u8], original: &FrameFingerprint, way: Way) -> (u32, u32) {
    let copy = hashed(content);
    let distance = |hash: [u8; 32]| {
        hash.iter().zip(original.plain.pdq[0]).map(|(one, other)| (one ^ other).count_ones()).sum::<u32>()
    };
    let further = copy.further.iter().find(|(other, _)| *other == way);
    let plain = distance(copy.plain.pdq[0]);
    // A way whose hash equals the plain hash is not listed.
    (plain, further.map_or(plain, |(_, hashes)| distance(hashes.pdq[0])))
}

/// Prints one row of the table and checks it.
fn check(row: &str, found: &[(u32, u32)]) {
    let mean = |sum: u32| f64::from(sum) / found.len() as f64;
    let plain_mean = mean(found.iter().map(|(plain, _)| plain).sum());
    let way_mean = mean(found.iter().map(|(_, way)| way).sum());
    let plain_max = found.iter().map(|(plain, _)| plain).max().unwrap();
    let way_max = found.iter().map(|(_, way)| *way).max().unwrap();
    println!("| {row} | {} | {plain_mean:.1} | {plain_max} | {way_mean:.1} | {way_max} |", found.len());
    assert!(way_max <= DISTANCE_MAX, "{row}: {way_max} bits");
}

fn print_head(what: &str) {
    println!("| {what} | copies | plain, mean | most | the way, mean | most |\n|---|---|---|---|---|---|");
}

#[test]
fn thumbnails_are_found_once_they_are_scaled_up() {
    let sides: Vec<u32> = if all() { (129..=256).collect() } else { vec![129, 160, 200, 256] };
    let mut found = vec![Vec::new(); sides.len()];
    for seed in seeds() {
        let original = draw(seed.into(), 1_024, 768);
        let fingerprint = hashed(&encode_png(&original));
        for (side, found) in sides.iter().zip(&mut found) {
            for (width, height) in [(*side, *side), (*side, side * 3 / 4)] {
                for filter in [FilterType::Lanczos3, FilterType::CatmullRom, FilterType::Triangle] {
                    let copy = imageops::resize(&original, width, height, filter);
                    found.push(distances(&encode_png(&copy), &fingerprint, Way::Scaled));
                }
                let copy = imageops::thumbnail(&original, width, height);
                found.push(distances(&encode_jpeg(&copy, 85), &fingerprint, Way::Scaled));
            }
        }
    }
    print_head("thumbnails of a longer side of");
    for (side, found) in sides.iter().zip(&found) {
        check(&format!("{side} px"), found);
    }
}

/// Returns the picture with bars of these widths on the left and right, and above and below.
fn with_bars(picture: &RgbImage, (across, down): (u32, u32), colour: [u8; 3]) -> RgbImage {
    let (width, height) = (picture.width() + 2 * across, picture.height() + 2 * down);
    let mut copy = RgbImage::from_pixel(width, height, image::Rgb(colour));
    imageops::replace(&mut copy, picture, across.into(), down.into());
    copy
}

#[test]
fn pictures_between_bars_are_found_without_them() {
    let qualities: &[u8] = if all() { &[60, 65, 70, 75, 80, 85, 90, 95] } else { &[60, 85] };
    let mut found = vec![Vec::new(); SHARES.len()];
    for seed in seeds() {
        let original = draw(seed.into(), 640, 480);
        let fingerprint = hashed(&encode_png(&original));
        for (share, found) in SHARES.iter().zip(&mut found) {
            let (across, down) = ((640 * share + 50) / 100, (480 * share + 50) / 100);
            for (number, bars) in [(0, down), (across, 0), (across, down)].into_iter().enumerate() {
                let colour = [[0, 0, 0], [255, 255, 255], [27, 45, 60]][(number + seed as usize) % 3];
                let copy = with_bars(&original, bars, colour);
                for quality in qualities {
                    found.push(distances(&encode_jpeg(&copy, *quality), &fingerprint, Way::Unbordered));
                }
                // Scaled after the bars were added, so that their edges are no longer sharp.
                let (width, height) = (copy.width() * 4 / 5, copy.height() * 4 / 5);
                let copy = imageops::resize(&copy, width, height, FilterType::Triangle);
                found.push(distances(&encode_jpeg(&copy, 80), &fingerprint, Way::Unbordered));
            }
        }
    }
    print_head("bars on two or four sides, of a side");
    for (share, found) in SHARES.iter().zip(&found) {
        check(&format!("{share} %"), found);
    }
}
