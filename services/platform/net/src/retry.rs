//! The pauses between attempts. The table in [`vigie_rpc::code`] lists which failures are worth another
//! attempt.

use std::cell::RefCell;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Growing pauses between attempts, each drawn at random below a bound that doubles ("full jitter"), so that
/// many clients that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    bound: Duration,
    bound_max: Duration,
}

impl Backoff {
    /// Returns pauses below `first`, then below twice that, and so on up to `bound_max`.
    #[must_use]
    pub const fn new(first: Duration, bound_max: Duration) -> Self {
        Self { bound: first, bound_max }
    }

    /// Returns the next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.bound.mul_f64(draw());
        self.bound = (self.bound * 2).min(self.bound_max);
        pause
    }
}

/// Draws a random fraction of a bound, from 0.2 to 1.
#[must_use]
pub fn draw() -> f64 {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => seeded.random_range(0.2..1.0),
        None => rand::rng().random_range(0.2..1.0),
    })
}

thread_local! {
    static SEEDED: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
}

/// Draws the pauses of this thread from a seed, so that a simulation can be repeated.
#[doc(hidden)]
pub fn seed(seed: u64) {
    SEEDED.set(Some(SmallRng::seed_from_u64(seed)));
}

impl Default for Backoff {
    /// From 50 ms to 2 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        let pauses: Vec<_> = (0..20).map(|_| backoff.next_pause()).collect();
        assert!(pauses.iter().all(|pause| (2..=100).contains(&pause.as_millis())), "{pauses:?}");
        assert!(pauses[10..].iter().any(|pause| pause.as_millis() > 40), "{pauses:?}");
    }
}
