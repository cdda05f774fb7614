//! Records the results of requests and of probes.

use std::time::Duration;

use vigie_rpc::code;

use crate::judge::oracle::Verdict;
use crate::run::lanes::kind::Kind;
use crate::run::record::{Record, least};

/// A request that is sent later than this after its time counts as late.
pub(crate) const LATE: Duration = Duration::from_millis(10);

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The request was answered.
    Answered,
    /// The request failed with this gRPC code, or with the one that corresponds to an HTTP status.
    Failed(tonic::Code),
    /// The request was not sent: too many were under way, or its deadline had passed.
    Unsent,
}

/// The result of one request. Times count from the start of the run.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    pub(crate) intended: Duration,
    pub(crate) started: Duration,
    pub(crate) finished: Duration,
    /// Attempts beyond the first.
    pub(crate) retries: u32,
    /// Number of its questions.
    pub(crate) questions: u32,
    pub(crate) verdict: Verdict,
    /// The share of shards that answered (0 to 1), where the answer reports it.
    pub(crate) coverage: Option<f64>,
}

impl Record {
    /// Records a request that has ended.
    pub(crate) fn note(&mut self, sample: &Sample, warm_up: Duration) {
        let latency = sample.finished.saturating_sub(sample.intended);
        let lag = sample.started.saturating_sub(sample.intended);
        let second = self.seconds.entry(sample.intended.as_secs()).or_default();
        let code = match sample.outcome {
            Outcome::Answered | Outcome::Unsent => None,
            Outcome::Failed(code) => Some(code::word(code)),
        };
        second.sent += u64::from(sample.outcome != Outcome::Unsent);
        second.answered += u64::from(sample.outcome == Outcome::Answered);
        second.unsent += u64::from(sample.outcome == Outcome::Unsent);
        if let Some(code) = code {
            *second.failures.entry(code.to_owned()).or_default() += 1;
        }
        if has_latency(sample.outcome) {
            second.latency.record(latency);
        }
        second.lag_max_ms = second.lag_max_ms.max(lag.as_secs_f64() * 1e3);
        second.verdict += sample.verdict;
        if let Some(coverage) = sample.coverage {
            second.coverage_min = least(second.coverage_min, Some(coverage));
            second.coverage_sum.0 += coverage;
            second.coverage_sum.1 += 1;
        }
        if sample.intended < warm_up {
            return;
        }

        let totals = &mut self.totals;
        totals.verdict += sample.verdict;
        totals.coverage_min = least(totals.coverage_min, sample.coverage);
        if sample.outcome == Outcome::Unsent {
            totals.unsent += 1;
            totals.unsent_late += u64::from(lag > LATE);
            return;
        }
        totals.lag.record(lag);
        totals.late += u64::from(lag > LATE);
        let kind = totals.kinds.entry(sample.kind).or_default();
        kind.sent += 1;
        kind.retries += u64::from(sample.retries);
        if has_latency(sample.outcome) {
            kind.latency.record(latency);
            kind.latency_from_send.record(sample.finished.saturating_sub(sample.started));
        } else {
            kind.latency_of_failures.record(latency);
        }
        match code {
            None => {
                kind.answered += 1;
                kind.questions += u64::from(sample.questions);
            }
            Some(code) => *kind.failures.entry(code.to_owned()).or_default() += 1,
        }
    }

    /// Records how long a write took to become visible, or that it did not.
    pub(crate) fn note_probe(
        &mut self,
        began: Duration,
        added: bool,
        took: Option<Duration>,
        warm_up: Duration,
    ) {
        let second = self.seconds.entry(began.as_secs()).or_default();
        let counted = began >= warm_up;
        match took {
            Some(took) => {
                if added { &mut second.add_to_match } else { &mut second.remove_to_gone }.record(took);
                if counted {
                    let totals = &mut self.totals;
                    if added { &mut totals.add_to_match } else { &mut totals.remove_to_gone }.record(took);
                }
            }
            None => self.totals.probes_failed += u64::from(counted),
        }
    }
}

/// Returns whether a request has a latency. One without an answer by its deadline took at least until then. A
/// refused one has none: a quick refusal must not improve the latencies.
fn has_latency(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Answered | Outcome::Failed(tonic::Code::DeadlineExceeded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    fn sample(intended_ms: u64, took_ms: u64, outcome: Outcome) -> Sample {
        let at = Duration::from_millis;
        Sample {
            kind: if intended_ms.is_multiple_of(3) { Kind::Lookup } else { Kind::Batch },
            outcome,
            intended: at(intended_ms),
            started: at(intended_ms + took_ms / 2),
            finished: at(intended_ms + took_ms),
            retries: 1,
            questions: 2,
            verdict: Verdict { judged: 2, missed: took_ms % 2, ..Verdict::default() },
            coverage: Some(1.0 - took_ms as f64 / 1e6),
        }
    }

    const WARM_UP: Duration = Duration::from_secs(2);

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let outcome = prop::sample::select(vec![
            Outcome::Answered,
            Outcome::Unsent,
            Outcome::Failed(Code::Unavailable),
            Outcome::Failed(Code::DeadlineExceeded),
        ]);
        let one = (0..9_000u64, 0..3_000u64, outcome);
        prop::collection::vec(
            one.prop_map(|(intended, took, outcome)| sample(intended, took, outcome)),
            0..60,
        )
    }

    fn record(samples: &[Sample]) -> Record {
        let mut record = Record::default();
        samples.iter().for_each(|sample| record.note(sample, WARM_UP));
        record
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_and_every_request_is_counted_once(
            samples in samples(), cut in any::<prop::sample::Index>(),
        ) {
            let (one, other) = samples.split_at(cut.index(samples.len() + 1));
            let mut sum = record(one);
            sum.add(&record(other));
            let whole = record(&samples);
            prop_assert_eq!(&sum.totals.kinds, &whole.totals.kinds);
            prop_assert_eq!(sum.totals.verdict, whole.totals.verdict);
            prop_assert_eq!(sum.totals.late, whole.totals.late);
            prop_assert_eq!(sum.totals.coverage_min, whole.totals.coverage_min);

            let all = whole.totals.all_kinds();
            let failures: u64 = all.failures.values().sum();
            let counted = samples.iter().filter(|sample| sample.intended >= WARM_UP).count() as u64;
            prop_assert_eq!(all.answered + failures + whole.totals.unsent, counted);
            prop_assert_eq!(all.latency.count() + all.latency_of_failures.count(), all.sent);
            let seconds: u64 = whole.seconds.values().map(|second| second.sent + second.unsent).sum();
            prop_assert_eq!(seconds, samples.len() as u64);
        }
    }

    #[test]
    fn a_refusal_is_quick_and_does_not_flatter_the_latency() {
        let refused = sample(3_000, 0, Outcome::Failed(Code::ResourceExhausted));
        let late = sample(3_000, 1_000, Outcome::Failed(Code::DeadlineExceeded));
        let record = record(&[refused, late]);
        let all = record.totals.all_kinds();
        assert_eq!((all.latency.count(), all.latency_of_failures.count()), (1, 1));
        assert!(all.latency.quantile_ms(0.01).unwrap() > 999.0);
        assert_eq!(all.failures["RESOURCE_EXHAUSTED"], 1);
        assert_eq!(record.totals.late, 1);
    }
}
