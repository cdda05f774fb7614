//! Compares two runs: which figures changed, and whether a change is more than noise.
//!
//! The seconds of a run differ from each other, and this spread shows how much a figure would differ if the
//! run were repeated. The method is the moving-block bootstrap (Künsch 1989): many runs are resampled from
//! blocks of a run's own seconds, drawn with replacement (blocks, because a bad second is seldom alone), and
//! the figure of each is computed. Where 99 % of the ratios between such runs of B and of A lie on one side
//! of 1, the change is more than the noise within the runs. The level is 99 and not 95, because there are six
//! figures, and one in twenty would be wrong too often. Changes below 2 % always count as noise: no two runs
//! are as similar as that, and seconds are recorded to two digits. Runs of a few seconds are too short to
//! estimate their noise, so for them no verdict is given.
//!
//! Causes that differ between whole runs, such as another machine or other load on it, do not show in single
//! seconds and are not detected here.

pub(crate) mod differences;
pub(crate) mod text;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use crate::report::compare::differences::{Difference, differences};
use crate::report::result::RunResult;
use crate::report::rounding::whole;
use crate::run::record::Second;
use crate::run::record::hist::Hist;

/// Number of resampled runs.
const RESAMPLES: usize = 1_000;
/// The share of resampled runs below `low`, and the share above `high`.
const TAIL: f64 = 0.005;
/// A relative change below this is noise.
const RELATIVE_MIN: f64 = 0.02;
/// A change of a share, such as that of failures, below this is noise.
const SHARE_MIN: f64 = 0.001;
/// A run with fewer measured seconds is too short to estimate its noise.
const SECONDS_MIN: usize = 8;

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) schema: &'static str,
    pub(crate) a: Run,
    pub(crate) b: Run,
    /// The differences that make the figures incomparable; such runs are compared with `--force` only.
    pub(crate) differences: Vec<Difference>,
    pub(crate) changes: Vec<Change>,
    /// Counts of wrong answers.
    pub(crate) counts: Vec<Count>,
    /// Whether a figure is worse by more than noise, or a kind of wrong answer is more frequent in B.
    pub(crate) worse: bool,
    /// Reasons why the comparison may be unreliable.
    pub(crate) reservations: Vec<String>,
}

/// The identity of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    pub(crate) scenario: String,
    pub(crate) target: String,
    pub(crate) began_unix_ms: u64,
}

impl From<&RunResult> for Run {
    fn from(result: &RunResult) -> Self {
        Self {
            scenario: result.scenario.name.clone(),
            target: result.target.to_string(),
            began_unix_ms: result.began_unix_ms,
        }
    }
}

/// The change of one figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) figure: &'static str,
    pub(crate) a: Option<f64>,
    pub(crate) b: Option<f64>,
    /// The kind of comparison in `change`, `low` and `high`: `ratio` is B divided by A, `difference` is B
    /// minus A.
    pub(crate) by: Scale,
    pub(crate) change: Option<f64>,
    /// Bounds of the change, from the noise within the runs.
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) verdict: Direction,
}

/// How two values of a figure are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    Ratio,
    Difference,
}

/// The verdict on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Better,
    Worse,
    Noise,
    /// No verdict: a run lacks the figure, or is too short.
    Unknown,
}

/// The number of events of a kind in each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) what: &'static str,
    pub(crate) a: u64,
    pub(crate) b: u64,
}

/// Returns the seconds of a run after its warm-up, without the last, which may be incomplete.
fn measured(result: &RunResult) -> Vec<&Second> {
    let warm_up = result.scenario.drive.warm_up.0.as_secs();
    let end = warm_up + whole(result.measured_s) as u64;
    result.record.seconds.range(warm_up..end.max(warm_up)).map(|(_, second)| second).collect()
}

struct Figure {
    name: &'static str,
    of: fn(&Sum) -> Option<f64>,
    by: Scale,
    more_is_better: bool,
}

const fn latency(name: &'static str, of: fn(&Sum) -> Option<f64>) -> Figure {
    Figure { name, of, by: Scale::Ratio, more_is_better: false }
}

const FIGURES: [Figure; 6] = [
    Figure {
        name: "answered a second",
        of: |sum| Some(sum.answered as f64 / sum.seconds),
        by: Scale::Ratio,
        more_is_better: true,
    },
    latency("p50, ms", |sum| sum.latency.quantile_ms(0.5)),
    latency("p90, ms", |sum| sum.latency.quantile_ms(0.9)),
    latency("p99, ms", |sum| sum.latency.quantile_ms(0.99)),
    latency("p99.9, ms", |sum| sum.latency.quantile_ms(0.999)),
    Figure {
        name: "not answered",
        of: |sum| (sum.due > 0).then(|| (sum.due - sum.answered) as f64 / sum.due as f64),
        by: Scale::Difference,
        more_is_better: false,
    },
];

/// The sum of some seconds.
struct Sum {
    seconds: f64,
    /// Requests that were due.
    due: u64,
    answered: u64,
    latency: Hist,
}

impl Sum {
    fn of<'a>(seconds: impl Iterator<Item = &'a Second>) -> Self {
        let mut sum = Self { seconds: 0.0, due: 0, answered: 0, latency: Hist::with_digits(2) };
        for second in seconds {
            sum.seconds += 1.0;
            sum.due += second.sent + second.unsent;
            sum.answered += second.answered;
            sum.latency.add(&second.latency);
        }
        sum
    }
}

/// Draws as many seconds as there are, in blocks with replacement.
fn resample(seconds: &[&Second], rng: &mut Xoshiro256PlusPlus) -> Sum {
    let count = seconds.len();
    let block = whole((count as f64).sqrt()).max(1);
    let starts = (0..count.div_ceil(block)).map(|_| rng.random_range(0..count));
    let drawn = starts.flat_map(|start| (start..start + block).map(|at| seconds[at % count]));
    Sum::of(drawn.take(count))
}

/// Compares all figures of two runs; `None` if one of them has no whole second.
pub(crate) fn compare(a: &RunResult, b: &RunResult) -> Option<Comparison> {
    let (seconds_a, seconds_b) = (measured(a), measured(b));
    let shorter = seconds_a.len().min(seconds_b.len());
    if shorter == 0 {
        return None;
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let resamples = if shorter < SECONDS_MIN { 0 } else { RESAMPLES };
    let pairs: Vec<(Sum, Sum)> =
        (0..resamples).map(|_| (resample(&seconds_a, &mut rng), resample(&seconds_b, &mut rng))).collect();
    let runs = (Sum::of(seconds_a.into_iter()), Sum::of(seconds_b.into_iter()));
    let changes: Vec<Change> = FIGURES.iter().map(|figure| change(figure, &runs, &pairs)).collect();
    let wrong = counts(a, b);
    let mut reservations = Vec::new();
    if shorter < SECONDS_MIN {
        reservations.push(format!(
            "{shorter} seconds are too few to distinguish a change from noise; measure {SECONDS_MIN} or more"
        ));
    }
    for (name, result) in [("A", a), ("B", b)] {
        if result.generator.ran_late {
            reservations.push(format!("in {name} the generator ran late: its latencies cannot be believed"));
        }
        if result.unplanned().next().is_some() {
            reservations.push(format!("{name} was not the run that its scenario describes"));
        }
        if result.interrupted {
            reservations.push(format!("{name} was stopped before its end"));
        }
    }
    let (differences, notable) = differences(a, b);
    reservations.extend(notable.iter().map(|difference| format!("the runs differ in {difference}")));
    Some(Comparison {
        schema: "vigie-loadtest-compare/1",
        a: a.into(),
        b: b.into(),
        differences,
        worse: changes.iter().any(|change| change.verdict == Direction::Worse)
            || wrong.iter().any(|count| count.b > count.a),
        changes,
        counts: wrong,
        reservations,
    })
}

/// Returns the counts of wrong answers; a single one is more than noise.
fn counts(a: &RunResult, b: &RunResult) -> Vec<Count> {
    let of = |result: &RunResult| {
        let verdict = &result.record.totals.verdict;
        [
            ("missed", verdict.missed),
            ("false", verdict.false_matches),
            ("wrong distance", verdict.wrong_distance),
            ("wrong evidence", verdict.wrong_evidence),
            ("stale", verdict.stale),
            ("misjudged", verdict.misjudged),
        ]
    };
    let pairs = of(a).into_iter().zip(of(b));
    pairs.map(|((what, a), (_, b))| Count { what, a, b }).collect()
}

fn change(figure: &Figure, runs: &(Sum, Sum), pairs: &[(Sum, Sum)]) -> Change {
    let compared = |(a, b): &(Sum, Sum)| match (figure.by, (figure.of)(a), (figure.of)(b)) {
        (Scale::Difference, Some(a), Some(b)) => Some(b - a),
        (Scale::Ratio, Some(a), Some(b)) if a > 0.0 => Some(b / a),
        _ => None,
    };
    let (same, least) = match figure.by {
        Scale::Ratio => (1.0, RELATIVE_MIN),
        Scale::Difference => (0.0, SHARE_MIN),
    };
    let mut noise: Vec<f64> = pairs.iter().filter_map(compared).collect();
    noise.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| noise.get(whole(noise.len() as f64 * share)).copied();
    let (low, high) = (at(TAIL), at(1.0 - TAIL));
    let verdict = match (compared(runs), low, high) {
        (Some(change), Some(low), Some(high)) => {
            let more = low > same && change > same + least;
            let less = high < same && change < same - least;
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
        by: figure.by,
        change: compared(runs),
        low,
        high,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    /// Returns a run with 100 requests per second, whose latencies vary from `base_ms` to twice that.
    fn run(seconds: u64, base_ms: u64, seed: u64) -> RunResult {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let latencies: Vec<u64> =
            (0..seconds * 100).map(|_| base_ms + rng.random_range(0..base_ms)).collect();
        result(&latencies, 0, &[])
    }

    fn verdicts(a: &RunResult, b: &RunResult) -> Vec<(&'static str, Direction)> {
        compare(a, b).unwrap().changes.into_iter().map(|change| (change.figure, change.verdict)).collect()
    }

    #[test]
    fn two_runs_of_the_same_are_noise_and_a_run_and_itself_too() {
        let one = run(20, 100, 1);
        assert!(verdicts(&one, &one).iter().all(|(_, verdict)| *verdict == Direction::Noise));
        for seed in 2..8 {
            let changes = verdicts(&one, &run(20, 100, seed));
            assert!(
                changes.iter().all(|(_, verdict)| *verdict == Direction::Noise),
                "seed {seed}: {changes:?}"
            );
        }
    }

    #[test]
    fn a_slower_run_is_worse_and_a_faster_one_better() {
        let (quick, slow) = (run(20, 100, 1), run(20, 120, 2));
        let changes = verdicts(&quick, &slow);
        assert_eq!(changes[0].1, Direction::Noise, "the rate is the same: {changes:?}");
        assert!(changes[1..5].iter().all(|(_, verdict)| *verdict == Direction::Worse), "{changes:?}");
        assert_eq!(changes[5].1, Direction::Noise, "all are answered: {changes:?}");
        assert!(verdicts(&slow, &quick)[1..5].iter().all(|(_, verdict)| *verdict == Direction::Better));
        let compared = compare(&quick, &slow).unwrap();
        assert!(compared.worse);
        let said = text::text(&compared);
        assert!(said.contains("WORSE") && said.contains("p99"), "{said}");
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
        assert!(!said.contains("NOT COMPARABLE"), "{said}");
    }

    #[test]
    fn a_comparison_of_what_cannot_be_compared_says_so_before_all_else() {
        let (a, mut b) = (run(20, 100, 1), run(20, 100, 2));
        b.scenario.data.hashes += 1;
        b.scenario.seed = 9;
        let compared = compare(&a, &b).unwrap();
        assert_eq!(compared.differences.len(), 1);
        let said = text::text(&compared);
        let marked_at = said.find("NOT COMPARABLE").unwrap();
        assert!(
            marked_at < said.find("p99").unwrap() && said.contains("data.hashes: 100000 in A, 100001 in B"),
            "{said}"
        );
        assert!(said.contains("the runs differ in seed: 1 in A, 9 in B"), "{said}");
    }

    #[test]
    fn a_single_bad_second_is_noise_in_the_tail_and_says_so_by_its_range() {
        let quiet = run(20, 100, 1);
        let mut latencies: Vec<u64> = (0..2_000).map(|at| 100 + at * 7 % 100).collect();
        latencies[700..800].fill(2_000);
        let changes = compare(&quiet, &result(&latencies, 0, &[])).unwrap().changes;
        let tail = changes.iter().find(|change| change.figure == "p99, ms").unwrap();
        assert_eq!(tail.verdict, Direction::Noise, "{tail:?}");
        assert!(tail.high.unwrap() > 5.0 && tail.low.unwrap() < 1.1, "{tail:?}");
    }

    #[test]
    fn runs_without_a_whole_second_are_not_compared() {
        assert!(compare(&result(&[1; 5], 0, &[]), &run(3, 100, 1)).is_none());
    }

    #[test]
    fn runs_of_a_few_seconds_get_no_verdict_but_wrong_answers_are_counted() {
        let (quick, mut slow) = (run(3, 100, 1), run(3, 300, 2));
        let compared = compare(&quick, &slow).unwrap();
        assert!(compared.changes.iter().all(|change| change.verdict == Direction::Unknown), "{compared:?}");
        assert!(!compared.worse && compared.reservations[0].contains("too few"), "{compared:?}");
        slow.record.totals.verdict.missed = 1;
        assert!(compare(&quick, &slow).unwrap().worse, "one missed match is no noise");
        assert!(!compare(&slow, &quick).unwrap().worse);
    }

    #[test]
    fn requests_that_are_no_longer_answered_are_worse() {
        let (whole, mut failing) = (run(20, 100, 1), run(20, 100, 2));
        for second in failing.record.seconds.values_mut() {
            second.answered -= 5;
        }
        let changes = verdicts(&whole, &failing);
        assert_eq!(changes[5], ("not answered", Direction::Worse), "{changes:?}");
        assert_eq!(verdicts(&failing, &whole)[5].1, Direction::Better);
    }
}
