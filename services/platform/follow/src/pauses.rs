//! Pauses between attempts.

use std::time::Duration;

/// The growth of pauses: each is drawn at random below a bound, which begins at `first` and doubles up to
/// `bound_max` ("full jitter"), so that followers that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// The bound of the first pause.
    pub first: Duration,
    /// The largest bound.
    pub bound_max: Duration,
}

/// Pauses that grow until they are reset.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    growth: Growth,
    bound: Duration,
    /// Draws a fraction of a bound, from 0 to 1.
    draw: fn() -> f64,
}

impl Pauses {
    pub(crate) const fn new(growth: Growth, draw: fn() -> f64) -> Self {
        Self { growth, bound: growth.first, draw }
    }

    pub(crate) const fn reset(&mut self) {
        self.bound = self.growth.first;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.bound.mul_f64((self.draw)().clamp(0.0, 1.0));
        self.bound = (self.bound * 2).min(self.growth.bound_max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_begin_again() {
        let growth = Growth { first: Duration::from_millis(10), bound_max: Duration::from_millis(30) };
        let mut pauses = Pauses::new(growth, || 0.5);
        let mut next = || pauses.next().as_millis();
        assert_eq!([next(), next(), next(), next()], [5, 10, 15, 15]);
        pauses.reset();
        assert_eq!(pauses.next().as_millis(), 5);
    }
}
