//! What changed from one run to another, and whether that is more than noise.
//!
//! A run's seconds differ among themselves, and by that much a figure of the run would differ if it were run again. The
//! moving-block bootstrap (Künsch 1989) puts that to use: runs are put together again and again from blocks of their own
//! seconds, drawn with replacement (blocks, because a bad second is seldom alone), and the figure is taken of each. Where
//! 95 % of the ratios between such runs of B and of A lie on one side of 1, the change is more than the noise within the
//! runs. Changes below 2 % are called noise in any case: no two runs are as alike as that, and seconds are kept to two
//! digits.

use std::fmt::Write as _;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use crate::load::hist::Hist;
use crate::load::record::Second;
use crate::load::result::RunResult;
use crate::load::rounding::whole;

/// Runs that are put together.
const RESAMPLES: usize = 400;
/// A change below this is noise.
const RELATIVE_MIN: f64 = 0.02;

/// Of one figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) figure: &'static str,
    pub(crate) a: Option<f64>,
    pub(crate) b: Option<f64>,
    /// The ratio of B to A, and between which bounds it lies with 95 % confidence.
    pub(crate) ratio: Option<f64>,
    pub(crate) ratio_low: Option<f64>,
    pub(crate) ratio_high: Option<f64>,
    pub(crate) verdict: Direction,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Better,
    Worse,
    Noise,
    /// One of the runs has no such figure.
    Unknown,
}

/// One run's seconds after its warm-up, but not the last: it may be a part of one only.
fn measured(result: &RunResult) -> Vec<&Second> {
    let warm_up = result.scenario.drive.warm_up.0.as_secs();
    let end = warm_up + whole(result.measured_s) as u64;
    result.record.seconds.range(warm_up..end.max(warm_up)).map(|(_, second)| second).collect()
}

struct Figure {
    name: &'static str,
    of: fn(&Sum) -> Option<f64>,
    more_is_better: bool,
}

const FIGURES: [Figure; 5] = [
    Figure {
        name: "answered a second",
        of: |sum| Some(sum.answered as f64 / sum.seconds),
        more_is_better: true,
    },
    Figure { name: "p50, ms", of: |sum| sum.latency.quantile_ms(0.5), more_is_better: false },
    Figure { name: "p90, ms", of: |sum| sum.latency.quantile_ms(0.9), more_is_better: false },
    Figure { name: "p99, ms", of: |sum| sum.latency.quantile_ms(0.99), more_is_better: false },
    Figure { name: "p99.9, ms", of: |sum| sum.latency.quantile_ms(0.999), more_is_better: false },
];

/// Some seconds together.
struct Sum {
    seconds: f64,
    answered: u64,
    latency: Hist,
}

impl Sum {
    fn of<'a>(seconds: impl Iterator<Item = &'a Second>) -> Self {
        let mut sum = Self { seconds: 0.0, answered: 0, latency: Hist::with_digits(2) };
        for second in seconds {
            sum.seconds += 1.0;
            sum.answered += second.answered;
            sum.latency.add(&second.latency);
        }
        sum
    }
}

/// As many seconds as there are, in blocks drawn with replacement.
fn resample(seconds: &[&Second], rng: &mut Xoshiro256PlusPlus) -> Sum {
    let count = seconds.len();
    let block = whole((count as f64).sqrt()).max(1);
    let starts = (0..count.div_ceil(block)).map(|_| rng.random_range(0..count));
    let drawn = starts.flat_map(|start| (start..start + block).map(|at| seconds[at % count]));
    Sum::of(drawn.take(count))
}

/// Every figure of both runs.
pub(crate) fn compare(a: &RunResult, b: &RunResult) -> Vec<Change> {
    let (seconds_a, seconds_b) = (measured(a), measured(b));
    if seconds_a.is_empty() || seconds_b.is_empty() {
        return Vec::new();
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let pairs: Vec<(Sum, Sum)> =
        (0..RESAMPLES).map(|_| (resample(&seconds_a, &mut rng), resample(&seconds_b, &mut rng))).collect();
    let runs = (Sum::of(seconds_a.into_iter()), Sum::of(seconds_b.into_iter()));
    FIGURES.iter().map(|figure| change(figure, &runs, &pairs)).collect()
}

fn change(figure: &Figure, runs: &(Sum, Sum), pairs: &[(Sum, Sum)]) -> Change {
    let ratio = |(a, b): &(Sum, Sum)| match ((figure.of)(a), (figure.of)(b)) {
        (Some(a), Some(b)) if a > 0.0 => Some(b / a),
        _ => None,
    };
    let mut ratios: Vec<f64> = pairs.iter().filter_map(ratio).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| ratios.get(whole(ratios.len() as f64 * share)).copied();
    let (low, high) = (at(0.025), at(0.975));
    let verdict = match (ratio(runs), low, high) {
        (Some(ratio), Some(low), Some(high)) => {
            let more = low > 1.0 && ratio > 1.0 + RELATIVE_MIN;
            let less = high < 1.0 && ratio < 1.0 - RELATIVE_MIN;
            match (more, less) {
                (true, _) if figure.more_is_better => Direction::Better,
                (true, _) => Direction::Worse,
                (_, true) if figure.more_is_better => Direction::Worse,
                (_, true) => Direction::Better,
                (false, false) => Direction::Noise,
            }
        }
        _ => Direction::Unknown,
    };
    Change {
        figure: figure.name,
        a: (figure.of)(&runs.0),
        b: (figure.of)(&runs.1),
        ratio: ratio(runs),
        ratio_low: low,
        ratio_high: high,
        verdict,
    }
}

/// The comparison in lines of text: figures, then what was wrong with the answers.
pub(crate) fn text(a: &RunResult, b: &RunResult, changes: &[Change]) -> String {
    let mut out = String::new();
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let percent =
        |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{:+.1} %", (ratio - 1.0) * 100.0));
    // Writing to a string does not fail.
    let _ = writeln!(out, "  {:<20}{:>12}{:>12}{:>10}  {:<22}", "", "A", "B", "change", "95 % of resamples");
    for change in changes {
        let range = format!("{} to {}", percent(change.ratio_low), percent(change.ratio_high));
        let verdict = match change.verdict {
            Direction::Better => "better",
            Direction::Worse => "WORSE",
            Direction::Noise => "noise",
            Direction::Unknown => "unknown",
        };
        let _ = writeln!(
            out,
            "  {:<20}{:>12}{:>12}{:>10}  {range:<22}  {verdict}",
            change.figure,
            number(change.a),
            number(change.b),
            percent(change.ratio)
        );
    }
    let counts = |result: &RunResult| {
        let (verdict, failed) = (&result.record.totals.verdict, result.summary.failed);
        [
            failed,
            verdict.missed,
            verdict.false_matches,
            verdict.wrong_distance,
            verdict.incomplete,
            verdict.stale,
        ]
    };
    let names = ["failed", "missed", "false", "wrong distance", "incomplete", "stale"];
    for ((name, a), b) in names.into_iter().zip(counts(a)).zip(counts(b)) {
        if a + b > 0 {
            let _ = writeln!(out, "  {name:<20}{a:>12}{b:>12}");
        }
    }
    for (name, result) in [("A", a), ("B", b)] {
        if result.generator.ran_late {
            let _ = writeln!(out, "  in {name} the generator ran late: its latencies cannot be believed");
        }
    }
    if a.scenario != b.scenario {
        let _ = writeln!(out, "  the scenarios differ: the figures may not be of the same thing");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::result::tests::result;

    /// Latencies with some spread, 100 of them a second.
    fn run(seconds: u64, base_ms: u64, seed: u64) -> RunResult {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let latencies: Vec<u64> =
            (0..seconds * 100).map(|_| base_ms + rng.random_range(0..base_ms)).collect();
        result(&latencies, 0, &[])
    }

    fn verdicts(a: &RunResult, b: &RunResult) -> Vec<(&'static str, Direction)> {
        compare(a, b).into_iter().map(|change| (change.figure, change.verdict)).collect()
    }

    #[test]
    fn two_runs_of_the_same_are_noise_and_a_run_and_itself_too() {
        let one = run(20, 100, 1);
        assert!(verdicts(&one, &one).iter().all(|(_, verdict)| *verdict == Direction::Noise));
        for seed in 2..8 {
            let told = verdicts(&one, &run(20, 100, seed));
            assert!(told.iter().all(|(_, verdict)| *verdict == Direction::Noise), "seed {seed}: {told:?}");
        }
    }

    #[test]
    fn a_slower_run_is_worse_and_a_faster_one_better() {
        let (quick, slow) = (run(20, 100, 1), run(20, 120, 2));
        let told = verdicts(&quick, &slow);
        assert_eq!(told[0].1, Direction::Noise, "the rate is the same: {told:?}");
        assert!(told[1..].iter().all(|(_, verdict)| *verdict == Direction::Worse), "{told:?}");
        assert!(verdicts(&slow, &quick)[1..].iter().all(|(_, verdict)| *verdict == Direction::Better));
        let said = text(&quick, &slow, &compare(&quick, &slow));
        assert!(said.contains("WORSE") && said.contains("p99"), "{said}");
    }

    #[test]
    fn a_single_bad_second_is_noise_in_the_tail_and_says_so_by_its_range() {
        let quiet = run(20, 100, 1);
        let mut latencies: Vec<u64> = (0..2_000).map(|at| 100 + at * 7 % 100).collect();
        latencies[700..800].fill(2_000);
        let told = compare(&quiet, &result(&latencies, 0, &[]));
        let tail = told.iter().find(|change| change.figure == "p99, ms").unwrap();
        assert_eq!(tail.verdict, Direction::Noise, "{tail:?}");
        assert!(tail.ratio_high.unwrap() > 5.0 && tail.ratio_low.unwrap() < 1.1, "{tail:?}");
    }

    #[test]
    fn runs_without_a_whole_second_are_not_compared() {
        assert!(compare(&result(&[1; 5], 0, &[]), &run(3, 100, 1)).is_empty());
    }
}
