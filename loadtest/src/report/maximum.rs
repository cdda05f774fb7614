//! The result of a search for the highest rate, and its files: answered rate, latencies and errors at every
//! rate that was tried.

pub(crate) mod text;
mod markdown;
mod page;

use std::cmp::Ordering;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::report::machine::Machine;
use crate::report::result::{Outcome, RunResult, TargetFacts};
use crate::run::scenario::Scenario;

/// The schema that this program writes.
pub(crate) const SCHEMA: &str = "vigie-loadtest-max/1";

/// The result of a search for the highest rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Maximum {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The scenario that was run at each rate, without its arrivals and faults.
    pub(crate) scenario: Scenario,
    pub(crate) target: TargetFacts,
    /// When the first step began, in milliseconds since 1970.
    pub(crate) began_unix_ms: u64,
    /// The version of this program.
    pub(crate) version: String,
    /// The machine of this process, as of the last step.
    pub(crate) machine: Machine,
    /// The condition that a rate has to hold.
    pub(crate) condition: String,
    /// The highest rate that held, in requests per second; `null` where none held.
    pub(crate) highest_rate: Option<f64>,
    /// The limit that was reached above that rate.
    pub(crate) limit: Limit,
    /// The reason for the limit, in words.
    pub(crate) because: String,
    /// Whether the search was stopped before its end.
    pub(crate) interrupted: bool,
    /// The steps, in the order in which they ran.
    pub(crate) tried: Vec<Step>,
}

/// The cause of failure at rates above the highest one that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limit {
    Target,
    /// The generator could not send in time, or its machine was too busy; the target may be able to do more.
    Generator,
    /// No tried rate failed.
    Search,
}

/// A rate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The intended rate, in requests per second.
    pub(crate) rate: f64,
    /// Whether the conditions held at this rate.
    pub(crate) held: bool,
    /// The reason why they did not; empty where they did.
    pub(crate) because: String,
    /// Whether they failed because of the generator.
    pub(crate) not_measurable: bool,
    /// Requests answered per second.
    pub(crate) answered_per_s: f64,
    /// Percentiles of the latency from the intended start.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p999_ms: Option<f64>,
    /// The share of requests that were not answered, 0 to 1.
    pub(crate) errors: f64,
    /// Wrong matches: missed and invented ones, and wrong distances.
    pub(crate) wrong: u64,
    /// The share of requests that were sent more than 10 ms late, or not at all, 0 to 1.
    pub(crate) late_or_unsent: f64,
}

impl Step {
    /// Returns the result in a word or two.
    const fn outcome(&self) -> &'static str {
        match (self.held, self.not_measurable) {
            (true, _) => "holds",
            (false, true) => "not measurable",
            (false, false) => "fails",
        }
    }

    pub(crate) fn new(rate: f64, result: &RunResult, because: Option<String>) -> Self {
        let summary = &result.summary;
        let totals = &result.record.totals;
        let (verdict, due) = (&totals.verdict, summary.sent + totals.unsent);
        Self {
            rate,
            held: because.is_none(),
            not_measurable: because.is_some() && result.outcome == Outcome::NotMeasurable,
            because: because.unwrap_or_default(),
            answered_per_s: summary.answered_per_s,
            p50_ms: summary.latency.p50_ms,
            p99_ms: summary.latency.p99_ms,
            p999_ms: summary.latency.p999_ms,
            errors: (due - summary.answered) as f64 / due.max(1) as f64,
            wrong: verdict.wrong(),
            late_or_unsent: result.generator.late_or_unsent_share,
        }
    }
}

/// Returns a rate in requests per second; small rates to a tenth, so that neighbouring steps differ.
pub(crate) fn rate_text(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") }
}

/// Returns the limit that was reached above the highest rate that held, and the reason in words.
pub(crate) fn limit(highest: Option<f64>, tried: &[Step]) -> (Limit, String) {
    let failed =
        || tried.iter().filter(|step| !step.held && highest.is_none_or(|highest| step.rate > highest));
    // If a rate was tried twice, the second try decides.
    let by_rate = |one: &&Step, other: &&Step| one.rate.total_cmp(&other.rate).then(Ordering::Greater);
    // A rate so low that no request was due gives no information.
    let next =
        failed().filter(|step| step.p50_ms.is_some()).min_by(by_rate).or_else(|| failed().min_by(by_rate));
    match next {
        None => (Limit::Search, "no higher rate was tried, and none failed".to_owned()),
        Some(step) => {
            let limit = if step.not_measurable { Limit::Generator } else { Limit::Target };
            (limit, format!("at {} {}", rate_text(step.rate), step.because))
        }
    }
}

impl Maximum {
    /// Returns whether the search found a maximum of the target; it found none if the generator was the
    /// limit.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.limit, self.highest_rate) {
            (Limit::Generator, _) => Outcome::NotMeasurable,
            (Limit::Target | Limit::Search, Some(_)) => Outcome::Passed,
            (Limit::Target | Limit::Search, None) => Outcome::Failed,
        }
    }

    /// Returns the result as a sentence without its full stop.
    fn headline(&self) -> String {
        match (self.highest_rate, self.limit) {
            _ if self.interrupted => "stopped before its end".to_owned(),
            (Some(rate), Limit::Target) => format!("{} is the highest rate that holds", rate_text(rate)),
            (Some(rate), Limit::Generator) => {
                format!("{} holds, and more is not measurable from here", rate_text(rate))
            }
            (Some(rate), Limit::Search) => format!("{} holds, and no more was tried", rate_text(rate)),
            (None, Limit::Generator) => "not measurable from here".to_owned(),
            (None, Limit::Target | Limit::Search) => "no rate holds".to_owned(),
        }
    }

    /// Returns a sentence about the kind of the limit.
    fn explanation(&self) -> &'static str {
        match self.limit {
            Limit::Target => "The target was the limit",
            Limit::Generator => {
                "The generator could not send in time, so this is the limit of the generator, or of a machine that is busy \
                 otherwise, and not of the target. Send from an idle machine, or with more drive.lanes"
            }
            Limit::Search => "The target may do more",
        }
    }

    /// Returns the steps by rate, and steps of one rate in their order: the curve.
    fn curve(&self) -> Vec<&Step> {
        let mut curve: Vec<&Step> = self.tried.iter().collect();
        curve.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        curve
    }
}

/// Writes all files about a search into an existing folder.
pub(crate) fn write(folder: &Path, found: &Maximum) -> anyhow::Result<()> {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    file("result.json", &serde_json::to_vec_pretty(found)?)?;
    file("report.html", page::page(found)?.as_bytes())?;
    file("summary.md", markdown::summary(found).as_bytes())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::result::tests::result;

    pub(crate) fn step(rate: f64, because: &str, not_measurable: bool) -> Step {
        Step {
            rate,
            held: because.is_empty(),
            because: because.to_owned(),
            not_measurable,
            answered_per_s: rate,
            p50_ms: Some(1.5),
            p99_ms: Some(12.25),
            p999_ms: None,
            errors: 0.0,
            wrong: 0,
            late_or_unsent: 0.0,
        }
    }

    pub(crate) fn found(highest_rate: Option<f64>, tried: Vec<Step>) -> Maximum {
        let run = result(&[5; 200], 0, &[]);
        let (limit, because) = limit(highest_rate, &tried);
        Maximum {
            schema: SCHEMA.to_owned(),
            scenario: run.scenario,
            target: run.target,
            began_unix_ms: 1_795_893_657_000,
            version: "0.0.0".to_owned(),
            machine: run.generator.machine,
            condition: "p99 <= 50ms, errors < 0.1%".to_owned(),
            highest_rate,
            limit,
            because,
            interrupted: false,
            tried,
        }
    }

    pub(crate) const SLOW: &str = "p99 <= 50ms does not hold (61.200 ms)";

    #[test]
    fn the_reason_is_that_of_the_next_higher_rate_and_there_of_the_second_try() {
        let tried = vec![
            step(400.0, "", false),
            step(800.0, "errors", false),
            step(800.0, "errors again", false),
            step(500.0, "late", true),
            step(500.0, SLOW, false),
            step(420.0, "", false),
        ];
        let (limit_found, because) = limit(Some(420.0), &tried);
        assert_eq!((limit_found, because.as_str()), (Limit::Target, format!("at 500/s {SLOW}").as_str()));
        assert_eq!(limit(Some(420.0), &tried[..1]).0, Limit::Search);
        assert_eq!(limit(None, &tried[1..4]).0, Limit::Generator);
        let nothing = Step { p50_ms: None, ..step(0.3, "nothing was measured", false) };
        assert_eq!(limit(None, &[tried[1].clone(), nothing]).1, "at 800/s errors");
    }

    #[test]
    fn a_maximum_is_that_of_the_target_only_where_the_target_gave_way() {
        let outcome = |highest, steps| found(highest, steps).outcome();
        let ok = || step(400.0, "", false);
        assert_eq!(outcome(Some(400.0), vec![ok(), step(500.0, SLOW, false)]), Outcome::Passed);
        assert_eq!(outcome(Some(400.0), vec![ok(), step(500.0, "late", true)]), Outcome::NotMeasurable);
        assert_eq!(outcome(Some(400.0), vec![ok()]), Outcome::Passed);
        assert_eq!(outcome(None, vec![step(500.0, SLOW, false)]), Outcome::Failed);
        assert_eq!(outcome(None, vec![step(500.0, "late", true)]), Outcome::NotMeasurable);
    }

    #[test]
    fn a_step_has_the_figures_of_its_run() {
        let run = result(&[5; 200], 0, &["p99 < 1ms"]);
        let failed = Step::new(100.0, &run, Some("slow".to_owned()));
        assert!(!failed.held && !failed.not_measurable && failed.errors == 0.0, "{failed:?}");
        assert_eq!((failed.p50_ms, failed.p99_ms), (run.summary.latency.p50_ms, run.summary.latency.p99_ms));
        let late = result(&[5; 200], 20, &["p99 < 1s"]);
        assert!(Step::new(100.0, &late, Some("late".to_owned())).not_measurable);
        assert!(Step::new(100.0, &run, None).held);
    }

    #[test]
    fn every_reader_gets_a_file_and_the_search_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let found = found(Some(400.0), vec![step(400.0, "", false), step(500.0, SLOW, false)]);
        write(folder.path(), &found).unwrap();
        for name in ["report.html", "summary.md"] {
            assert!(folder.path().join(name).metadata().unwrap().len() > 100, "{name}");
        }
        let text = std::fs::read_to_string(folder.path().join("result.json")).unwrap();
        assert_eq!(serde_json::from_str::<Maximum>(&text).unwrap(), found);
    }
}
