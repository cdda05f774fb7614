//! The schedule of requests, computed before the run.
//!
//! Users do not wait for each other, so neither do arrivals: their times are fixed before anything is known
//! of the answers. A driver that sends the next request when the last one is answered stops sending while the
//! service stalls, and so hides the stall ("coordinated omission", G. Tene; "open versus closed", Schroeder,
//! Wierman and Harchol-Balter, NSDI 2006).
//!
//! A profile is a rate of requests per second as a function of time; its integral is the number of requests
//! due up to a time. An arrival is where that integral passes a mark. With marks at 0.5, 1.5, 2.5 ...
//! arrivals are evenly spaced; with marks whose gaps are drawn from the exponential distribution they are a
//! Poisson process of that rate, also where the rate changes (Çinlar's inversion; Lewis and Shedler 1979). So
//! the spacing is independent of the profile.
//!
//! Every generator computes the whole schedule and keeps each `of`-th arrival, so that any number of
//! generators together send exactly the requests of a single one.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// A part of the profile in which the rate is constant or changes linearly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stage {
    /// The duration.
    pub(crate) over: Duration,
    /// The rate at its start, in requests per second.
    pub(crate) from: f64,
    /// The rate at its end, in requests per second.
    pub(crate) to: f64,
}

impl Stage {
    /// Returns a stage with a constant rate.
    #[must_use]
    pub(crate) const fn flat(over: Duration, rate: f64) -> Self {
        Self { over, from: rate, to: rate }
    }

    /// Returns the number of requests due in the stage.
    #[must_use]
    pub(crate) fn due(&self) -> f64 {
        self.over.as_secs_f64() * (self.from + self.to) / 2.0
    }

    /// Returns the seconds from the start of the stage after which `due` requests are due; `due` is at most
    /// [`Self::due`].
    fn when(&self, due: f64) -> f64 {
        let slope = (self.to - self.from) / self.over.as_secs_f64();
        // Solves due = from t + slope t^2 / 2 in the form that stays exact where the slope is zero.
        let root = (self.from * self.from + 2.0 * slope * due).max(0.0).sqrt();
        if self.from + root > 0.0 { 2.0 * due / (self.from + root) } else { 0.0 }
    }
}

/// The distribution of arrivals within a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spacing {
    /// Evenly spaced.
    Constant,
    /// A Poisson process: the arrivals of many independent users.
    #[default]
    Poisson,
}

/// A lane's number, and the number of lanes in all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneNumber {
    pub(crate) lane: u64,
    pub(crate) of: u64,
}

/// A request that is due: its number in the whole schedule, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The number, from 0.
    pub(crate) number: u64,
    /// Time after the start of the run.
    pub(crate) at: Duration,
}

/// The arrivals of a profile, in order.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    stages: Vec<Stage>,
    spacing: Spacing,
    rng: Xoshiro256PlusPlus,
    number: u64,
    /// The number of requests due since the start of the stage at which the next arrival comes.
    mark: f64,
    stage: usize,
    stage_began: Duration,
}

impl Schedule {
    /// Makes a schedule. The same arguments give the same arrivals.
    #[must_use]
    pub(crate) fn new(stages: &[Stage], spacing: Spacing, seed: u64) -> Self {
        let mut schedule = Self {
            stages: stages.to_vec(),
            spacing,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            number: 0,
            mark: 0.0,
            stage: 0,
            stage_began: Duration::ZERO,
        };
        schedule.mark = match spacing {
            Spacing::Constant => 0.5,
            Spacing::Poisson => schedule.gap(),
        };
        schedule
    }

    /// Returns the distance to the next mark, in requests; its mean is one.
    fn gap(&mut self) -> f64 {
        match self.spacing {
            Spacing::Constant => 1.0,
            // The random number is below 1, so the logarithm is finite.
            Spacing::Poisson => -(1.0 - self.rng.random::<f64>()).ln(),
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        while let Some(stage) = self.stages.get(self.stage).copied() {
            let due = stage.due();
            if self.mark < due {
                let at = self.stage_began + Duration::from_secs_f64(stage.when(self.mark)).min(stage.over);
                let arrival = Arrival { number: self.number, at };
                self.number += 1;
                self.mark += self.gap();
                return Some(arrival);
            }
            self.mark -= due;
            self.stage += 1;
            self.stage_began += stage.over;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        let stage = (1..5_000u64, 0.0..2_000.0, 0.0..2_000.0);
        let stage = stage.prop_map(|(ms, from, to)| Stage { over: Duration::from_millis(ms), from, to });
        prop::collection::vec(stage, 1..5)
    }

    proptest! {
        #[test]
        fn even_arrivals_are_as_many_as_the_profile_says_up_to_every_moment(stages in stages()) {
            let arrivals: Vec<_> = Schedule::new(&stages, Spacing::Constant, 1).collect();
            let due: f64 = stages.iter().map(Stage::due).sum();
            prop_assert!((arrivals.len() as f64 - due).abs() <= 0.5 + 1e-6);
            let mut began = Duration::ZERO;
            let mut due_before = 0.0;
            for stage in &stages {
                began += stage.over;
                due_before += stage.due();
                let so_far = arrivals.iter().filter(|arrival| arrival.at <= began).count() as f64;
                prop_assert!((so_far - due_before).abs() <= 0.5 + 1e-3, "{so_far} of {due_before}");
            }
        }

        #[test]
        fn arrivals_are_in_order_numbered_and_within_the_run(stages in stages(), seed: u64, even: bool) {
            let spacing = if even { Spacing::Constant } else { Spacing::Poisson };
            let whole: Duration = stages.iter().map(|stage| stage.over).sum();
            let mut before = Duration::ZERO;
            for (number, arrival) in (0..).zip(Schedule::new(&stages, spacing, seed)) {
                prop_assert_eq!(arrival.number, number);
                prop_assert!(before <= arrival.at && arrival.at <= whole);
                before = arrival.at;
            }
        }

        #[test]
        fn poisson_arrivals_are_as_many_as_chance_allows(stages in stages(), seed: u64) {
            let due: f64 = stages.iter().map(Stage::due).sum();
            let count = Schedule::new(&stages, Spacing::Poisson, seed).count() as f64;
            // Seven standard deviations: once in 10^11 runs.
            prop_assert!((count - due).abs() <= 7.0 * due.sqrt() + 7.0, "{count} of {due}");
        }
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_the_exponential_distribution() {
        let stages = [Stage::flat(Duration::from_secs(100), 1_000.0)];
        let times: Vec<f64> =
            Schedule::new(&stages, Spacing::Poisson, 5).map(|arrival| arrival.at.as_secs_f64()).collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 1_000.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{variance}");
        let long = gaps.iter().filter(|gap| **gap > 2.0 * mean).count() as f64 / gaps.len() as f64;
        assert!((long - (-2.0_f64).exp()).abs() < 0.01, "{long}");
    }

    #[test]
    fn a_ramp_sends_a_quarter_of_its_requests_in_its_first_half() {
        let ramp = [Stage { over: Duration::from_secs(10), from: 0.0, to: 1_000.0 }];
        let arrivals: Vec<_> = Schedule::new(&ramp, Spacing::Constant, 1).collect();
        assert_eq!(arrivals.len(), 5_000);
        let early = arrivals.iter().filter(|arrival| arrival.at < Duration::from_secs(5)).count();
        assert_eq!(early, 1_250);
    }

    #[test]
    fn a_pause_sends_nothing() {
        let second = Duration::from_secs(1);
        let stages = [Stage::flat(second, 10.0), Stage::flat(second, 0.0), Stage::flat(second, 10.0)];
        let arrivals: Vec<_> = Schedule::new(&stages, Spacing::Constant, 1).collect();
        assert_eq!(arrivals.len(), 20);
        assert!(arrivals.iter().all(|arrival| arrival.at <= second || arrival.at >= 2 * second));
    }
}
