//! Searches for the highest rate that holds.
//!
//! The rate is doubled until it no longer holds. Then the gap between the highest rate that held and the
//! lowest that did not is halved, by ratio, until it is small enough. A failed rate is tried once more before
//! it counts as failed, because other load on the machine may have been the reason.

/// The state of a search. It knows nothing of requests: it returns the rate to try, and gets whether that
/// rate held.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    next: f64,
    held: Option<f64>,
    failed: Option<f64>,
    /// Whether the rate to try has failed once.
    again: bool,
    /// The ratio at which the search ends: 1.05 for 5 %.
    ratio: f64,
    rate_max: f64,
}

impl Search {
    pub(crate) const fn new(first: f64, ratio: f64, rate_max: f64) -> Self {
        Self { next: first, held: None, failed: None, again: false, ratio, rate_max }
    }

    /// Returns the rate to try; `None` when the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let near = match (self.held, self.failed) {
            (Some(held), Some(failed)) => failed / held <= self.ratio,
            (Some(held), None) => held >= self.rate_max,
            // Not even a rate close to zero holds.
            (None, Some(failed)) => failed < 1.0,
            (None, None) => false,
        };
        (!near).then_some(self.next)
    }

    pub(crate) fn note(&mut self, held: bool) {
        if !held && !self.again {
            self.again = true;
            return;
        }
        self.again = false;
        if held {
            self.held = Some(self.next);
        } else {
            self.failed = Some(self.next);
        }
        self.next = match (self.held, self.failed) {
            (Some(held), Some(failed)) => (held * failed).sqrt(),
            (Some(held), None) => (held * 2.0).min(self.rate_max),
            (None, Some(failed)) => failed / 4.0,
            (None, None) => self.next,
        };
    }

    /// Returns the highest rate that held.
    pub(crate) const fn highest(&self) -> Option<f64> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the rates that are tried for a service that holds up to `limit`.
    fn tried(limit: f64, first: f64, ratio: f64, mut hiccup_at: Option<usize>) -> (Vec<f64>, Option<f64>) {
        let mut search = Search::new(first, ratio, 1e6);
        let mut rates = Vec::new();
        while let Some(rate) = search.next() {
            rates.push(rate);
            assert!(rates.len() < 200, "the search does not end");
            let hiccup = hiccup_at.take_if(|at| *at == rates.len()).is_some();
            search.note(rate <= limit && !hiccup);
        }
        (rates, search.highest())
    }

    proptest! {
        #[test]
        fn what_is_found_holds_and_little_more_would_not(
            limit in 2.0..900_000.0f64, first in 1.0..10_000.0f64, hiccup in prop::option::of(1..20usize),
        ) {
            let (rates, highest) = tried(limit, first, 1.05, hiccup);
            let highest = highest.unwrap();
            prop_assert!(highest <= limit && limit <= highest * 1.05 * 1.000_001, "{highest} for {limit}");
            prop_assert!(rates.len() <= 60, "{rates:?}");
        }
    }

    #[test]
    fn a_service_that_never_holds_and_one_that_always_does_end_the_search() {
        assert_eq!(tried(0.0, 1_000.0, 1.05, None).1, None);
        assert_eq!(tried(f64::INFINITY, 1_000.0, 1.05, None).1, Some(1e6));
    }
}
