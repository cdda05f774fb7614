//! The partial answers that a status carries beside its code and text, and the failures that an answer
//! carries.

use std::time::Duration;

use prost::Name;
use tonic::{Code, Status};
use vigie_rpc::details;
pub use vigie_rpc::details::{message, resource_exhausted, retry_after};

use crate::pb::coordinator::v1::SearchResponse;
use crate::pb::matching::v1 as pb;
use crate::pb::model::v1::Coverage;

/// The most failed shards that are named if the details would be too large.
const FAILURES_MAX: usize = 8;
/// The most bytes of the reason of each of them.
const REASON_BYTES_MAX: usize = 120;

/// An answer that can be sent in the details of a status, in part if it is too large.
pub trait PartialAnswer: prost::Message + Name {
    /// Removes the results, and marks them as omitted.
    fn omit_results(&mut self);
    /// Returns the coverage of the answer.
    fn coverage(&mut self) -> Option<&mut Coverage>;
}

impl PartialAnswer for SearchResponse {
    fn omit_results(&mut self) {
        self.results.clear();
        self.results_omitted = true;
    }

    fn coverage(&mut self) -> Option<&mut Coverage> {
        self.coverage.as_mut()
    }
}

impl PartialAnswer for pb::MatchResponse {
    fn omit_results(&mut self) {
        self.clear_results();
        self.results_omitted = true;
    }

    fn coverage(&mut self) -> Option<&mut Coverage> {
        self.coverage.as_mut()
    }
}

/// Returns a status that carries a partial answer. If the answer is too large for trailers, the status
/// carries its coverage without the results.
#[must_use]
pub fn with_partial<M: PartialAnswer>(code: Code, text: &str, mut partial: M) -> Status {
    if partial.encoded_len() > details::MESSAGE_BYTES_MAX {
        partial.omit_results();
    }
    if partial.encoded_len() > details::MESSAGE_BYTES_MAX
        && let Some(coverage) = partial.coverage()
    {
        coverage.failures.truncate(FAILURES_MAX);
        for failure in &mut coverage.failures {
            failure.reason = details::cut(&failure.reason, REASON_BYTES_MAX).to_owned();
        }
    }
    details::with_message(code, text, &partial)
}

/// The failure of one query of a batch, or of one request of a stream, in the form that an answer carries.
impl From<Status> for pb::Failure {
    fn from(status: Status) -> Self {
        let retry_after_ms = retry_after(&status).map_or(0, |pause| pause.as_millis());
        Self {
            code: status.code().into(),
            message: status.message().to_owned(),
            retry_after_ms: u64::try_from(retry_after_ms).unwrap_or(u64::MAX),
            partial: message(&status),
        }
    }
}

/// Returns the status with which a separate call would have failed.
impl From<pb::Failure> for Status {
    fn from(failure: pb::Failure) -> Self {
        let code = Code::from(failure.code);
        match (failure.partial, failure.retry_after_ms) {
            (Some(partial), _) => with_partial(code, &failure.message, partial),
            (None, 0) => Self::new(code, failure.message),
            (None, pause) => details::with_retry_after(code, failure.message, Duration::from_millis(pause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::matching::v1::MatchResponse;
    use crate::pb::model::v1::{QueryMatches, ShardFailure};

    #[test]
    fn a_status_gives_back_the_message_it_carries() {
        let partial = SearchResponse {
            coverage: Some(Coverage { shards_total: 4, shards_answered: 3, ..Coverage::default() }),
            ..SearchResponse::default()
        };
        let status = with_partial(Code::Unavailable, "shard 2 is lost", partial.clone());
        assert_eq!(message::<SearchResponse>(&status), Some(partial));
        assert_eq!(message::<MatchResponse>(&status), None);
    }

    #[test]
    fn an_answer_too_large_for_trailers_is_carried_without_its_results() {
        let failure = |shard| ShardFailure { shard, reason: "é".repeat(500) };
        let partial = SearchResponse {
            results: vec![
                QueryMatches { matches: vec![Default::default(); 40], ..QueryMatches::default() };
                256
            ],
            coverage: Some(Coverage {
                shards_total: 256,
                hashes_searched: 7,
                failures: (0..256).map(failure).collect(),
                ..Coverage::default()
            }),
            ..SearchResponse::default()
        };
        let status = with_partial(Code::Unavailable, &"long ".repeat(1_000), partial);
        assert!(status.details().len() + status.message().len() < 6_000, "{}", status.details().len());
        let carried = message::<SearchResponse>(&status).unwrap();
        assert!(carried.results.is_empty() && carried.results_omitted);
        let coverage = carried.coverage.unwrap();
        assert_eq!((coverage.shards_total, coverage.hashes_searched, coverage.failures.len()), (256, 7, 8));
    }

    #[test]
    fn failures_in_answers_become_the_status_they_were() {
        let busy = resource_exhausted("busy", Duration::from_millis(250));
        let again = Status::from(pb::Failure::from(busy));
        assert_eq!((again.code(), again.message()), (Code::ResourceExhausted, "busy"));
        assert_eq!(retry_after(&again), Some(Duration::from_millis(250)));

        let partial = MatchResponse { sequence: 9, ..MatchResponse::default() };
        let again = Status::from(pb::Failure::from(with_partial(Code::Unavailable, "lost", partial.clone())));
        assert_eq!(message::<MatchResponse>(&again), Some(partial));
    }
}
