//! Pictures that are generated from a seed.

use crate::preprocessing::{PictureError, RgbPicture};

/// The side of a block, in pixels.
const BLOCK: u32 = 8;

/// Returns the picture of [`super::TestInput::Drawn`].
pub(super) fn drawn(seed: u32, width: u32, height: u32) -> Result<RgbPicture, PictureError> {
    let mut state = u64::from(seed);
    let mut pixels = Vec::new();
    for top in (0..height).step_by(8) {
        let colours: Vec<[u8; 8]> =
            (0..width.div_ceil(BLOCK)).map(|_| split_mix(&mut state).to_le_bytes()).collect();
        for y in top..height.min(top + BLOCK) {
            for x in 0..width {
                let column = usize::try_from(x / BLOCK).unwrap_or(usize::MAX);
                let [red, green, blue, ..] = colours.get(column).copied().unwrap_or_default();
                let added = u8::try_from((x + 2 * y) % BLOCK * 4).unwrap_or_default();
                pixels.extend([red, green, blue].map(|byte| byte.wrapping_add(added)));
            }
        }
    }
    RgbPicture::new(width, height, pixels)
}

/// Returns the next number of `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_split_mix() {
        // The published sequence for the seed 1234567, as on Rosetta Code.
        let mut state = 1_234_567;
        let numbers = [(); 3].map(|()| split_mix(&mut state));
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_picture_has_the_declared_pixels() {
        let picture = drawn(1_234_567, 17, 9).unwrap();
        let pixel = |x: usize, y: usize| &picture.pixels()[(y * 17 + x) * 3..][..3];
        let colour =
            |number: u64, added: u8| number.to_le_bytes().map(|byte| byte.wrapping_add(added))[..3].to_vec();
        assert_eq!(pixel(0, 0), colour(6_457_827_717_110_365_317, 0));
        assert_eq!(pixel(7, 7), colour(6_457_827_717_110_365_317, (7 + 14) % 8 * 4));
        assert_eq!(pixel(8, 1), colour(3_203_168_211_198_807_973, 2 * 4));
        assert_eq!(pixel(16, 0), colour(9_817_491_932_198_370_423, 0));
        // The fourth block begins the second row of blocks.
        assert_eq!(pixel(0, 8), colour(4_593_380_528_125_082_431, 0));
    }
}
