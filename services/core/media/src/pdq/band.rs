//! The rows of PDQ's band matrices: the source samples of each of the 64 output samples, and their weights.
//!
//! Source: the PDQ reference. Along an axis of `n` samples the box window is `(n + 127) / 128`, and it is
//! applied twice; a window that the border cuts divides by the number of its remaining samples. Output `i` is
//! the blurred sample at `((i + 1/2) n) / 64`. Two boxes make a tent, so row `i` of the matrix is a tent
//! around that position, about `n / 64` wide.

use std::ops::RangeInclusive;

/// A shorter side is scaled up to this length by [`scaled_tent`]: from here on PDQ's blur hardly depends on
/// the size.
pub(crate) const SCALED_SIDE_PX: usize = 640;

/// A row of a band matrix.
#[derive(Debug, PartialEq)]
pub(crate) struct Tent {
    /// The first source index that has a weight.
    pub(crate) start: usize,
    /// The weights from `start` on, multiplied by `divisor`.
    pub(crate) weights: Weights,
    /// The divisor of the weighted sum.
    pub(crate) divisor: f64,
}

/// The weights of a tent.
#[derive(Debug, PartialEq)]
pub(crate) enum Weights {
    /// Whole numbers: no window was cut, and the divisor is the square of the window.
    Counts(Vec<u16>),
    /// Fractions: the border cut a window, or the window is too wide for [`COUNT_MAX`].
    Fractions(Vec<f64>),
}

/// The largest count. The product of a byte and a count (or counts whose sum is at most this) fits into 16
/// bits.
pub(crate) const COUNT_MAX: u16 = u16::MAX / 255;

impl Tent {
    /// Returns the weights for the means of cells: each cell is `cell` samples long, and begins at a multiple
    /// of that.
    ///
    /// Within a cell the samples are assumed to lie on a line with the slope from the cell before to the cell
    /// after. The weight of a mean is therefore the sum of its samples' weights, and its neighbours get a
    /// share that depends on the slope of these weights.
    pub(crate) fn folded(&self, cell: usize, length: usize) -> Self {
        let weights = self.weights.fractions();
        let last = length.div_ceil(cell) - 1;
        let start = (self.start / cell).saturating_sub(1);
        let end = ((self.start + weights.len() - 1) / cell + 1).min(last);
        let mut folded = vec![0.0; end + 1 - start];
        for (place, weight) in (self.start..).zip(weights) {
            let own = place / cell;
            let (before, after) = (own.saturating_sub(1), (own + 1).min(last));
            folded[own - start] += weight;
            if before < after {
                let from_centre = (place % cell) as f64 - (cell - 1) as f64 / 2.0;
                let lean = weight * from_centre / ((after - before) * cell) as f64;
                folded[after - start] += lean;
                folded[before - start] -= lean;
            }
        }
        Self { start, weights: Weights::Fractions(folded), divisor: self.divisor }
    }

    /// Returns the weights for cells of half the size: two for each cell of this row. The axis has `length`
    /// cells of this size.
    pub(crate) fn halved(&self, length: usize) -> Self {
        let mut halves: Vec<f64> =
            self.weights.fractions().into_iter().flat_map(|weight| [weight / 2.0; 2]).collect();
        let start = self.start * 2;
        if start + halves.len() > length {
            // The last cell may lack its second half.
            let half = halves.pop().unwrap_or_default();
            if let Some(whole) = halves.last_mut() {
                *whole += half;
            }
        }
        Self { start, weights: Weights::Fractions(halves), divisor: self.divisor }
    }
}

impl Weights {
    /// Returns the weights as fractions.
    fn fractions(&self) -> Vec<f64> {
        match self {
            Self::Counts(counts) => counts.iter().map(|&count| f64::from(count)).collect(),
            Self::Fractions(fractions) => fractions.clone(),
        }
    }
}

/// The box window along an axis.
struct BoxFilter {
    length: usize,
    window: usize,
    half: usize,
}

impl BoxFilter {
    const fn new(length: usize) -> Self {
        let window = length.div_ceil(128);
        Self { length, window, half: usize::midpoint(window, 2) }
    }

    /// Returns the range of source samples that the filtered sample at `place` averages.
    fn reach(&self, place: usize) -> RangeInclusive<usize> {
        (place + self.half).saturating_sub(self.window)..=(place + self.half - 1).min(self.length - 1)
    }
}

/// Computes row `index` of the band matrix that reduces `length` samples to `side`.
pub(crate) fn tent(length: usize, index: usize, side: usize) -> Tent {
    let filter = BoxFilter::new(length);
    // The expression `int(((i + 0.5) * n) / 64)` of the reference, in whole numbers.
    let outer = filter.reach((2 * index + 1) * length / (2 * side));
    let start = *filter.reach(*outer.start()).start();
    let end = *filter.reach(*outer.end()).end();

    // Each sample of the outer window is itself an average over a window. Adding 1 where such a window begins
    // and subtracting 1 where it ends gives the tent as a running sum.
    let size = |range: &RangeInclusive<usize>| range.end() + 1 - range.start();
    let cut = outer.clone().any(|place| size(&filter.reach(place)) != filter.window)
        || size(&outer) != filter.window;
    let whole = !cut && filter.window <= usize::from(COUNT_MAX);

    let mut steps = vec![0.0_f64; end + 2 - start];
    for place in outer.clone() {
        let inner = filter.reach(place);
        let share = if whole { 1.0 } else { 1.0 / size(&inner) as f64 };
        steps[inner.start() - start] += share;
        steps[inner.end() + 1 - start] -= share;
    }
    let weights = steps[..=end - start].iter().scan(0.0, |sum, step| {
        *sum += step;
        Some(*sum)
    });
    if whole {
        // Whole numbers up to the window, which is at most COUNT_MAX, so the cast is exact.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to COUNT_MAX")]
        let counts = weights.map(|weight| weight as u16).collect();
        let divisor = (filter.window * filter.window) as f64;
        Tent { start, weights: Weights::Counts(counts), divisor }
    } else {
        Tent { start, weights: Weights::Fractions(weights.collect()), divisor: size(&outer) as f64 }
    }
}

/// Computes row `index` of the band matrix for a side that is first scaled up to [`SCALED_SIDE_PX`] samples,
/// if it is shorter.
///
/// Scaling is linear interpolation between the centres of the samples. A row is therefore the tent of the
/// longer side, with each weight divided between the two samples around a scaled sample.
pub(crate) fn scaled_tent(length: usize, index: usize, side: usize) -> Tent {
    if length >= SCALED_SIDE_PX {
        return tent(length, index, side);
    }
    let large = tent(SCALED_SIDE_PX, index, side);
    let weights = large.weights.fractions();
    let step = length as f64 / SCALED_SIDE_PX as f64;
    // The two source samples around a scaled sample, and the share of the second.
    let between = |place: usize| {
        let centre = ((place as f64 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the side")]
        let first = centre as usize;
        (first, (first + 1).min(length - 1), centre - first as f64)
    };
    let start = between(large.start).0;
    let end = between(large.start + weights.len() - 1).1;
    let mut shared = vec![0.0; end + 1 - start];
    for (place, weight) in (large.start..).zip(weights) {
        let (first, second, share) = between(place);
        shared[first - start] += weight * (1.0 - share);
        shared[second - start] += weight * share;
    }
    Tent { start, weights: Weights::Fractions(shared), divisor: large.divisor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_tents_weigh_as_much_as_their_divisor_and_stay_within_the_side() {
        for length in [1, 2, 5, 64, 129, 256, 639, 640, 3_000] {
            for index in 0..64 {
                let tent = scaled_tent(length, index, 64);
                let weights = tent.weights.fractions();
                assert!(tent.start + weights.len() <= length, "{length}, row {index}");
                let sum: f64 = weights.iter().sum();
                assert!((sum / tent.divisor - 1.0).abs() < 1e-9, "{length}, row {index}: {sum}");
            }
        }
    }
}
