//! What travels in a status beside its code and message: when to retry, and a partial answer.

use std::time::Duration;

use prost::{Message as _, Name};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::pb::coordinator::v1::SearchResponse;
use crate::pb::matching::v1 as pb;
use crate::pb::model::v1::Coverage;

/// A refusal because too much is going on, with the time after which to try again.
#[must_use]
pub fn resource_exhausted(message: impl Into<String>, retry_after: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The time after which to try again, if the status carries one.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// The most bytes of details: they travel in HTTP/2 trailers, base64, where many gRPC stacks accept 8 KiB in all.
const DETAILS_BYTES_MAX: usize = 4 << 10;
/// The most bytes of a status's text, for the same reason.
const TEXT_BYTES_MAX: usize = 1 << 10;
/// Failed shards that are told where there is no room for all.
const FAILURES_MAX: usize = 8;
/// Bytes of the reason of each of them.
const REASON_BYTES_MAX: usize = 120;

/// An answer that may travel in a status's details, in part if it must.
pub trait PartialAnswer: prost::Message + Name {
    /// Leaves the results out, and says so.
    fn omit_results(&mut self);
    /// What the answer covers.
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
        self.results.clear();
        self.results_omitted = true;
    }

    fn coverage(&mut self) -> Option<&mut Coverage> {
        self.coverage.as_mut()
    }
}

/// A status that carries an answer, as `google.rpc.Status` carries details. Of an answer that is too large for
/// trailers it carries what it covers, without the results.
#[must_use]
pub fn with_partial<M: PartialAnswer>(code: Code, text: &str, mut partial: M) -> Status {
    let text = cut(text, TEXT_BYTES_MAX);
    if partial.encoded_len() > DETAILS_BYTES_MAX {
        partial.omit_results();
    }
    if partial.encoded_len() > DETAILS_BYTES_MAX
        && let Some(coverage) = partial.coverage()
    {
        coverage.failures.truncate(FAILURES_MAX);
        for failure in &mut coverage.failures {
            failure.reason = cut(&failure.reason, REASON_BYTES_MAX).to_owned();
        }
    }
    let detail = prost_types::Any { type_url: M::type_url(), value: partial.encode_to_vec() };
    let details =
        tonic_types::Status { code: i32::from(code), message: text.to_owned(), details: vec![detail] };
    Status::with_details(code, text, details.encode_to_vec().into())
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The message of this type that the status carries, if it carries one.
#[must_use]
pub fn message<M: prost::Message + Name + Default>(status: &Status) -> Option<M> {
    let details = tonic_types::Status::decode(status.details()).ok()?;
    let carried = details.details.iter().find(|detail| detail.type_url == M::type_url())?;
    M::decode(carried.value.as_slice()).ok()
}

/// One query of a batch, or one request of a stream, carries its failure in the answer.
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

/// The status that the call would have failed with on its own.
impl From<pb::Failure> for Status {
    fn from(failure: pb::Failure) -> Self {
        let code = Code::from(failure.code);
        match (failure.partial, failure.retry_after_ms) {
            (Some(partial), _) => with_partial(code, &failure.message, partial),
            (None, 0) => Self::new(code, failure.message),
            (None, pause) => {
                let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(pause)));
                Self::with_error_details(code, failure.message, details)
            }
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
            results: vec![QueryMatches { matches: vec![Default::default(); 40], limit_reached: true }; 256],
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
    fn a_refusal_says_when_to_try_again() {
        let status = resource_exhausted("busy", Duration::from_millis(250));
        assert_eq!(retry_after(&status), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&Status::internal("x")), None);
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
