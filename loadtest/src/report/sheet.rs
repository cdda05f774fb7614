//! The result of a run as words and rows for people, independent of the format: a terminal, or a summary.

use crate::judge::judgement::Judgement;
use crate::judge::oracle::Verdict;
use crate::report::moment::moment;
use crate::report::result::{Outcome, RunResult, Times};

/// The names of the columns of [`Row::times_ms`].
pub(crate) const COLUMNS: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

/// The texts and rows about a run.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    pub(crate) name: &'a str,
    /// Whether all thresholds hold, in a word or two.
    pub(crate) outcome: &'static str,
    /// When the run began, and its target.
    pub(crate) place: String,
    /// How long was measured, and how much was sent and answered.
    pub(crate) rates: String,
    /// Reasons why some of the following figures are unreliable.
    pub(crate) alarms: Vec<String>,
    pub(crate) times: Vec<Row>,
    /// The findings of the oracle.
    pub(crate) verdict: String,
    /// Codes of failures with their counts.
    pub(crate) failures: Vec<(String, u64)>,
    /// The generator's cost of sending.
    pub(crate) generator: String,
    /// The processor time that the run's own cluster used to answer.
    pub(crate) cluster: Option<String>,
    /// The actions on the cluster, with their times.
    pub(crate) faults: Vec<String>,
    pub(crate) thresholds: &'a [Judgement],
}

/// The main figures of a histogram.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) times_ms: [Option<f64>; COLUMNS.len()],
}

impl Row {
    fn new(name: impl Into<String>, times: &Times) -> Self {
        let Times { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = *times;
        Self { name: name.into(), times_ms: [p50_ms, p90_ms, p99_ms, p999_ms, max_ms] }
    }
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(result: &'a RunResult) -> Self {
        let RunResult { scenario, summary, record, .. } = result;
        let verdict = &record.totals.verdict;
        let marks = result.faults.iter().map(|mark| {
            let failed = mark.failed.as_ref().map_or(String::new(), |why| format!(": FAILED, {why}"));
            format!("at {:.1} s: {}{failed}", mark.at_s, mark.what)
        });
        Self {
            name: &scenario.name,
            outcome: match result.outcome {
                Outcome::NotMeasurable => "not measurable here",
                Outcome::Passed if result.thresholds.is_empty() => "no thresholds",
                Outcome::Passed => "every threshold holds",
                Outcome::Failed => "a threshold does not hold",
            },
            place: format!("{}, {}", moment(result.began_unix_ms), result.target),
            rates: format!(
                "{:.0} s measured: {:.1} sent/s, {:.1} answered/s, {:.1} questions/s, {} failed",
                result.measured_s,
                summary.sent_per_s,
                summary.answered_per_s,
                summary.questions_per_s,
                summary.failed
            ),
            alarms: alarms(result),
            times: times(result),
            verdict: format!(
                "{} questions judged, {} matches right: {} missed, {} false, {} at a wrong distance{}; {} answers incomplete, {} stale{}",
                verdict.judged,
                verdict.right,
                verdict.missed,
                verdict.false_matches,
                verdict.wrong_distance,
                with_wrong_evidence(verdict),
                verdict.incomplete,
                verdict.stale,
                decided(verdict)
            ),
            failures: record.totals.all_kinds().failures.into_iter().collect(),
            generator: generator(result),
            cluster: cluster(result),
            faults: marks.collect(),
            thresholds: &result.thresholds,
        }
    }
}

fn alarms(result: &RunResult) -> Vec<String> {
    let mut alarms = Vec::new();
    if result.generator.ran_late {
        let share = result.generator.late_or_unsent_share * 100.0;
        alarms.push(if result.generator.too_slow {
            format!(
                "THE GENERATOR RAN LATE ({share:.2} % of the requests), and no latency here can be believed: the rate is above \
                 what this program can send from this machine, or the machine is busy with other work. Send from an idle \
                 machine or from several (--generators), with more drive.lanes, or at a lower rate"
            )
        } else {
            format!(
                "REQUESTS WERE LEFT UNSENT ({share:.2} %), because drive.in_flight_max of them were under way: the target is \
                 too slow for this rate, and no latency here can be believed"
            )
        });
    }
    if result.interrupted {
        alarms.push("THE RUN WAS STOPPED before its end: this is what was measured so far".to_owned());
    }
    let unplanned = result.unplanned().count();
    if unplanned > 0 {
        alarms.push(format!("NOT AS PLANNED: {unplanned} of the faults below"));
    }
    alarms
}

fn times(result: &RunResult) -> Vec<Row> {
    let RunResult { summary, generator, record, .. } = result;
    let mut rows = vec![
        Row::new("from the intended start", &summary.latency),
        Row::new("from the actual start", &summary.latency_from_send),
    ];
    if result.by_kind.len() > 1 {
        let kinds = result.by_kind.iter();
        rows.extend(
            kinds.map(|(kind, of)| Row::new(format!("{kind}, {:.1}/s", of.answered_per_s), &of.latency)),
        );
    }
    let totals = &record.totals;
    let others = [
        ("until a failure", &totals.all_kinds().latency_of_failures),
        ("add to match", &totals.add_to_match),
        ("remove to gone", &totals.remove_to_gone),
    ];
    let others = others.into_iter().filter(|(_, hist)| hist.count() > 0);
    rows.extend(others.map(|(name, hist)| Row::new(name, &Times::from(hist))));
    rows.push(Row::new("sent after its time by", &generator.lag));
    rows
}

fn generator(result: &RunResult) -> String {
    let RunResult { scenario, generator, record, .. } = result;
    let seconds = result.measured_s + scenario.drive.warm_up.0.as_secs_f64();
    // Only the seconds of this process count, because other processes have processors of their own.
    let sent = record.seconds.values().map(|second| second.sent).sum::<u64>()
        / u64::from(generator.processes.max(1));
    format!(
        "the generator used {:.2} cores, {:.1} us a request; {} requests late or unsent ({:.3} %)",
        generator.cpu_s / seconds.max(1e-9),
        generator.cpu_s * 1e6 / sent.max(1) as f64,
        generator.late_or_unsent,
        generator.late_or_unsent_share * 100.0
    )
}

fn cluster(result: &RunResult) -> Option<String> {
    let all = result.cpu_us_a_question(None)?;
    let roles = result.cluster_cpu_s.keys().filter_map(|role| {
        let of_role = result.cpu_us_a_question(Some(role))?;
        Some(format!("{role} {of_role:.1}"))
    });
    let roles: Vec<String> = roles.collect();
    Some(format!("the cluster used {all:.1} us of processor time a question: {}", roles.join(", ")))
}

/// Returns the number of matches of videos with wrong evidence, as text; empty where there are none.
fn with_wrong_evidence(verdict: &Verdict) -> String {
    match verdict.wrong_evidence {
        0 => String::new(),
        count => format!(", {count} with wrong evidence"),
    }
}

/// Returns the number of verdicts of members' policies, as text; empty where there are none.
fn decided(verdict: &Verdict) -> String {
    if verdict.decided + verdict.misjudged == 0 {
        return String::new();
    }
    format!("; {} verdicts, {} misjudged", verdict.decided, verdict.misjudged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::Mark;
    use crate::report::result::tests::result;

    #[test]
    fn whatever_makes_a_run_less_than_it_seems_is_said_first() {
        let mut run = result(&[50; 200], 0, &["p99 < 1s"]);
        assert!(Sheet::new(&run).alarms.is_empty());
        run.interrupted = true;
        let failed = Some("there is no such process".to_owned());
        run.faults = vec![
            Mark { at_s: 1.0, what: "kill bank".to_owned(), failed: None },
            Mark { at_s: 2.0, what: "kill nobody".to_owned(), failed },
        ];
        let sheet = Sheet::new(&run);
        assert!(
            sheet.alarms[0].contains("STOPPED") && sheet.alarms[1].contains("1 of the faults"),
            "{sheet:?}"
        );
        assert_eq!(
            sheet.faults,
            ["at 1.0 s: kill bank", "at 2.0 s: kill nobody: FAILED, there is no such process"]
        );
        assert_eq!(sheet.cluster, None, "not known of a target elsewhere");
        run.cluster_cpu_s = [("bank".to_owned(), 0.001), ("matcher".to_owned(), 0.02)].into();
        let line = "the cluster used 105.0 us of processor time a question: bank 5.0, matcher 100.0";
        assert_eq!(Sheet::new(&run).cluster.as_deref(), Some(line), "of 200 questions");
        let late = result(&[50; 200], 20, &["p99 < 1s"]);
        assert_eq!(Sheet::new(&late).outcome, "not measurable here");
        assert!(Sheet::new(&late).alarms[0].contains("RAN LATE (100.00 %"));
    }
}
