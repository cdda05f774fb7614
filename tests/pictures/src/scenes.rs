//! The subjects of pictures, and the path from a seed to a picture.
//!
//! Consecutive seeds have different subjects, so that even a few pictures are varied. Each subject places
//! large masses freely (left or right, high or low, near or far), because a perceptual hash depends on little
//! else.

mod abstraction;
mod balloons;
mod forest;
mod harbour;
mod lighthouse;
mod mountains;
mod reef;
mod regatta;
mod storm;
mod town;

use image::RgbImage;

use crate::light::Hour;
use crate::numbers;
use crate::rng::Rng;
use crate::stage::Stage;

/// The subject of a picture.
#[derive(Debug, Clone, Copy)]
struct Subject {
    name: &'static str,
    /// Whether the picture has an hour; abstract ones have none.
    has_hour: bool,
    paint: fn(&mut Stage),
}

const SUBJECTS: [Subject; 10] = [
    Subject { name: "lighthouse", has_hour: true, paint: lighthouse::paint },
    Subject { name: "regatta", has_hour: true, paint: regatta::paint },
    Subject { name: "mountain lake", has_hour: true, paint: mountains::paint },
    Subject { name: "harbour", has_hour: true, paint: harbour::paint },
    Subject { name: "geometry", has_hour: false, paint: abstraction::paint },
    Subject { name: "heavy sea", has_hour: true, paint: storm::paint },
    Subject { name: "town", has_hour: true, paint: town::paint },
    Subject { name: "fir forest", has_hour: true, paint: forest::paint },
    Subject { name: "balloons", has_hour: true, paint: balloons::paint },
    Subject { name: "reef", has_hour: false, paint: reef::paint },
];

/// Draws the picture of a seed at a size: the same pixels on every platform and in every build.
///
/// At the same aspect ratio, a seed gives the same scene at every size. A picture of zero size is returned
/// empty.
#[must_use]
pub fn draw(seed: u64, width: u32, height: u32) -> RgbImage {
    if width == 0 || height == 0 {
        return RgbImage::new(width, height);
    }
    let (subject, hour, rng) = choose(seed);
    let mut stage = Stage::new(rng, hour, width, height);
    (subject.paint)(&mut stage);
    grain(&mut stage, seed);
    stage.canvas.finish()
}

/// Returns a picture's name for people: its subject, its hour and its seed, such as `harbour at dusk 3`.
#[must_use]
pub fn scene_name(seed: u64) -> String {
    let (subject, hour, _) = choose(seed);
    if subject.has_hour {
        format!("{} {} {seed}", subject.name, hour.name())
    } else {
        format!("{} {seed}", subject.name)
    }
}

fn choose(seed: u64) -> (Subject, Hour, Rng) {
    let mut rng = Rng::new(seed);
    // The stream begins with mixed bits: otherwise the streams of neighbouring seeds would overlap, shifted
    // by one choice.
    rng = Rng::new(rng.bits());
    let subject = SUBJECTS[numbers::low(seed % SUBJECTS.len() as u64) as usize];
    let hour = Hour::draw(&mut rng);
    (subject, hour, rng)
}

/// Adds a little film grain: it hides the bands of smooth gradients, and makes files as large as a camera's.
fn grain(stage: &mut Stage, seed: u64) {
    let seed = numbers::low(seed);
    stage.canvas.retouch(|pixel, column, row| {
        let mut bits = (column ^ row.wrapping_mul(0x9e37_79b1) ^ seed).wrapping_mul(0x85eb_ca6b);
        bits = (bits ^ (bits >> 15)).wrapping_mul(0xc2b2_ae35);
        let [up, down, ..] = (bits >> 16).to_le_bytes().map(|byte| byte & 3);
        *pixel = pixel.map(|level| level.saturating_add(up).saturating_sub(down));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_subject_hour_and_seed() {
        assert!(scene_name(3).starts_with("harbour "));
        assert!(scene_name(13).ends_with(" 13"));
        assert_eq!(scene_name(9), "reef 9");
        assert!(SUBJECTS.iter().filter(|subject| !subject.has_hour).count() < 3);
    }

    /// Returns the FNV-1a checksum (Fowler, Noll, Vo), 64 bits.
    fn checksum(picture: &RgbImage) -> u64 {
        picture
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// The checksums, one for each subject. After an intended change of the pictures, copy what the test
    /// prints.
    const CHECKSUMS: [u64; 10] = [
        0x18d2_eb72_2a24_34c8,
        0x359a_11ce_b95a_ce77,
        0xfd4b_2fe5_89bc_3805,
        0xa684_43a2_692d_297c,
        0xfe93_3ee1_e696_93cf,
        0x7c23_123a_0df6_4181,
        0x34da_fcca_f554_a2aa,
        0xd6f6_736d_1e46_ac71,
        0x7674_1245_6be3_d2c2,
        0x4be6_79c7_65c9_4463,
    ];

    #[test]
    fn pictures_are_the_same_on_every_platform_and_in_every_build() {
        let drawn: Vec<u64> = (0..10).map(|seed| checksum(&draw(seed, 160, 120))).collect();
        assert_eq!(drawn, CHECKSUMS, "{drawn:#018x?}");
    }

    #[test]
    fn different_seeds_give_different_pictures() {
        let mut sums: Vec<u64> = (0..200).map(|seed| checksum(&draw(seed, 64, 48))).collect();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), 200);
    }

    #[test]
    fn pictures_have_the_size_asked_for() {
        for (width, height) in [(0, 9), (9, 0), (1, 1), (3, 200), (200, 3), (300, 400)] {
            for seed in 0..10 {
                assert_eq!(draw(seed, width, height).dimensions(), (width, height));
            }
        }
        assert_eq!(draw(u64::MAX, 40, 30).dimensions(), (40, 30));
    }

    #[test]
    fn a_seed_shows_the_same_scene_at_every_size() {
        for seed in 0..10 {
            let small = draw(seed, 160, 120);
            let large = image::imageops::thumbnail(&draw(seed, 640, 480), 160, 120);
            let apart: u64 = small.iter().zip(large.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(apart < 12 * 160 * 120 * 3, "{seed}: {}", apart / (160 * 120 * 3));
        }
    }

    #[test]
    fn a_picture_takes_a_fraction_of_a_second() {
        // The shortest of several times with a generous limit: this detects a mistake, it does not measure.
        let least = (0..5).map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(draw(3, 512, 384));
            start.elapsed()
        });
        assert!(least.min().unwrap() < std::time::Duration::from_millis(250));
    }
}
