//! Client of a frontend, for platforms.

mod scoring;
mod videos;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vigie_model::{Coverage, ImageFingerprint, MatchCall, Matched, Sequence};
use vigie_net::{Bearer, CallError, Channel, EndpointError, Network, Pool, Target};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::{Form, Invalid};
use vigie_telemetry::trace;

use crate::wrong_service::explained;

pub use scoring::{MeasuredContent, MeasuredScores, ScoredConversation};
pub use videos::{Decoding, HashedVideo};

/// The most bytes of an answer: as many matches as one call may ask for, each of an item at all its bounds.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// The failure of one query of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFailure {
    /// The gRPC code that the query would have failed with on its own.
    pub code: Code,
    /// The error message.
    pub message: String,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchAnswer {
    /// The results, one for each content, in the order of the call.
    pub results: Vec<Result<Matched, QueryFailure>>,
    /// The shards that were searched.
    pub coverage: Coverage,
    /// The sequence of the answer, which reflects every change up to this one.
    pub sequence: Sequence,
    /// The sequence of the directory of members that decided the search and the answer; 0 without members.
    pub directory: Sequence,
    /// Whether a partial answer came without its results, because they were too large for a status.
    pub results_omitted: bool,
}

/// The answer to one call of a stream: the caller's id, and the result.
pub type MatchStreamAnswer = (u64, Result<MatchAnswer, CallError>);

impl TryFrom<pb::MatchResponse> for MatchAnswer {
    type Error = Invalid;

    fn try_from(message: pb::MatchResponse) -> Result<Self, Invalid> {
        let message = message.expanded()?;
        let result = |result: pb::MatchResult| match result.outcome {
            Some(pb::match_result::Outcome::Matched(matched)) => Ok(Ok(matched.try_into()?)),
            Some(pb::match_result::Outcome::Failure(failure)) => {
                Ok(Err(QueryFailure { code: Code::from(failure.code), message: failure.message }))
            }
            None => Err(Invalid::missing("results.outcome")),
        };
        Ok(Self {
            results: message.results.into_iter().map(result).collect::<Result<_, Invalid>>()?,
            coverage: message.coverage.ok_or_else(|| Invalid::missing("coverage"))?.try_into()?,
            directory: Sequence(message.directory_sequence),
            sequence: Sequence(message.sequence),
            results_omitted: message.results_omitted,
        })
    }
}

/// Returns the partial answer of a frontend whose coverage was less than asked for, if the error carries one.
#[must_use]
pub fn partial_match(error: &CallError) -> Option<MatchAnswer> {
    error.detail::<pb::MatchResponse>()?.try_into().ok()
}

const MATCH: &str = "vigie.matching.v1.MatchService/Match";
const HASH: &str = "vigie.matching.v1.MatchService/Hash";

/// Calls the frontends of a cluster; any one of them answers for the whole cluster.
#[derive(Debug, Clone)]
pub struct MatchClient {
    pool: Pool<Endpoint>,
    bearer: Option<Bearer>,
}

#[derive(Debug, Clone)]
struct Endpoint {
    target: Target,
    stub: MatchServiceClient<Channel>,
}

impl MatchClient {
    /// Makes a client of the frontend at `endpoint`, such as `http://127.0.0.1:7740`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(&[endpoint], &Network::tcp())
    }

    /// Makes a client of the frontends at these endpoints, at least one, on a network. Calls go to the
    /// endpoint that answers soonest, and to another when a connection breaks; a stream stays on its
    /// endpoint.
    pub fn new_on(endpoints: &[impl AsRef<str>], network: &Network) -> Result<Self, EndpointError> {
        let endpoint = |endpoint: &str| {
            let target = Target::new("frontend", endpoint, network)?;
            let stub = MatchServiceClient::new(target.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
            Ok(Endpoint { target, stub })
        };
        Ok(Self { pool: Pool::new(endpoints, endpoint)?, bearer: None })
    }

    /// Returns the same frontends and connections, for a caller with this credential. Its streams carry none.
    #[must_use]
    pub fn bearing(&self, bearer: Option<Bearer>) -> Self {
        Self { pool: self.pool.clone(), bearer }
    }

    /// Returns the error of a call that was not made.
    #[must_use]
    pub fn refused(&self, code: Code, message: &str) -> CallError {
        self.pool.pick().target.refused(code, message)
    }

    /// Matches a batch of content. Makes one attempt, except if a connection breaks: the platform decides
    /// about retries.
    pub async fn match_content(&self, call: MatchCall, deadline: Instant) -> Result<MatchAnswer, CallError> {
        self.ask(&call.into(), deadline).await
    }

    /// Matches a batch like [`Self::match_content`], with the same result. Hashes are sent packed, and the
    /// answer names only the queries that match something: many hashes take fewer bytes and less time. A
    /// batch with an image, a video or a PDQ quality has no packed form and is sent as it is. A frontend of
    /// an earlier version refuses the packed form with `INVALID_ARGUMENT`.
    pub async fn match_packed(&self, call: MatchCall, deadline: Instant) -> Result<MatchAnswer, CallError> {
        self.ask(&pb::MatchRequest::of(call, Form::Packed), deadline).await
    }

    async fn ask(&self, message: &pb::MatchRequest, deadline: Instant) -> Result<MatchAnswer, CallError> {
        let ask = |Endpoint { target, mut stub }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let call = target.call(MATCH, deadline, message.clone(), |request| stub.r#match(request));
            let answer = explained(&target, call.await).await?;
            answer.try_into().map_err(|invalid| target.unreadable(&invalid))
        };
        self.pool.call(ask).await
    }

    /// Returns whether one of the frontends serves, according to its health service.
    pub async fn is_serving(&self, deadline: Instant) -> bool {
        let mut health = HealthClient::new(self.pool.pick().target.channel());
        let asked = health.check(HealthCheckRequest { service: String::new() });
        let answer = tokio::time::timeout_at(deadline, asked).await;
        answer.is_ok_and(|answer| {
            answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
        })
    }

    /// Computes the fingerprints of an image, without a search.
    pub async fn hash(&self, image: Bytes, deadline: Instant) -> Result<ImageFingerprint, CallError> {
        let message = &pb::HashRequest { image };
        let hash = |Endpoint { target, mut stub }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let call = target.call(HASH, deadline, message.clone(), |request| stub.hash(request));
            let answer = explained(&target, call.await).await?;
            answer.try_into().map_err(|invalid| target.unreadable(&invalid))
        };
        self.pool.call(hash).await
    }

    /// Sends calls as a stream. The answers come as they are ready, each with the id of its call.
    ///
    /// The stream ends when `calls` has ended and every answer has arrived. An error of the stream itself
    /// ends it early.
    pub async fn match_stream<S>(
        &self,
        calls: S,
    ) -> Result<impl Stream<Item = Result<MatchStreamAnswer, CallError>> + Send + use<S>, CallError>
    where
        S: Stream<Item = (u64, MatchCall)> + Send + 'static,
    {
        let Endpoint { target, mut stub } = self.pool.pick();
        let messages =
            calls.map(|(request_id, call)| pb::MatchStreamRequest { request_id, request: Some(call.into()) });
        let mut request = tonic::Request::new(messages);
        if let Some(context) = trace::current() {
            context.write(request.metadata_mut().as_mut());
        }
        let answers = stub.match_stream(request).await.map_err(|status| target.failed(status));
        let answers = explained(&target, answers).await?;
        Ok(answers.into_inner().map(move |answer| match answer {
            Ok(answer) => stream_answer(&target, answer),
            Err(status) => Err(target.failed(status)),
        }))
    }
}

fn stream_answer(target: &Target, answer: pb::MatchStreamResponse) -> Result<MatchStreamAnswer, CallError> {
    use pb::match_stream_response::Outcome;
    let unreadable = |invalid: Invalid| target.unreadable(&invalid);
    let outcome = match answer.outcome.ok_or_else(|| unreadable(Invalid::missing("outcome")))? {
        Outcome::Response(response) => Ok(MatchAnswer::try_from(response).map_err(unreadable)?),
        Outcome::Failure(failure) => Err(target.failed(failure.into())),
    };
    Ok((answer.request_id, outcome))
}
