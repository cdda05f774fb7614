//! Value noise in several octaves: the grain of clouds, water, rock and grass.
//!
//! A small table of random levels is repeated over the plane and interpolated smoothly; octaves of twice the
//! frequency and half the strength are added, as many as the picture's height can show. The table fits the
//! first-level cache, so a picture of twelve megapixels is cheap.

use crate::numbers;
use crate::rng::Rng;

/// Cells along each side of the table; after as many the pattern of one octave repeats.
const SIDE: usize = 64;

/// A field of random levels over the plane, determined by the generator at its creation.
#[derive(Debug)]
pub(crate) struct Noise {
    levels: Box<[f32; SIDE * SIDE]>,
    /// The octave from which on details are too fine for a picture of this size.
    finest: u32,
}

impl Noise {
    /// Returns a field for pictures of the given height: a taller picture gets more octaves.
    pub(crate) fn new(rng: &mut Rng, height: u32) -> Self {
        let mut levels = Box::new([0.0; SIDE * SIDE]);
        levels.fill_with(|| rng.unit());
        Self { levels, finest: (height.max(2)).ilog2().clamp(5, 10) - 3 }
    }

    /// Returns the value of one octave: smooth, 0 to 1, with features about one unit wide.
    pub(crate) fn value(&self, x: f32, y: f32) -> f32 {
        let ((left, column), (top, row)) = (numbers::cell(x), numbers::cell(y));
        let (across, down) = (ease(x - left), ease(y - top));
        let (column, row) = (column % SIDE, (row % SIDE) * SIDE);
        let (next_column, next_row) = ((column + 1) % SIDE, (row + SIDE) % (SIDE * SIDE));
        let upper = numbers::mix(self.level(row + column), self.level(row + next_column), across);
        let lower = numbers::mix(self.level(next_row + column), self.level(next_row + next_column), across);
        numbers::mix(upper, lower, down)
    }

    /// Returns the sum of at most `octaves` octaves: 0 to 1, mostly near the middle, the coarsest features
    /// one unit wide.
    pub(crate) fn fractal(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut reach, mut strength, mut scale) = (0.0, 0.0, 1.0, 1.0);
        for octave in 0..octaves.min(self.finest.max(2)) {
            // Each octave has an offset, so that their lattices do not coincide.
            let shift = octave as f32 * 17.31;
            sum += strength * self.value(x * scale + shift, y * scale - shift);
            reach += strength;
            strength *= 0.5;
            scale *= 2.03;
        }
        sum / reach
    }

    fn level(&self, index: usize) -> f32 {
        self.levels[index % (SIDE * SIDE)]
    }
}

fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_within_bounds() {
        let noise = Noise::new(&mut Rng::new(1), 600);
        let mut before = noise.fractal(-5.0, 3.3, 5);
        for step in 1_u16..2000 {
            let now = noise.fractal(-5.0 + f32::from(step) / 200.0, 3.3, 5);
            assert!((0.0..=1.0).contains(&now));
            assert!((now - before).abs() < 0.05);
            before = now;
        }
    }
}
