//! The luma of pixels whose red, green or blue does not fit a byte.
//!
//! Strong colours near black and near white lie outside RGB. Decoders clamp them, and the luma of what is left is not the
//! stored one: it moves by up to some 70 levels. Where the ranges of a tile's blocks rule that out, as in most of a photograph,
//! nothing is done. In the other tiles each pixel goes to RGB, is clamped and comes back, with its colours interpolated as
//! libjpeg does it (`h2v1_fancy_upsample`, `h2v2_fancy_upsample`).

use super::transform::byte;
use super::{BLOCK, Plane};

/// The widest tile: one unit.
const TILE: usize = 2 * BLOCK;

/// Corrects `luma` by the planes of blue and red. `factors` are luma's sampling factors, `size` is the picture's.
pub(super) fn apply(luma: &mut Plane, colours: [&Plane; 2], factors: (usize, usize), size: (usize, usize)) {
    let (across, down) = (colours[0].stride / BLOCK, colours[0].samples.len() / colours[0].stride / BLOCK);
    // What there is to interpolate between ends with the picture, and not with the last block.
    let last = (size.0.div_ceil(factors.0) - 1, size.1.div_ceil(factors.1) - 1);
    for row in 0..down {
        for column in 0..across {
            let own = range(
                luma,
                column * factors.0..(column + 1) * factors.0,
                row * factors.1..(row + 1) * factors.1,
            );
            // Interpolation looks one sample into the neighbouring blocks.
            let columns = column.saturating_sub(1)..(column + 2).min(across);
            let rows = row.saturating_sub(1)..(row + 2).min(down);
            let near = colours.map(|colour| range(colour, columns.clone(), rows.clone()));
            if may_clamp(own, near) {
                correct(luma, colours, factors, last, (column * BLOCK * factors.0, row * BLOCK * factors.1));
            }
        }
    }
}

/// Smallest and largest sample of some blocks.
#[inline(always)]
fn range(plane: &Plane, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> (u8, u8) {
    let mut out = (u8::MAX, 0);
    for row in rows {
        let at = row * (plane.stride / BLOCK);
        for &(low, high) in &plane.ranges[at + columns.start..at + columns.end] {
            out = (out.0.min(low), out.1.max(high));
        }
    }
    out
}

/// True where some pixel of these ranges may lie outside RGB.
#[inline(always)]
fn may_clamp(luma: (u8, u8), [blue, red]: [(u8, u8); 2]) -> bool {
    let [low, high] = [luma.0, luma.1].map(f32::from);
    let [blue, red] = [blue, red].map(|(low, high)| (centred(low), centred(high)));
    // Each colour's share rounds to a whole level.
    let fits = |least: f32, most: f32| low + least >= -0.5 && high + most <= 255.5;
    !(fits(1.402 * red.0, 1.402 * red.1)
        && fits(1.772 * blue.0, 1.772 * blue.1)
        && fits(-0.344_136 * blue.1 - 0.714_136 * red.1, -0.344_136 * blue.0 - 0.714_136 * red.0))
}

const fn centred(colour: u8) -> f32 {
    colour as f32 - 128.0
}

/// Corrects the tile whose first pixel is at `(left, top)`.
fn correct(
    luma: &mut Plane,
    colours: [&Plane; 2],
    factors: (usize, usize),
    last: (usize, usize),
    (left, top): (usize, usize),
) {
    let width = BLOCK * factors.0;
    for y in top..top + BLOCK * factors.1 {
        let mut spread = [[0.0; TILE]; 2];
        for (colour, out) in colours.into_iter().zip(&mut spread) {
            interpolate(colour, factors, last, left, y, &mut out[..width]);
        }
        let row = &mut luma.samples[y * luma.stride + left..][..width];
        for ((luma, blue), red) in row.iter_mut().zip(spread[0]).zip(spread[1]) {
            *luma = through_rgb(*luma, blue, red);
        }
    }
}

/// The luma of a pixel after its red, green and blue were clamped to a byte. `blue` and `red` are centred.
#[inline(always)]
fn through_rgb(luma: u8, blue: f32, red: f32) -> u8 {
    let luma = f32::from(luma);
    let [red, green, blue] =
        [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
            .map(|sample| sample.clamp(0.0, 255.0));
    byte(0.299 * red + 0.587 * green + 0.114 * blue)
}

/// The centred colour of the pixels from `(left, y)` on.
fn interpolate(
    colour: &Plane,
    (h, v): (usize, usize),
    last: (usize, usize),
    left: usize,
    y: usize,
    out: &mut [f32],
) {
    // The nearer neighbour counts three times, the farther one once.
    let neighbours = |at: usize, factor: usize, last: usize| {
        let near = (at / factor).min(last);
        match (factor, at % 2) {
            (1, _) => (near, near),
            (_, 0) => (near, near.saturating_sub(1)),
            _ => (near, (near + 1).min(last)),
        }
    };
    let (near, far) = neighbours(y, v, last.1);
    let rows = [near, far].map(|row| &colour.samples[row * colour.stride..][..colour.stride]);
    let down = |column: usize| 3 * u16::from(rows[0][column]) + u16::from(rows[1][column]);
    for (x, out) in (left..).zip(out) {
        let (near, far) = neighbours(x, h, last.0);
        let sixteenths = 3 * down(near) + down(far);
        // libjpeg rounds down and up by turns.
        let rounded = (sixteenths + if x % 2 == 0 { 8 } else { 7 }) >> 4;
        *out = f32::from(rounded) - 128.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_within_rgb_keep_their_luma() {
        for luma in (0..=255).step_by(5) {
            for blue in (-128_i8..=127).step_by(9) {
                for red in (-128_i8..=127).step_by(9) {
                    let (blue_byte, red_byte) =
                        [blue, red].map(|c| (i16::from(c) + 128).to_le_bytes()[0]).into();
                    let ranges = [(blue_byte, blue_byte), (red_byte, red_byte)];
                    if !may_clamp((luma, luma), ranges) {
                        assert_eq!(through_rgb(luma, blue.into(), red.into()), luma, "{luma} {blue} {red}");
                    }
                }
            }
        }
    }

    #[test]
    fn strong_colours_lose_luma_near_white_and_gain_it_near_black() {
        assert!(may_clamp((250, 250), [(128, 128), (200, 200)]));
        assert_eq!(through_rgb(255, 0.0, 127.0), 202);
        assert!(may_clamp((2, 2), [(128, 128), (100, 100)]));
        assert!(through_rgb(0, 0.0, 100.0) > 40);
    }
}
