//! The rate that the generator can send.

use crate::cli::CeilingArguments;
use crate::run::command::ceiling::measure;
use crate::run::scenario::span::Span;

fn arguments(rate: u32, seconds: u64) -> CeilingArguments {
    CeilingArguments { rate, lanes: 1, connections: 4, duration: Span::from_secs(seconds) }
}

#[tokio::test]
async fn a_service_that_does_nothing_answers_everything() {
    let result = measure(&arguments(300, 2)).await.unwrap();
    let summary = &result.summary;
    assert!((500..700).contains(&summary.sent), "{}", summary.sent);
    assert_eq!((summary.failed, summary.answered), (0, summary.sent));
    let verdict = result.record.totals.verdict;
    assert_eq!((verdict.judged, verdict.missed, verdict.false_matches), (summary.sent, 0, 0));
}

#[tokio::test]
#[ignore = "wants two idle cores and an optimized build"]
async fn one_lane_sends_twenty_thousand_lookups_a_second_in_time() {
    let result = measure(&arguments(20_000, 5)).await.unwrap();
    assert!(result.summary.answered_per_s >= 19_800.0, "{}", result.summary.answered_per_s);
    assert!(!result.generator.ran_late, "{:?}", result.generator);
}
