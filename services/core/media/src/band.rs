//! The rows of PDQ's band matrices: which source samples make one of the 64 output samples, and with what weight.
//!
//! Source: the PDQ reference. Along an axis of `n` samples the box window is `(n + 127) / 128`, and it is applied twice; a window
//! cut by the border divides by the samples it still has. Output `i` is the blurred sample at `((i + 1/2) n) / 64`. Two boxes
//! make a tent, so row `i` of the matrix is a tent around that place, about `n / 64` wide.

use std::ops::RangeInclusive;

/// One row of a band matrix.
#[derive(Debug, PartialEq)]
pub(crate) struct Tent {
    /// The first source index that has a weight.
    pub(crate) start: usize,
    /// The weights from `start` on, times `divisor`.
    pub(crate) weights: Weights,
    /// What a weighted sum is divided by, at the end.
    pub(crate) divisor: f64,
}

/// The weights of a tent.
#[derive(Debug, PartialEq)]
pub(crate) enum Weights {
    /// Whole numbers: no window was cut, and the divisor is the window's square.
    Counts(Vec<u16>),
    /// Fractions: the border cut a window, or the window is too wide for [`COUNT_MAX`].
    Fractions(Vec<f64>),
}

/// The largest count, so that a byte times a count (or a few counts that add up to it) fits 16 bits.
pub(crate) const COUNT_MAX: u16 = u16::MAX / 255;

/// The box window along an axis, and how far it reaches.
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

    /// The source samples that the filtered sample at `place` averages.
    fn reach(&self, place: usize) -> RangeInclusive<usize> {
        (place + self.half).saturating_sub(self.window)..=(place + self.half - 1).min(self.length - 1)
    }
}

/// Row `index` of the band matrix that takes `length` samples to `side`.
pub(crate) fn tent(length: usize, index: usize, side: usize) -> Tent {
    let filter = BoxFilter::new(length);
    // The reference's `int(((i + 0.5) * n) / 64)`, in whole numbers.
    let outer = filter.reach((2 * index + 1) * length / (2 * side));
    let start = *filter.reach(*outer.start()).start();
    let end = *filter.reach(*outer.end()).end();

    // Each sample of the outer window is itself an average over a window. Adding 1 where such a window begins and
    // taking it away where it ends makes the tent as a running sum.
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
        // Whole numbers up to the window, which is at most COUNT_MAX: nothing is cut off.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to COUNT_MAX")]
        let counts = weights.map(|weight| weight as u16).collect();
        let divisor = (filter.window * filter.window) as f64;
        Tent { start, weights: Weights::Counts(counts), divisor }
    } else {
        Tent { start, weights: Weights::Fractions(weights.collect()), divisor: size(&outer) as f64 }
    }
}
